"""Gradients of the bounds, beyond the differences of the upper one that test_differences.py checks."""
import autograd.numpy as np
import pytest
from autograd import grad, make_jvp

from orthonorm import core, gradients
from tests.differences import against, close, gradient
from tests.helpers import DTYPES, assert_within, eps, sample


def bound(name, n_iterations=10):
    return lambda W: getattr(gradients.spectral_norm_bounds(W, n_iterations), name)


def circular_bound(name):
    return lambda kernel: getattr(gradients.circular_convolution_norm_bounds(kernel, 6), name)


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
@pytest.mark.parametrize("shape", [(3, 2, 3), (2, 3, 2)], ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
def test_circular_bounds_have_the_gradient_of_the_norm(name, shape, dtype):
    """By differences of the norm of the dense matrix."""
    kernel = sample(shape, dtype)
    g = grad(circular_bound(name))(kernel)
    assert g.dtype == dtype

    def norm(kernel):
        return np.linalg.norm(core.convolution_matrix(
            kernel, 6, padding="same", padding_mode="circular"), 2)
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
