"""spectral_norm with input_size, against the dense matrix of the layer."""
import copy

import autograd.numpy as anp
import numpy as np
import pytest

from orthonorm import nn
from orthonorm.core import convolution_matrix, power_iteration
from orthonorm.core.spectral import unit_vector
from orthonorm.func import functional_call, value_and_grad
from orthonorm.nn.utils.parametrizations import spectral_norm, weight_norm
from orthonorm.nn.utils.parametrize import is_parametrized, remove_parametrizations
from tests.differences import check_forward, check_reverse, close, gradient
from tests.helpers import DTYPES, assert_identical, assert_within, eps, sample

from ..snapshots import snapshot

# class, channels in and out, kernel size, options, input size
LAYERS = [
    (nn.Conv1d, 2, 3, 3, {}, 7),
    (nn.Conv1d, 2, 4, 3, {"stride": 2, "padding": 1, "groups": 2}, (8,)),
    (nn.Conv1d, 3, 2, 4, {"padding": "same", "dilation": 2}, 9),
    (nn.Conv2d, 2, 3, 3, {"padding": 1}, (5, 4)),
    (nn.Conv2d, 2, 2, (2, 3), {"padding": "valid", "stride": (2, 1), "dilation": (1, 2)}, (5, 6)),
    (nn.Conv2d, 4, 2, 3, {"padding": "same", "groups": 2, "bias": False}, 4),
    (nn.Conv3d, 1, 2, 2, {"padding": (1, 0, 0), "stride": 2}, (3, 4, 2)),
    (nn.ConvTranspose1d, 3, 2, 3, {"stride": 2, "output_padding": 1}, 4),
    (nn.ConvTranspose2d, 2, 4, 3, {"padding": 1, "groups": 2, "stride": (2, 1)}, (3, 4)),
    (nn.ConvTranspose2d, 2, 1, 2, {"dilation": 2}, 3),
    (nn.ConvTranspose3d, 2, 1, 2, {}, (2, 3, 2)),
]
every_layer = pytest.mark.parametrize("layer", LAYERS, ids=lambda row: f"{row[0].__name__}-{row[4]}")
every_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)


def made(row, dtype=np.float64, **options):
    cls, inputs, outputs, kernel, given, size = row
    layer = cls(inputs, outputs, kernel, **given, dtype=dtype, rng=0)
    return spectral_norm(layer, **{"input_size": size, "rng": 0, **options})


def dense(layer, weight, size):
    """Write the layer as a matrix, entry by entry; a transposed one is another's transpose."""
    size = tuple(np.broadcast_to(size, layer.ndim))
    padding = 0 if layer.padding == "valid" else layer.padding
    if layer.transposed:
        size = tuple(s * (n - 1) - 2 * p + d * (k - 1) + e + 1 for n, k, s, p, d, e in zip(
            size, layer.kernel_size, layer.stride, layer.padding, layer.dilation,
            layer.output_padding))
    A = convolution_matrix(weight, size, layer.stride, padding, layer.dilation, layer.groups)
    return A.T if layer.transposed else A


def parts(layer):
    chain = layer.parametrizations.weight
    return chain.original, chain[0]


def vectors(norm):
    return norm._u.ravel(), norm._v.ravel()


@every_dtype
@every_layer
def test_an_access_in_training_is_power_iteration_with_the_matrix(layer, dtype):
    size, layer = layer[-1], made(layer, dtype, n_power_iterations=3)
    original, norm = parts(layer)
    A = dense(layer, original, size)
    u, v = power_iteration(A, *vectors(norm), 3)
    weight = layer.weight
    tolerance = 100 * eps(dtype)
    assert norm._u.dtype == norm._v.dtype == weight.dtype == dtype
    assert_within(vectors(norm)[0], u, tolerance)
    assert_within(vectors(norm)[1], v, tolerance)
    assert_within(weight, original / np.vdot(u, A @ v), tolerance)
    layer.eval()
    before = snapshot(layer)
    assert_within(layer.weight, weight, tolerance)
    assert snapshot(layer) == before


