"""Linear, Embedding, Identity, ReLU, Tanh and their functions."""
import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, make_jvp

from orthonorm import nn
from orthonorm.func import value_and_grad
from orthonorm.nn import functional as F
from tests.nn.packing import gradients

DTYPES = (np.float32, np.float64, np.complex64, np.complex128)


def random(*shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if np.issubdtype(dtype, np.complexfloating):
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(dtype)


# -- Linear ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lead", [(), (4,), (2, 4), (0,)])
def test_linear_is_x_wt_plus_b(dtype, lead):
    layer = nn.Linear(3, 2, dtype=dtype, rng=0)
    x = random(*lead, 3, dtype=dtype)
    expected = np.einsum("...i,oi->...o", x, layer._parameters["weight"].data) + layer.bias
    assert layer(x).dtype == dtype and layer(x).shape == (*lead, 2)
    np.testing.assert_allclose(layer(x), expected, rtol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_linear_adds_a_bias_that_is_one_number_everywhere(shape, dtype):
    x, weight, bias = (random(*s, dtype=dtype) for s in [(2, 3), (4, 3), shape])
    y = F.linear(x, weight, bias)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, F.linear(x, weight, np.tile(bias, 4)))
    _, (_, _, found) = gradients(F.linear, [x, weight, bias], np.ones((2, 4), dtype))
    np.testing.assert_array_equal(found, np.full(shape, 8, dtype))


@pytest.mark.parametrize("shape", [(2,), (1, 1), (2, 4)])
def test_linear_refuses_another_bias(shape):
    with pytest.raises(RuntimeError, match=r"bias must have shape \(4,\), got"):
        F.linear(np.ones((2, 3)), np.ones((4, 3)), np.ones(shape))


def test_linear_without_bias():
    layer = nn.Linear(3, 2, bias=False, rng=0)
    assert layer.bias is None and list(layer.state_dict()) == ["weight"]
    np.testing.assert_array_equal(layer(np.eye(3)), layer.weight.T)
    np.testing.assert_array_equal(F.linear(np.eye(3), layer.weight), layer.weight.T)


def test_linear_by_hand():
    x, weight, bias = np.array([1.0, 2.0]), np.array([[3.0, 4.0], [0.0, -1.0]]), np.array([0.5, 0.0])
    np.testing.assert_array_equal(F.linear(x, weight, bias), [11.5, -2.0])


def test_linear_refuses_the_wrong_length():
    with pytest.raises(RuntimeError, match=r"3 entries in its last dimension.* got shape \(4,\)"):
        nn.Linear(3, 2, rng=0)(np.zeros(4))


def test_linear_with_a_vector_gives_numbers():
    assert np.array_equal(F.linear(np.array([[1.0, 2.0]]), np.array([3.0, 4.0]), 0.5), [11.5])


@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_starts_uniform(dtype):
    layer = nn.Linear(400, 300, dtype=dtype, rng=0)
    for start in (layer.weight, layer.bias):
        assert start.dtype == dtype
        parts = (start.real, start.imag) if np.iscomplexobj(start) else (start,)
        for part in parts:  # the bound is 1 / sqrt(400)
            assert np.all(np.abs(part) <= np.float32(0.05)) and np.abs(part).max() > 0.049
    # The variance of the uniform distribution on [-b, b] is b^2 / 3; 120000 draws know it to 1 %.
    assert abs(np.var(layer.weight.real) / (0.05 ** 2 / 3) - 1) < 0.02


def test_linear_without_inputs_returns_its_bias():
    layer = nn.Linear(0, 2, rng=0)
    np.testing.assert_array_equal(layer(np.zeros((3, 0))), np.zeros((3, 2)) + layer.bias)


@pytest.mark.parametrize("make", [lambda rng: nn.Linear(3, 2, rng=rng),
                                  lambda rng: nn.Embedding(3, 2, rng=rng)], ids=["linear", "embedding"])
def test_rng_decides_the_start(make):
    same = make(1).weight
    np.testing.assert_array_equal(make(1).weight, same)
    np.testing.assert_array_equal(make(np.random.default_rng(1)).weight, same)
    assert not np.array_equal(make(2).weight, same)
    assert not np.array_equal(make(None).weight, make(None).weight)
    generator = np.random.default_rng(1)
    assert not np.array_equal(make(generator).weight, make(generator).weight)


def test_the_global_random_state_is_left_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    nn.Linear(3, 2), nn.Embedding(3, 2)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("make", [lambda dtype: nn.Linear(3, 2, dtype=dtype),
                                  lambda dtype: nn.Embedding(3, 2, dtype=dtype)])
@pytest.mark.parametrize("dtype", [np.int64, np.float16, bool], ids=str)
def test_other_dtypes_are_refused(make, dtype):
    with pytest.raises(TypeError, match="dtype float32, float64, complex64 or complex128"):
        make(dtype)


# -- Embedding ---------------------------------------------------------------------------------------

@pytest.mark.parametrize("index", [[0, 2, 2], 1, [[0, 1], [2, 0]], [], [[], []]], ids=str)
@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.uint8])
def test_embedding_looks_rows_up(index, dtype):
    layer, index = nn.Embedding(3, 2, rng=0), np.array(index, dtype)
    rows = [layer.weight[int(i)] for i in index.ravel()]
    expected = np.array(rows).reshape(*index.shape, 2)
    np.testing.assert_array_equal(layer(index), expected)


