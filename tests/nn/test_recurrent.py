"""Recurrent layers: the formulas of one step, sequences, parametrized weights."""
import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, make_vjp

from orthonorm import nn
from orthonorm.func import functional_call, value_and_grad
from orthonorm.nn.functional import recurrence
from orthonorm.nn.utils import parametrize
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm
from tests.differences import CHECKS
from tests.helpers import REAL, assert_within, eps, layouts, sample
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


# -- sequences ---------------------------------------------------------------------------------------

def next_states(net, p, q, h, *c):
    """Return the states after one step, in plain NumPy."""
    if net == "LSTM":
        i, f, g, o = (a + b for a, b in zip(p, q))
        c = sigma(f) * c[0] + sigma(i) * np.tanh(g)
        return sigma(o) * np.tanh(c), c
    if net == "GRU":
        z = sigma(p[1] + q[1])
        return (1 - z) * np.tanh(p[2] + sigma(p[0] + q[0]) * q[2]) + z * h,
    return {"tanh": np.tanh, "relu": lambda x: np.maximum(x, 0)}[net](p[0] + q[0]),


def by_steps(net, layer, x, states, layers, bias=True):
    """Run over (L, ..., D) one step after the other; return outputs and last states."""
    last = []
    for i in range(layers):
        state, outputs = [s[i] for s in states], []
        for entry in x:
            state = next_states(net, *affine(layer, entry, state[0], f"_l{i}", bias), *state)
            outputs.append(state[0])
        x = np.stack(outputs)
        last.append(state)
    return x, [np.stack(states) for states in zip(*last)]


MAKE = {"tanh": nn.RNN, "relu": lambda *args, **options: nn.RNN(*args, nonlinearity="relu", **options),
        "LSTM": nn.LSTM, "GRU": nn.GRU}
nets = pytest.mark.parametrize("net", MAKE)


def flat(output, last):
    return output, [*last] if isinstance(last, tuple) else [last]


def states_of(net, shape, dtype=np.float64):
    return [sample(shape, dtype, seed) for seed in range(1, 3 if net == "LSTM" else 2)]


def given(net, states):
    return tuple(states) if net == "LSTM" else states[0]


@real
@biases
@nets
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("batch_first", [False, True])
def test_sequences(batch_first, layers, net, bias, dtype):
    layer = MAKE[net](D, H, layers, bias=bias, batch_first=batch_first, dtype=dtype, rng=0)
    x, states = sample((5, N, D), dtype), states_of(net, (layers, N, H), dtype)
    for start in (given(net, states), None):
        expected, last = by_steps(net, layer, x, states if start is not None else
                                  [0 * s for s in states], layers, bias)
        output, found = flat(*layer(np.swapaxes(x, 0, 1) if batch_first else x, start))
        assert output.dtype == found[0].dtype == dtype
        assert_within(np.swapaxes(output, 0, 1) if batch_first else output, expected, 30 * eps(dtype))
        for ours, theirs in zip(found, last, strict=True):
            assert_within(ours, theirs, 30 * eps(dtype))


@nets
@pytest.mark.parametrize("batch_first", [False, True])
def test_sequences_without_a_batch(net, batch_first):
    layer = MAKE[net](D, H, 2, batch_first=batch_first, rng=0)
    x, states = sample((5, D)), states_of(net, (2, H))
    expected, last = by_steps(net, layer, x, states, 2)
    output, found = flat(*layer(x, given(net, states)))
    assert_within(output, expected, 1e-15)
    for ours, theirs in zip(found, last, strict=True):
        assert_within(ours, theirs, 1e-15)


@nets
def test_sequences_of_an_empty_batch(net):
    layer = MAKE[net](D, H)
    output, last = flat(*layer(np.zeros((5, 0, D))))
    assert output.shape == (5, 0, H) and all(state.shape == (1, 0, H) for state in last)
    _, gradients = value_and_grad(lambda: anp.sum(layer(np.zeros((5, 0, D)))[0]), layer)()
    assert all(np.array_equal(g, np.zeros_like(g)) for g in gradients.values())


@pytest.mark.parametrize("make, gates", [(nn.RNN, 1), (nn.LSTM, 4), (nn.GRU, 3)])
def test_names_and_shapes_of_sequences_are_pytorchs(make, gates):
    shapes = {key: value.shape for key, value in make(D, H, 2).state_dict().items()}
    rows = gates * H
    assert shapes == {
        "weight_ih_l0": (rows, D), "weight_hh_l0": (rows, H), "bias_ih_l0": (rows,),
        "bias_hh_l0": (rows,), "weight_ih_l1": (rows, H), "weight_hh_l1": (rows, H),
        "bias_ih_l1": (rows,), "bias_hh_l1": (rows,)}
    assert list(shapes)[:5] == ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0",
                                "weight_ih_l1"]
    assert list(make(D, H, bias=False).state_dict()) == ["weight_ih_l0", "weight_hh_l0"]


