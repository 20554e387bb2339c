import numpy as np
import pytest

from orthonorm.core import cayley, cayley_inverse, orthonormalize
from orthonorm.core.cayley import resolvent
from tests import truth
from tests.helpers import (
    SHAPES, assert_identical, assert_within, dtypes, eps, gram_error, is_complex, peak_memory, sample,
    shapes, skew_norm,
)


# I - A/2 has condition number at most 1 + ||A||/2, which bounds the error of any stable solver.
@dtypes
@shapes
@pytest.mark.parametrize("scale", [1e-3, 1, 30])
def test_is_the_cayley_transform_of_the_skew_matrix(shape, dtype, scale):
    X = sample(shape, dtype, scale=scale)
    tolerance = 4 * max(shape) * eps(dtype) * max(1, skew_norm(X))
    assert truth.error(cayley(X), truth.cayley(X)) <= tolerance


@dtypes
@pytest.mark.parametrize("shape", SHAPES + [(40, 40), (60, 25), (25, 60)], ids=str)
@pytest.mark.parametrize("scale", [1e-3, 1, 1e2, 1e4])
def test_is_orthonormal_at_any_scale(shape, dtype, scale):
    X = sample(shape, dtype, scale=scale)
    assert gram_error(cayley(X)) <= 20 * max(shape) * eps(dtype)


@dtypes
def test_zero_gives_the_identity_exactly(dtype):
    for n, k in [(3, 3), (4, 3), (7, 2), (2, 7)]:
        assert_identical(cayley(np.zeros((n, k), dtype)), np.eye(n, k, dtype=dtype))


@pytest.mark.parametrize("huge", [1e20, 1e100, 1e200, 1e307])
@pytest.mark.parametrize("shape", [(4, 4), (5, 1), (7, 2)], ids=str)
def test_huge_input_is_still_mapped_to_a_frame(shape, huge):
    assert gram_error(cayley(huge * sample(shape))) <= 20 * max(shape) * eps(float)


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 5), (5, 3), (7, 2), (3, 5)], ids=str)
@pytest.mark.parametrize("scale", [1e5, 1e6, 1e9, 1e13, 1e20, 1e30])
def test_a_large_matrix_keeps_all_digits(shape, dtype, scale):
    """Also where A is singular, as for odd n: Q has the eigenvalue 1 there, and -1 elsewhere."""
    X = sample(shape, dtype, scale=scale)
    assert truth.error(cayley(X), truth.cayley(X)) <= 12 * eps(dtype)


def test_a_huge_matrix_of_a_stack_leaves_the_others_alone():
    X = sample((3, 5, 3), scale=10)
    X[1] *= 1e20
    assert_identical(cayley(X)[::2], cayley(X[::2]))
    assert truth.error(cayley(X)[0], truth.cayley(X[0])) <= 100 * eps(float)


@pytest.mark.parametrize("n", [2, 3, 9])
def test_one_column_is_a_stereographic_projection(n):
    b = sample((n - 1,))
    q = 1 + b @ b / 4
    Q = cayley(np.concatenate([[7.0], b])[:, None])
    assert_within(Q[:, 0], np.concatenate([[2 / q - 1], b / q]), 4e-16 * n)


def test_2x2_is_a_rotation():
    for t in (0.3, -2.0, 50.0):
        c, s = np.cos(2 * np.arctan(t / 2)), np.sin(2 * np.arctan(t / 2))
        assert_within(cayley(np.array([[0, 0], [t, 0]])), np.array([[c, -s], [s, c]]), 4e-16 * 50)


def test_1x1_is_a_phase():
    assert_within(cayley(np.array([[0.3 + 1.7j]])), np.array([[(1 + 1.7j) / (1 - 1.7j)]]), 1e-15)


def test_nothing_n_by_n():
    n, k = 200_000, 2  # n x n would be 320 GB
    X = sample((n, k), scale=n**-0.5)
    Q, peak = peak_memory(cayley, X)
    assert peak < 20 * X.nbytes
    assert gram_error(Q) <= n**0.5 * eps(float)


