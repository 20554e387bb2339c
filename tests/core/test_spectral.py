import numpy as np
import pytest

from orthonorm.core import power_iteration, spectral_normalize
from orthonorm.core.spectral import estimate_sigma, unit_vector
from tests.helpers import (
    H, assert_identical, assert_within, dtypes, eps, is_complex, layouts, sample, wrong_dtypes,
)

MATRIX_SHAPES = [(4, 4), (6, 3), (3, 6), (1, 1), (5, 1), (1, 5)]

shapes = pytest.mark.parametrize("shape", MATRIX_SHAPES, ids=str)


def triple(shape, dtype=np.float64, seed=0):
    """Draw a matrix and two unit vectors."""
    W, u, v = sample(shape, dtype, seed), sample(shape[:1], dtype, 1), sample(shape[1:], dtype, 2)
    return W, u / np.linalg.norm(u), v / np.linalg.norm(v)


@dtypes
@shapes
def test_one_step_is_the_formula(shape, dtype):
    W, u, v = triple(shape, dtype)
    new_u, new_v = power_iteration(W, u, v)
    expected_u = W @ v / np.linalg.norm(W @ v)
    expected_v = H(W) @ expected_u / np.linalg.norm(H(W) @ expected_u)
    assert new_u.dtype == new_v.dtype == dtype
    assert_within(new_u, expected_u, 8 * eps(dtype))
    assert_within(new_v, expected_v, 8 * eps(dtype))


@dtypes
def test_n_steps_are_n_times_one_step(dtype):
    W, u, v = triple((4, 3), dtype)
    expected = u, v
    for _ in range(3):
        expected = power_iteration(W, *expected)
    for actual, desired in zip(power_iteration(W, u, v, n_power_iterations=3), expected):
        assert_identical(actual, desired)


def test_start_of_u_does_not_matter():
    """The first half-step computes u from v alone."""
    W, u, v = triple((4, 3))
    assert_identical(power_iteration(W, u, v)[1], power_iteration(W, sample((4,), seed=9), v)[1])


@dtypes
def test_no_iterations_give_the_vectors_back(dtype):
    W, u, v = triple((4, 3), dtype)
    new_u, new_v = power_iteration(W, u, v, n_power_iterations=0)
    assert_identical(new_u, u)
    assert_identical(new_v, v)


@dtypes
def test_norms_below_eps_are_replaced_by_it(dtype):
    W, u, v = triple((4, 3), dtype)
    new_u, new_v = power_iteration(W, u, v, eps=100.0)
    assert_within(new_u, W @ v / 100, 8 * eps(dtype))
    assert_within(new_v, H(W) @ (W @ v / 100) / 100, 8 * eps(dtype))
    # The norm of u is above this eps, that of v below.
    u_norm = np.linalg.norm(W @ v)
    v_norm = np.linalg.norm(H(W) @ (W @ v)) / u_norm
    between = float((u_norm * v_norm)**0.5)
    assert u_norm < between < v_norm
    new_u, new_v = power_iteration(W, u, v, eps=between)
    assert_within(new_u, W @ v / between, 8 * eps(dtype))
    expected = H(W) @ (W @ v / between)
    assert_within(new_v, expected / max(np.linalg.norm(expected), between), 8 * eps(dtype))


def test_eps_is_by_default_1e_12():
    W, u, v = triple((3, 3))
    W *= 1e-13
    assert_within(power_iteration(W, u, v)[0], W @ v / 1e-12, 1e-15)


@dtypes
@shapes
def test_converges_to_the_leading_singular_vectors(shape, dtype):
    W, u, v = triple(shape, dtype)
    U, sigma, Vh = np.linalg.svd(W)
    ratio = sigma[1] / sigma[0] if len(sigma) > 1 else 0
    # The error falls by ratio^2 each time: this many make it fall below eps^2.
    steps = 2 if not ratio else int(np.log(eps(dtype)) / np.log(ratio)) + 2
    u, v = power_iteration(W, u, v, n_power_iterations=steps)
    # Rounding moves the vectors by eps times the norm over the gap.
    tolerance = 20 * max(shape) * eps(dtype) / (1 - ratio)
    assert abs(np.vdot(u, W @ v) - sigma[0]) <= tolerance * sigma[0]
    assert 1 - abs(np.vdot(u, U[:, 0])) <= tolerance
    assert 1 - abs(np.vdot(v, Vh[0].conj())) <= tolerance
    assert_within(W @ v, sigma[0] * u, tolerance * sigma[0])
    assert_within(H(W) @ u, sigma[0] * v, tolerance * sigma[0])


