"""Recurrent layers: the formulas of one step, sequences, parametrized weights."""
import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad

from orthonorm import nn
from orthonorm.func import functional_call, value_and_grad
from orthonorm.nn.utils import parametrize
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm
from tests.differences import CHECKS
from tests.helpers import REAL, assert_within, eps, sample
from tests.nn.packing import packed, point

real = pytest.mark.parametrize("dtype", REAL)
biases = pytest.mark.parametrize("bias", [True, False])
N, D, H = 3, 4, 2  # sizes of batch, input and state


def sigma(x):
    return 1 / (1 + np.exp(-x))


def affine(cell, x, h, suffix="", bias=True):
    """Return both products of a cell, in double precision, each cut into its gates."""
    p, q = x @ getattr(cell, "weight_ih" + suffix).T, h @ getattr(cell, "weight_hh" + suffix).T
    if bias:
        p, q = p + getattr(cell, "bias_ih" + suffix), q + getattr(cell, "bias_hh" + suffix)
    gates = p.shape[-1] // H
    return np.split(p, gates, axis=-1), np.split(q, gates, axis=-1)


# -- cells -------------------------------------------------------------------------------------------

@real
@biases
@pytest.mark.parametrize("nonlinearity, f", [("tanh", np.tanh), ("relu", lambda x: np.maximum(x, 0))])
@pytest.mark.parametrize("lead", [(N,), (), (0,)])
def test_rnn_cell(lead, nonlinearity, f, bias, dtype):
    cell = nn.RNNCell(D, H, bias, nonlinearity, dtype=dtype, rng=0)
    x, h = sample((*lead, D), dtype), sample((*lead, H), dtype)
    (p,), (q,) = affine(cell, x, h, bias=bias)
    assert cell(x, h).dtype == dtype
    assert_within(cell(x, h), f(p + q), 10 * eps(dtype))
    assert np.array_equal(cell(x), cell(x, np.zeros_like(h)))


@real
@biases
@pytest.mark.parametrize("lead", [(N,), ()])
def test_lstm_cell(lead, bias, dtype):
    cell = nn.LSTMCell(D, H, bias, dtype=dtype, rng=0)
    x, h, c = sample((*lead, D), dtype), sample((*lead, H), dtype), sample((*lead, H), dtype, 1)
    p, q = affine(cell, x, h, bias=bias)
    i, f, g, o = (a + b for a, b in zip(p, q))
    new_c = sigma(f) * c + sigma(i) * np.tanh(g)
    for ours, theirs in zip(cell(x, (h, c)), (sigma(o) * np.tanh(new_c), new_c)):
        assert ours.dtype == dtype
        assert_within(ours, theirs, 10 * eps(dtype))
    for ours, theirs in zip(cell(x), cell(x, (0 * h, 0 * c))):
        assert np.array_equal(ours, theirs)


@real
@biases
@pytest.mark.parametrize("lead", [(N,), ()])
def test_gru_cell(lead, bias, dtype):
    cell = nn.GRUCell(D, H, bias, dtype=dtype, rng=0)
    x, h = sample((*lead, D), dtype), sample((*lead, H), dtype)
    (p_r, p_z, p_n), (q_r, q_z, q_n) = affine(cell, x, h, bias=bias)
    z = sigma(p_z + q_z)
    expected = (1 - z) * np.tanh(p_n + sigma(p_r + q_r) * q_n) + z * h
    assert cell(x, h).dtype == dtype
    assert_within(cell(x, h), expected, 10 * eps(dtype))
    assert np.array_equal(cell(x), cell(x, 0 * h))