def test_fifteen_iterations_on_registration():
    """And one more in training mode, where registration reads the weight, as PyTorch's does."""
    layer = spectral_norm(nn.Conv2d(2, 3, 3, padding=1).eval(), input_size=(5, 4), rng=0)
    original, norm = parts(layer)
    v = unit_vector(norm._v.size, np.float64, np.random.default_rng(0))
    u, v = power_iteration(dense(layer, original, (5, 4)), norm._u.ravel(), v, 15)
    assert_within(vectors(norm)[0], u, 1e-13)
    assert_within(vectors(norm)[1], v, 1e-13)


@every_layer
def test_the_layer_gets_norm_one(layer):
    """At its input size, as a map from inputs to outputs, the bias aside."""
    size, layer = layer[-1], made(layer, n_power_iterations=300)
    for _ in range(5):
        weight = layer.weight
    assert abs(np.linalg.norm(dense(layer, weight, size), 2) - 1) < 1e-6
    original, norm = parts(layer)
    A = dense(layer, weight, size)
    # The error of the norm is the square of that of the vectors.
    u, v = vectors(norm)
    assert_within(A @ v, u, 1e-3)
    assert_within(A.T @ u, v, 1e-3)


def test_no_difference_of_outputs_is_larger_than_that_of_the_inputs():
    layer = made(LAYERS[3], n_power_iterations=1000)
    layer.weight
    layer.eval()
    _, norm = parts(layer)
    x = sample((10, 2, 5, 4))
    y = layer(x)
    for i in range(1, 10):
        assert np.linalg.norm(y[i] - y[0]) <= np.linalg.norm(x[i] - x[0])
    assert abs(np.linalg.norm(layer(x[0] + norm._v) - layer(x[0])) - 1) < 1e-6


def test_the_reshaped_kernel_has_another_norm():
    """What PyTorch divides by is too small, here by more than 2."""
    layer = spectral_norm(nn.Conv2d(3, 16, 3, padding=1, rng=0), n_power_iterations=100, rng=0)
    weight = layer.weight
    assert abs(np.linalg.norm(weight.reshape(16, -1), 2) - 1) < 1e-10
    assert np.linalg.norm(dense(layer, weight, (8, 8)), 2) > 2


def test_state_dict():
    layer, other = made(LAYERS[3]), made(LAYERS[3], rng=1)
    state = layer.state_dict()
    assert {key: value.shape for key, value in state.items() if "weight" in key} == {
        "parametrizations.weight.original": (3, 2, 3, 3),
        "parametrizations.weight.0._u": (3, 5, 4), "parametrizations.weight.0._v": (2, 5, 4)}
    other.load_state_dict(state)
    assert_identical(other.weight, layer.weight)
    with pytest.raises(RuntimeError, match="_v"):
        spectral_norm(nn.Conv2d(2, 3, 3, padding=1), input_size=6).load_state_dict(state)


@every_layer
def test_gradient_holds_the_vectors_constant(layer):
    layer = made(layer).eval()
    x = sample((2, *parts(layer)[1]._v.shape), seed=2)
    original = parts(layer)[0].copy()

    def output(original):
        return functional_call(layer, {"parametrizations.weight.original": original}, (x,))

    check_reverse(output, original)
    check_forward(output, original)


def test_complex_gradient_is_the_steepest_ascent():
    layer = made(LAYERS[1], np.complex128).eval()
    original = parts(layer)[0].copy()
    cotangent = sample(original.shape, np.complex128, 3)
    _, gradients = value_and_grad(
        lambda: anp.sum(anp.real(anp.conj(cotangent) * layer.weight)), layer)()

    def loss(original):
        return anp.sum(anp.real(anp.conj(cotangent) * normalised(layer, original)))
    close(gradients["parametrizations.weight.original"], np.conj(gradient(loss, original)))


def normalised(layer, original):
    u, v = vectors(parts(layer)[1])
    return original / (np.conj(u) @ (dense(layer, original, 8) @ v))


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_gradients_have_the_dtype_of_the_weight(dtype):
    layer = made(LAYERS[3], dtype)
    x = sample((1, 2, 5, 4), dtype)
    _, gradients = value_and_grad(lambda: anp.sum(anp.abs(layer(x))**2), layer)()
    assert {g.dtype for g in gradients.values()} == {np.dtype(dtype)}


def test_two_accesses_in_one_loss_give_the_sum_of_both():
    layer = made(LAYERS[0])
    C = sample(layer.weight.shape, seed=4)
    twin = copy.deepcopy(layer)
    _, both = value_and_grad(lambda: anp.sum(C * layer.weight) + anp.sum(C * layer.weight), layer)()
    singles = [value_and_grad(lambda: anp.sum(C * twin.weight), twin)()[1] for _ in range(2)]
    name = "parametrizations.weight.original"
    assert_within(both[name], singles[0][name] + singles[1][name], 1e-14)


