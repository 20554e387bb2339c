"""Orthonormality is lost nowhere, by no weight decay and by no average of state dicts."""
import autograd.numpy as np
import pytest

from orthonorm import nn, optim
from orthonorm.func import value_and_grad
from orthonorm.nn.utils.parametrizations import orthogonal
from tests.helpers import assert_identical, dtypes, eps, gram_error, is_complex, sample

BASE, ORIGINAL = "parametrizations.weight.0.base", "parametrizations.weight.original"
MAPS = ["matrix_exp", "cayley", "householder", "unitary_householder"]
SHAPES = [(4, 4), (5, 3), (2, 4), (1, 1), (2, 4, 3)]
OPTIMIZERS = {
    "SGD": lambda named, decay: optim.SGD(named, lr=0.1, momentum=0.9, weight_decay=decay),
    "Adam": lambda named, decay: optim.Adam(named, lr=0.1, weight_decay=decay),
    "AdamW": lambda named, decay: optim.AdamW(named, lr=0.1, weight_decay=decay),
    "Muon": lambda named, decay: optim.Muon(named, lr=0.1, weight_decay=decay),
}
# AdamW's default; in a step at the rate 0.1: what halves, what leaves nothing, what turns the signs.
DECAYS = [1e-2, 5.0, 10.0, 25.0]

every_map = pytest.mark.parametrize("orthogonal_map", MAPS)
trivializations = pytest.mark.parametrize("trivialized", [True, False])
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)


def made(shape, orthogonal_map, trivialized, dtype=np.float64, seed=0):
    module = nn.Module()
    module.weight = nn.Parameter(sample(shape, dtype, seed))
    return orthogonal(module, "weight", orthogonal_map, use_trivialization=trivialized)


def step(module, optimizer):
    C = sample(module.weight.shape, module.weight.dtype, 1)
    _, gradients = value_and_grad(lambda: np.sum(np.real(np.conj(C) * module.weight)), module)()
    optimizer.step(gradients)


def assert_orthonormal(module):
    """Or refused, where a phase is to be read of zero: not lost in silence either."""
    if without_a_phase(module):
        with pytest.raises(ValueError, match="no zero on its diagonal, which holds phases"):
            module.weight
        return
    weight = module.weight
    assert gram_error(weight) <= 30 * max(weight.shape[-2:]) * eps(weight.dtype)


def without_a_phase(module):
    original = module.parametrizations.weight.original
    return (module.parametrizations.weight[0].orthogonal_map == "unitary_householder"
            and not np.all(np.diagonal(original, axis1=-2, axis2=-1)))


def average(*states):
    return {key: np.mean([state[key] for state in states], axis=0) for key in states[0]}


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("decay", DECAYS)
@trivializations
@every_map
@dtypes
def test_training_with_decay_and_averages_of_what_it_passes(optimizer, decay, trivialized,
                                                            orthogonal_map, dtype):
    if orthogonal_map == "householder" and is_complex(dtype):
        return
    for shape in SHAPES:
        if optimizer == "Muon" and (len(shape) > 2 or is_complex(dtype)):
            continue  # which it refuses
        module = made(shape, orthogonal_map, trivialized, dtype)
        states = [module.state_dict()]
        algorithm = OPTIMIZERS[optimizer](module.named_parameters(), decay)
        for _ in range(6):
            if not without_a_phase(module):
                step(module, algorithm)
            assert_orthonormal(module)
            states.append(module.state_dict())
        for state in (average(*states), average(states[0], states[-1])):
            module.load_state_dict(state)
            assert_orthonormal(module)


@shapes
@dtypes
def test_decay_alone_leaves_the_default_weight_where_it_starts(shape, dtype):
    """The issue's example. PyTorch's weight is zero after the first step, and stays so."""
    module = made(shape, None, True, dtype)
    before = module.weight
    optimizer = optim.AdamW(module.named_parameters())
    for _ in range(3):
        optimizer.step({ORIGINAL: np.zeros(shape, dtype)})
        if not is_complex(dtype):  # there decay turns the phases of matrix_exp back too
            assert_identical(module.weight, before)
        assert_orthonormal(module)


@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley", "householder"])
def test_an_l2_term_over_the_parameters_keeps_it_orthonormal(orthogonal_map):
    module = made((5, 3), orthogonal_map, True)
    optimizer = optim.SGD(module.named_parameters(), lr=0.1)

    def loss():
        return np.sum(module.weight**3) + sum(np.sum(p.data**2) for p in module.parameters())

    for _ in range(10):
        _, gradients = value_and_grad(loss, module)()
        optimizer.step(gradients)
        assert_orthonormal(module)


@every_map
@pytest.mark.parametrize("shape", [(6, 6), (7, 3), (3, 7)], ids=str)
def test_an_average_of_different_bases_is_refused(orthogonal_map, shape):
    """It is not orthonormal, nor would the weight be."""
    first, second = (made(shape, orthogonal_map, True, seed=seed) for seed in (0, 1))
    before = first.weight
    with pytest.raises(RuntimeError, match="base must have orthonormal columns; an average of diff"):
        first.load_state_dict(average(first.state_dict(), second.state_dict()))
    assert_identical(first.weight, before)


@every_map
@pytest.mark.parametrize("shape", [(6, 6), (7, 3), (3, 7)], ids=str)
def test_an_average_without_bases_is_orthonormal(orthogonal_map, shape):
    first, second = (made(shape, orthogonal_map, False, seed=seed) for seed in (0, 1))
    first.load_state_dict(average(first.state_dict(), second.state_dict()))
    assert_orthonormal(first)