@pytest.mark.parametrize("make, gates", [(nn.RNNCell, 1), (nn.LSTMCell, 4), (nn.GRUCell, 3)])
def test_shapes_and_names_of_cells_are_pytorchs(make, gates):
    shapes = {key: value.shape for key, value in make(D, H).state_dict().items()}
    assert list(shapes) == ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]
    assert list(shapes.values()) == [(gates * H, D), (gates * H, H), (gates * H,), (gates * H,)]
    assert list(make(D, H, False).state_dict()) == ["weight_ih", "weight_hh"]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("make", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_derivatives_of_cells(make, check):
    """With respect to everything at once."""
    cell = make(2, 2, rng=0)
    names = [name for name, _ in cell.named_parameters()]
    states = 2 if make is nn.LSTMCell else 1
    shapes = [(1, 2), *states * [(1, 2)], *(p.shape for p in cell.parameters())]

    def function(x, *others):
        state = others[:2] if make is nn.LSTMCell else others[0]
        values = others[states:]
        out = functional_call(cell, dict(zip(names, values)), (x, state))
        return anp.concatenate(out) if make is nn.LSTMCell else out

    CHECKS[check](packed(function, *shapes), point(*shapes))


# -- RNN ---------------------------------------------------------------------------------------------

def by_steps(rnn, x, h, layers, f=np.tanh, bias=True):
    """Run over (L, ..., D) one step after the other; return outputs and last states."""
    last = []
    for layer in range(layers):
        state, outputs = h[layer], []
        for entry in x:
            (p,), (q,) = affine(rnn, entry, state, f"_l{layer}", bias)
            state = f(p + q)
            outputs.append(state)
        x = np.stack(outputs)
        last.append(state)
    return x, np.stack(last)


@real
@biases
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("nonlinearity, f", [("tanh", np.tanh), ("relu", lambda x: np.maximum(x, 0))])
@pytest.mark.parametrize("batch_first", [False, True])
def test_rnn(batch_first, nonlinearity, f, layers, bias, dtype):
    rnn = nn.RNN(D, H, layers, nonlinearity, bias, batch_first, dtype=dtype, rng=0)
    x, h = sample((5, N, D), dtype), sample((layers, N, H), dtype)
    for start in (h, None):
        expected, last = by_steps(rnn, x, h if start is not None else 0 * h, layers, f, bias)
        output, h_n = rnn(np.swapaxes(x, 0, 1) if batch_first else x, start)
        assert output.dtype == h_n.dtype == dtype
        assert_within(np.swapaxes(output, 0, 1) if batch_first else output, expected, 30 * eps(dtype))
        assert_within(h_n, last, 30 * eps(dtype))


@pytest.mark.parametrize("batch_first", [False, True])
def test_rnn_without_a_batch(batch_first):
    rnn = nn.RNN(D, H, 2, batch_first=batch_first, rng=0)
    x, h = sample((5, D)), sample((2, H))
    expected, last = by_steps(rnn, x, h, 2)
    output, h_n = rnn(x, h)
    assert_within(output, expected, 1e-15)
    assert_within(h_n, last, 1e-15)


def test_rnn_of_an_empty_batch():
    output, h = nn.RNN(D, H)(np.zeros((5, 0, D)))
    assert output.shape == (5, 0, H) and h.shape == (1, 0, H)


def test_names_and_shapes_of_rnn_are_pytorchs():
    shapes = {key: value.shape for key, value in nn.RNN(D, H, 2).state_dict().items()}
    assert shapes == {
        "weight_ih_l0": (H, D), "weight_hh_l0": (H, H), "bias_ih_l0": (H,), "bias_hh_l0": (H,),
        "weight_ih_l1": (H, H), "weight_hh_l1": (H, H), "bias_ih_l1": (H,), "bias_hh_l1": (H,)}
    assert list(shapes)[:5] == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0",
                                "weight_ih_l1"]
    assert list(nn.RNN(D, H, bias=False).state_dict()) == ["weight_ih_l0", "weight_hh_l0"]


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_derivatives_of_rnn(check, batch_first):
    rnn = nn.RNN(2, 2, 2, batch_first=batch_first, rng=0)
    names = [name for name, _ in rnn.named_parameters()]
    shapes = [(3, 1, 2), (2, 3 if batch_first else 1, 2), *(p.shape for p in rnn.parameters())]

    def function(x, h, *values):
        output, h_n = functional_call(rnn, dict(zip(names, values)), (x, h))
        return anp.concatenate([anp.reshape(output, (-1,)), anp.reshape(h_n, (-1,))])

    CHECKS[check](packed(function, *shapes), point(*shapes, scale=0.5))


