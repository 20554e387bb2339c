"""The inverse of the exponential map: against its definition, 50-digit exponentials, SciPy's logm."""
import mpmath
import numpy as np
import pytest
import scipy.linalg

from orthonorm import core
from orthonorm.core import matrix_exp, matrix_exp_inverse, orthonormalize
from orthonorm.core import logarithm as module
from tests import truth
from tests.helpers import (
    H, SHAPES, assert_identical, assert_within, dtypes, eps, gram_error, is_complex, sample, shapes,
)

COMPLEX_AND_REAL = pytest.mark.parametrize("dtype", [np.float64, np.complex128])


def haar(shape, dtype, seed=0):
    """Draw a frame from the uniform distribution; a rotation where it is real and square."""
    Q = orthonormalize(sample(shape, dtype, seed))
    if shape[-1] == shape[-2] and not is_complex(dtype):
        Q[..., 0] *= np.sign(np.linalg.det(Q.astype(float)))[..., None].astype(dtype)
    return Q


def assert_is_a_logarithm(X, Q, factor=40):
    tall = X if X.shape[-2] >= X.shape[-1] else X.swapaxes(-1, -2)
    i = np.arange(tall.shape[-1])
    assert not np.any(np.triu(tall, 1)) and not np.any(tall[..., i, i].real)
    assert_within(matrix_exp(X), Q, factor * max(Q.shape[-2:]) * eps(Q.dtype))