@dtypes
def test_zero_matrix_leaves_the_vectors_and_recovery_follows(dtype):
    W, u, v = triple((4, 3), dtype)
    same_u, same_v = power_iteration(np.zeros_like(W), u, v, n_power_iterations=5)
    assert_identical(same_u, u)
    assert_identical(same_v, v)
    for actual, desired in zip(power_iteration(W, same_u, same_v), power_iteration(W, u, v)):
        assert_identical(actual, desired)


def test_only_the_vector_of_a_zero_product_is_left():
    """W v = 0 leaves u; W^H u is not zero, and moves v."""
    W = np.array([[1.0, 0.0], [0.0, 0.0]])
    u, v = power_iteration(W, np.array([0.6, 0.8]), np.array([0.0, 1.0]))
    assert_identical(u, np.array([0.6, 0.8]))
    assert_identical(v, np.array([1.0, 0.0]))


@dtypes
@shapes
def test_spectral_normalize_is_the_quotient(shape, dtype):
    W, u, v = triple(shape, dtype)
    sigma = np.sum(u.conj()[:, None] * W * v)
    P = spectral_normalize(W, u, v)
    assert P.dtype == dtype
    condition = np.linalg.norm(W) / abs(sigma)
    assert_within(P, W / sigma, 40 * eps(dtype) * np.abs(W / sigma).max() * condition)


@dtypes
def test_spectral_normalize_to_norm_one(dtype):
    W, u, v = triple((5, 4), dtype)
    u, v = power_iteration(W, u, v, n_power_iterations=300)
    P = spectral_normalize(W, u, v)
    assert abs(np.linalg.norm(P, 2) - 1) <= 100 * eps(dtype)


@dtypes
def test_spectral_normalize_of_zero_is_zero(dtype):
    W, u, v = triple((4, 3), dtype)
    assert_identical(spectral_normalize(0 * W, u, v), np.zeros((4, 3), dtype))
    assert estimate_sigma(0 * W, u, v) == 1
    assert estimate_sigma(0 * W, u, v).dtype == dtype


@dtypes
def test_zero_estimate_raises(dtype):
    W = np.diag([2, 1]).astype(dtype)
    e1, e2 = np.eye(2, dtype=dtype)
    with pytest.raises(ValueError, match="^u and v estimate a spectral norm of zero"):
        spectral_normalize(W, e1, e2)
    with pytest.raises(ValueError, match="^u and v estimate a spectral norm of zero"):
        spectral_normalize(W, e1, 0 * e1)
    tiny = np.finfo(dtype).tiny
    with pytest.raises(ValueError, match="^u and v estimate a spectral norm of zero"):
        spectral_normalize(W * tiny / 8, e1, e1)
    assert_identical(spectral_normalize(W * tiny, e1, e1), W / 2)


@pytest.mark.parametrize("shape", [(0, 0), (3, 0), (0, 3)], ids=str)
@dtypes
def test_empty(shape, dtype):
    W, u, v = np.zeros(shape, dtype), np.ones(shape[0], dtype), np.ones(shape[1], dtype)
    for actual, desired in zip(power_iteration(W, u, v), (u, v)):
        assert_identical(actual, desired)
    assert_identical(spectral_normalize(W, u, v), W)


@dtypes
def test_vectors_of_another_precision_take_that_of_the_matrix(dtype):
    W, u, v = triple((4, 3), dtype)
    other = np.float32 if not is_complex(dtype) else np.complex64
    u, v = power_iteration(W, u.astype(other), v.astype(other))
    assert u.dtype == v.dtype == dtype
    assert spectral_normalize(W, u.astype(other), v.astype(other)).dtype == dtype


