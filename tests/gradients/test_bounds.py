"""Gradients of the bounds, beyond the differences of the upper one that test_differences.py checks."""
import autograd.numpy as np
import mpmath
import pytest
from autograd import grad, make_jvp

from orthonorm import core, gradients
from tests import truth
from tests.differences import against, close, directional, gradient
from tests.helpers import DTYPES, assert_within, eps, sample


def bound(name, n_iterations=10):
    return lambda W: getattr(gradients.spectral_norm_bounds(W, n_iterations), name)


def circular_bound(name, **options):
    return lambda kernel: getattr(
        gradients.circular_convolution_norm_bounds(kernel, 6, **options), name)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
def test_values_are_those_of_core_to_the_bit(dtype):
    for shape in [(4, 3), (3, 4), (2, 3, 3)]:
        W = sample(shape, dtype)
        for actual, desired in zip(gradients.spectral_norm_bounds(W), core.spectral_norm_bounds(W)):
            assert actual.dtype == desired.dtype and np.array_equal(actual, desired)
    kernel = sample((2, 3, 2), dtype)
    assert (gradients.circular_convolution_norm_bounds(kernel, 6)
            == core.circular_convolution_norm_bounds(kernel, 6))


@pytest.mark.parametrize("name", ["lower", "upper"])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (1, 4)], ids=str)
def test_gradients_tend_to_that_of_the_largest_singular_value(name, dtype, shape):
    """u v^H; single precision is as exact, since the bounds are computed in double precision."""
    W = sample(shape, dtype)
    W[0] *= 4
    U, _, Vh = np.linalg.svd(W.astype(np.result_type(W, np.float64)))
    g = grad(bound(name))(W)
    assert g.dtype == dtype
    assert_within(g, np.conj(np.outer(U[:, 0], Vh[0])), 4 * eps(dtype) + 1e-11)


@pytest.mark.parametrize("name", ["lower", "upper"])
def test_gradient_times_weight_is_the_bound(name):
    """The bounds are homogeneous: what follows for the gradient holds to rounding, at any scale."""
    for scale in (1e-200, 1e-100, 1, 1e100, 1e200):
        W = scale * sample((2, 4, 3))
        g = grad(lambda W: np.sum(bound(name)(W)))(W)
        assert_within(np.sum(g * W, axis=(-2, -1)) / scale, bound(name)(W) / scale, 1e-14)


@pytest.mark.parametrize("name", ["lower", "upper"])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("n_iterations", [20, 31, 32, 52, 60, 100])
def test_many_iterations(name, dtype, n_iterations):
    """A matrix whose singular values are far apart: only u v^H is left, in every power of it."""
    W = sample((5, 4), dtype)
    W[0] *= 4
    U, s, Vh = np.linalg.svd(W.astype(np.result_type(W, np.float64)))
    leading = np.conj(np.outer(U[:, 0], Vh[0]))
    assert_within(grad(bound(name, n_iterations))(W), leading, 4 * eps(dtype) + 1e-13)
    exact = s[0]
    lower, upper = core.spectral_norm_bounds(W, n_iterations)
    assert lower <= exact * (1 + 1e-14) and upper >= exact * (1 - 1e-14)
    assert upper / lower - 1 <= 4 * eps(dtype) + 1e-12


@pytest.mark.parametrize("n_iterations", [1, 2, 3, 5, 8, 20, 40, 60, 100])
def test_upper_bound_has_the_gradient_of_the_schatten_norm(n_iterations):
    """U diag((sigma_i / |sigma|_p)^(p - 1)) V^T, p = 2^(T + 1), in 50 digits: also at large p."""
    singular_values = [2.0, 2.0 - 2.0**-6, 1.9, 1.0]
    U, V = (np.linalg.qr(sample((4, 4), seed=seed))[0] for seed in (1, 2))
    W = U * singular_values @ V
    with mpmath.workdps(truth.DIGITS):
        p = mpmath.mpf(2)**(n_iterations + 1)
        norm = mpmath.norm([mpmath.mpf(s) / 2 for s in singular_values], p)
        weights = [float((mpmath.mpf(s) / 2 / norm)**(p - 1)) for s in singular_values]
    assert_within(grad(bound("upper", n_iterations))(W), U * weights @ V, 2e-13)