@dtypes
@pytest.mark.parametrize("shape", SHAPES + [(40, 40), (60, 25), (25, 60), (200, 3), (4, 3), (9, 8),
                                            (3, 6, 2), (2, 2, 2, 5), (2, 3, 3)], ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_every_frame_has_a_logarithm(shape, dtype, seed):
    """Uniformly drawn: most are far from the identity."""
    Q = haar(shape, dtype, seed)
    X = matrix_exp_inverse(Q)
    assert X.shape == shape and X.dtype == dtype
    assert_is_a_logarithm(X, Q)


@dtypes
@shapes
def test_the_exponential_in_50_digits_gives_the_frame_back(shape, dtype):
    Q = haar(shape, dtype, 4)
    assert truth.error(Q, truth.matrix_exp(matrix_exp_inverse(Q))) <= 20 * max(shape) * eps(dtype)


@dtypes
@shapes
@pytest.mark.parametrize("scale", [1e-8, 0.1, 0.5])
def test_undoes_the_map_near_the_identity(shape, dtype, scale):
    """The shortest logarithm is unique there: the very X comes back."""
    X = sample(shape, dtype, scale=scale / np.sqrt(sum(shape)))
    wide = shape[0] < shape[1]
    L = np.tril(X.T, -1).T if wide else np.tril(X, -1)
    if is_complex(dtype):
        i = np.arange(min(shape))
        L[i, i] = 1j * X[i, i].imag
    assert_within(matrix_exp_inverse(matrix_exp(X)), L, 20 * max(shape) * eps(dtype))


@COMPLEX_AND_REAL
@pytest.mark.parametrize("n", [1, 2, 5, 20])
def test_square_is_scipys_principal_logarithm(n, dtype):
    Q = haar((n, n), dtype, 2)
    L = np.tril(matrix_exp_inverse(Q), -1)
    A = L - H(L) + 2j * np.diag(np.diagonal(matrix_exp_inverse(Q)).imag)
    angle = np.abs(np.angle(np.linalg.eigvals(Q))).max()
    assert_within(A.astype(complex), scipy.linalg.logm(Q).astype(complex),
                  1e-13 * n / (np.pi - angle))


def test_square_in_50_digits():
    """A logarithm of a rotation matrix by mpmath."""
    Q = matrix_exp(0.4 * sample((4, 4)))
    with mpmath.workdps(50):
        A = mpmath.logm(truth.exactly(Q))
    L = matrix_exp_inverse(Q)
    assert truth.error(L - L.T, A) <= 1e-14


@pytest.mark.parametrize("n", [2, 3, 9])
def test_one_column_is_a_great_circle(n):
    q = haar((n, 1), np.float64, 7)
    X = matrix_exp_inverse(q)
    angle = np.arccos(q[0, 0])
    assert_within(np.linalg.norm(X), angle, 1e-15 * n)
    assert_within(X[1:], angle * q[1:] / np.linalg.norm(q[1:]), 1e-15 * n)


def skew(X):
    k = X.shape[1]
    A = np.zeros((len(X), len(X)), X.dtype)
    A[:, :k] = np.tril(X)
    return A - H(A)


@COMPLEX_AND_REAL
@pytest.mark.parametrize("shape", [(4, 2), (5, 3), (7, 2), (9, 6)], ids=str)
def test_is_not_longer_than_what_the_frame_was_made_of(shape, dtype):
    """The geodesic is the shortest, in the canonical metric, where the frame is not far."""
    X = sample(shape, dtype, 3, 1.5 / np.sqrt(sum(shape)))
    found = matrix_exp_inverse(matrix_exp(X))
    assert np.linalg.norm(skew(found)) <= np.linalg.norm(skew(X)) + 1e-13


@dtypes
@pytest.mark.parametrize("n, k", [(2, 2), (4, 4), (3, 2), (5, 2), (5, 3), (6, 5), (3, 3)])
def test_minus_the_identity(n, k, dtype):
    """Rotations by pi: in the plane of each pair, out into the other dimensions for an odd one."""
    Q = -np.eye(n, k, dtype=dtype)
    if n == k == 3 and not is_complex(dtype):
        with pytest.raises(ValueError, match="^Q must have determinant 1, got -1"):
            matrix_exp_inverse(Q)
        return
    X = matrix_exp_inverse(Q)
    assert_is_a_logarithm(X, Q)
    angles = np.linalg.eigvalsh(1j * skew(X.astype(np.result_type(X, float))))
    assert_within(np.abs(angles).max(), np.pi, 10 * eps(dtype))


@pytest.mark.parametrize("pairs", [1, 2])
def test_pairs_of_eigenvalues_minus_one_give_a_real_logarithm(pairs):
    P = orthonormalize(sample((5, 5)))
    Q = P @ np.diag([-1.0] * 2 * pairs + [1.0] * (5 - 2 * pairs)) @ P.T
    assert_is_a_logarithm(matrix_exp_inverse(Q), Q)


@pytest.mark.parametrize("distance", 10.0 ** -np.arange(1, 16, 2))
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (6, 3), (8, 5), (7, 4)], ids=str)
@COMPLEX_AND_REAL
def test_next_to_minus_the_identity(shape, distance, dtype):
    """Where the shortest logarithm is hardly determined and the second derivative almost singular."""
    for seed in range(5):
        Q = orthonormalize(np.eye(*shape, dtype=dtype) + distance * sample(shape, dtype, seed))
        # Some 1e-13 away, changes of the norm vanish in its rounding error.
        assert_is_a_logarithm(matrix_exp_inverse(-Q), -Q, factor=400)


@pytest.mark.parametrize("shape", [(4, 4), (5, 4), (5, 3), (6, 2), (6, 1)], ids=str)
def test_signed_permutations(shape):
    rng = np.random.default_rng(0)
    for _ in range(10):
        Q = (np.eye(shape[0])[rng.permutation(shape[0])] * rng.choice([-1, 1], shape[0]))[:, :shape[1]]
        if shape[0] == shape[1]:
            Q[0] *= np.linalg.det(Q)
        assert_is_a_logarithm(matrix_exp_inverse(Q), Q)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_determinant_minus_one_raises(dtype):
    Q = haar((2, 4, 4), dtype)
    Q[1, 0] *= -1
    with pytest.raises(ValueError, match="^Q must have determinant 1, got -1"):
        matrix_exp_inverse(Q)


def test_no_convergence_raises(monkeypatch):
    monkeypatch.setattr(module, "MOST_STEPS", 1)
    with pytest.raises(ValueError, match="^Q must be the exponential .* after 1 steps it is off by"):
        matrix_exp_inverse(haar((7, 3), np.float64))


