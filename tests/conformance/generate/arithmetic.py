"""One arithmetic for three kinds of arrays: the programs of this package run in all of them.

1. arrays of NumPy's floating-point numbers;
2. arrays of mpmath's numbers, dtype object: the same line of code in 50 digits or 200;
3. :class:`Dual`, a value with its derivatives in one direction or many, of any kind of arrays.

Matrices are the last two axes. ``@ + - * /`` are the operators; the rest are the functions below.
"""

import itertools
import math

import mpmath
import numpy as np

levels = itertools.count(1)


class Dual:
    """A value v and its derivatives t (forward-mode differentiation).

    `t` may have axes before those of `v`: one for the directions. Of two duals, the one of the higher
    level was made later, and to it the other is a constant.
    """

    __array_ufunc__ = None

    def __init__(self, v, t, level):
        self.v, self.t, self.level = v, t, level

    def _linear(self, f):
        return Dual(f(self.v), f(self.t), self.level)

    def _parts(self, other):
        same = isinstance(other, Dual) and other.level == self.level
        return (other.v, other.t) if same else (other, None)

    def _above(self, other):
        return not isinstance(other, Dual) or self.level >= other.level

    def __add__(self, other):
        if not self._above(other):
            return other + self
        v, t = self._parts(other)
        return Dual(self.v + v, self.t + (0 * v if t is None else t), self.level)

    __radd__ = __add__

    def __neg__(self):
        return self._linear(lambda x: -x)

    def __sub__(self, other):
        return self + -other

    def __rsub__(self, other):
        return -self + other

    def __mul__(self, other):
        if not self._above(other):
            return other * self
        v, t = self._parts(other)
        return Dual(self.v * v, self.t * v + (0 if t is None else self.v * t), self.level)

    __rmul__ = __mul__

    def __truediv__(self, other):
        if not self._above(other):
            return other.__rtruediv__(self)
        v, t = self._parts(other)
        quotient = self.v / v
        return Dual(quotient, (self.t - (0 if t is None else quotient * t)) / v, self.level)

    def __rtruediv__(self, other):
        return Dual(0 * self.v + other, 0 * self.t, self.level) / self

    def __matmul__(self, other):
        if not self._above(other):
            return other.__rmatmul__(self)
        v, t = self._parts(other)
        product = self.t @ v
        return Dual(self.v @ v, product if t is None else product + self.v @ t, self.level)

    def __rmatmul__(self, other):
        return Dual(other @ self.v, other @ self.t, self.level)

    def __getitem__(self, index):
        return self._linear(lambda x: x[index])


def derivative(f, X, dX):
    """Return the derivative of f at X in the direction dX; X and dX may be tuples of arrays."""
    level = next(levels)
    many = isinstance(X, tuple)
    pairs = zip(X, dX) if many else [(X, dX)]
    return tangent(f(*(Dual(x, dx, level) for x, dx in pairs)), level)


def tangent(result, level):
    """Return the derivatives in a result; zeros where it does not depend on what was varied."""
    if isinstance(result, tuple):
        return tuple(tangent(part, level) for part in result)
    return result.t if isinstance(result, Dual) and result.level == level else 0 * result


def plain(X):
    """Return the array of values under all duals."""
    return plain(X.v) if isinstance(X, Dual) else X


def linear(function):
    """Extend a real-linear function of arrays to duals."""

    def of_any(X, *arguments, **keywords):
        if isinstance(X, Dual):
            return X._linear(lambda x: of_any(x, *arguments, **keywords))
        return function(X, *arguments, **keywords)

    return of_any


conj = linear(np.conj)
T = linear(lambda X: np.swapaxes(X, -1, -2))
real = linear(
    lambda X: np.vectorize(mpmath.re, otypes=[object])(X) if X.dtype == object and X.size else X.real
)
total = linear(lambda X, axis: np.sum(X, axis=axis, keepdims=True))


def H(X):
    """Return the conjugate transpose."""
    return conj(T(X))


def eye(n, k, like):
    """Return the first k columns of the n x n identity, in the arithmetic of `like`."""
    return np.eye(n, k, dtype=plain(like).dtype)


def sqrt(X):
    """Return the square roots of positive real numbers."""
    if isinstance(X, Dual):
        root = sqrt(X.v)
        return Dual(root, X.t / (2 * root), X.level)
    return np.vectorize(mpmath.sqrt, otypes=[object])(X) if X.dtype == object else np.sqrt(X)


def norm(X, axis=(-2, -1)):
    """Return the Euclidean norm over some axes, which stay with length 1."""
    return sqrt(total(real(conj(X) * X), axis))


def solve(A, B):
    """Return A^-1 B."""
    for M in (A, B):
        if isinstance(M, Dual) and M.level == max(m.level for m in (A, B) if isinstance(m, Dual)):
            level = M.level
            (Av, At), (Bv, Bt) = (_split(m, level) for m in (A, B))
            X = solve(Av, Bv)
            t = (0 if Bt is None else Bt) - (0 if At is None else At @ X)
            return Dual(X, solve(Av, t), level)
    return eliminate(A, B) if A.dtype == object or B.dtype == object else np.linalg.solve(A, B)


def _split(M, level):
    return (M.v, M.t) if isinstance(M, Dual) and M.level == level else (M, None)


def eliminate(A, B):
    """Return A^-1 B by Gaussian elimination with partial pivoting, for mpmath's numbers."""
    n = len(A)
    M = np.concatenate([A, B], axis=1).astype(object)
    for j in range(n):
        pivot = max(range(j, n), key=lambda i: abs(M[i, j]))
        M[[j, pivot]] = M[[pivot, j]]
        M[j] = M[j] / M[j, j]
        for i in range(n):
            if i != j:
                M[i] = M[i] - M[i, j] * M[j]
    return M[:, n:]


def expm(A):
    """Return the exponential: Taylor's series of A / 2^s, squared s times."""
    value = plain(A)
    exact = value.dtype == object
    size = float(max((abs(x) for x in value.ravel()), default=0)) * value.shape[-1]
    squarings = max(0, math.frexp(size)[1] + (8 if exact else 2))
    with mpmath.workdps(mpmath.mp.dps + 10 + squarings // 2):
        bits = mpmath.mp.prec if exact else 64
        small = A * (mpmath.mpf(2) ** -squarings if exact else value.real.dtype.type(2.0**-squarings))
        terms = next(
            d
            for d in itertools.count(2)
            if d * (8 if exact else 2) + math.lgamma(d + 1) / math.log(2) > bits
        )
        one = eye(*value.shape[-2:], like=value)
        power = one
        for j in range(terms, 0, -1):
            power = one + small @ power / j
        for _ in range(squarings):
            power = power @ power
    return power


def exactly(X):
    """Convert an array to one of mpmath's numbers, without rounding; what is no array stays."""
    if not isinstance(X, np.ndarray):
        return X
    number = mpmath.mpc if np.iscomplexobj(X) else mpmath.mpf
    return np.array([number(x) for x in X.ravel().tolist()] + [None], dtype=object)[:-1].reshape(
        X.shape
    )