@pytest.mark.parametrize("index, low, high", [([3], 3, 3), ([-1], -1, -1), ([0, 1, 7], 0, 7)])
def test_embedding_refuses_an_index_out_of_range(index, low, high):
    with pytest.raises(IndexError, match=f"input must hold indices from 0 to 2, got {low} to {high}"):
        nn.Embedding(3, 2)(np.array(index))


@pytest.mark.parametrize("index", [[1.0], [True], [1j]], ids=str)
def test_embedding_refuses_what_is_no_integer(index):
    with pytest.raises(TypeError, match="input must hold integer indices, got dtype"):
        nn.Embedding(3, 2)(np.array(index))


@pytest.mark.parametrize("dtype, parts", [(np.float64, 1), (np.complex128, 2), (np.float32, 1)])
def test_embedding_starts_standard_normal(dtype, parts):
    weight = nn.Embedding(400, 250, dtype=dtype, rng=0).weight
    assert weight.dtype == dtype
    # 100000 draws: the mean is known to 0.003, the variance to 0.5 %.
    assert abs(weight.mean()) < 0.015 and abs(np.mean(np.abs(weight) ** 2) - 1) < 0.02
    assert abs(np.var(weight.real) - 1 / parts) < 0.02 / parts


def test_the_gradient_of_an_embedding_adds_repeated_rows():
    def loss(weight):
        return anp.sum(F.embedding(np.array([1, 1, 0]), weight) * np.array([[1.0], [2.0], [5.0]]))

    np.testing.assert_array_equal(grad(loss)(np.zeros((3, 2))), [[5.0, 5.0], [3.0, 3.0], [0.0, 0.0]])


def test_the_padding_vector_starts_as_zeros_and_is_not_trained():
    layer = nn.Embedding(4, 2, -1, rng=0)
    assert layer.padding_idx == 3 and repr(layer) == "Embedding(4, 2, padding_idx=3)"
    assert not np.any(layer.weight[3]) and np.all(layer.weight[:3])
    _, gradients = value_and_grad(lambda: anp.sum(layer(np.array([3, 0]))), layer)()
    np.testing.assert_array_equal(gradients["weight"], [[1, 1], [0, 0], [0, 0], [0, 0]])


# -- Identity and activations ------------------------------------------------------------------------

def test_identity_returns_its_input():
    x = object()
    assert nn.Identity()(x) is x
    assert nn.Identity(3, "anything", key=1)(x) is x


X = np.array([-2.0, -0.0, 0.0, 0.5, np.inf, -np.inf])


def test_relu():
    for relu in (nn.ReLU(), F.relu):
        np.testing.assert_array_equal(relu(X), [0, 0, 0, 0.5, np.inf, 0])
        assert relu(X.astype(np.float32)).dtype == np.float32
    assert np.isnan(F.relu(np.array(np.nan)))


def test_relu_has_derivative_0_at_0():
    x = np.array([-1.0, 0.0, 2.0])
    np.testing.assert_array_equal(grad(lambda x: anp.sum(F.relu(x)))(x), [0, 0, 1])
    np.testing.assert_array_equal(make_jvp(F.relu)(x)(np.full(3, 5.0))[1], [0, 0, 5])
    np.testing.assert_array_equal(grad(lambda x: anp.sum(F.relu(x) ** 2))(x), [0, 0, 4])
    second = grad(lambda x: anp.sum(grad(lambda y: anp.sum(F.relu(y) ** 3))(x)))
    np.testing.assert_array_equal(second(x), [0, 0, 12])


def test_tanh():
    for tanh in (nn.Tanh(), F.tanh):
        np.testing.assert_allclose(tanh(X), (1 - np.exp(-2 * np.abs(X))) / (1 + np.exp(-2 * np.abs(X)))
                                   * np.sign(X), rtol=1e-15)
        assert tanh(X.astype(np.float32)).dtype == np.float32
    np.testing.assert_allclose(grad(F.tanh)(0.5), 1 / np.cosh(0.5) ** 2, rtol=1e-15)


