"""The base of a trivialization: kept as n x k, exchanged with PyTorch as n x n."""
import copy

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from numpy.testing import assert_allclose

from orthonorm import core, nn
from orthonorm.func import functional_call, value_and_grad
from orthonorm.nn.utils.parametrizations import orthogonal
from tests.helpers import gram_error, peak_memory, sample

from ..snapshots import bits, snapshot

MAPS = ("matrix_exp", "cayley", "householder")
BASE, ORIGINAL = "parametrizations.weight.0.base", "parametrizations.weight.original"

maps = pytest.mark.parametrize("orthogonal_map", MAPS)
shapes = pytest.mark.parametrize("shape", [(7, 3), (3, 7), (4, 3), (2, 7, 3), (2, 3, 7)], ids=str)


class Holder(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self):
        return self.weight


def moved(shape, orthogonal_map, dtype=np.float64, seed=0):
    """Return a module whose weight is away from its base."""
    module = orthogonal(Holder(sample(shape, dtype, seed)), "weight", orthogonal_map)
    original = module.parametrizations.weight.original
    original += 0.3 * sample(shape, dtype, seed + 1)
    return module


def square_base(shape, dtype=np.float64, seed=2):
    n = max(shape[-2:])
    return np.linalg.qr(sample((*shape[:-2], n, n), dtype, seed))[0]


def weight_by_definition(module, base):
    """base @ f(X), on the transposes where the weight is wide."""
    part, X = module.parametrizations.weight[0], module.parametrizations.weight.original
    Q = getattr(core, part.orthogonal_map)(X)
    wide = X.shape[-2] < X.shape[-1]
    return np.swapaxes(base @ np.swapaxes(Q, -1, -2), -1, -2) if wide else base @ Q