@nets
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_derivatives_of_sequences(check, batch_first, net):
    """By everything at once, of outputs and last states."""
    layer = MAKE[net](2, 2, 2, batch_first=batch_first, rng=0)
    names = [name for name, _ in layer.named_parameters()]
    count = 2 if net == "LSTM" else 1
    shapes = [(3, 1, 2), *count * [(2, 3 if batch_first else 1, 2)],
              *(p.shape for p in layer.parameters())]

    def function(x, *others):
        states, values = others[:count], others[count:]
        output, last = flat(*functional_call(layer, dict(zip(names, values)), (x, given(net, states))))
        return anp.concatenate([anp.reshape(y, (-1,)) for y in (output, *last)])

    CHECKS[check](packed(function, *shapes), point(*shapes, scale=0.5))


# -- back-propagation through time against the definition, step by step -------------------------------

def run_arguments(net, dtype, length, batch=N):
    gates = {"LSTM": 4, "GRU": 3}.get(net, 1) * H
    return [sample((length, batch, D), dtype), sample((gates, D), dtype, 1),
            sample((gates, H), dtype, 2), sample((gates,), dtype, 3), sample((gates,), dtype, 4),
            *(sample((batch, H), dtype, seed) for seed in ((5, 6) if net == "LSTM" else (5,)))]


def net_of(net):
    return {"LSTM": recurrence.LSTM, "GRU": recurrence.GRU}.get(net, lambda: recurrence.RNN(net))()


@real
@nets
@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("block", [1, 2 * N * H, 2**15], ids=["each time", "two times", "all times"])
def test_the_gradient_is_that_of_the_definition(monkeypatch, block, length, net, dtype):
    """Whether slopes are computed for one time, for some, or for all at once."""
    monkeypatch.setattr(recurrence, "BLOCK", block)
    arguments = run_arguments(net, dtype, length)
    wanted = range(1, len(arguments) + 1)
    vjp, value = make_vjp(recurrence.run, [*wanted])(net_of(net), *arguments)
    exact = [argument.astype(np.float64) for argument in arguments]
    exact_vjp, exact_value = make_vjp(recurrence.by_steps, [*wanted])(net_of(net), *exact)
    assert_within(value, exact_value, 30 * eps(dtype))
    cotangent = sample(value.shape, dtype, 9)
    for ours, theirs in zip(vjp(cotangent), exact_vjp(cotangent.astype(np.float64)), strict=True):
        assert ours.dtype == dtype
        assert_within(ours, theirs, 200 * eps(dtype))
    for _ in range(2):  # the record of the forward run is not used up
        again = vjp(cotangent)
    assert all(np.array_equal(a, b) for a, b in zip(again, vjp(cotangent)))


@nets
@pytest.mark.parametrize("i", range(7))
def test_the_gradient_of_one_argument_alone(net, i):
    arguments = run_arguments(net, np.float64, 4)
    if i < len(arguments):
        one, value = make_vjp(recurrence.run, i + 1)(net_of(net), *arguments)
        other, _ = make_vjp(recurrence.by_steps, i + 1)(net_of(net), *arguments)
        cotangent = sample(value.shape, seed=9)
        assert_within(one(cotangent), other(cotangent), 1e-14)


@real
@nets
@pytest.mark.parametrize("scale", [1e3, 1e30])
def test_saturated_gates(net, scale, dtype):
    """The exponential overflows, the gates are 0 and 1: as the definition has it, without a warning."""
    arguments = run_arguments(net, dtype, 3)
    arguments[1] *= dtype(scale)
    if net == "relu":
        arguments[2] /= dtype(scale)
    wanted = [*range(1, len(arguments) + 1)]
    vjp, value = make_vjp(recurrence.run, wanted)(net_of(net), *arguments)
    exact_vjp, exact = make_vjp(recurrence.by_steps, wanted)(net_of(net), *arguments)
    assert np.isfinite(value).all()
    assert_within(value, exact, 30 * eps(dtype) * max(1, np.abs(exact).max()))
    cotangent = sample(value.shape, dtype, 9)
    for ours, theirs in zip(vjp(cotangent), exact_vjp(cotangent), strict=True):
        assert np.isfinite(ours).all()
        assert_within(ours, theirs, 200 * eps(dtype) * max(1, np.abs(theirs).max()))


def test_relu_has_derivative_0_at_0_and_1_at_nan_and_stops_infinity():
    x = np.array([[[0.0]], [[-1.0]], [[np.nan]]])
    arguments = [np.eye(1), np.zeros((1, 1)), np.zeros(1), np.zeros(1), np.zeros((1, 1))]
    vjp, _ = make_vjp(recurrence.run, 1)(recurrence.RNN("relu"), x, *arguments)
    assert np.array_equal(vjp(np.array([[[np.inf]], [[np.inf]], [[3.0]]])), [[[0.0]], [[0.0]], [[3.0]]])


