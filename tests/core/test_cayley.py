import numpy as np
import pytest

from orthonorm.core import cayley
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
