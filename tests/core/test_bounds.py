"""The bounds hold for the exact singular value of the stored numbers: held against exact arithmetic."""
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from orthonorm.core import spectral_norm_bounds
from orthonorm.core.bounds import bounds_and_vector
from tests import truth
from tests.helpers import (
    H, assert_identical, assert_within, dtypes, empty_shapes, eps, is_complex, layouts, sample, shapes,
)


def real_form(W):
    """Return [[Re W, -Im W], [Im W, Re W]], which has the singular values of W, each twice."""
    return np.block([[W.real, -W.imag], [W.imag, W.real]]) if np.iscomplexobj(W) else W


def is_positive(A, definite):
    """Tell by symmetric elimination whether a matrix of fractions is positive (semi-)definite."""
    A = [list(row) for row in A]
    while A:
        pivot, row = A[0][0], A[0][1:]
        if pivot < 0 or pivot == 0 and (definite or any(row)):
            return False
        A = [[a - (x * y / pivot if pivot else 0) for a, y in zip(below[1:], row)]
             for x, below in zip(row, A[1:])]
    return True


def encloses(bounds, W):
    """Tell of each bound whether it is one: by c^2 I - W^T W, in exact arithmetic."""
    W = real_form(W if W.shape[0] >= W.shape[1] else H(W))
    columns = [[Fraction(float(x)) for x in column] for column in W.T]
    gram = [[sum(x * y for x, y in zip(a, b)) for b in columns] for a in columns]

    def shifted(c):
        return [[Fraction(float(c))**2 * (i == j) - x for j, x in enumerate(row)]
                for i, row in enumerate(gram)]
    return (not is_positive(shifted(bounds.lower), definite=True),
            is_positive(shifted(bounds.upper), definite=False))


def exact_norm(W):
    """Compute the largest singular value with 50 digits."""
    with mpmath.workdps(truth.DIGITS):
        A = truth.exactly(real_form(W))
        return max(mpmath.svd_r(A, compute_uv=False)) if min(W.shape) > 1 else mpmath.norm(A[:, 0])


