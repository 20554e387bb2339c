import numpy as np
import pytest

from orthonorm.core import matrix_exp
from tests import truth
from tests.helpers import (
    SHAPES, assert_identical, assert_within, dtypes, eps, gram_error, peak_memory, sample,
    shapes, skew_norm,
)

LIMIT = 0.01 / eps(float)


# The exponential of a normal matrix has condition number ||A||: a relative error of eps in the input
# moves the answer by eps ||A||. Sums of n products add a factor of n.
@dtypes
@shapes
@pytest.mark.parametrize("scale", [1e-3, 1, 30])
def test_is_the_exponential_of_the_skew_matrix(shape, dtype, scale):
    X = sample(shape, dtype, scale=scale)
    tolerance = 4 * max(shape) * eps(dtype) * max(1, skew_norm(X))
    assert truth.error(matrix_exp(X), truth.matrix_exp(X)) <= tolerance


@dtypes
@pytest.mark.parametrize("shape", SHAPES + [(40, 40), (60, 25), (25, 60)], ids=str)
@pytest.mark.parametrize("scale", [1e-3, 1, 1e2, 1e4, 1e11])
def test_is_orthonormal_at_any_scale(shape, dtype, scale):
    X = sample(shape, dtype, scale=scale)
    lost = eps(dtype) * min(100, max(1, skew_norm(X)))
    assert gram_error(matrix_exp(X)) <= 4 * max(shape) * lost


@dtypes
def test_zero_gives_the_identity_exactly(dtype):
    for n, k in [(3, 3), (4, 3), (7, 2), (2, 7)]:
        assert_identical(matrix_exp(np.zeros((n, k), dtype)), np.eye(n, k, dtype=dtype))


@dtypes
def test_tiny_input_keeps_its_digits(dtype):
    """To first order Q = [I; B]: entries of 1e-20 must not vanish beside the identity."""
    X = sample((7, 2), dtype, scale=1e-20)
    assert_within(matrix_exp(X)[2:] * 1e20, X[2:] * 1e20, 8 * eps(dtype) * np.abs(X * 1e20).max())


@pytest.mark.parametrize("n", [2, 3, 9])
def test_one_column_is_a_great_circle(n):
    b = sample((n - 1,))
    r = np.linalg.norm(b)
    Q = matrix_exp(np.concatenate([[7.0], b])[:, None])
    assert_within(Q[:, 0], np.concatenate([[np.cos(r)], np.sin(r) * b / r]), 4e-16 * n)


def test_2x2_is_a_rotation():
    for t in (0.3, -2.0, 50.0):
        c, s = np.cos(t), np.sin(t)
        assert_within(matrix_exp(np.array([[0, 0], [t, 0]])), np.array([[c, -s], [s, c]]), 4e-16 * 50)


def test_1x1_is_a_phase():
    x = 0.3 + 1.7j
    assert_within(matrix_exp(np.array([[x]])), np.array([[np.exp(3.4j)]]), 1e-15)


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (7, 2), (2, 7)], ids=str)
def test_norm_beyond_the_limit_raises(shape, dtype):
    """The Frobenius norm is at most twice the 2-norm for matrices of rank 4."""
    X = sample(shape)
    X *= LIMIT / skew_norm(X)
    assert gram_error(matrix_exp((X / 2).astype(dtype))) <= 20 * eps(dtype)
    with pytest.raises(ValueError, match="^X must stand for a skew matrix of norm at most"):
        matrix_exp((1.01 * X).astype(dtype))


def test_one_too_large_matrix_of_a_stack_raises():
    X = np.zeros((2, 3, 3))
    X[1, 2, 0] = 1e14
    with pytest.raises(ValueError, match="X must stand for"):
        matrix_exp(X)


@pytest.mark.parametrize("huge", [1e100, 1e200, 1e308])
def test_norm_whose_square_overflows_raises(huge):
    with pytest.raises(ValueError, match="X must stand for"):
        matrix_exp(np.full((3, 2), huge))


def test_what_is_not_read_may_be_huge():
    X = np.triu(np.full((3, 3), 1e30))
    assert_identical(matrix_exp(X), np.eye(3))


@dtypes
def test_stack_of_very_different_norms(dtype):
    """Each matrix has its own number of squarings and its own scale s."""
    scales = [0, 1e-6, 1, 30, 1e-2, 3]
    for shape in [(4, 4), (7, 2)]:
        X = np.stack([sample(shape, dtype, seed, scale) for seed, scale in enumerate(scales)])
        for Q, x in zip(matrix_exp(X), X):
            tolerance = 4 * shape[0] * eps(dtype) * max(1, skew_norm(x))
            assert truth.error(Q, truth.matrix_exp(x)) <= tolerance


@dtypes
@pytest.mark.parametrize("shape", [(16, 5), (8, 3), (20, 2)], ids=str)
def test_ill_conditioned_blocks_lose_nothing(shape, dtype):
    """B is small but for one large direction, the square of which would drown the others."""
    n, k = shape
    u, v = sample((2, n), dtype)
    u[k:] = 0
    size = 300 / (np.linalg.norm(u) * np.linalg.norm(v))
    plane = size * (np.outer(u, v.conj()) - np.outer(v, u.conj()))
    X = sample(shape, dtype) + plane[:, :k].astype(dtype)
    tolerance = 1.5 * eps(dtype) * skew_norm(X)
    assert truth.error(matrix_exp(X), truth.matrix_exp(X)) <= tolerance
    assert gram_error(matrix_exp(X)) <= tolerance


def test_nothing_n_by_n():
    n, k = 200_000, 2  # n x n would be 320 GB
    X = sample((n, k), scale=n**-0.5)
    Q, peak = peak_memory(matrix_exp, X)
    assert peak < 20 * X.nbytes
    assert gram_error(Q) <= n**0.5 * eps(float)
