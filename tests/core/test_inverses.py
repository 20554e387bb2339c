import numpy as np
import pytest

from orthonorm.core.inverses import inverse, inverse_accretive, solve_upper
from orthonorm.core.matrices import H
from tests.helpers import assert_identical, assert_within, dtypes, eps, layouts, sample

BATCHES = [(), (1,), (3,), (2, 2), (0,), (2, 0)]


def triangle(shape, dtype, seed=0):
    """Draw a matrix whose upper triangle is well conditioned, and whose lower one is not zero."""
    U = sample(shape, dtype, seed)
    k = shape[-1]
    return U + 4 * np.eye(k, dtype=dtype) if k else U


@dtypes
@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.parametrize("k", [0, 1, 4])
def test_inverse(k, batch, dtype):
    S = triangle((*batch, k, k), dtype)
    before = S.copy()
    Y = inverse(S)
    assert Y.shape == S.shape and Y.dtype == dtype
    condition = np.max(np.linalg.cond(S), initial=1) if k else 1
    assert_within(Y @ S, np.broadcast_to(np.eye(k, dtype=dtype), S.shape),
                  8 * 4 * eps(dtype) * condition)
    assert_identical(S, before)


@pytest.mark.parametrize("batch", [(), (2,)], ids=str)
def test_inverse_of_a_singular_matrix_raises(batch):
    with pytest.raises(np.linalg.LinAlgError):
        inverse(np.ones((*batch, 2, 2)))


@dtypes
@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.parametrize("k, m", [(4, 2), (4, 4), (1, 3), (3, 0), (0, 3), (0, 0)])
def test_solve_upper(k, m, batch, adjoint, dtype):
    U, B = triangle((*batch, k, k), dtype), sample((*batch, k, m), dtype, seed=1)
    before = U.copy(), B.copy()
    X = solve_upper(U, B, adjoint=adjoint)
    assert X.shape == B.shape and X.dtype == dtype
    upper = np.triu(U)
    operator = upper.conj().swapaxes(-1, -2) if adjoint else upper
    assert_within(operator @ X, B, 8 * 4 * eps(dtype) * 10 * np.max(np.abs(B), initial=1))
    assert_identical(U, before[0])
    assert_identical(B, before[1])


@dtypes
def test_solve_upper_in_any_layout(dtype):
    U, B = triangle((3, 3), dtype), sample((3, 2), dtype, seed=1)
    for adjoint in (False, True):
        X = solve_upper(U, B, adjoint)
        for name, view in layouts(U).items():
            assert_within(solve_upper(view, layouts(B)[name], adjoint), X, 100 * eps(dtype))


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("batch", [(), (2,)], ids=str)
def test_solve_upper_with_a_zero_on_the_diagonal_raises(batch, adjoint):
    U = np.broadcast_to(np.array([[1.0, 2.0], [5.0, 0.0]]), (*batch, 2, 2))
    with pytest.raises(np.linalg.LinAlgError):
        solve_upper(U, np.ones((*batch, 2, 1)), adjoint=adjoint)


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("zero", range(5))
def test_solve_upper_with_a_zero_anywhere_on_the_diagonal_raises(zero, adjoint):
    for seed in range(20):  # an elimination that exchanged rows would round the zero
        U = sample((5, 5), seed=seed)
        U[zero, zero] = 0
        with pytest.raises(np.linalg.LinAlgError):
            solve_upper(U, np.eye(5), adjoint=adjoint)


def substitution(A, B, rows):
    """Solve a triangular system in extended precision, in the order of rows that its shape asks for."""
    A = A.astype(np.result_type(A, np.longdouble))
    X = np.zeros(B.shape, A.dtype)
    for i in rows:
        X[i] = (B[i] - A[i] @ X) / A[i, i]
    return X


@dtypes
@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("grading", [1e-9, 1e9], ids=str)
def test_solve_upper_of_a_graded_matrix_is_as_accurate_as_substitution(grading, adjoint, dtype):
    """In each entry (Higham 2002, theorem 8.5). An exchange of rows would lose digits."""
    k = 30
    factors = grading ** (np.arange(k) / k)
    U = (np.triu(sample((k, k)) / k, 1) + np.eye(k)) * factors[:, None] / factors
    U, B = U.astype(dtype), sample((k, 2), dtype, 1)
    A, rows = (H(U), range(k)) if adjoint else (U, range(k)[::-1])
    exact, inverted = substitution(A, B, rows), substitution(A, np.eye(k), rows)
    bound = k * eps(dtype) * np.abs(inverted) @ (np.abs(A) @ np.abs(exact))
    assert np.all(np.abs(solve_upper(U, B, adjoint) - exact) <= bound)


@dtypes
@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (5, 5), (65, 65), (200, 200), (3, 9, 9),
                                   (2, 2, 31, 31)], ids=str)
def test_accretive_matrices_are_inverted(shape, dtype):
    """Of Hermitian part I and a moderate skew part, whose leading blocks alone are nearly singular."""
    K = sample(shape, dtype)
    S = np.eye(shape[-1], dtype=dtype) + 3 * (K - H(K)) / max(1, shape[-1])**0.5
    identity = np.broadcast_to(np.eye(shape[-1], dtype=dtype), shape)
    assert_within(inverse_accretive(S) @ S, identity, 50 * max(1, shape[-1])**0.5 * eps(dtype))