def test_one_operation_of_autograd():
    """A layer of any length is one node of the graph: no step of time is traced."""
    rnn, counted = nn.LSTM(D, H, rng=0), []
    original = recurrence.linear
    try:
        recurrence.linear = lambda *args: counted.append(1) or original(*args)
        value_and_grad(lambda: anp.sum(rnn(sample((50, N, D)))[0]), rnn)()
    finally:
        recurrence.linear = original
    assert not counted


@pytest.mark.parametrize("x_dtype, w_dtype", [(np.float32, np.float64), (np.float64, np.float32)])
def test_mixed_precision_is_promoted_and_each_gets_its_own_gradient(x_dtype, w_dtype):
    layer, x = nn.GRU(D, H, dtype=w_dtype, rng=0), sample((4, N, D), x_dtype)
    assert layer(x)[0].dtype == np.float64
    _, gradients = value_and_grad(lambda: anp.sum(layer(x)[0]), layer)()
    assert {g.dtype for g in gradients.values()} == {np.dtype(w_dtype)}
    assert grad(lambda x: anp.sum(layer(x)[0]))(x).dtype == x_dtype


def test_memory_layout_does_not_matter():
    layer, x = nn.LSTM(D, H, rng=0), sample((5, N, D))
    expected = layer(x)[0]
    for laid in layouts(x).values():
        assert_within(layer(laid)[0], expected, 1e-15)


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
    (lambda: nn.LSTM(D, 6, 2, rng=0), ["weight_hh_l0", "weight_ih_l1"]),
    (lambda: nn.GRU(D, 6, rng=0), ["weight_ih_l0"]),
    (lambda: nn.RNNCell(D, 6, rng=0), ["weight_hh"]),
    (lambda: nn.LSTMCell(D, 6, rng=0), ["weight_hh", "weight_ih"]),
    (lambda: nn.GRUCell(D, 6, rng=0), ["weight_hh"])])
def test_orthogonal_recurrent_weights_train(make, names):
    """The gradient is that of the differences, and a step along it keeps the weight orthogonal."""
    layer = make()
    for name in names:
        orthogonal(layer, name)
    h = sample((N, 6), seed=1)
    state = (h, h) if isinstance(layer, nn.LSTMCell) else h
    inputs = ((sample((5, N, D)),) if isinstance(layer, (nn.RNN, nn.LSTM, nn.GRU))
              else (sample((N, D)), state))

    def loss():
        out = layer(*inputs)
        return anp.sum((out[0] if isinstance(out, tuple) else out) ** 2)

    value, gradients = value_and_grad(loss, layer)()
    assert list(gradients) == [name for name, _ in layer.named_parameters()]
    parameters = dict(layer.named_parameters())
    for name in names:
        original = parameters[f"parametrizations.{name}.original"]
        step = gradients[f"parametrizations.{name}.original"]
        start, t = original.data.copy(), 1e-4 / np.linalg.norm(step)
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
    (nn.LSTM(2, 3), "LSTM(2, 3)"), (nn.GRU(2, 3, 2, False, True),
                                    "GRU(2, 3, num_layers=2, bias=False, batch_first=True)"),
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
    (lambda: nn.RNN(D, H)(X + 0j), NotImplementedError, "input must be real, got dtype complex128"),
    *[(lambda cell=cell: cell(D, H)(X[0] + 0j), NotImplementedError, "input must be real, got dtype c")
      for cell in (nn.RNNCell, nn.LSTMCell, nn.GRUCell)],
    (lambda: nn.LSTM(D, H)(X, np.zeros((1, N, H))), TypeError, "hx must be a pair of arrays"),
    (lambda: nn.LSTM(D, H)(X, (np.zeros((1, N, H)),)), RuntimeError, "pair of arrays, got 1"),
    (lambda: nn.LSTM(D, H)(X, (np.zeros((1, N, H)), np.zeros((N, H)))), RuntimeError,
     r"hx must have shape \(1, 3, 2\), got \(3, 2\)"),
    (lambda: nn.GRU(D, H, 0), ValueError, "num_layers must be greater than zero"),
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


@pytest.mark.parametrize("make", [nn.RNN, nn.LSTM, nn.GRU, nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_a_weight_of_another_shape_is_no_weight(make):
    """Not even where NumPy would spread it over the right one."""
    layer = make(D, H, rng=0)
    x = X[0] if make.__name__.endswith("Cell") else X
    for name, parameter in layer.named_parameters():
        short = name.removesuffix("_l0")
        right = parameter.shape
        for shape in {(), (1,), (1, 1), (D,), (N, right[0]), (1, *right), (*right, 1), right[:1],
                      (right[0] + 1, *right[1:])} - {right}:
            with pytest.raises(RuntimeError) as caught:
                functional_call(layer, {name: np.ones(shape)}, x)
            assert str(caught.value) == f"{short} must have shape {right}, got {shape}"


@pytest.mark.parametrize("call, error, message", ERRORS)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