# X that stand for an A of norm 1e4 with eigenvalues of order 1, so that I - A/2 has condition 1e4.
def one_large_plane(shape, dtype):
    n, k = shape
    u, v = np.linalg.qr(sample((n, 2), seed=4))[0].T
    u[k:] = 0
    return (sample(shape) + 1e4 * (np.outer(u, v) - np.outer(v, u))[:, :k]).astype(dtype)


@dtypes
@pytest.mark.parametrize("shape", [(5, 5), (6, 4), (9, 2)], ids=str)
def test_condition_of_a_large_matrix_costs_no_digits(shape, dtype):
    X = one_large_plane(shape, dtype)
    assert skew_norm(X) > 1e3
    assert truth.error(cayley(X), truth.cayley(X)) <= 4 * eps(dtype)


@dtypes
@pytest.mark.parametrize("shape", [(5, 5), (6, 4), (9, 2), (2, 3, 2), (2, 1, 7, 2)], ids=str)
def test_resolvent_solves_the_dense_system(shape, dtype):
    X, G = sample(shape, dtype), sample((*shape[:-1], 3), dtype, 1)
    J = resolvent(X, G)
    assert J.dtype == dtype
    for index in np.ndindex(shape[:-2]):
        n, k = shape[-2:]
        A = np.zeros((n, n), X.dtype)
        A[:, :k] = np.tril(X[index])
        A = A - A.conj().T
        assert_within((np.eye(n) - A / 2) @ J[index], G[index].astype(A.dtype), 30 * eps(dtype))


# -- the inverse -------------------------------------------------------------------------------------

def lower(X):
    """Keep what the map reads: below the diagonal (right of it), the imaginary part on it."""
    wide = X.shape[-2] < X.shape[-1]
    tall = X.swapaxes(-1, -2) if wide else X
    L, i = np.tril(tall, -1), np.arange(tall.shape[-1])
    if is_complex(X.dtype):
        L[..., i, i] = 1j * tall[..., i, i].imag
    return L.swapaxes(-1, -2) if wide else L


INVERSE_SHAPES = SHAPES + [(40, 40), (60, 25), (25, 60), (3, 6, 2), (2, 2, 2, 5), (2, 3, 3)]


@dtypes
@pytest.mark.parametrize("shape", INVERSE_SHAPES, ids=str)
@pytest.mark.parametrize("scale", [1e-3, 0.1, 1])
def test_inverse_finds_the_only_preimage(shape, dtype, scale):
    X = lower(sample(shape, dtype, scale=scale / np.sqrt(max(shape))))
    Y = cayley_inverse(cayley(X))
    assert Y.dtype == dtype
    assert_within(Y, X, 100 * max(shape) * eps(dtype))
    assert not np.any(Y[lower(np.ones(shape, dtype)) == 0].real)


@dtypes
@pytest.mark.parametrize("shape", INVERSE_SHAPES, ids=str)
def test_inverse_undoes_the_map_at_any_frame(shape, dtype):
    X = sample(shape, dtype, 3)
    Q = cayley(X)
    Y = cayley_inverse(Q)
    assert_within(cayley(Y), Q, 4 * max(shape[-2:]) * eps(dtype) * max(1, np.linalg.norm(Y, axis=(
        -2, -1)).max()))


@dtypes
@shapes
def test_the_cayley_transform_in_50_digits_gives_the_frame_back(shape, dtype):
    Q = cayley(sample(shape, dtype, 5))
    X = cayley_inverse(Q)
    tolerance = 4 * max(shape) * eps(dtype) * max(1, skew_norm(X))
    assert truth.error(Q, truth.cayley(X)) <= tolerance


def test_inverse_of_a_rotation():
    for angle in (0.3, -2.0, 3.0):
        c, s = np.cos(angle), np.sin(angle)
        X = cayley_inverse(np.array([[c, -s], [s, c]]))
        t = 2 * np.tan(angle / 2)
        assert_within(X, np.array([[0, 0], [t, 0]]), 1e-15 * t**2 + 1e-15)