@pytest.mark.parametrize("n_iterations", [20, 45, 60, 100])
def test_second_derivatives_after_many_iterations(n_iterations):
    """Those of sigma_1, by differences of u v^T."""
    W, D, E = sample((4, 3)), sample((4, 3), seed=1), sample((4, 3), seed=2)

    def slope(W):
        U, _, Vh = np.linalg.svd(W)
        return U[:, 0] @ D @ Vh[0]
    expected = directional(slope, W, E)
    g = grad(bound("upper", n_iterations))
    assert_within(np.sum(make_jvp(g)(W)(D)[1] * E), expected, 1e-9)
    assert_within(np.sum(grad(lambda W: np.sum(g(W) * D))(W) * E), expected, 1e-9)


@pytest.mark.parametrize("name", ["lower", "upper"])
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
def test_gradients_are_the_same_at_every_scale(name, dtype):
    """Powers of two change nothing, though values are subnormal, or out of the range."""
    W, limits = sample((4, 3), dtype), np.finfo(dtype)
    W = np.ldexp(np.trunc(W.view(limits.dtype) * 16), -4).view(dtype)  # digits that subnormals keep
    g = grad(bound(name, 3))(W)
    kernel = W.reshape(2, 2, 3)
    of_kernel = grad(circular_bound(name))(kernel)
    for exponent in (limits.minexp - limits.nmant + 4, limits.minexp, limits.maxexp - 3):
        scaled = np.ldexp(W.view(limits.dtype), exponent).view(dtype)
        assert_within(grad(bound(name, 3))(scaled), g, 0)
        assert_within(grad(circular_bound(name))(scaled.reshape(kernel.shape)), of_kernel, 0)


def test_lower_bound_holds_its_vector_constant():
    W = sample((4, 3))
    _, v = core.bounds.bounds_and_vector(W, 2)
    v = v / np.linalg.norm(v)
    loss = against(lambda W: np.linalg.norm(W @ v), W)
    close(grad(against(bound("lower", 2), W))(W), gradient(loss, W))


@pytest.mark.parametrize("name", ["lower", "upper"])
def test_zero_and_empty_have_zero_gradients(name):
    for W in (np.zeros((3, 2)), np.zeros((0, 2)), np.zeros((2, 0, 3)), np.zeros((2, 1, 1))):
        g = grad(lambda W: np.sum(bound(name)(W)))(W)
        assert g.shape == W.shape and not np.any(g)
        value, tangent = make_jvp(bound(name))(W)(W)
        assert not np.any(value) and not np.any(tangent)


def test_upper_bound_shares_among_equal_singular_values():
    """A Schatten norm is smooth there: at the identity its gradient is a multiple of the identity."""
    n, n_iterations = 4, 5
    expected = n**(0.5**(n_iterations + 1) - 1) * np.eye(n)
    assert_within(grad(bound("upper", n_iterations))(np.eye(n)), expected, 1e-14)


@pytest.mark.parametrize("name", ["lower", "upper"])
@pytest.mark.parametrize("shape, options", [
    ((3, 2, 3), {}), ((2, 3, 2), {}), ((4, 3, 2), {"groups": 2}),
    ((3, 1, 3), {"groups": 3, "dilation": 2})], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
def test_circular_bounds_have_the_gradient_of_the_norm(name, shape, options, dtype):
    """By differences of the norm of the dense matrix."""
    kernel = sample(shape, dtype)
    g = grad(circular_bound(name, **options))(kernel)
    assert g.dtype == dtype

    def norm(kernel):
        return np.linalg.norm(core.convolution_matrix(
            kernel, 6, padding="same", padding_mode="circular", **options), 2)
    expected = gradient(norm, kernel.astype(np.result_type(dtype, np.float64)))
    # The gradient of the upper bound includes what is left of the other singular values.
    assert_within(g, expected, 1e-6 + 10 * eps(dtype))


def test_a_loss_of_two_bounds():
    """Both at once, as a training loss would: the gap closes by descent."""
    W = np.eye(4) + 0.1 * sample((4, 4))

    def gap(W):
        bounds = gradients.spectral_norm_bounds(W, 2)
        return bounds.upper - bounds.lower

    before = gap(W)
    for _ in range(20):
        W = W - 0.5 * grad(gap)(W)
    assert gap(W) < 0.5 * before
