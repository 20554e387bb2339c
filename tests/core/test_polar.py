import numpy as np
import pytest

from orthonorm.core import definitions, haar, polar
from orthonorm.core.polar import nearest_rotation
from tests import truth
from tests.helpers import (
    H, SHAPES, assert_identical, assert_within, dtypes, eps, gram_error, is_complex, peak_memory,
    real_dtypes, sample, shapes,
)


def condition(A):
    """Return how far the polar factor moves, at most, where A moves by its norm."""
    sigma = np.linalg.svd(A.astype(np.result_type(A, float)), compute_uv=False)
    if A.shape[0] != A.shape[1] or np.iscomplexobj(A):
        return sigma[0] / sigma[-1]
    return 2 * sigma[0] / sigma[-2:].sum() if len(A) > 1 else 0


def with_singular_values(sigma, shape, dtype, seed=0):
    U, V = (haar((n, len(sigma)), np.result_type(dtype, float), rng=[seed, n]) for n in shape)
    return ((U * sigma) @ H(V)).astype(dtype)


def excess(P, A):
    """Return how far P^H A is from Hermitian and positive semidefinite, relative to A."""
    P, A = (X if A.shape[-2] >= A.shape[-1] else X.swapaxes(-1, -2) for X in (P, A))
    M = H(P) @ A
    lowest = np.linalg.eigvalsh((M + H(M)) / 2).min(initial=0)
    size = np.abs(A).max() or 1
    return max(np.abs(M - H(M)).max() / size, -lowest / size)


@dtypes
@shapes
@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
def test_is_that_of_50_digits(shape, dtype, scale):
    A = sample(shape, dtype, scale=scale)
    tolerance = max(shape) * eps(dtype) * (4 + condition(A))
    assert truth.error(polar(A), truth.polar(A)) <= tolerance
    assert_within(polar(A), definitions.polar(A), tolerance)


@dtypes
@pytest.mark.parametrize("shape", SHAPES + [(40, 40), (60, 25), (25, 60), (2, 7, 3)], ids=str)
@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1, 1e4, 1e30])
def test_is_orthonormal_and_leaves_a_positive_factor(shape, dtype, scale):
    """These two properties define it."""
    A = sample(shape, dtype, scale=scale)
    P = polar(A)
    assert gram_error(P) <= 8 * max(shape) * eps(dtype)
    assert excess(P, A) <= 8 * max(shape) * eps(dtype)


@dtypes
@pytest.mark.parametrize("shape", [(5, 5), (8, 4), (4, 8)], ids=str)
@pytest.mark.parametrize("exponent", [2, 6, 12, 15])
def test_is_accurate_at_any_condition(shape, dtype, exponent):
    """No less than its condition lets it be: the smallest singular values alone limit it."""
    sigma = np.logspace(0, -exponent, min(shape))
    for seed in range(3):
        A = with_singular_values(sigma, shape, dtype, seed)
        P = polar(A)
        assert gram_error(P) <= 8 * max(shape) * eps(dtype)
        assert excess(P, A) <= 8 * max(shape) * eps(dtype)
        assert truth.error(P, truth.polar(A)) <= max(shape) * eps(dtype) * (4 + condition(A))


@real_dtypes
def test_one_small_singular_value_of_a_real_square_matrix_costs_nothing(dtype):
    A = with_singular_values([3, 2, 1, 1e-5], (4, 4), dtype)
    assert truth.error(polar(A), truth.polar(A)) <= 40 * eps(dtype)


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6)], ids=str)
def test_no_frame_is_nearer(shape, dtype):
    """In the 2-norm, the Frobenius and the nuclear norm, which are those of the values s - 1."""
    A = sample(shape, dtype)
    sigma = np.linalg.svd(A, compute_uv=False)
    for order, nearest in [(2, max(abs(sigma - 1))), ("fro", np.linalg.norm(sigma - 1)),
                           ("nuc", sum(abs(sigma - 1)))]:
        def distance(Q):
            return np.linalg.norm(A - Q, order)
        assert abs(distance(polar(A)) - nearest) <= 100 * eps(dtype)
        frames = [haar(shape, dtype, rng=seed) for seed in range(50)]
        near = [polar(polar(A) + dtype(0.01) * sample(shape, dtype, seed)) for seed in range(50)]
        assert min(map(distance, frames + near)) >= nearest - 100 * eps(dtype)


@dtypes
@shapes
def test_a_frame_is_its_own_factor(shape, dtype):
    Q = haar(shape, dtype, rng=1)
    assert_within(polar(Q), Q, 8 * max(shape) * eps(dtype))
    assert_within(polar(-3 * Q), -Q, 8 * max(shape) * eps(dtype))


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
    assert gram_error(polar(A)) <= 8 * max(shape) * eps(dtype)
    assert excess(polar(A), A) <= 8 * max(shape) * eps(dtype)


@dtypes
def test_zero_gives_the_identity(dtype):
    for shape in [(3, 3), (4, 2), (2, 4)]:
        assert_identical(polar(np.zeros(shape, dtype)), np.eye(*shape, dtype=dtype))


@dtypes
@pytest.mark.parametrize("end", ["smallest", "largest"])
def test_whole_range_of_the_dtype(dtype, end):
    """Entries near both ends of the range, in one stack with ordinary ones."""
    limits = np.finfo(dtype)
    scale = limits.max if end == "largest" else 64 * limits.smallest_subnormal
    plain = np.random.default_rng(0).integers(-8, 9, (5, 4)) / np.asarray(8, limits.dtype)
    plain = (plain * (1 + 1j if is_complex(dtype) else 1)).astype(dtype)
    A = np.stack([plain, (scale * plain).astype(dtype)])
    assert np.all(np.isfinite(A))
    for P, of in zip(polar(A), A):
        assert truth.error(P, truth.polar(of)) <= 40 * eps(dtype)


def test_nothing_n_by_n():
    n, k = 200_000, 2  # n x n would be 320 GB
    A = sample((n, k))
    P, peak = peak_memory(polar, A)
    assert peak < 20 * A.nbytes
    assert gram_error(P) <= n**0.5 * eps(float)


@real_dtypes
@pytest.mark.parametrize("n", [1, 2, 5])
def test_nearest_rotation(n, dtype):
    """The polar factor where its determinant is 1; else it gives up the smallest singular value."""
    determinants = set()
    for seed in range(10):
        A = sample((n, n), dtype, seed)
        R, P, sigma = nearest_rotation(A), polar(A), np.linalg.svd(A, compute_uv=False)
        assert gram_error(R) <= 8 * n * eps(dtype)
        assert abs(np.linalg.det(R) - 1) <= 20 * n * eps(dtype)
        sign = round(float(np.linalg.det(P)))
        determinants.add(sign)
        sigma[-1] *= sign
        assert abs(np.linalg.norm(A - R) - np.linalg.norm(sigma - 1)) <= 50 * eps(dtype)
        if sign == 1:
            assert_within(R, P, 8 * n * eps(dtype))
    assert determinants == {-1, 1}