@maps
@shapes
def test_the_weight_is_base_times_the_map(orthogonal_map, shape):
    module = moved(shape, orthogonal_map)
    base = module.parametrizations.weight[0].base
    assert base.shape == (*shape[:-2], max(shape[-2:]), max(shape[-2:]))
    assert gram_error(base) < 1e-14
    assert_allclose(module.weight, weight_by_definition(module, base), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley"])
def test_the_weight_is_base_times_the_map_complex(orthogonal_map, dtype):
    module = moved((7, 3), orthogonal_map, dtype)
    expected = weight_by_definition(module, module.parametrizations.weight[0].base)
    assert module.weight.dtype == dtype
    assert_allclose(module.weight, expected, rtol=0, atol=50 * np.finfo(dtype).eps)


@maps
@shapes
def test_gradients_are_those_with_a_square_base(orthogonal_map, shape):
    module = moved(shape, orthogonal_map)
    X, C = module.parametrizations.weight.original, sample(shape, seed=5)
    base = module.parametrizations.weight[0].base

    def inner(base, X):
        state = {ORIGINAL: X} | ({} if base is None else {BASE: base})
        return anp.sum(C * functional_call(module, state))

    assert_allclose(inner(None, X), inner(base, X), rtol=1e-12)
    assert_allclose(grad(inner, 1)(None, X), grad(inner, 1)(base, X), rtol=0, atol=1e-13)
    _, gradients = value_and_grad(lambda: anp.sum(C * module.weight), module)()
    assert_allclose(gradients[ORIGINAL], grad(inner, 1)(base, X), rtol=0, atol=1e-13)


@maps
@shapes
def test_the_state_dict_is_pytorchs_and_restores_every_bit(orthogonal_map, shape):
    module = moved(shape, orthogonal_map)
    state, n = module.state_dict(), max(shape[-2:])
    assert sorted(state) == [BASE, ORIGINAL] and state[BASE].shape == (*shape[:-2], n, n)
    twin = orthogonal(Holder(sample(shape, seed=9)), "weight", orthogonal_map)
    twin.load_state_dict(state)
    assert bits(twin.weight) == bits(module.weight)
    assert twin.parametrizations.weight[0]._buffers["base"].shape == (*shape[:-2], n, min(shape[-2:]))
    assert bits(twin.state_dict()[BASE]) == bits(state[BASE])


@pytest.mark.parametrize("orthogonal_map, dtype", [
    ("matrix_exp", np.float64), ("cayley", np.float64), ("householder", np.float64),
    ("matrix_exp", np.complex128), ("cayley", np.complex128)])
@shapes
def test_any_square_base_is_used_as_it_is(orthogonal_map, shape, dtype):
    """PyTorch's base has random columns, which only the n x n matrix knows."""
    module, base = moved(shape, orthogonal_map, dtype), square_base(shape, dtype)
    module.load_state_dict({**module.state_dict(), BASE: base})
    assert_allclose(module.weight, weight_by_definition(module, base), rtol=0, atol=1e-14)
    # With n - k = 1 there are two completions, to rounding: it may be ours.
    for same in (module.state_dict()[BASE], module.parametrizations.weight[0].base):
        assert_allclose(same, base, rtol=0, atol=1e-15 if shape == (4, 3) else 0)
    module.weight = Q = np.array(module.weight)
    assert_allclose(module.weight, Q, rtol=0, atol=1e-14)
    assert module.parametrizations.weight[0]._buffers["base"].shape[-1] == min(shape[-2:])


@maps
def test_a_large_base_is_written_and_read_by_its_first_columns(orthogonal_map, monkeypatch):
    monkeypatch.setitem(orthogonal.__wrapped__.__globals__, "LARGEST_SQUARE_BASE", 6)
    module = moved((7, 3), orthogonal_map)
    state = module.state_dict()
    assert state[BASE].shape == (7, 3)
    square = core.complete(state[BASE])
    assert_allclose(module.weight, weight_by_definition(module, square), rtol=0, atol=1e-14)
    twins = [orthogonal(Holder(sample((7, 3), seed=9)), "weight", orthogonal_map) for _ in range(3)]
    twins[0].load_state_dict(state)
    twins[1].load_state_dict({**state, BASE: square})
    monkeypatch.undo()
    twins[2].load_state_dict(state)
    assert [bits(twin.weight) for twin in twins] == [bits(module.weight)] * 3
    assert twins[2].state_dict()[BASE].shape == (7, 7)


@pytest.mark.parametrize("base, message", [
    (np.ones((7, 3)), "base must have orthonormal columns"),
    (np.zeros((7, 7)), "base must have orthonormal columns"),
    (np.full((7, 3), np.nan), "base must be finite, got 21 NaN"),
    (np.full((7, 7), np.nan), "base must be finite, got 49 NaN"),
    (np.eye(7, 4), r"size mismatch.*base.*\(7, 4\).*current model is \(7, 7\)"),
    (np.eye(3), r"size mismatch.*base.*\(3, 3\).*current model is \(7, 7\)"),
    (1j * np.eye(7), "dtype mismatch.*complex128"), (np.eye(7, 3) * 1j, "dtype mismatch.*complex128"),
], ids=["not orthonormal", "zero", "nan part", "nan", "columns", "small", "complex", "complex part"])
def test_a_wrong_base_is_refused_and_changes_nothing(base, message):
    module = moved((7, 3), "cayley")
    before = snapshot(module)
    with pytest.raises(RuntimeError, match=message):
        module.load_state_dict({**module.state_dict(), BASE: base})
    assert snapshot(module) == before


def test_a_base_of_single_precision_is_read():
    module, state = moved((7, 3), "cayley"), moved((7, 3), "cayley").state_dict()
    module.load_state_dict({key: value.astype(np.float32) for key, value in state.items()})
    assert module.weight.dtype == np.float64
    assert_allclose(module.weight, moved((7, 3), "cayley").weight, rtol=0, atol=1e-6)


def test_other_bases_at_once():
    """A substituted base, of either form, is used inside the call only."""
    module = moved((7, 3), "cayley")
    before, weight = snapshot(module), bits(module.weight)
    base = square_base((7, 3))
    expected = weight_by_definition(module, base)
    assert_allclose(functional_call(module, {BASE: base}), expected, rtol=0, atol=1e-14)
    first = np.ascontiguousarray(base[:, :3])
    expected = weight_by_definition(module, core.complete(first))
    assert_allclose(functional_call(module, {BASE: first}), expected, rtol=0, atol=1e-14)
    everything = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    values = {name: np.asarray(value) for name, value in everything.items()}
    assert bits(functional_call(module, values)) == weight
    assert snapshot(module) == before and bits(module.weight) == weight


def test_a_square_base_can_be_differentiated_but_not_a_part_of_one():
    module, base, C = moved((4, 3), "cayley"), square_base((4, 3)), sample((4, 3), seed=4)

    def inner(base):
        return anp.sum(C * functional_call(module, {BASE: base}))

    X = core.cayley(module.parametrizations.weight.original)
    assert_allclose(grad(inner)(base), C @ X.T, rtol=0, atol=1e-14)
    with pytest.raises(TypeError, match="base.*n x n"):
        grad(inner)(base[:, :3])


@pytest.mark.parametrize("shape, key, given", [
    ((4, 3), ORIGINAL, (4, 4)), ((4, 3), ORIGINAL, (3, 3)), ((4, 4), BASE, (3, 3)),
    ((4, 4), BASE, (5, 5)), ((4, 4), BASE, (4, 3)), ((2, 4, 4), BASE, (4, 4)),
    ((2, 4, 4), ORIGINAL, (3, 4, 4))], ids=str)
def test_a_base_of_another_shape_does_not_reach_lapack(shape, key, given):
    # It printed "On entry to DORMQR parameter number 5 had an illegal value", or gave a wrong weight.
    module = moved(shape, "householder")
    with pytest.raises(ValueError, match="base must have the shape of X"):
        functional_call(module, {key: np.zeros(given)})


def test_the_base_cannot_be_assigned():
    module = moved((7, 3), "cayley")
    before = snapshot(module)
    for value in (np.ones((7, 7)), np.ones((2, 2)), None):
        with pytest.raises(AttributeError, match="base is read-only: assign to the weight"):
            module.parametrizations.weight[0].base = value
    assert snapshot(module) == before


def test_what_is_read_cannot_be_written_into():
    module = moved((7, 3), "cayley")
    with pytest.raises(ValueError, match="read-only"):
        module.parametrizations.weight[0].base[0, 0] = 5.0
    with pytest.raises(ValueError, match="read-only"):
        next(module.buffers())[0, 0] = 5.0
    module.state_dict()[BASE][0, 0] = 5.0


def test_copies_have_their_own_base():
    module = moved((7, 3), "cayley")
    weight = bits(module.weight)
    twin = copy.deepcopy(module)
    assert bits(twin.weight) == weight
    twin.weight = sample((7, 3), seed=8)
    assert bits(module.weight) == weight and bits(twin.weight) != weight


@pytest.mark.parametrize("rng", [None, 1, np.random.default_rng(2)], ids=str)
def test_rng_changes_nothing(rng):
    assert bits(orthogonal(Holder(sample((5, 3))), rng=rng).weight) == bits(
        orthogonal(Holder(sample((5, 3)))).weight)


@maps
@pytest.mark.parametrize("n", [1000, 8000, 64000])
def test_memory_grows_as_the_weight(orthogonal_map, n):
    k = 32
    C = sample((n, k))

    def register_and_differentiate():
        layer = orthogonal(nn.Embedding(n, k, rng=0), "weight", orthogonal_map)
        value_and_grad(lambda: anp.sum(C * layer.weight), layer)()
        return layer

    layer, memory = peak_memory(register_and_differentiate)
    assert memory < 12 * n * k * 8 + 2e6
    again = value_and_grad(lambda: anp.sum(C * layer.weight), layer)
    assert peak_memory(again)[1] < 10 * n * k * 8 + 1e6


def test_the_state_of_a_large_embedding_is_small():
    layer = orthogonal(nn.Embedding(30000, 50, rng=0))
    state, memory = peak_memory(layer.state_dict)
    assert {key: value.shape for key, value in state.items()} == {
        ORIGINAL: (30000, 50), BASE: (30000, 50)}
    assert memory < 50e6
