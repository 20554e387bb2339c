"""What holds of the parametrizations on a module, for every weight."""
import autograd.numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from orthonorm import core, nn
from orthonorm.func import value_and_grad
from orthonorm.nn.utils import parametrizations
from orthonorm.nn.utils.parametrize import remove_parametrizations
from tests.helpers import REAL, assert_identical, assert_within, eps, gram_error, is_complex

from .strategies import entries, examples, matrices

MAPS = ["matrix_exp", "cayley", "householder", "unitary_householder"]
every_map = pytest.mark.parametrize("name", MAPS)


def holder(weight):
    module = nn.Module()
    module.weight = nn.Parameter(weight)
    return module


@every_map
@pytest.mark.parametrize("trivialized", [True, False])
@examples
@given(st.data())
def test_an_orthonormal_weight_assigned_is_read_again(name, trivialized, data):
    W = data.draw(matrices(name, exponent=3, largest=16))
    Q = core.orthonormalize(entries(data.draw(st.integers(0, 2**32 - 1)), W.shape, W.dtype))
    module = parametrizations.orthogonal(holder(W), orthogonal_map=name, use_trivialization=trivialized)
    before = {key: array.copy() for key, array in module.state_dict().items()}
    try:
        module.weight = Q
    except ValueError as error:
        assert str(error).startswith("Q must") and not trivialized and name in ("matrix_exp", "cayley")
        for key, array in module.state_dict().items():
            assert_identical(array, before[key])
        return
    size = np.max(np.abs(module.parametrizations.weight.original), initial=1)
    error = 100 * max(Q.shape[-2:]) * eps(Q.dtype) * size
    if name == "cayley" and not trivialized:
        error = max(error, np.sqrt(eps(Q.dtype)))  # as it promises, near the eigenvalue -1
    assert_within(module.weight, Q, error)


@every_map
@examples
@given(st.data())
def test_any_weight_becomes_orthonormal_and_keeps_its_size_and_dtype(name, data):
    W = data.draw(matrices(name))
    module = parametrizations.orthogonal(holder(W), orthogonal_map=name)
    assert module.weight.shape == W.shape and module.weight.dtype == W.dtype
    assert gram_error(module.weight) <= 20 * max(W.shape[-2:]) * eps(W.dtype)


@every_map
@examples
@given(st.data())
def test_a_step_along_the_gradient_stays_on_the_manifold(name, data):
    W = data.draw(matrices(name, exponent=3, largest=24))
    assume(W.size)
    module = parametrizations.orthogonal(holder(W), orthogonal_map=name)
    C = entries(3, W.shape, W.dtype)
    _, gradients = value_and_grad(lambda: np.sum(np.real(np.conj(C) * module.weight)), module)()
    original = module.parametrizations.weight.original
    for gradient in gradients.values():
        assert gradient.dtype == W.dtype and np.all(np.isfinite(gradient))
        original -= 0.1 * gradient
    assert gram_error(module.weight) <= 40 * max(W.shape[-2:]) * eps(W.dtype)


@examples
@given(st.data())
def test_spectral_norm_is_one_at_every_scale(data):
    """The estimate is from below, so that what is divided by it has norm 1 or somewhat more."""
    W = data.draw(matrices(kinds=["any", "tall", "square", "column"]))
    assume(W.size and np.any(W))
    module = parametrizations.spectral_norm(holder(W), n_power_iterations=5, rng=0)
    weight = np.array(module.weight)
    assert weight.dtype == W.dtype and np.all(np.isfinite(weight))
    norm = np.linalg.norm(weight.reshape(len(W), -1).astype(np.result_type(W, float)), 2)
    assert 1 - 20 * eps(W.dtype) <= norm <= 2
    remove_parametrizations(module.eval(), "weight")
    assert_identical(module.weight, weight)


@examples
@given(st.data())
def test_an_assigned_weight_is_kept_by_spectral_norm(data):
    W = data.draw(matrices(kinds=["any", "tall", "square"]))
    module = parametrizations.spectral_norm(holder(np.ones_like(W)), rng=0)
    module.weight = W
    assert_identical(module.parametrizations.weight.original, W)


@examples
@given(st.data())
def test_weight_norm_gives_the_weight_back(data):
    W = data.draw(matrices(kinds=["any", "tall", "square", "column", "empty"]))
    assume(not is_complex(W.dtype))
    dim = data.draw(st.sampled_from([None, *range(-W.ndim, W.ndim)]))
    module = parametrizations.weight_norm(holder(W), dim=dim)
    assert module.weight.dtype in REAL
    assert_within(module.weight, W, 8 * eps(W.dtype) * np.max(np.abs(W), initial=0))
