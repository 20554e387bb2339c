import numpy as np
import pytest
import scipy.linalg

from orthonorm.core import expm, expm_frechet
from orthonorm.core.exponential import Exponential
from tests import truth
from tests.helpers import (
    H, assert_identical, assert_within, dtypes, empty_shapes, eps, is_complex, layouts, sample,
    wrong_dtypes,
)

SIZES = [1, 2, 3, 5, 8]


# The relative condition number of the exponential is at most about ||A|| e^{2 ||A||} / ||e^A|| and
# at least ||A||; of these samples it is the latter within a small factor. The condition number is
# bounded through ||L(A)|| <= e^||A||, so the tolerance is relative to e^||A||, not to ||e^A||.
@dtypes
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("scale", [1e-6, 0.1, 1, 4])
def test_is_the_exponential(n, dtype, scale):
    A = sample((n, n), dtype, scale=scale)
    norm = truth.norm2(A)
    tolerance = 4 * n * eps(dtype) * max(1, norm) * np.exp(norm)
    assert truth.error(expm(A), truth.expm(A)) <= tolerance


@pytest.mark.parametrize("norm", [1.9, 2.1, 5, 10])
@pytest.mark.parametrize("seed", range(6))
def test_small_symmetric_matrices_keep_all_digits(norm, seed):
    """Of condition number ||A||. SciPy's loses up to three digits above a 1-norm of 2."""
    A = sample((4, 4), seed=seed)
    A = A + A.T
    A *= norm / np.linalg.norm(A, 1)
    size = np.exp(truth.norm2(A)) * (1 + truth.norm2(A))
    assert truth.error(expm(A), truth.expm(A)) <= 3 * eps(float) * size


@dtypes
@pytest.mark.parametrize("shape, from_scipy", [((4, 4), True), ((32, 32), True), ((33, 33), False),
                                               ((1, 4, 4), False)], ids=str)
def test_one_small_matrix_goes_through_scipy(shape, from_scipy, dtype):
    for norm in (1.9, 2.1):
        A = sample(shape, dtype)
        A = A * dtype(norm / np.abs(A).sum(axis=-2).max())
        expected = Exponential(A).value
        if from_scipy and norm < 2 and eps(dtype) == eps(float):
            expected = scipy.linalg.expm(A)
            assert not np.array_equal(expected, Exponential(A).value)
        assert_identical(expm(A), expected)


def test_the_series_is_not_truncated_too_early():
    """The first term that is left out is half an ulp at the largest norm that is not scaled."""
    x = np.linspace(-1, 1, 401)
    values = expm(x[:, None, None])[:, 0, 0]
    assert np.all(np.abs(values - np.exp(x)) <= 2.5 * eps(float) * np.exp(np.abs(x)))


@dtypes
@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("scale", [1, 10, 300])
def test_relative_error_of_a_normal_matrix(n, dtype, scale):
    """Here the condition number is ||A|| exactly, and the bound of the test above is not needed."""
    A = sample((n, n), dtype, scale=scale)
    A = (A - H(A)) / 2 - 3 * np.eye(n, dtype=dtype)
    tolerance = 4 * n * eps(dtype) * max(1, truth.norm2(A)) * np.exp(-3)
    assert truth.error(expm(A), truth.expm(A)) <= tolerance


@dtypes
@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("scale", [1e-6, 1, 3])
def test_frechet_is_the_derivative(n, dtype, scale):
    A, E = sample((n, n), dtype, scale=scale), sample((n, n), dtype, seed=1)
    norm = truth.norm2(A)
    tolerance = 8 * n * eps(dtype) * max(1, norm) * np.exp(norm) * truth.norm2(E)
    assert truth.error(expm_frechet(A, E), truth.expm_frechet(A, E)) <= tolerance