def test_the_norm_never_grows(monkeypatch):
    """What convergence from any start rests on."""
    norms = []

    def spy(*args):
        V, Z = rotate(*args)
        norms.append((np.linalg.norm(Z), np.linalg.norm(args[2])))
        return V, Z

    rotate = module._rotate
    monkeypatch.setattr(module, "_rotate", spy)
    V = orthonormalize(sample((8, 8), seed=5))
    V[:, -1] *= np.linalg.det(V)
    Z = module.logarithm_of_unitary(V)
    plain = rotate(V, 4, -Z[4:, 4:])[1]
    assert np.linalg.norm(plain) < np.linalg.norm(Z)
    assert np.linalg.norm(module._shortest_logarithm(V, 4)) < np.linalg.norm(plain)
    assert len(norms) < 12


def test_bad_steps_are_replaced_by_zimmermanns(monkeypatch):
    """Where Newton's step does not shorten the logarithm, the gradient's does."""
    monkeypatch.setattr(module.Spectrum, "solve", lambda self, C, tolerance: -100 * C)
    Q = matrix_exp(0.4 * sample((7, 3)))
    assert_is_a_logarithm(matrix_exp_inverse(Q), Q)


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (6, 1)], ids=str)
def test_what_is_not_a_frame_is_orthonormalized(shape, dtype):
    A = sample(shape, dtype, seed=3)
    if shape == (4, 4):
        A[0] *= np.asarray(np.sign(np.linalg.det(A.real)), dtype)
    if shape == (4, 4) and np.linalg.det(orthonormalize(A.real)) < 0:
        A[0] *= -1
    Q = orthonormalize(A)
    assert_within(matrix_exp(matrix_exp_inverse(A)), Q, 60 * max(shape) * eps(dtype))
    assert gram_error(matrix_exp(matrix_exp_inverse(np.zeros(shape, dtype)))) <= 20 * eps(dtype)


def test_the_identity_gives_zero_exactly():
    for n, k in [(3, 3), (4, 3), (7, 2), (2, 7), (4, 1)]:
        assert_identical(matrix_exp_inverse(np.eye(n, k)) + 0.0, np.zeros((n, k)))


# -- the derivative ----------------------------------------------------------------------------------

def difference(f, X, D, h=1e-3):
    return (8 * (f(X + h * D) - f(X - h * D)) - (f(X + 2 * h * D) - f(X - 2 * h * D))) / (12 * h)


@COMPLEX_AND_REAL
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (6, 3), (7, 2), (4, 1), (1, 1), (4, 3)], ids=str)
def test_tangent_and_adjoint(shape, dtype):
    X = core.matrix_exp_inverse(matrix_exp(sample(shape, dtype, scale=0.3)))
    D = core.matrix_exp_inverse(matrix_exp(sample(shape, dtype, 1, scale=0.3)))
    dQ = difference(matrix_exp, X, D)
    assert_within(module.logarithm_tangent(X, dQ), D, 1e-10)
    C, E = sample(shape, dtype, 3), sample(shape, dtype, 4)
    pulled = np.vdot(module.logarithm_adjoint(X, C), E).real
    assert_within(pulled, np.vdot(C, module.logarithm_tangent(X, E)).real, 1e-13 * np.prod(shape))


@pytest.mark.parametrize("function", [module.logarithm_tangent, module.logarithm_adjoint])
def test_no_derivative_at_a_double_eigenvalue_minus_one(function):
    for Q in (-np.eye(2), -np.eye(5, 3)):
        with pytest.raises(np.linalg.LinAlgError, match="has no derivative where the eigenvalue -1"):
            function(matrix_exp_inverse(Q), np.ones(Q.shape))


def test_no_derivative_at_a_logarithm_that_is_not_the_shortest():
    X = np.zeros((4, 2))
    X[2, 0], X[3, 1], X[3, 0] = 3.0, 2.9, 0.1
    with pytest.raises(np.linalg.LinAlgError, match="has no derivative here: it is not the shortest"):
        module.logarithm_tangent(X, sample((4, 2)))