# -- parametrized weights ----------------------------------------------------------------------------

class Counting(nn.Module):
    """Hand a weight through, and count how often."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def forward(self, X):
        self.count += 1
        return X


@pytest.fixture
def counted():
    rnn, counting = nn.RNN(D, H, 2, rng=0), Counting()
    parametrize.register_parametrization(rnn, "weight_hh_l0", counting, unsafe=True)
    assert counting.count == 0
    return rnn, counting


def test_a_weight_is_computed_once_a_call(counted):
    rnn, counting = counted
    x = sample((7, N, D))
    rnn(x)
    assert counting.count == 1
    rnn(x)
    assert counting.count == 2


def test_a_weight_is_computed_once_a_call_under_differentiation(counted):
    rnn, counting = counted
    x = sample((7, N, D))
    value_and_grad(lambda: anp.sum(rnn(x)[0]), rnn)()
    assert counting.count == 1
    grad(lambda w: anp.sum(functional_call(
        rnn, {"parametrizations.weight_hh_l0.original": w}, x)[0]))(np.eye(H))
    assert counting.count == 2
    value_and_grad(lambda: anp.sum(rnn(x)[0]) + anp.sum(rnn(x)[1]), rnn)()
    assert counting.count == 4


def test_a_cache_around_several_calls_serves_them_all(counted):
    rnn, counting = counted
    x = sample((7, N, D))

    def loss():
        with parametrize.cached():
            return anp.sum(rnn(x)[0]) + anp.sum(rnn(x)[1])

    loss()
    assert counting.count == 1
    value_and_grad(loss, rnn)()
    assert counting.count == 2


def test_nothing_stays_cached_after_a_call(counted):
    rnn, _ = counted
    x = sample((2, N, D))
    before = rnn(x)[0]
    rnn._modules["parametrizations"]["weight_hh_l0"]._parameters["original"].data = 2 * np.eye(H)
    assert not np.allclose(rnn(x)[0], before)
    value_and_grad(lambda: anp.sum(rnn(x)[0]), rnn)()
    assert isinstance(rnn(x)[0], np.ndarray)


def test_spectral_norm_does_one_power_iteration_a_call():
    rnn = spectral_norm(nn.RNN(D, 6, rng=0), "weight_hh_l0", rng=0)
    twin = spectral_norm(nn.RNN(D, 6, rng=0), "weight_hh_l0", rng=0)
    rnn(sample((7, N, D)))
    twin.weight_hh_l0
    assert np.array_equal(rnn.state_dict()["parametrizations.weight_hh_l0.0._u"],
                          twin.state_dict()["parametrizations.weight_hh_l0.0._u"])


@pytest.mark.parametrize("make, names", [
    (lambda: nn.RNN(D, 6, rng=0), ["weight_hh_l0"]),
    (lambda: nn.RNNCell(D, 6, rng=0), ["weight_hh"]),
    (lambda: nn.LSTMCell(D, 6, rng=0), ["weight_hh", "weight_ih"]),
    (lambda: nn.GRUCell(D, 6, rng=0), ["weight_hh"])])
def test_orthogonal_recurrent_weights_train(make, names):
    """The gradient is that of the differences, and a step along it keeps the weight orthogonal."""
    layer = make()
    for name in names:
        orthogonal(layer, name)
    x = sample((5, N, D)) if isinstance(layer, nn.RNN) else sample((N, D))

    def loss():
        out = layer(x)
        return anp.sum((out[0] if isinstance(out, tuple) else out) ** 2)

    value, gradients = value_and_grad(loss, layer)()
    assert list(gradients) == [name for name, _ in layer.named_parameters()]
    parameters = dict(layer.named_parameters())
    for name in names:
        original = parameters[f"parametrizations.{name}.original"]
        step = gradients[f"parametrizations.{name}.original"]
        start, t = original.data.copy(), 1e-4
        original.data = start + t * step
        above = loss()
        original.data = start - t * step
        below = loss()
        assert (above - below) / (2 * t) == pytest.approx(np.sum(step**2), rel=1e-6)
        W = getattr(layer, name)
        gram = W.T @ W if W.shape[0] >= W.shape[1] else W @ W.T
        assert np.abs(gram - np.eye(len(gram))).max() < 1e-14
        original.data = start


# -- repr and errors ---------------------------------------------------------------------------------

@pytest.mark.parametrize("layer, text", [
    (nn.RNNCell(2, 3), "RNNCell(2, 3)"), (nn.LSTMCell(2, 3, bias=False), "LSTMCell(2, 3, bias=False)"),
    (nn.RNNCell(2, 3, False, "relu"), "RNNCell(2, 3, bias=False, nonlinearity=relu)"),
    (nn.GRUCell(2, 3), "GRUCell(2, 3)"), (nn.RNN(2, 3), "RNN(2, 3)"),
    (nn.RNN(2, 3, 2, "relu", False, True), "RNN(2, 3, num_layers=2, bias=False, batch_first=True)")])
def test_repr_is_pytorchs(layer, text):
    assert repr(layer) == text


X = np.zeros((5, N, D))
ERRORS = [
    (lambda: nn.RNN(D, H, nonlinearity="gelu"), ValueError, "Unknown nonlinearity 'gelu'"),
    (lambda: nn.RNN(D, H, 0), ValueError, "num_layers must be greater than zero, got 0"),
    (lambda: nn.RNN(D, 0), ValueError, "hidden_size must be greater than zero, got 0"),
    (lambda: nn.RNN(D, H, dtype=int), TypeError, "must have dtype float32, float64"),
    (lambda: nn.RNN(D, H)(X[0, 0]), ValueError, "Expected input to be 2D or 3D, got 1D"),
    (lambda: nn.RNN(D, H)(X[..., :2]), RuntimeError, "input must have 4 entries in its last dimension"),
    (lambda: nn.RNN(D, H)(X[:0]), RuntimeError, "at least one time step"),
    (lambda: nn.RNN(D, H)(X, np.zeros((2, N, H))), RuntimeError,
     r"hx must have shape \(1, 3, 2\), got \(2, 3, 2\)"),
    (lambda: nn.RNN(D, H)(X[:, 0], np.zeros((1, N, H))), RuntimeError, r"hx must have shape \(1, 2\)"),
    (lambda: nn.RNNCell(D, H, nonlinearity="gelu")(X[0]), RuntimeError, "Unknown nonlinearity: gelu"),
    (lambda: nn.RNNCell(D, H)(X), ValueError, r"input must have shape \(N, 4\) or \(4,\)"),
    (lambda: nn.GRUCell(D, H)(X[0, :, :2]), RuntimeError, "input must have 4 entries"),
    (lambda: nn.GRUCell(D, H)(X[0], np.zeros((2, H))), RuntimeError, r"hx must have shape \(3, 2\)"),
    (lambda: nn.GRUCell(D, H)(X[0], np.zeros((1, N, H))), ValueError, "hx must have one or two d"),
    (lambda: nn.LSTMCell(D, H)(X[0], 2 * (np.zeros(()),)), ValueError, "one or two dimensions"),
    (lambda: nn.LSTMCell(D, H)(X[0], np.zeros((N, H))), TypeError, "hx must be a pair of arrays"),
    (lambda: nn.LSTMCell(D, H)(X[0], (np.zeros((N, H)),)), RuntimeError, "pair of arrays, got 1"),
    (lambda: nn.LSTMCell(D, H)(X[0], (np.zeros((N, H)), np.zeros(H))), RuntimeError,
     r"hx must have shape \(3, 2\), got \(2,\)"),
]


@pytest.mark.parametrize("call, error, message", ERRORS)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