@dtypes
def test_frechet_relative_error_of_a_normal_matrix(dtype):
    A, E = sample((4, 4), dtype, scale=30), sample((4, 4), dtype, seed=1)
    A = (A - H(A)) / 2
    tolerance = 16 * eps(dtype) * truth.norm2(A) * truth.norm2(E)
    assert truth.error(expm_frechet(A, E), truth.expm_frechet(A, E)) <= tolerance


def test_frechet_is_linear_in_the_direction_at_any_size():
    """The number of squarings depends on A alone: a direction of 1e12 or 1e-12 is as exact."""
    A, E = sample((3, 3)), sample((3, 3), seed=1)
    for scale in (2.0**-40, 2.0**40):
        assert_identical(expm_frechet(A, scale * E), scale * expm_frechet(A, E))


@dtypes
def test_frechet_adjoint_is_at_the_conjugate_transpose(dtype):
    A, E, G = (sample((4, 4), dtype, seed) for seed in range(3))
    left = np.vdot(G, expm_frechet(A, E))
    right = np.vdot(expm_frechet(H(A), G), E)
    scale = np.exp(truth.norm2(A)) * np.linalg.norm(E) * np.linalg.norm(G)
    assert abs(left - right) <= 50 * eps(dtype) * scale


@dtypes
def test_zero_gives_the_identity_and_the_direction_exactly(dtype):
    E = sample((3, 3), dtype)
    assert_identical(expm(np.zeros((3, 3), dtype)), np.eye(3, dtype=dtype))
    assert_identical(expm_frechet(np.zeros((3, 3), dtype), E), E)


def test_nilpotent_series_is_exact():
    N = np.diag([1.0, 2.0, 4.0], 1)
    assert_within(expm(N), np.eye(4) + N + N @ N / 2 + N @ N @ N / 6, 4e-16)


def test_nilpotent_of_huge_norm():
    """A^2 = 0, whatever the norm: the exponential is I + A, and no squaring overflows."""
    A = np.array([[0, 1e10], [0, 0]])
    assert_within(expm(A) - np.eye(2), A, 1e10 * 1e-15)


def test_stack_of_very_different_norms():
    A = np.stack([sample((3, 3), scale=scale) for scale in (0, 1e-8, 30, 1, 0.01, 3)])
    A = A - H(A)
    E = sample(A.shape, seed=1)
    for a, e, F, L in zip(A, E, expm(A), expm_frechet(A, E)):
        tolerance = 12 * eps(float) * max(1, truth.norm2(a))
        assert truth.error(F, truth.expm(a)) <= tolerance
        assert truth.error(L, truth.expm_frechet(a, e)) <= tolerance * truth.norm2(e)


@dtypes
@empty_shapes
def test_frechet_of_empty_is_empty(shape, dtype):
    if shape[-1] == shape[-2]:
        A, E = np.zeros(shape, dtype), np.zeros(shape, dtype)
        assert_identical(expm_frechet(A, E), A)


@dtypes
@pytest.mark.parametrize("batch", [(1,), (3,), (2, 2)], ids=str)
def test_frechet_batch_equals_loop(batch, dtype):
    A, E = sample((*batch, 3, 3), dtype), sample((*batch, 3, 3), dtype, seed=1)
    L = expm_frechet(A, E)
    assert L.dtype == dtype
    for index in np.ndindex(batch):
        one = expm_frechet(A[index], E[index])
        assert_within(L[index], one, 20 * eps(dtype) * np.exp(truth.norm2(A[index])))


@dtypes
def test_frechet_input_is_not_modified_in_any_layout(dtype):
    A, E = sample((3, 3), dtype), sample((3, 3), dtype, seed=1)
    A.flags.writeable = E.flags.writeable = False
    L = expm_frechet(A, E)
    for layout, view in layouts(E).items():
        before = view.copy()
        assert_within(expm_frechet(layouts(A)[layout], view), L, 100 * eps(dtype) * np.abs(L).max())
        assert np.array_equal(view, before)


