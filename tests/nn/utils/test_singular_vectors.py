"""The vectors of spectral_norm where iterations do not help: found anew, as on registration."""
import numpy as np
import pytest
from autograd import grad
from numpy.testing import assert_allclose

from orthonorm import nn, optim
from orthonorm.core import definitions
from orthonorm.func import functional_call, value_and_grad
from orthonorm.nn.utils.parametrizations import spectral_norm
from tests.helpers import assert_identical, assert_within, dtypes, eps, is_complex, sample

from ..snapshots import snapshot

ORIGINAL = "parametrizations.weight.original"
U, V = "parametrizations.weight.0._u", "parametrizations.weight.0._v"
modes = pytest.mark.parametrize("training", [True, False])


def normalised(weight, **options):
    module = nn.Module()
    module.weight = nn.Parameter(np.array(weight))
    return spectral_norm(module, rng=0, **options)


def norm(W):
    return np.linalg.norm(W.reshape(len(W), -1), 2)


def averaged(steps=60):
    """Train a layer; return it, and the average of the state dicts that it passed."""
    layer = spectral_norm(nn.Linear(20, 15, rng=0), rng=0)
    optimizer, states = optim.SGD(layer.named_parameters(), lr=1.0), []
    x, target = sample((32, 20)), sample((32, 15), seed=1)
    for _ in range(steps):
        _, gradients = value_and_grad(lambda: ((layer(x) - target)**2).mean() * 10, layer)()
        optimizer.step(gradients)
        states.append(layer.state_dict())
    return layer, {key: np.mean([state[key] for state in states], axis=0) for key in states[0]}


@dtypes
@modes
def test_an_assigned_weight_that_u_and_v_are_orthogonal_to(training, dtype):
    """The issue's example, which raised at every reading; PyTorch's weight is NaN or infinite."""
    module = normalised(np.diag([1, 0]).astype(dtype))
    for _ in range(3):
        module.weight
    module.train(training)
    module.weight = W = (3 - 4j if is_complex(dtype) else -5) * np.diag([0, 1]).astype(dtype)
    for _ in range(3):
        assert_within(module.weight, W / 5, 4 * eps(dtype))


@modes
def test_loaded_vectors_that_the_weight_is_orthogonal_to(training):
    module = normalised(sample((4, 3))).train(training)
    W = np.zeros((4, 3))
    W[2:, 1:] = sample((2, 2))
    module.load_state_dict({ORIGINAL: W, U: np.eye(4)[0], V: np.eye(3)[0]})
    assert abs(norm(module.weight) - 1) < 1e-3


@modes
def test_a_convolution_on_its_inputs(training):
    W = np.zeros((2, 2, 3))
    W[0, 0] = [1, 2, 1]
    layer = nn.Conv1d(2, 2, 3, padding=1)
    layer._parameters["weight"].data = W
    spectral_norm(layer, input_size=8, n_power_iterations=30, rng=0).train(training)
    expected = layer.weight
    layer.weight = W[::-1, ::-1].copy()
    assert_allclose(layer.weight, expected[::-1, ::-1], rtol=1e-2)


def test_in_training_mode_they_are_kept_and_in_evaluation_mode_nothing_moves():
    module = normalised(np.diag([1.0, 0.0])).eval()
    module.weight = np.diag([0.0, 1.0])
    before = snapshot(module)
    first = module.weight
    assert snapshot(module) == before
    assert_identical(module.weight, first)
    module.train().weight
    assert_identical(np.abs(module.parametrizations.weight[0]._u), np.array([0.0, 1.0]))


def test_the_gradient_is_that_of_what_is_found():
    module = normalised(sample((4, 3)))
    W, C = np.zeros((4, 3)), sample((4, 3), seed=2)
    W[2:, 1:] = sample((2, 2))
    module.load_state_dict({ORIGINAL: W, U: np.eye(4)[0], V: np.eye(3)[0]})
    _, gradients = value_and_grad(lambda: (C * module.weight).sum(), module)()
    part = module.parametrizations.weight[0]
    expected = definitions.spectral_normalize_vjp(W, part._u, part._v, C)
    assert_allclose(gradients[ORIGINAL], expected, rtol=1e-12, atol=1e-12)


def test_inside_functional_call():
    layer = spectral_norm(nn.Linear(2, 2, bias=False, rng=0), rng=0)
    layer.weight = np.diag([1.0, 0.0])
    layer.weight
    before = snapshot(layer.eval())
    y = functional_call(layer, {ORIGINAL: np.diag([0.0, 2.0])}, np.ones(2))
    assert_allclose(y, [0, 1], atol=1e-15)
    g = grad(lambda W: functional_call(layer, {ORIGINAL: W}, np.ones(2)).sum())(np.diag([0.0, 2.0]))
    assert_allclose(g, [[0.5, 0.5], [0.5, 0]], atol=1e-15)
    assert snapshot(layer) == before


def test_a_zero_weight_stays_zero():
    for module in (normalised(np.zeros((3, 2))), normalised(np.zeros((3, 2))).eval()):
        assert_identical(module.weight, np.zeros((3, 2)))


def test_an_average_of_state_dicts_has_norm_one_in_evaluation_mode():
    layer, state = averaged()
    assert np.linalg.norm(state[U]) < 0.5  # or nothing would be shown
    layer.load_state_dict(state)
    assert abs(norm(layer.eval().weight) - 1) < 0.02
    assert_identical(layer.state_dict()[U], state[U])
    for _ in range(20):
        layer.train().weight
    assert abs(norm(layer.eval().weight) - 1) < 0.02


@pytest.mark.parametrize("half", [np.float16, "bfloat16"])
def test_vectors_that_were_kept_in_half_precision_are_used_as_they_are(half):
    module = normalised(sample((40, 30))).eval()
    state = module.state_dict()
    for key in (U, V):
        if half == "bfloat16":
            state[key] = (state[key].astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)
        state[key] = state[key].astype(np.float16 if half is np.float16 else np.float32).astype(float)
    module.load_state_dict(state)
    W = state[ORIGINAL]
    assert_allclose(module.weight, W / (state[U] @ W @ state[V]), rtol=1e-14)


@pytest.mark.parametrize("key", [U, V])
def test_vectors_that_are_not_finite_are_refused(key):
    module = normalised(sample((4, 3)))
    before = snapshot(module)
    state = module.state_dict()
    state[key] = np.full_like(state[key], np.nan)
    with pytest.raises(RuntimeError, match=f"{key[-2:]} must be finite, got . NaN"):
        module.load_state_dict(state)
    assert snapshot(module) == before
