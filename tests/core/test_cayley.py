import numpy as np
import pytest

from orthonorm.core import cayley
from orthonorm.core.cayley import resolvent
from tests import truth
from tests.helpers import (
    SHAPES, assert_identical, assert_within, dtypes, eps, gram_error, peak_memory, sample, shapes,
    skew_norm,
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


@pytest.mark.parametrize("huge", [1e20, 1e100, 1e200])
@pytest.mark.parametrize("shape", [(4, 4), (5, 1), (7, 2)], ids=str)
def test_huge_input_is_still_mapped_to_a_frame(shape, huge):
    assert gram_error(cayley(huge * sample(shape))) <= 20 * max(shape) * eps(float)


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
@pytest.mark.parametrize("shape", [(5, 5), (6, 4), (9, 2), (2, 3, 2)], ids=str)
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
