"""Gradients at large arguments, against differences of the definitions in 50-digit arithmetic."""
import autograd.numpy as np
import mpmath
import pytest
from autograd import grad

from orthonorm import gradients
from orthonorm.gradients.cayley import base_times_cayley
from orthonorm.gradients.matrix_exp import balance
from tests import truth
from tests.helpers import assert_identical, dtypes, eps, is_complex, sample, with_signs


def exact_gradient(name, X, C):
    """Return the gradient of Re sum(conj(C) Q) with respect to what the map reads of X."""
    exact, ones = getattr(truth, name), np.array(truth.exactly(X).tolist()).reshape(X.shape)
    G = np.zeros(X.shape, np.result_type(X, float))
    with mpmath.workdps(truth.DIGITS):
        step = mpmath.mpf(10) ** -20 * float(np.abs(X).max())
        for i, j in np.argwhere(np.tril(np.ones(X.shape), -1)):
            for unit in (1, 1j) if is_complex(X.dtype) else (1,):
                D = np.zeros(X.shape, object)
                D[i, j] = step * unit
                change = exact(ones + D) - exact(ones - D)
                slope = sum(mpmath.re(mpmath.conj(c) * d)
                            for c, d in zip(C.ravel().tolist(), change)) / (2 * step)
                G[i, j] += unit * float(slope)
    return G


def cayley_from_the_identity(X):
    return base_times_cayley(np.eye(len(X), dtype=X.dtype), X)


@dtypes
@pytest.mark.parametrize("shape, function", [
    *((shape, gradients.cayley) for shape in ((3, 3), (4, 4), (5, 3), (7, 2))),
    *((shape, cayley_from_the_identity) for shape in ((3, 3), (4, 4)))],
    ids=lambda x: getattr(x, "__name__", str(x)))
@pytest.mark.parametrize("scale", [1e3, 1e5, 1e8])
def test_cayley_keeps_its_relative_accuracy(shape, function, dtype, scale):
    """On the null space of A nothing shrinks as A grows; the gradient does."""
    X, C = sample(shape, dtype, 1, scale), sample(shape, dtype, 2)
    G = np.conj(grad(lambda X: np.sum(np.real(np.conj(C) * function(X))))(X))
    exact = exact_gradient("cayley", X, C)
    error = np.linalg.norm(np.tril(G - exact, -1)) / np.linalg.norm(exact)
    assert error <= 8 * eps(dtype) + eps(float) * scale


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (7, 2)], ids=str)
def test_matrix_exp_is_differentiated_twice_in_double_precision(shape, dtype):
    """Single precision would lose 1e5 eps here, and overflow at larger norms."""
    X, D = sample(shape, dtype, 1, 1e5), sample(shape, dtype, 2)

    def slope(X):
        return np.sum(np.real(grad(lambda X: np.sum(np.real(gradients.matrix_exp(X))))(X) * D))
    double = np.result_type(dtype, float)
    second, exact = grad(slope)(X), grad(slope)(X.astype(double))
    assert second.dtype == dtype
    assert np.linalg.norm(second - exact) <= 8 * eps(dtype) * np.linalg.norm(exact)


@pytest.mark.parametrize("scale", [1e10, 1e12])
def test_second_order_of_a_huge_single_is_finite(scale):
    X = sample((7, 2), np.float32, scale=scale)
    second = grad(lambda X: np.sum(grad(lambda X: np.sum(gradients.matrix_exp(X)[0]))(X)**2))(X)
    assert np.all(np.isfinite(second))


def test_gradient_through_long_reflectors_keeps_its_digits():
    """In single precision throughout, the error would be about 8 eps, and in some cases 30."""
    X, C = with_signs(sample((256, 256), np.float32, scale=60)), sample((256, 256), np.float32, 1)
    G, exact = (grad(lambda X: np.sum(C * gradients.householder(X)))(X.astype(dtype))
                for dtype in (np.float32, np.float64))
    assert G.dtype == np.float32
    assert np.linalg.norm(G - exact) <= eps(np.float32) * np.linalg.norm(exact)


@dtypes
@pytest.mark.parametrize("c", [2.0**-40, 2.0**40])
def test_the_derivatives_of_spectral_normalize_fall_with_the_scale(c, dtype):
    """To the bit, by powers of two; the square of c W is out of the usual range."""
    W, D = sample((4, 3), dtype), sample((4, 3), dtype, 1)
    u, v = np.ones(4, dtype) / 2, np.ones(3, dtype) / 2

    def gradient_at(W):
        return grad(lambda W: np.sum(np.real(D * gradients.spectral_normalize(W, u, v))**2))(W)
    second_at = grad(lambda W: np.sum(np.real(D * gradient_at(W))))
    scaled = W * W.real.dtype.type(c)
    assert_identical(gradients.spectral_normalize(scaled, u, v), gradients.spectral_normalize(W, u, v))
    assert_identical(gradient_at(scaled) * W.real.dtype.type(c), gradient_at(W))
    assert_identical(second_at(scaled) * W.real.dtype.type(c**2), second_at(W))


def test_balance_is_the_next_power_of_two():
    S = np.stack([np.diag([9.0, 1.0]), np.zeros((2, 2)), 1e-300 * np.eye(2)])
    s = balance(S)
    assert s.shape == (3, 1, 1)
    assert s[0] == 4 and s[1] == 1 and 1e-150 / 2 <= s[2] <= 2e-150