@dtypes
def test_input_is_not_modified_in_any_layout(dtype):
    W, u, v = triple((4, 3), dtype)
    expected = power_iteration(W, u, v, n_power_iterations=2)
    normalized = spectral_normalize(W, u, v)
    for name, view in layouts(W).items():
        vectors = [layouts(x[None, :])[name][0] for x in (u, v)]
        before = [x.copy() for x in (view, *vectors)]
        for actual, desired in zip(power_iteration(view, *vectors, n_power_iterations=2), expected):
            assert_within(actual, desired, 20 * eps(dtype))
        P = spectral_normalize(view, *vectors)
        assert_within(P, normalized, 100 * eps(dtype) * np.abs(normalized).max())
        for x, y in zip((view, *vectors), before):
            assert np.array_equal(x, y)


BOTH = pytest.mark.parametrize("function", [power_iteration, spectral_normalize])


@BOTH
@wrong_dtypes
def test_wrong_dtype_raises(function, wrong):
    with pytest.raises(TypeError, match="^W must have dtype"):
        function(np.ones((2, 2)).astype(wrong), np.ones(2), np.ones(2))


@BOTH
@pytest.mark.parametrize("place", [1, 2], ids=["u", "v"])
def test_complex_vector_for_a_real_matrix_raises(function, place):
    """Its imaginary part must not be dropped."""
    args = [np.eye(2), np.ones(2), np.ones(2)]
    args[place] = args[place] * 1j
    with pytest.raises(TypeError):
        function(*args)


@BOTH
@pytest.mark.parametrize("W, u, v", [((3,), (3,), (3,)), ((2, 3), (3,), (2,)), ((2, 3), (2,), (2,)),
                                     ((2, 3), (3,), (3,)), ((1, 2, 3), (2,), (3,)),
                                     ((2, 3), (2, 1), (3,)), ((2, 3), (2,), (3, 1)), ((), (), ())],
                         ids=str)
def test_wrong_shape_raises(function, W, u, v):
    with pytest.raises(ValueError, match=r"^W must have shape \(h, w\), u \(h,\) and v \(w,\), got"):
        function(np.ones(W), np.ones(u), np.ones(v))


@BOTH
@dtypes
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 1, 2], ids=["W", "u", "v"])
def test_not_finite_raises(function, place, bad, dtype):
    args = [x.copy() for x in triple((4, 3), dtype)]
    args[place].flat[-1] = bad
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="^W, u and v must be finite"):
        function(*args)


def test_not_finite_raises_without_iterations():
    W, u, v = triple((4, 3))
    W[0, 0] = np.nan
    with pytest.raises(ValueError, match="finite"):
        power_iteration(W, u, v, n_power_iterations=0)


@pytest.mark.parametrize("scale", [1e200, 1e-200])
def test_power_iteration_of_norms_whose_squares_leave_the_range(scale):
    """Follow the formula, or say that it cannot be followed; do not keep u and v as for a zero W."""
    W, u, v = triple((4, 3))
    expected = power_iteration(W, u, v, eps=1e-300)
    try:
        actual = power_iteration(scale * W, u, v, eps=1e-300)
    except ValueError:
        return
    assert_within(actual[0], expected[0], 1e-14)
    assert_within(actual[1], expected[1], 1e-14)


@pytest.mark.parametrize("n", [-1, -10])
def test_negative_iterations_raise(n):
    with pytest.raises(ValueError, match=f"^n_power_iterations must not be negative, got {n}"):
        power_iteration(np.eye(2), np.ones(2), np.ones(2), n_power_iterations=n)


@dtypes
@pytest.mark.parametrize("size", [0, 1, 5])
def test_unit_vector(size, dtype):
    x = unit_vector(size, dtype, np.random.default_rng(0))
    assert x.shape == (size,) and x.dtype == dtype
    assert abs(np.linalg.norm(x) - bool(size)) <= 4 * eps(dtype)
    assert not size or not is_complex(dtype) or np.all(x.imag != 0)


def test_unit_vectors_are_spread_over_the_sphere():
    """The mean of x x^H is I / size: 4000 draws hold it to 5 standard deviations."""
    rng = np.random.default_rng(0)
    for dtype in (np.float64, np.complex128):
        X = np.stack([unit_vector(3, dtype, rng) for _ in range(4000)])
        assert_within(X.T @ X.conj() / len(X), np.eye(3, dtype=dtype) / 3, 5 * 0.3 / len(X)**0.5)
    # Of the complex ones, drawn last, the phases are spread as well: the mean of x x^T is 0.
    assert_within(X.T @ X / len(X), np.zeros((3, 3), complex), 5 * 0.3 / len(X)**0.5)
