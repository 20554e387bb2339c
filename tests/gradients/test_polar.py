"""The polar factor's derivative: where there is none, where it hardly is, and how accurate it is."""
import autograd.numpy as np
import mpmath
import pytest
from autograd import grad, make_jvp, make_vjp

from orthonorm.core import definitions, haar
from orthonorm.gradients import polar
from tests import truth
from tests.helpers import H, assert_within, dtypes, eps, is_complex, sample


def pull(A, G):
    """Return the adjoint in PyTorch's convention."""
    return np.conj(make_vjp(polar)(A)[0](np.conj(G)))


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (1, 1), (4, 1), (2, 4, 3)], ids=str)
def test_the_adjoint_is_that_of_the_definition(shape, dtype):
    A, G = sample(shape, dtype), sample(shape, dtype, 1)
    expected = definitions.polar_vjp(A, G)
    assert_within(pull(A, G), expected, 200 * eps(dtype) * (1 + np.abs(expected).max()))


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6)], ids=str)
@pytest.mark.parametrize("exponent", [2, 6, 12])
def test_the_tangent_keeps_the_digits_that_its_condition_leaves(shape, dtype, exponent):
    """Against differences in 50-digit arithmetic."""
    if exponent * np.log(10) > -np.log(100 * eps(dtype)):
        return
    sigma = np.logspace(0, -exponent, min(shape))
    U, V = (haar((n, len(sigma)), dtype, rng=[n]) for n in shape)
    A, D = ((U * sigma) @ H(V)).astype(dtype), sample(shape, dtype, 1)
    with mpmath.workdps(80):
        step = mpmath.mpf(10)**-30
        exact, moved = truth.exactly(A.T if shape[0] < shape[1] else A), truth.exactly(
            D.T if shape[0] < shape[1] else D)
        definition = truth.polar.__wrapped__
        change = (definition(exact + step * moved) - definition(exact - step * moved)) / (2 * step)
    change = np.array(change.tolist(), complex).reshape(change.rows, change.cols)
    change = change if is_complex(dtype) else change.real
    tangent = make_jvp(polar)(A)(D)[1]
    difference = (tangent.T if shape[0] < shape[1] else tangent) - change
    allowed = 40 * eps(dtype) * 10.0**exponent
    assert np.linalg.norm(difference) <= allowed * np.linalg.norm(change)


NOT_DIFFERENTIABLE = {
    "zero": np.zeros((3, 3)), "two zeros": np.diag([1.0, 0, 0]),
    "complex": np.diag([1.0, 2, 0]) + 0j, "tall zero column": np.eye(4, 3) * [1, 1, 0],
    "equal columns": np.ones((4, 2)), "wide": np.ones((2, 4)), "one of a stack": np.stack(
        [np.eye(3, 2), np.zeros((3, 2))]), "complex 1 x 1": np.zeros((1, 1), complex),
    "to rounding": np.diag([1.0, 1e-17, 1e-17]), "single": np.float32([[1, 1], [1, 1 + 1e-7], [1, 1]]),
}


@pytest.mark.parametrize("name", NOT_DIFFERENTIABLE)
def test_where_there_is_no_derivative_an_error_says_so(name):
    A = NOT_DIFFERENTIABLE[name]
    with pytest.raises(np.linalg.LinAlgError, match="^A must have full rank where polar"):
        pull(A, np.ones_like(A))
    with pytest.raises(np.linalg.LinAlgError, match="^A must have full rank where polar"):
        make_jvp(polar)(A)(np.ones_like(A))


@pytest.mark.parametrize("smallest", [0, 1e-17, 1e-12])
def test_one_singular_value_of_zero_does_no_harm_to_a_real_square_matrix(smallest):
    """The derivative is that of the neighbours of the same determinant."""
    U, V = haar((4, 4), rng=1), haar((4, 4), rng=2)
    A, near = ((U * np.array([3, 2, 1, s])) @ V.T for s in (smallest, 1e-9))
    G = sample((4, 4))
    assert_within(pull(A, G), pull(near, G), 1e-8)
    assert_within(definitions.polar_vjp(near, G), pull(near, G), 1e-12)
    assert np.abs(pull(near, G)).max() > 0.1


def test_a_real_number_has_a_constant_sign():
    assert pull(np.array([[0.0]]), np.ones((1, 1))) == 0
    assert pull(np.array([[-3.0]]), np.ones((1, 1))) == 0


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (2, 5)], ids=str)
def test_a_motion_along_the_positive_factor_moves_nothing(shape, dtype):
    """P M + t P D has the same polar factor where D is Hermitian."""
    P, D = haar(shape, dtype, rng=1), sample((min(shape),) * 2, dtype, 2)
    D = D + H(D)
    moved = P @ D if shape[0] >= shape[1] else D @ P
    assert_within(make_jvp(polar)(3 * P)(moved)[1], 0 * P, 50 * eps(dtype))


@pytest.mark.parametrize("c", [2.0**-60, 2.0**60])
def test_the_derivative_falls_with_the_scale(c):
    A, G = sample((5, 3)), sample((5, 3), seed=1)
    assert_within(c * pull(c * A, G), pull(A, G), 1e-13)


def test_steepest_descent_of_the_distance_reaches_the_nearest_frame():
    """A loss through the factor: the best rotation of one cloud of points onto another."""
    X, R = sample((3, 20)), haar((3, 3), rng=4)
    Y = R @ X
    A = np.eye(3) + 0.1 * sample((3, 3))

    def loss(A):
        return np.sum((polar(A) @ X - Y)**2)

    if np.linalg.det(R) < 0:
        A = -A
    for _ in range(200):
        A = A - 0.01 * grad(loss)(A)
    assert loss(A) < 1e-12
