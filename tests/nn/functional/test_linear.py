"""The bilinear map and layer normalisation; linear and embedding are in tests/nn/test_layers.py."""
import numpy as np
import pytest

from orthonorm import nn
from orthonorm.nn import functional as F
from tests.differences import CHECKS
from tests.helpers import REAL, assert_within, dtypes, eps, sample
from tests.nn.packing import gradients, packed, point

# -- bilinear ----------------------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("lead", [(), (4,), (2, 3), (0,)])
def test_bilinear_is_its_definition(lead, dtype):
    x1, x2, W = sample((*lead, 3), dtype), sample((*lead, 2), dtype), sample((5, 3, 2), dtype)
    b = sample((5,), dtype)
    expected = np.einsum("...i,oij,...j->...o", x1, W, x2)
    y = F.bilinear(x1, x2, W)
    assert y.dtype == dtype
    assert_within(y, expected, 60 * eps(dtype))
    assert np.array_equal(F.bilinear(x1, x2, W, b), y + b)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_derivatives_of_bilinear(check, dtype):
    shapes = [(2, 3), (2, 2), (2, 3, 2), (2,)]
    CHECKS[check](packed(F.bilinear, *shapes), point(*shapes, dtype=dtype))


def test_gradients_of_bilinear_in_single_precision():
    arrays = [sample(shape, np.float32) for shape in [(2, 3), (2, 2), (4, 3, 2), (4,)]]
    _, found = gradients(F.bilinear, arrays, np.ones((2, 4), np.float32))
    assert [g.dtype for g in found] == 4 * [np.float32]


@pytest.mark.parametrize("shapes, message", [
    ([(3, 4), (2, 4), (5, 4, 4)], "input1, input2 and weight must have shapes"),
    ([(3, 4), (3, 4), (5, 3, 4)], "input1, input2 and weight"),
    ([(3, 4), (3, 4), (5, 4, 3)], "input1, input2 and weight"),
    ([(3, 4), (3, 4), (4, 4)], "input1, input2 and weight"),
    ([(), (), (1, 1, 1)], "input1, input2 and weight"),
    ([(3, 4), (3, 4), (5, 4, 4), (4,)], r"bias must have shape \(5,\), got \(4,\)"),
])
def test_errors_of_bilinear(shapes, message):
    with pytest.raises(RuntimeError, match=message):
        F.bilinear(*map(np.zeros, shapes))


# -- embedding with a row that is not trained ---------------------------------------------------------

@pytest.mark.parametrize("padding_idx", [1, -2])
def test_no_gradient_reaches_the_padding_row(padding_idx):
    weight, index = sample((3, 2)), np.array([[1, 0], [1, 2]])

    def function(weight):
        return F.embedding(index, weight, padding_idx)
    np.testing.assert_array_equal(function(weight), weight[index])
    g = sample((2, 2, 2), seed=1)
    _, (found,) = gradients(function, (weight,), g)
    np.testing.assert_array_equal(found, [g[0, 1], [0, 0], g[1, 1]])


@pytest.mark.parametrize("padding_idx", [3, -4])
def test_a_padding_row_that_is_not_there(padding_idx):
    for call in (lambda: F.embedding(np.array([0]), np.ones((3, 2)), padding_idx),
                 lambda: nn.Embedding(3, 2, padding_idx)):
        with pytest.raises(AssertionError, match="padding_idx must be within num_embeddings, 3, got"):
            call()


# -- layer_norm --------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", REAL)
@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("eps_", [1e-5, 0.5])
def test_layer_norm_is_its_definition(shape, dtype, eps_):
    x, w, b = sample((5, *shape), dtype), sample(shape, dtype), sample(shape, dtype, 1)
    expected = np.empty_like(x, np.float64)
    for i, entries in enumerate(x.astype(np.float64)):
        expected[i] = (entries - entries.mean()) / np.sqrt(entries.var() + eps_) * w + b
    y = F.layer_norm(x, shape, w, b, eps_)
    assert y.dtype == dtype
    assert_within(y, expected, 60 * eps(dtype))
    plain = F.layer_norm(x, shape, eps=eps_)
    assert_within(F.layer_norm(x, shape, w, None, eps_), plain * w, 10 * eps(dtype))