def test_inverse_of_one_column_is_stereographic():
    q = cayley(sample((5, 1)))
    assert_within(cayley_inverse(q)[1:], q[1:] * 2 / (1 + q[0]), 1e-15)


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (6, 1)], ids=str)
def test_inverse_orthonormalizes_what_is_not_a_frame(shape, dtype):
    frame = cayley(sample(shape, dtype, 1))
    L = np.tril(sample((min(shape),) * 2, dtype), -1) * 0.1 + 2 * np.eye(min(shape), dtype=dtype)
    A = L @ frame if shape[0] < shape[1] else frame @ L.T
    norm = max(1, np.abs(cayley_inverse(frame)).max())
    assert_within(cayley(cayley_inverse(A)), frame, 200 * norm * eps(dtype))


def minus_one(shape, dtype):
    """A random frame whose square block has the eigenvalue -1."""
    k = min(shape)
    tall = np.zeros((max(shape), k), dtype)
    tall[0, 0] = -1
    tall[1:, 1:] = orthonormalize(sample((max(shape) - 1, k - 1), dtype))
    P = orthonormalize(sample((k, k), dtype, 2))
    tall = np.concatenate([P @ tall[:k], tall[k:]]) @ P.conj().T
    return tall.T if shape[0] < shape[1] else tall


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (7, 2)], ids=str)
def test_an_eigenvalue_minus_one_raises(shape, dtype):
    for Q in (minus_one(shape, dtype), -np.eye(*shape, dtype=dtype)):
        try:
            X = cayley_inverse(Q)
        except ValueError as error:
            assert str(error).startswith("Q must not have the eigenvalue -1")
        else:  # rounding moved the eigenvalue so far that the map does come there
            assert not np.array_equal(Q, -np.eye(*shape))
            assert_within(cayley(X), Q, np.sqrt(eps(dtype)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_inverse_of_a_reflection_raises(dtype):
    Q = orthonormalize(sample((3, 4, 4), dtype))
    Q[..., 0] *= np.sign(np.linalg.det(Q))[:, None]
    cayley_inverse(Q)
    Q[1, :, 0] *= -1
    with pytest.raises(ValueError, match="^Q must not have the eigenvalue -1 in its square block"):
        cayley_inverse(Q)


@pytest.mark.parametrize("angle", 10.0 ** -np.arange(1, 15))
@pytest.mark.parametrize("shape", [(2, 2), (3, 1), (3, 2), (6, 3)], ids=str)
def test_inverse_near_the_eigenvalue_minus_one_is_right_or_raises(shape, angle):
    """Never an answer that the map does not bring back to half of the digits."""
    benign = shape in [(2, 2), (3, 1)]
    c, s = np.cos(np.pi - angle), np.sin(np.pi - angle)
    R = np.eye(shape[0])
    R[np.ix_([0, -1], [0, -1])] = [[c, -s], [s, c]]
    P = orthonormalize(sample((shape[1],) * 2))
    Q = R[:, :shape[1]] @ P.T
    Q[:shape[1]] = P @ Q[:shape[1]]
    try:
        X = cayley_inverse(Q)
    except ValueError as error:
        assert str(error).startswith("Q must not have the eigenvalue -1")
        assert angle <= (1e-7 if benign else 1e-4)
    else:
        norm = np.linalg.norm(X)
        error = 4 * len(Q) * eps(float) * (norm if benign else norm**2)
        assert_within(cayley(X), Q, min(max(1e-14, error), eps(float)**0.5))


def test_inverse_warns_of_nothing(recwarn):
    with pytest.raises(ValueError):
        cayley_inverse(np.diag([1.0, -1.0 + 1e-16, 1.0]))
    assert not recwarn.list


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (2, 2), (5, 2), (2, 5), (4, 1), (6, 4)], ids=str)
def test_a_huge_matrix_is_mapped_to_the_exact_answer(shape, dtype):
    """But for a real A of odd order, which is singular: its null vector needs extended precision."""
    for scale in (1e17, 1e20, 1e30):
        X = sample(shape, dtype, scale=scale)
        assert truth.error(cayley(X), truth.cayley(X)) <= 20 * max(shape) * eps(dtype)
