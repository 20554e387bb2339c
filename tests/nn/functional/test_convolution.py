"""Convolutions against their definition, SciPy and the adjoint identity; their derivatives."""
import itertools
import math

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.signal
from autograd import grad, make_jvp

from orthonorm.nn import functional as F
from orthonorm.nn.functional import trilinear
from tests.differences import CHECKS
from tests.helpers import DTYPES, assert_within, dtypes, eps, is_complex, layouts, sample
from tests.nn.packing import gradients, packed, point

CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSED = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
SIZE, KERNEL = (7, 6, 5), (3, 2, 1)

dimensions = pytest.mark.parametrize("ndim", [1, 2, 3])
settings = pytest.mark.parametrize(
    "stride, padding, dilation, groups", list(itertools.product((1, 2, 3), (0, 2), (1, 2), (1, 2))))


def by_definition(x, w, stride=1, padding=0, dilation=1, groups=1):
    """Sum over channels and kernel positions, one output position after the other."""
    ndim = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0)] + ndim * [(padding, padding)])
    reach = [dilation * (k - 1) + 1 for k in w.shape[2:]]
    output = [(size - r) // stride + 1 for size, r in zip(x.shape[2:], reach)]
    y = np.zeros((len(x), len(w), *output), np.result_type(x, w))
    per_group, inputs = len(w) // groups, w.shape[1]
    for position in np.ndindex(*output):
        seen = tuple(slice(stride * p, stride * p + r, dilation) for p, r in zip(position, reach))
        for o in range(len(w)):
            first = o // per_group * inputs
            window = x[:, first:first + inputs, *seen]
            y[:, o, *position] = np.sum(window * w[o], axis=tuple(range(1, ndim + 2)))
    return y


def sample_of(ndim, groups, dtype=np.float64):
    x = sample((2, 4, *SIZE[:ndim]), dtype)
    return x, sample((6, 4 // groups, *KERNEL[:ndim]), dtype, 1)


# -- values ------------------------------------------------------------------------------------------

@dimensions
@settings
def test_convolution_is_its_definition(ndim, stride, padding, dilation, groups):
    x, w = sample_of(ndim, groups)
    y = CONV[ndim](x, w, None, stride, padding, dilation, groups)
    assert_within(y, by_definition(x, w, stride, padding, dilation, groups), 1e-13)


@dimensions
@settings
def test_transposed_convolution_is_the_adjoint(ndim, stride, padding, dilation, groups):
    """<conv(x), y> = <x, conv_transpose(y)> for every x that the convolution maps to the size of y."""
    for extra in range(max(stride, dilation)):
        y = sample((2, 6, *(4, 3, 3)[:ndim]))
        w = sample((6, 4 // groups, *KERNEL[:ndim]), seed=1)
        try:
            back = TRANSPOSED[ndim](y, w, None, stride, padding, extra, groups, dilation)
        except RuntimeError as error:
            assert "leaves nothing" in str(error) and padding > 0
            continue
        size = [stride * (p - 1) - 2 * padding + dilation * (k - 1) + extra + 1
                for p, k in zip(y.shape[2:], w.shape[2:])]
        assert back.shape == (2, 4, *size)
        x = sample(back.shape, seed=2)
        forth = by_definition(x, w, stride, padding, dilation, groups)
        # Past a stride, output_padding adds positions that no window reaches, but whole windows too.
        inner = tuple(slice(p) for p in y.shape[2:])
        assert abs(np.sum(forth[:, :, *inner] * y) - np.sum(x * back)) < 1e-12


@dimensions
def test_scipy_agrees(ndim):
    x, w = sample(SIZE[:ndim]), sample(KERNEL[:ndim], seed=1)
    expected = scipy.signal.correlate(x, w, mode="valid")
    assert_within(CONV[ndim](x[None], w[None, None])[0], expected, 1e-13)
    # The transposed convolution is the full convolution, with the kernel reversed.
    expected = scipy.signal.convolve(x, w, mode="full")
    assert_within(TRANSPOSED[ndim](x[None], w[None, None])[0], expected, 1e-13)


@dimensions
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
def test_same_keeps_the_size_and_puts_the_odd_zero_at_the_far_end(ndim, dilation, kernel):
    x, w = sample((2, 2, *SIZE[:ndim])), sample((3, 2, *ndim * (kernel,)), seed=1)
    y = CONV[ndim](x, w, padding="same", dilation=dilation)
    assert y.shape == (2, 3, *SIZE[:ndim])
    total = dilation * (kernel - 1)
    padded = np.pad(x, [(0, 0), (0, 0)] + ndim * [(total // 2, total - total // 2)])
    assert_within(y, by_definition(padded, w, dilation=dilation), 1e-13)


@dimensions
def test_valid_is_no_padding(ndim):
    x, w = sample_of(ndim, 1)
    assert np.array_equal(CONV[ndim](x, w, padding="valid"), CONV[ndim](x, w))


def test_each_dimension_has_its_own_numbers():
    x, w = sample((2, 4, 9, 8)), sample((6, 2, 3, 2), seed=1)
    y = F.conv2d(x, w, stride=(2, 3), padding=(1, 0), dilation=[1, 2], groups=2)
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 0)])
    wide = np.zeros((6, 2, 3, 3))
    wide[..., ::2] = w
    assert_within(y, by_definition(padded, wide, groups=2)[:, :, ::2, ::3], 1e-13)


@dimensions
@pytest.mark.parametrize("table, first", [(CONV, 6), (TRANSPOSED, 4)], ids=["plain", "transposed"])
def test_bias_and_missing_batch(ndim, table, first):
    x, w, b = sample((2, 4, *SIZE[:ndim])), sample((first, 4, *KERNEL[:ndim])), None
    y = table[ndim](x, w)
    b = sample((y.shape[1],), seed=2)
    with_bias = table[ndim](x, w, b)
    assert np.array_equal(with_bias, y + b.reshape(-1, *ndim * (1,)))
    assert_within(table[ndim](x[1], w, b), with_bias[1], 1e-14)
    assert table[ndim](x[:0], w, b).shape == (0, *y.shape[1:])


@dtypes
def test_dtypes(dtype):
    x, w = sample_of(2, 2, dtype)
    y = F.conv2d(x, w, padding=1, groups=2)
    assert y.dtype == dtype
    assert_within(y, by_definition(x, w, padding=1, groups=2), 30 * eps(dtype))
    assert F.conv_transpose2d(y, w, groups=2).dtype == dtype


@pytest.mark.parametrize("x_dtype, w_dtype", list(itertools.product(DTYPES, DTYPES)))
def test_mixed_dtypes_are_promoted_and_each_gets_its_own_gradient(x_dtype, w_dtype):
    x, w = sample((1, 2, 5), x_dtype), sample((3, 2, 2), w_dtype)
    common = np.result_type(x_dtype, w_dtype)
    y, ours = gradients(F.conv1d, (x, w), np.ones((1, 3, 4), common))
    assert y.dtype == common
    assert [g.dtype for g in ours] == [x_dtype, w_dtype]
    wide = np.complex128 if is_complex(common) else np.float64
    _, exact = gradients(F.conv1d, (x.astype(wide), w.astype(wide)), np.ones((1, 3, 4), wide))
    for ours, theirs in zip(ours, exact):
        theirs = theirs if is_complex(ours.dtype) else theirs.real
        assert_within(ours, theirs, 30 * max(eps(x_dtype), eps(w_dtype)))


def test_integers_do_not_raise_the_precision():
    assert F.conv1d(np.arange(6).reshape(1, 6), sample((1, 1, 2), np.float32)).dtype == np.float32


def test_lists_are_arrays():
    assert np.array_equal(F.conv1d([[1.0, 2.0, 4.0]], [[[-1.0, 1.0]]], [1.0]), [[2, 3]])


def test_memory_layout_does_not_matter_and_inputs_stay():
    x, w = sample_of(2, 1)
    y, back = F.conv2d(x, w), F.conv_transpose2d(x, np.swapaxes(w, 0, 1))
    for x_laid, w_laid in itertools.product(layouts(x).values(), layouts(w).values()):
        before = x_laid.copy(), w_laid.copy()
        assert_within(F.conv2d(x_laid, w_laid), y, 1e-14)
        assert_within(F.conv_transpose2d(x_laid, np.swapaxes(w_laid, 0, 1)), back, 1e-14)
        assert np.array_equal(before[0], x_laid) and np.array_equal(before[1], w_laid)


def test_output_padding_may_save_what_padding_takes():
    y = F.conv_transpose1d(np.ones((1, 8)), np.ones((1, 1, 3)), padding=6, output_padding=1, dilation=2)
    assert np.array_equal(y, [[3]])


def test_no_channels_give_the_bias():
    assert np.array_equal(F.conv1d(np.zeros((1, 0, 4)), np.zeros((2, 0, 3)), np.array([1.0, 2.0])),
                          [[[1, 1], [2, 2]]])


@pytest.mark.parametrize("length", [1, 2, 5])
def test_samples_in_pieces_are_all_samples(monkeypatch, length):
    """As many samples as the cache holds are taken at once, and then the rest."""
    x, w, b = sample((5, 4, 6, 5)), sample((6, 2, 3, 2), seed=1), sample((6,), seed=2)
    options = {"stride": (2, 1), "padding": (1, 2), "groups": 2}

    def answers():
        trilinear._layout.cache_clear()
        y, found = gradients(lambda *args: F.conv2d(*args, **options), (x, w, b), cotangent)
        back, other = gradients(lambda *args: F.conv_transpose2d(*args, **options), (y, w), x_cotangent)
        return [y, *found, back, *other]

    cotangent = sample(F.conv2d(x, w, b, **options).shape, seed=3)
    x_cotangent = sample(F.conv_transpose2d(cotangent, w, **options).shape, seed=4)
    whole = answers()
    columns = 4 * 3 * 2 * math.prod(cotangent.shape[2:])
    monkeypatch.setattr(trilinear, "CHUNK", length * columns)
    for piecewise, at_once in zip(answers(), whole, strict=True):
        assert_within(piecewise, at_once, 1e-13)
    trilinear._layout.cache_clear()


@pytest.mark.parametrize("side", [15, 16, 32])
def test_rows_of_columns_a_power_of_two_long(side):
    """They are kept apart in memory: the answer is the same."""
    x, w = sample((2, 3, side, side)), sample((4, 3, 3, 3), seed=1)
    assert_within(F.conv2d(x, w, padding=1), by_definition(x, w, padding=1), 1e-13)
    y = sample((2, 4, side, side), seed=2)
    forth, back = F.conv2d(x, w, padding=1), F.conv_transpose2d(y, w, padding=1)
    assert abs(np.sum(forth * y) - np.sum(x * back)) < 1e-10


# -- derivatives -------------------------------------------------------------------------------------

DERIVED = {
    "1-D": (F.conv1d, [(2, 2, 5), (3, 2, 2), (3,)], {"stride": 2, "padding": 1}),
    "2-D": (F.conv2d, [(1, 2, 4, 3), (2, 1, 2, 2), (2,)], {"padding": "same", "groups": 2}),
    "2-D dilated": (F.conv2d, [(2, 4, 4), (1, 2, 2, 2)], {"dilation": (2, 1), "padding": (0, 1)}),
    "3-D": (F.conv3d, [(1, 2, 3, 2, 2), (2, 1, 2, 1, 2)], {"groups": 2, "padding": 1, "stride": 2}),
    "1-D transposed": (F.conv_transpose1d, [(2, 2, 3), (2, 3, 2), (3,)],
                       {"stride": 2, "padding": 1, "output_padding": 1}),
    "2-D transposed": (F.conv_transpose2d, [(1, 2, 2, 2), (2, 1, 2, 2), (2,)],
                       {"groups": 2, "dilation": 2, "output_padding": 1}),
    "3-D transposed": (F.conv_transpose3d, [(1, 1, 2, 2, 1), (1, 2, 2, 1, 2)], {"stride": (1, 2, 1)}),
}


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("name", DERIVED)
def test_derivatives(name, dtype, check):
    function, shapes, options = DERIVED[name]
    f = packed(lambda *args: function(*args, **options), *shapes)
    CHECKS[check](f, point(*shapes, dtype=dtype))


@dtypes
@pytest.mark.parametrize("name", DERIVED)
def test_derivatives_keep_the_dtype(name, dtype):
    """Of every argument, in reverse and forward, under a cotangent of double precision too."""
    function, shapes, options = DERIVED[name]
    arrays = [sample(shape, dtype, seed) for seed, shape in enumerate(shapes)]
    double = np.complex128 if is_complex(dtype) else np.float64

    def f(*args):
        return function(*args, **options)

    shape = f(*arrays).shape
    for cotangent_dtype in (dtype, double):
        _, found = gradients(f, arrays[:2], np.ones(shape, cotangent_dtype))
        assert [g.dtype for g in found] == [dtype, dtype]
    _, found = gradients(f, arrays, np.ones(shape, dtype))
    assert all(g.dtype == dtype for g in found)
    value, tangent = make_jvp(f)(*arrays)(arrays[0])
    assert value.dtype == tangent.dtype == dtype


def test_third_order():
    """Three convolutions with the kernel (t, t) are t^3 times one with (1, 3, 3, 1)."""
    x = sample((6,))

    def total(t):
        w = t * anp.ones((1, 1, 2))
        return anp.sum(F.conv1d(F.conv1d(F.conv1d(x[None], w), w), w))

    expected = 6 * np.convolve(x, [1, 3, 3, 1], "valid").sum()
    assert math.isclose(grad(grad(grad(total)))(2.0), expected, rel_tol=1e-12)


# -- errors ------------------------------------------------------------------------------------------

X, W, B = np.zeros((2, 4, 8)), np.zeros((6, 4, 3)), np.zeros(6)
ERRORS = [
    ((X, W[:, :3]), {}, RuntimeError, "input must have 3 channels"),
    ((X, W), {"groups": 2}, RuntimeError, "input must have 8 channels"),
    ((X[0, 0], W), {}, RuntimeError, "input must have 3 dimensions, or 2 without"),
    ((X[None], W), {}, RuntimeError, r"got shape \(1, 2, 4, 8\)"),
    ((X[:, :, :0], W), {}, RuntimeError, "space not empty"),
    ((X, W[0]), {}, RuntimeError, "weight must have 3 dimensions"),
    ((X, W[:0]), {}, RuntimeError, "channels and kernel not empty"),
    ((X, W[:, :, :0]), {}, RuntimeError, "channels and kernel not empty"),
    ((X, W, B[:2]), {}, RuntimeError, r"bias must have shape \(6,\), got \(2,\)"),
    ((X, W, B[None]), {}, RuntimeError, r"bias must have shape \(6,\), got \(1, 6\)"),
    ((X, W), {"stride": 0}, RuntimeError, "stride must be at least 1, got 0"),
    ((X, W), {"stride": (1, 1)}, RuntimeError, r"stride must be one number or 1, got \(1, 1\)"),
    ((X, W), {"stride": ()}, RuntimeError, "stride must be one number or 1"),
    ((X, W), {"stride": 1.5}, TypeError, "stride must be an integer, got 1.5"),
    ((X, W), {"padding": -1}, RuntimeError, "padding must be at least 0, got -1"),
    ((X, W), {"padding": "full"}, RuntimeError, 'padding must be a number, "same" or "valid"'),
    ((X, W), {"padding": "same", "stride": 2}, RuntimeError, "padding='same' is not supported"),
    ((X, W), {"padding": None}, TypeError, "padding must be an integer, got None"),
    ((X, W), {"dilation": 0}, RuntimeError, "dilation must be at least 1, got 0"),
    ((X, W), {"dilation": 4}, RuntimeError, "the kernel of size .3,. with dilation .4,. is larger"),
    ((X, W), {"groups": 0}, RuntimeError, "groups must be at least 1, got 0"),
    ((X, W), {"groups": 1.0}, TypeError, "groups must be an integer, got 1.0"),
    ((X, W[:, :1]), {"groups": 4}, RuntimeError, "groups=4 must divide the 6 channels"),
]
V = np.zeros((4, 6, 3))
TRANSPOSED_ERRORS = [
    ((X, V[:3]), {}, RuntimeError, "input must have 3 channels"),
    ((X[0, 0], V), {}, RuntimeError, "input must have 3 dimensions"),
    ((X[:, :, :0], V), {}, RuntimeError, "space not empty"),
    ((X, V[0]), {}, RuntimeError, "weight must have 3 dimensions"),
    ((X, V, B[:2]), {}, RuntimeError, r"bias must have shape \(6,\)"),
    ((X, V, B), {"groups": 2}, RuntimeError, r"bias must have shape \(12,\)"),
    ((X, V), {"groups": 3}, RuntimeError, "groups=3 must divide the 4 channels"),
    ((X, V), {"stride": -1}, RuntimeError, "stride must be at least 1"),
    ((X, V), {"padding": -1}, RuntimeError, "padding must be at least 0"),
    ((X, V), {"padding": 5}, RuntimeError, r"padding=\(5,\) leaves nothing"),
    ((X, V), {"padding": "same"}, TypeError, "padding must be an integer, got 'same'"),
    ((X, V), {"output_padding": 1}, RuntimeError, "output_padding must be smaller than either"),
    ((X, V), {"output_padding": 2, "stride": 2}, RuntimeError, "output_padding must be smaller"),
    ((X, V), {"output_padding": -1, "stride": 2}, RuntimeError, "output_padding must be at least 0"),
    ((X, V), {"output_padding": 0.0}, TypeError, "output_padding must be an integer"),
]


@pytest.mark.parametrize("arguments, options, error, message", ERRORS)
def test_errors(arguments, options, error, message):
    with pytest.raises(error, match=message):
        F.conv1d(*arguments, **options)


@pytest.mark.parametrize("arguments, options, error, message", TRANSPOSED_ERRORS)
def test_errors_of_transposed(arguments, options, error, message):
    with pytest.raises(error, match=message):
        F.conv_transpose1d(*arguments, **options)
