import numpy as np
import pytest

from orthonorm.core import orthonormalize
from tests import truth
from tests.helpers import (
    H, SHAPES, assert_identical, assert_within, dtypes, eps, gram_error, is_complex, peak_memory,
    sample, shapes,
)


def tall_of(A):
    return A if A.shape[-2] >= A.shape[-1] else np.swapaxes(A, -1, -2)


# A change of eps ||A|| in A moves Q by at most about eps times the condition number of A.
@dtypes
@shapes
@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
def test_is_what_gram_and_schmidt_would_get(shape, dtype, scale):
    A = sample(shape, dtype, scale=scale)
    tolerance = 4 * max(shape) * eps(dtype) * np.linalg.cond(A)
    assert truth.error(orthonormalize(A), truth.orthonormalize(A)) <= tolerance


@dtypes
@pytest.mark.parametrize("shape", SHAPES + [(40, 40), (60, 25), (25, 60)], ids=str)
@pytest.mark.parametrize("scale", [1e-3, 1, 1e2, 1e4, 1e30])
def test_is_orthonormal_at_any_scale(shape, dtype, scale):
    assert gram_error(orthonormalize(sample(shape, dtype, scale=scale))) <= 8 * max(shape) * eps(dtype)


@dtypes
@shapes
def test_r_has_a_positive_diagonal(shape, dtype):
    for seed in range(5):
        A = tall_of(sample(shape, dtype, seed))
        R = H(orthonormalize(A)) @ A
        size = np.linalg.norm(A) * max(shape) * eps(dtype)
        assert np.all(np.diagonal(R).real > size)
        assert np.abs(np.diagonal(R).imag).max() <= 4 * size
        assert np.abs(np.tril(R, -1)).max() <= 4 * size


@dtypes
@shapes
def test_a_frame_is_its_own_factor(shape, dtype):
    Q = orthonormalize(sample(shape, dtype))
    assert_within(orthonormalize(Q), Q, 8 * max(shape) * eps(dtype))


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (1, 1), (4, 1), (1, 4), (2, 5, 3)], ids=str)
@pytest.mark.parametrize("kind", ["zero", "zero column", "rank one", "ones", "equal columns"])
def test_rank_deficient_gives_a_frame(shape, dtype, kind):
    A = np.zeros(shape, dtype)
    if kind == "zero column":
        A += sample(shape, dtype)
        A[..., :, 0] = 0
        A[..., 0, :] = 0
    elif kind == "rank one":
        A += sample(shape[:-1] + (1,), dtype) * sample(shape[:-2] + (1, shape[-1]), dtype)
    elif kind == "ones":
        A += 1
    elif kind == "equal columns":
        A += sample(shape[:-1] + (1,), dtype)
    assert gram_error(orthonormalize(A)) <= 8 * max(shape) * eps(dtype)


@dtypes
def test_zero_gives_the_identity(dtype):
    for shape in [(3, 3), (4, 2), (2, 4)]:
        assert_identical(orthonormalize(np.zeros(shape, dtype)), np.eye(*shape, dtype=dtype))


def test_negative_definite_and_complex_phase():
    """The diagonal of R is positive, so the factor takes the sign and the phase."""
    assert_identical(orthonormalize(-2 * np.eye(2)), -np.eye(2))
    assert_within(orthonormalize(np.array([[3j]])), np.array([[1j]]), 1e-15)


def test_nothing_n_by_n():
    n, k = 200_000, 2  # n x n would be 320 GB
    A = sample((n, k))
    Q, peak = peak_memory(orthonormalize, A)
    assert peak < 20 * A.nbytes
    assert gram_error(Q) <= n**0.5 * eps(float)


@dtypes
@pytest.mark.parametrize("end", ["smallest", "largest"])
def test_whole_range_of_the_dtype(dtype, end):
    """Columns near both ends of the range: the norm of some over- or underflows when squared."""
    limits = np.finfo(dtype)
    scale = limits.max if end == "largest" else 64 * limits.smallest_subnormal
    A = np.random.default_rng(0).integers(-8, 9, (2, 5, 4)) / np.asarray(8, limits.dtype)
    A = (scale * A * (1 + 1j if is_complex(dtype) else 1)).astype(dtype)
    A[..., 0] = np.eye(5)[0]
    assert np.all(np.isfinite(A))
    for i in range(2):
        error = truth.error(orthonormalize(A)[i], truth.orthonormalize(A[i]))
        assert error <= 40 * eps(dtype)