def hadamard(n):
    return np.ones((1, 1)) if n == 1 else np.kron(hadamard(n // 2), [[1.0, 1.0], [1.0, -1.0]])


def rotated(singular_values, seed=0):
    n = len(singular_values)
    U, V = (np.linalg.qr(sample((n, n), seed=s))[0] for s in (seed, seed + 1))
    return U * singular_values @ V


ADVERSARIAL = {
    "identity": np.eye(5),
    "one": np.array([[1.0]]),
    "a third": np.full((1, 1), 1 / 3),
    "Hadamard": hadamard(8),
    "rotation": rotated(np.ones(5)),
    "clustered": rotated(1 + np.arange(6) * 2.0**-50),
    "two equal": rotated([1, 1, 1e-3, 1e-8]),
    "one and dust": rotated([1, 1e-8, 1e-16, 1e-16]),
    "rank one": np.outer(sample((5,)), sample((4,), seed=1)),
    "all equal": np.full((5, 4), 0.1),
    "alternating signs": np.outer([1, -1, 1, -1], [0.1, -0.1, 0.1]),
    "Hilbert": 1 / (np.arange(5)[:, None] + np.arange(5) + 1),
    "graded": np.diag(10.0**-np.arange(0, 12, 2)) + np.triu(np.full((6, 6), 1e-9)),
    "spread": sample((4, 4)) * 10.0**np.array([-9, -3, 3, 9]),
    "last column": np.eye(5, 4, k=-1) * np.array([1e-8, 1e-8, 1e-8, 1.0]),
    "nilpotent": np.triu(np.full((5, 5), 0.7), 1),
    "not normal": np.eye(4) + np.diag([1e6, 1e6, 1e6], 1),
    "one row": sample((1, 6)),
    "wide": sample((3, 7)),
}


@dtypes
@pytest.mark.parametrize("name", ADVERSARIAL)
def test_encloses_the_exact_norm(name, dtype):
    W = ADVERSARIAL[name].astype(dtype)
    if is_complex(dtype):
        W = W * np.exp(1j * np.arange(W.shape[1])).astype(dtype)
    for n_iterations in (1, 10, 100):
        assert encloses(spectral_norm_bounds(W, n_iterations), W) == (True, True)


@dtypes
def test_encloses_random_matrices(dtype):
    """Of which half would break a bound that is computed without counting the rounding."""
    rng = np.random.default_rng(0)
    for seed in range(30):
        W = sample(tuple(rng.integers(1, 5, size=2)), dtype, seed)
        assert encloses(spectral_norm_bounds(W), W) == (True, True)


@dtypes
@pytest.mark.parametrize("shape", [(20, 20), (40, 6), (6, 40)], ids=str)
def test_encloses_larger_matrices(shape, dtype):
    for seed in range(3):
        W = sample(shape, dtype, seed)
        lower, upper = spectral_norm_bounds(W)
        assert lower <= exact_norm(W) <= upper


@pytest.mark.parametrize("shape, n_iterations", [((30000, 2), 10), ((64, 64), 1), ((2, 3000), 5)])
def test_rounding_errors_that_add_up_are_counted(shape, n_iterations):
    """All terms of each sum are equal, so that each addition may err to the same side."""
    for c in np.arange(0.05, 1, 0.05):
        lower, upper = spectral_norm_bounds(np.full(shape, c), n_iterations)
        exact_square = Fraction(float(c))**2 * shape[0] * shape[1]
        assert Fraction(float(lower))**2 <= exact_square <= Fraction(float(upper))**2


@dtypes
@shapes
def test_the_upper_bound_is_the_schatten_norm_and_little_more(shape, dtype):
    W = sample(shape, dtype)
    singular_values = np.linalg.svd(W.astype(np.result_type(W, np.float64)), compute_uv=False)
    for n_iterations in (1, 2, 5):
        schatten = np.linalg.norm(singular_values, 2.0**(n_iterations + 1))
        upper = spectral_norm_bounds(W, n_iterations).upper
        allowance = 2 * eps(dtype) + 8 * np.prod(shape) * eps(np.float64)
        assert abs(upper / schatten - 1) <= allowance


@dtypes
def test_the_bounds_are_close_where_the_largest_stands_alone(dtype):
    W = sample((40, 30), dtype)
    W[:, 0] *= 4
    lower, upper = spectral_norm_bounds(W)
    assert upper / lower - 1 <= 2 * eps(dtype) + 8 * W.size * eps(np.float64)


@pytest.mark.parametrize("n", [8, 64])
def test_the_worst_case_is_all_singular_values_equal(n):
    for n_iterations in (1, 5, 10):
        lower, upper = spectral_norm_bounds(hadamard(n), n_iterations)
        assert Fraction(float(lower))**2 <= n <= Fraction(float(upper))**2
        assert lower >= n**0.5 * (1 - 1e-12)
        assert abs(upper / n**0.5 / n**0.5**(n_iterations + 1) - 1) <= 1e-12


@pytest.mark.parametrize("scale", [1e-200, 1e-100, 1e100, 1e200])
def test_scales_whose_squares_leave_the_range(scale):
    for W in (scale * sample((4, 3)), scale * sample((3, 4), np.complex128)):
        bounds = spectral_norm_bounds(W)
        assert encloses(bounds, W) == (True, True)
        assert bounds.upper / bounds.lower - 1 < 1e-12


@pytest.mark.parametrize("entries", [[1e-200, 1e200], [5e-324, 1e300], [5e-324, 1e-310], [1e308, 1],
                                     [2.0**-1022, 2.0**-1000]], ids=str)
def test_the_ends_of_the_range(entries):
    W = np.array([[0.0, entries[0]], [entries[1], entries[0]]])
    assert encloses(spectral_norm_bounds(W), W) == (True, True)


def test_subnormal_numbers_are_rounded_outwards():
    lower, upper = spectral_norm_bounds(np.full((2, 2), 5e-324))
    assert 0 < lower <= 1e-323 <= upper < 2e-323
    W = np.full((2, 2), 1e-44, np.float32)
    assert encloses(spectral_norm_bounds(W), W) == (True, True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_norm_out_of_the_range(dtype):
    largest = np.finfo(dtype).max
    lower, upper = spectral_norm_bounds(np.full((2, 2), largest))
    assert lower == largest and upper == np.inf


@dtypes
def test_zero_is_exact(dtype):
    for shape in [(3, 2), (2, 3), (1, 1), (2, 4, 3)]:
        lower, upper = spectral_norm_bounds(np.zeros(shape, dtype))
        assert not np.any(lower) and not np.any(upper)


@dtypes
@empty_shapes
def test_empty(shape, dtype):
    for bound in spectral_norm_bounds(np.zeros(shape, dtype)):
        assert_identical(np.asarray(bound), np.zeros(shape[:-2], np.zeros(0, dtype).real.dtype))
    v = bounds_and_vector(np.zeros(shape, dtype), 3)[1]
    assert v.shape == (*shape[:-2], min(shape[-2:]), 1)


@dtypes
@pytest.mark.parametrize("shape", [(4, 3), (3, 4)], ids=str)
def test_batch_equals_loop(shape, dtype):
    """To rounding; also beside a zero matrix, and one of another scale."""
    W = sample((2, 3, *shape), dtype)
    W[0, 1] = 0
    W[1, 2] *= 1e-15
    lower, upper = spectral_norm_bounds(W)
    assert lower.shape == upper.shape == (2, 3)
    assert lower.dtype == upper.dtype == W.real.dtype
    for index in np.ndindex(2, 3):
        one = spectral_norm_bounds(W[index])
        assert isinstance(one.lower, W.real.dtype.type)
        for actual, desired in zip((lower[index], upper[index]), one):
            assert_within(actual, desired, 8 * eps(dtype) * desired)


def test_the_layout_does_not_matter_and_the_input_stays():
    W = sample((4, 3), np.complex128)
    expected = spectral_norm_bounds(W)
    for view in layouts(W).values():
        before = view.copy()
        assert_within(spectral_norm_bounds(view), expected, 1e-14)
        assert np.array_equal(view, before)


@pytest.mark.parametrize("n", [0, -3])
def test_no_iterations_raise(n):
    with pytest.raises(ValueError, match=f"^n_iterations must be positive, got {n}"):
        spectral_norm_bounds(np.eye(2), n)


@pytest.mark.parametrize("W, error, message", [
    (np.ones((2, 2), int), TypeError, "^W must have dtype float32, float64"),
    (np.ones(3), ValueError, "^W must be a matrix or a stack"),
    (np.array([[1.0, np.nan]]), ValueError, "^W must be finite, got 1 NaN"),
    (np.array([[1.0], [np.inf]]), ValueError, "^W must be finite, got 1 NaN")], ids=str)
def test_bad_matrices_raise(W, error, message):
    with pytest.raises(error, match=message):
        spectral_norm_bounds(W)