def test_zero_stays_zero_and_recovers():
    layer = nn.Conv2d(2, 3, 3, rng=0)
    start = layer.weight.copy()
    layer._parameters["weight"].data[...] = 0
    spectral_norm(layer, input_size=5, n_power_iterations=200, rng=0)
    assert not np.any(layer.weight)
    layer.weight = start
    assert abs(np.linalg.norm(dense(layer, layer.weight, 5), 2) - 1) < 1e-3


def test_removal_leaves_the_normalised_weight():
    layer = made(LAYERS[3]).eval()
    weight = layer.weight
    remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Conv2d
    assert_identical(layer.weight, weight)


def test_on_top_of_weight_norm():
    layer = spectral_norm(weight_norm(nn.Conv2d(2, 3, 3, rng=0)), input_size=5, rng=0,
                          n_power_iterations=500)
    assert abs(np.linalg.norm(dense(layer, layer.weight, 5), 2) - 1) < 1e-6


def test_repr():
    assert "(0): ConvolutionSpectralNorm(input_size=(5, 4))" in repr(made(LAYERS[3]))


@pytest.mark.parametrize("make, options, error, message", [
    (lambda: nn.Linear(3, 3), {}, ValueError, "input_size is for .*, got the weight of Linear"),
    (lambda: nn.Conv2d(2, 3, 3), {"name": "bias"}, ValueError, "got the bias of Conv2d"),
    (lambda: nn.Conv2d(2, 3, 3), {"name": "wait"}, ValueError, "no parameter or buffer .* 'wait'"),
    (lambda: nn.Conv2d(2, 3, 3), {"dim": 0}, ValueError, "dim has no meaning with input_size"),
    (lambda: nn.Conv2d(2, 3, 3), {"n_power_iterations": 0}, ValueError, "n_power_iterations=0"),
    (lambda: nn.Conv2d(2, 3, 3), {"input_size": (4, 2)}, RuntimeError, "larger than the input"),
    (lambda: nn.Conv1d(2, 3, 3, dilation=2), {"input_size": 4}, RuntimeError, "larger than the input"),
    (lambda: nn.Conv2d(2, 3, 3), {"input_size": (4, 4, 4)}, RuntimeError, "input_size must be .* 2"),
    (lambda: nn.Conv1d(2, 3, 1, stride=2, padding=1), {"input_size": 1}, ValueError, "maps .* to zero"),
    (lambda: nn.Conv2d(2, 3, 3), {"input_size": 0}, RuntimeError, "input_size must be at least 1"),
    (lambda: nn.Conv2d(2, 3, 3), {"input_size": 4.5}, TypeError, "input_size must be an integer"),
    (lambda: nn.ConvTranspose1d(2, 3, 3, padding=2), {"input_size": 2}, RuntimeError, "padding")],
    ids=lambda x: "" if callable(x) else str(x))
def test_errors_leave_the_module_unchanged(make, options, error, message):
    module = make()
    before = snapshot(module)
    with pytest.raises(error, match=message):
        spectral_norm(module, **{"input_size": 4, **options})
    assert snapshot(module) == before and not is_parametrized(module)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_weight_that_is_not_finite_raises(bad):
    layer = nn.Conv1d(2, 3, 3, rng=0)
    layer._parameters["weight"].data[0, 0, 0] = bad
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="finite"):
        spectral_norm(layer, input_size=5)
    assert not is_parametrized(layer)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["_u", "_v"])
def test_vectors_of_another_shape_are_no_vectors(name, training):
    """Not even where NumPy would spread them over the outputs."""
    layer = made(LAYERS[3]).train(training)
    x = np.ones((1, layer.in_channels, *LAYERS[3][5]))
    u, v = vectors(parts(layer)[1])
    for value in (np.ones(1), np.ones(()), np.stack([u if name == "_u" else v] * 2) / np.sqrt(2)):
        if (name, training) != ("_u", True):  # where it is computed from v and not read
            with pytest.raises((ValueError, RuntimeError)):
                functional_call(layer, {f"parametrizations.weight.0.{name}": value}, x)