@pytest.mark.parametrize("shape", [(2, 3), (3, 2), (0, 3), (3, 0), (4, 2, 3)], ids=str)
def test_not_square_raises(shape):
    A, square = np.zeros(shape), np.zeros((3, 3))
    with pytest.raises(ValueError, match="^A must be square, got shape"):
        expm(A)
    with pytest.raises(ValueError, match="^A must be square, got shape"):
        expm_frechet(A, square)
    with pytest.raises(ValueError, match="^E must be square, got shape"):
        expm_frechet(square, A)


@pytest.mark.parametrize("a, e", [((3, 3), (2, 2)), ((3, 3), (1, 3, 3)), ((2, 3, 3), (3, 3))], ids=str)
def test_frechet_shape_mismatch_raises(a, e):
    with pytest.raises(ValueError, match=r"^E must have the shape of A, \("):
        expm_frechet(np.zeros(a), np.zeros(e))


@wrong_dtypes
def test_frechet_wrong_dtype_raises(wrong):
    with pytest.raises(TypeError, match="^A must have dtype"):
        expm_frechet(np.ones((2, 2)).astype(wrong), np.ones((2, 2)))
    with pytest.raises(TypeError, match="^E must have dtype"):
        expm_frechet(np.ones((2, 2)), np.ones((2, 2)).astype(wrong))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_frechet_not_finite_raises(bad):
    good, bad = np.zeros((2, 2)), np.full((2, 2), bad)
    with pytest.raises(ValueError, match="^A must be finite, got 4"):
        expm_frechet(bad, good)
    with pytest.raises(ValueError, match="^E must be finite, got 4"):
        expm_frechet(good, bad)


@pytest.mark.parametrize("function", [expm, lambda A: expm_frechet(A, A)])
def test_fewer_than_two_dimensions_raise(function):
    with pytest.raises(ValueError, match="^A must be a matrix"):
        function(np.ones(3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_frechet_in_a_complex_direction_keeps_the_imaginary_part(dtype):
    """Or refuses it: L(A, E) of a real A is complex where E is. Dropping Im E in silence is neither."""
    A, E = sample((3, 3), dtype), 1j * sample((3, 3), dtype, seed=1)
    assert is_complex(E.dtype)
    try:
        L = expm_frechet(A, E)
    except (TypeError, ValueError):
        return
    assert truth.error(L, truth.expm_frechet(A, E)) <= 1000 * eps(dtype)


@dtypes
def test_adjoint_of_the_derivative(dtype):
    """Of a stack whose matrices take different numbers of squarings."""
    A = sample((3, 4, 4), dtype) * np.array([0.1, 1, 4])[:, None, None].astype(dtype)
    E, G = sample(A.shape, dtype, 1), sample(A.shape, dtype, 2)
    exponential = Exponential(A)
    assert_identical(exponential.value, expm(A))
    L, L_adjoint = exponential.derivative(E), exponential.derivative(G, adjoint=True)
    assert_identical(L, expm_frechet(A, E))
    for i in range(3):
        left, right = np.vdot(G[i], L[i]).real, np.vdot(L_adjoint[i], E[i]).real
        size = np.linalg.norm(L[i]) * np.linalg.norm(G[i])
        assert abs(left - right) <= 1000 * eps(dtype) * size


@dtypes
def test_integral_is_a_block_of_a_larger_exponential(dtype):
    """exp([[A, E], [0, 0]]) has the integral of exp(t A) E over the unit interval beside exp(A)."""
    A = sample((3, 4, 4), dtype) * np.array([0.1, 1, 4])[:, None, None].astype(dtype)
    E = np.broadcast_to(np.eye(4, 2, dtype=dtype), (3, 4, 2))
    larger = np.concatenate([np.concatenate([A, E], -1), np.zeros((3, 2, 6), dtype)], -2)
    expected = expm(larger)[:, :4, 4:]
    error = np.abs(Exponential(A).integral(2) - expected).max(axis=(1, 2))
    assert np.all(error <= 200 * eps(dtype) * np.abs(expm(larger)).max(axis=(1, 2)))