@pytest.mark.parametrize("shape", [(np.int64(3),), [3], (np.int32(2), np.int64(3))], ids=str)
def test_layer_norm_takes_any_integers_and_keeps_the_dtype(shape):
    x = sample((4, 2, 3), np.float32)
    y = F.layer_norm(x, shape)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, F.layer_norm(x, tuple(map(int, shape))))
    assert nn.LayerNorm(shape, dtype=np.float32)(x).dtype == np.float32


@pytest.mark.parametrize("shape", [3, "3", (3.0,), None], ids=repr)
def test_layer_norm_needs_a_tuple_of_int(shape):
    with pytest.raises(TypeError, match=r"^normalized_shape must be a.* got"):
        F.layer_norm(np.ones((2, 3)), shape)


def test_layer_norm_far_from_zero_keeps_its_digits():
    """The variance from the mean of the squares would be wrong in all of them."""
    x = np.array([1e6, 1e6 + 1, 1e6 + 2])
    assert_within(F.layer_norm(x, (3,), eps=0.0), np.array([-1, 0, 1]) * np.sqrt(1.5), 1e-15)


@pytest.mark.parametrize("mean", [0.0, 1e2, 1e4])
def test_layer_norm_in_single_precision_is_exact_far_from_zero(mean):
    """Value and gradients, against double precision: PyTorch is off by 6e-4 for a mean of 1e4."""
    arrays = [sample((3, 16), np.float32) + np.float32(mean), *(sample((16,), np.float32, seed)
                                                                for seed in (1, 2))]
    g = sample((3, 16), np.float32, 3)

    def f(x, w, b):
        return F.layer_norm(x, (16,), w, b)
    value, found = gradients(f, arrays, g)
    exact_value, exact = gradients(f, [a.astype(float) for a in arrays], g.astype(float))
    for ours, theirs in zip([value, *found], [exact_value, *exact]):
        assert_within(ours, theirs, 6 * eps(np.float32) * np.abs(theirs).max())


def test_numbers_of_numpy_do_not_raise_the_precision():
    x = sample((2, 3), np.float32)
    y = F.layer_norm(x, (3,), eps=np.float64(1e-5))
    assert y.dtype == np.float32 and np.array_equal(y, F.layer_norm(x, (3,)))
    assert nn.LayerNorm(np.int64(3), dtype=np.float32)(x).dtype == np.float32


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("lead, shape", [((2,), (3,)), ((), (2, 2)), ((2,), (2, 2))])
def test_derivatives_of_layer_norm(check, lead, shape):
    def function(x, w, b):
        return F.layer_norm(x, shape, w, b)
    shapes = [lead + shape, shape, shape]
    CHECKS[check](packed(function, *shapes), point(*shapes))


def test_gradients_of_layer_norm_in_single_precision():
    arrays = [sample(shape, np.float32) for shape in [(3, 4), (4,), (4,)]]
    _, found = gradients(lambda x, w, b: F.layer_norm(x, (4,), w, b), arrays,
                         np.ones((3, 4), np.float32))
    assert [g.dtype for g in found] == 3 * [np.float32]


@pytest.mark.parametrize("arguments, message", [
    (((3, 5), (3,)), r"got shape \(3, 5\) and normalized_shape=\(3,\)"),
    (((5,), (3, 5)), "input must have shape"),
    (((3, 5), ()), "the latter not empty"),
    (((3, 5), (5,), np.ones(3)), r"weight must have the shape normalized_shape=\(5,\), got \(3,\)"),
    (((3, 5), (5,), None, np.ones((1, 5))), r"bias must have the shape normalized_shape=\(5,\)"),
])
def test_errors_of_layer_norm(arguments, message):
    shape, *others = arguments
    with pytest.raises(RuntimeError, match=message):
        F.layer_norm(np.zeros(shape), *others)
