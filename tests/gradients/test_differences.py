"""Every primitive, every class of shape, first and second order, against central differences."""
import autograd.numpy as np
import pytest
from autograd import grad
from autograd.test_util import check_grads

from tests.differences import CHECKS, against, directional, directions, close, real_inner
from tests.gradients.cases import COMPLEX, REAL, TABLE, Case, cases


@pytest.mark.parametrize("check", CHECKS)
@cases()
def test_derivatives(name, shape, dtype, check):
    case = Case(name, shape, dtype)
    CHECKS[check](case.f, case.X)


@pytest.mark.parametrize("name, dtype", [(name, dtype) for name in TABLE for dtype in (REAL, COMPLEX)
                                         if not (TABLE[name][3] and dtype is COMPLEX)])
def test_third_order(name, dtype):
    """One direction thrice, in reverse, of a tall matrix where there is one."""
    shape = (5, 2) if (5, 2) in TABLE[name][2] else TABLE[name][2][0]
    case = Case(name, shape, dtype)
    loss = against(case.f, case.X)
    D, = directions(case.X, 1)

    def along(loss):
        return lambda X: real_inner(grad(loss)(X), D)

    second = along(along(loss))
    close(along(second)(case.X), directional(second, case.X, D))


@pytest.mark.parametrize("name", TABLE)
def test_autograd_agrees(name):
    """autograd's own checker, a second witness."""
    case = Case(name, TABLE[name][2][0], REAL)
    check_grads(case.f, modes=["fwd", "rev"], order=2)(case.X)


def test_the_differences_are_right():
    """The helper, on functions whose derivatives are known."""
    X = np.array([0.3, -1.2])
    close(directional(np.sin, X, np.ones(2)), np.cos(X))
    Z = np.array([0.3 + 1j, 2 - 1j])
    close(directional(np.exp, Z, 1j * np.ones(2)), 1j * np.exp(Z))
    from tests.differences import gradient
    close(gradient(lambda Z: np.sum(np.abs(Z)**2), Z), 2 * Z.conj())
    close(gradient(lambda Z: np.sum(np.real(Z**3)), Z), 3 * Z**2)