# -- the other layers are their functions --------------------------------------------------------------

def test_activation_layers_pass_their_arguments_on():
    x = random(3, 4)
    for layer, expected in [
            (nn.LeakyReLU(), F.leaky_relu(x)), (nn.LeakyReLU(0.3), F.leaky_relu(x, 0.3)),
            (nn.Sigmoid(), F.sigmoid(x)), (nn.GELU(), F.gelu(x)), (nn.GELU("tanh"), F.gelu(x, "tanh")),
            (nn.Softmax(1), F.softmax(x, 1)), (nn.LogSoftmax(0), F.log_softmax(x, 0)),
            (nn.Softplus(), F.softplus(x)), (nn.Softplus(2.0, 0.5), F.softplus(x, 2.0, 0.5))]:
        np.testing.assert_array_equal(layer(x), expected)
    assert not np.array_equal(F.gelu(x), F.gelu(x, "tanh"))


def test_bilinear_is_the_function():
    layer = nn.Bilinear(3, 2, 4, rng=0)
    x1, x2 = random(5, 3), random(5, 2)
    np.testing.assert_array_equal(layer(x1, x2), F.bilinear(x1, x2, layer.weight, layer.bias))
    bare = nn.Bilinear(3, 2, 4, bias=False, rng=0)
    np.testing.assert_array_equal(bare(x1, x2), F.bilinear(x1, x2, layer.weight))
    assert list(bare.state_dict()) == ["weight"]


def test_bilinear_needs_inputs():
    with pytest.raises(ValueError, match="in1_features must be > 0, but got 0"):
        nn.Bilinear(0, 2, 3)


@pytest.mark.parametrize("options, names", [
    ({}, ["weight", "bias"]), ({"bias": False}, ["weight"]), ({"elementwise_affine": False}, [])])
def test_layer_norm_is_the_function(options, names):
    layer = nn.LayerNorm((2, 3), 0.1, **options)
    assert list(layer.state_dict()) == names
    for parameter in layer.parameters():
        parameter.data = random(2, 3)
    x = random(4, 2, 3)
    np.testing.assert_array_equal(layer(x), F.layer_norm(x, (2, 3), layer.weight, layer.bias, 0.1))


@pytest.mark.parametrize("start, end, shape", [
    (1, -1, (2, 60)), (0, -1, (120,)), (1, 2, (2, 12, 5)), (-2, -1, (2, 3, 20)), (2, 2, (2, 3, 4, 5))])
def test_flatten(start, end, shape):
    x = random(2, 3, 4, 5)
    flat = nn.Flatten(start, end)(x)
    assert flat.shape == shape
    np.testing.assert_array_equal(flat.ravel(), x.ravel())


def test_flatten_of_empty_and_scalar():
    assert nn.Flatten()(np.zeros((0, 3, 4))).shape == (0, 12)
    assert nn.Flatten(0)(np.array(1.0)).shape == (1,)


@pytest.mark.parametrize("start, end, error, message", [
    (3, -1, IndexError, "start_dim must be from -2 to 1, got 3"),
    (1, 2, IndexError, "end_dim must be from -2 to 1, got 2"),
    (1, 0, RuntimeError, "start_dim must not come after end_dim")])
def test_flatten_refuses_dimensions_that_are_not_there(start, end, error, message):
    with pytest.raises(error, match=message):
        nn.Flatten(start, end)(np.zeros((2, 3)))


@pytest.mark.parametrize("layer, text", [
    (nn.LayerNorm(5), "LayerNorm((5,), eps=1e-05, elementwise_affine=True, bias=True)"),
    (nn.LayerNorm((2, 3), elementwise_affine=False),
     "LayerNorm((2, 3), eps=1e-05, elementwise_affine=False, bias=False)"),
    (nn.LayerNorm(5, bias=False), "LayerNorm((5,), eps=1e-05, elementwise_affine=True, bias=False)"),
    (nn.GELU(), "GELU(approximate='none')"), (nn.GELU("tanh"), "GELU(approximate='tanh')"),
    (nn.Softplus(2, 10), "Softplus(beta=2, threshold=10)"),
    (nn.Softplus(), "Softplus(beta=1.0, threshold=20.0)"),
    (nn.LeakyReLU(0.2), "LeakyReLU(negative_slope=0.2)"), (nn.Sigmoid(), "Sigmoid()"),
    (nn.Softmax(1), "Softmax(dim=1)"), (nn.LogSoftmax(-1), "LogSoftmax(dim=-1)"),
    (nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
    (nn.Bilinear(2, 3, 4, bias=False),
     "Bilinear(in1_features=2, in2_features=3, out_features=4, bias=False)"),
])
def test_repr_is_pytorchs(layer, text):
    assert repr(layer) == text
