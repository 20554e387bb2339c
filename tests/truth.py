"""The definitions in 50-digit arithmetic: dense n x n matrices of mpmath.

Each function is that of the same name in ``orthonorm/core/definitions.py``, written once more and
without it: ``tests/core/test_definitions.py`` holds the definitions against this file, and everything
else in the package is held against the definitions or against this file.
"""
import functools

import mpmath
import numpy as np

DIGITS = 50


def exactly(A):
    """Convert an array to an mpmath matrix, without rounding; one of mpmath stays."""
    return A if isinstance(A, mpmath.matrix) else mpmath.matrix(A.tolist())


def of_tall(truth):
    """Run in 50 digits, on the plain transpose where X is wide."""
    @functools.wraps(truth)
    def any_shape(X):
        with mpmath.workdps(DIGITS):
            X = exactly(X)
            return truth(X.T).T if X.rows < X.cols else truth(X)
    return any_shape


def skew(X):
    """Build PyTorch's n x n matrix: tril(X) and zero columns, minus the conjugate transpose."""
    A = mpmath.zeros(X.rows)
    for i in range(X.rows):
        for j in range(min(i + 1, X.cols)):
            A[i, j] += X[i, j]
            A[j, i] -= mpmath.conj(X[i, j])
    return A


def first_columns(A, k):
    return A[:, :k]


@of_tall
def matrix_exp(X):
    return first_columns(mpmath.expm(skew(X)), X.cols)


@of_tall
def cayley(X):
    A, identity = skew(X), mpmath.eye(X.rows)
    return first_columns((identity + A / 2) * (identity - A / 2)**-1, X.cols)


@of_tall
def householder(X):
    """Multiply the reflectors I - 2 v v^T / v^T v one at a time, then the columns by their signs."""
    Q = mpmath.eye(X.rows)
    for j in range(X.cols):
        v = mpmath.zeros(X.rows, 1)
        v[j] = 1
        for i in range(j + 1, X.rows):
            v[i] = X[i, j]
        Q = Q - 2 / (v.T * v)[0] * (Q * v) * v.T
    signs = mpmath.diag([-1 if X[j, j] < 0 else 1 for j in range(X.cols)])  # there is no -0 here
    return first_columns(Q, X.cols) * signs


@of_tall
def unitary_householder(X):
    """Multiply the reflectors I - 2 v v^H / v^H v one at a time, then the columns by their phases."""
    Q = mpmath.eye(X.rows)
    for j in range(X.cols):
        v = mpmath.zeros(X.rows, 1)
        v[j] = 1
        for i in range(j + 1, X.rows):
            v[i] = X[i, j]
        Q = Q - 2 / (v.H * v)[0] * (Q * v) * v.H
    phases = mpmath.diag([X[j, j] / abs(X[j, j]) for j in range(X.cols)])
    return first_columns(Q, X.cols) * phases


@of_tall
def orthonormalize(A):
    """Gram and Schmidt: subtract from each column its components along those before it."""
    Q = A.copy()
    for j in range(A.cols):
        for i in range(j):
            Q[:, j] -= Q[:, i] * (Q[:, i].H * A[:, j])[0]
        Q[:, j] /= mpmath.norm(Q[:, j])
    return Q


@of_tall
def polar(A):
    """Replace the singular values of A by ones."""
    U, _, VH = mpmath.svd(A / mpmath.norm(A))
    return U * VH


def expm(A):
    with mpmath.workdps(DIGITS):
        return mpmath.expm(exactly(A))


def expm_frechet(A, E):
    """Read L(A, E) off the exponential of [[A, E], [0, A]]."""
    n = len(A)
    block = np.block([[A, E], [np.zeros_like(A), A]])
    return expm(block)[:n, n:]


def error(actual, truth):
    """Return the largest distance of an entry of an array from the truth."""
    with mpmath.workdps(DIGITS):
        difference = exactly(actual) - truth
        return float(max(abs(entry) for entry in difference))


def norm2(A):
    """Return the 2-norm of an array, in double precision."""
    return np.linalg.norm(A.astype(np.result_type(A, np.float64)), 2)
