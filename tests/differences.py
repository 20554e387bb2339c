"""Derivatives by central differences, and the comparison of autograd's with them.

The stencil has five points: its error is h^4 f^(5) / 30 plus rounding of about 2 eps |f| / h, so
that h = 1e-3 leaves 1e-12 relative to functions and derivatives of order one. TOLERANCE allows
derivatives of higher order to be a hundred times larger.
"""
import autograd.numpy as np
from autograd import grad, make_jvp

from tests.helpers import is_complex, sample

STEP = 1e-3
TOLERANCE = 1e-8


def directional(f, X, D):
    """Differentiate t -> f(X + t D) at 0."""
    def at(t):
        return f(X + t * STEP * D)
    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * STEP)


def gradient(loss, X):
    """Return autograd's convention of a real loss: dL/dRe X - i dL/dIm X, entry by entry."""
    g = np.zeros_like(X)
    for index in np.ndindex(X.shape):
        D = np.zeros_like(X)
        D[index] = 1
        g[index] = directional(loss, X, D)
        if np.iscomplexobj(X):
            g[index] -= 1j * directional(loss, X, 1j * D)
    return g


def close(actual, desired):
    actual, desired = np.asarray(actual), np.asarray(desired)
    assert actual.shape == desired.shape
    error = np.max(np.abs(actual - desired), initial=0)
    allowed = TOLERANCE * np.max(np.abs(desired), initial=1)
    assert error <= allowed, f"off by {error:.3g}, allowed are {allowed:.3g}"


def real_inner(g, D):
    """Return what the gradient g, in autograd's convention, says of a step D."""
    return np.sum(np.real(g * D))


def against(f, X, seed=5):
    """Contract f with a random cotangent: a real loss, sensitive to every entry of f(X)."""
    Y = f(X)
    C = sample(np.shape(Y), Y.dtype, seed)
    return lambda X: real_inner(C, f(X))


def directions(X, count=2):
    for seed in range(10, 10 + count):
        yield sample(X.shape, X.dtype, seed)


def check_reverse(f, X):
    """Hold the gradient, every entry, and two second derivatives taken in reverse over reverse."""
    loss = against(f, X)
    g = grad(loss)(X)
    assert g.dtype == X.dtype
    close(g, gradient(loss, X))
    for D in directions(X):
        def slope(X):
            return real_inner(grad(loss)(X), D)
        for E in directions(X):
            close(real_inner(grad(slope)(X), E), directional(slope, X, E))


def check_forward(f, X):
    for D in directions(X):
        value, tangent = make_jvp(f)(X)(D)
        assert np.array_equal(value, f(X))
        assert tangent.dtype == value.dtype
        close(tangent, directional(f, X, D))


def check_forward_over_reverse(f, X):
    loss = against(f, X)
    for D in directions(X):
        _, tangent = make_jvp(grad(loss))(X)(D)
        close(tangent, directional(grad(loss), X, D))


def check_reverse_over_forward(f, X):
    for D in directions(X, 1):
        def tangent(X):
            return make_jvp(f)(X)(D)[1]
        loss = against(tangent, X)
        g = grad(loss)(X)
        assert g.dtype == X.dtype
        for E in directions(X):
            close(real_inner(g, E), directional(loss, X, E))


def check_forward_over_forward(f, X):
    for D in directions(X, 1):
        def tangent(X):
            return make_jvp(f)(X)(D)[1]
        for E in directions(X, 1):
            close(make_jvp(tangent)(X)(E)[1], directional(tangent, X, E))


CHECKS = {"reverse twice": check_reverse, "forward": check_forward,
          "forward over reverse": check_forward_over_reverse,
          "reverse over forward": check_reverse_over_forward,
          "forward twice": check_forward_over_forward}


def dtypes_of(real_only=False):
    return [np.float64] if real_only else [np.float64, np.complex128]


def single(dtype):
    return np.complex64 if is_complex(dtype) else np.float32
