"""The definitions as programs for any arithmetic, one line for each of theirs.

A program takes one matrix, not a stack. What is wide is taken by its plain transpose.
"""

import functools

import numpy as np

from .arithmetic import H, T, conj, derivative, expm, eye, norm, plain, real, solve, sqrt, total
from .condition import rounded


def any_shape(tall):
    """Extend a program of tall matrices to wide ones."""

    @functools.wraps(tall)
    def program(*matrices):
        n, k = plain(matrices[0]).shape
        return tall(*matrices) if n >= k else T(tall(*map(T, matrices)))

    return program


# The skew-Hermitian maps


def lower(M):
    """Return the lower triangle."""
    return M * np.tril(np.ones(plain(M).shape[-2:], dtype=int)).astype(plain(M).real.dtype)


def skew(X):
    n, k = plain(X).shape
    L = lower(X) @ eye(k, n, like=X)
    return L - H(L)


def skew_vjp(Abar, k):
    return lower((Abar - H(Abar)) @ eye(plain(Abar).shape[-1], k, like=Abar))


@any_shape
def matrix_exp(X):
    A = rounded(skew(X))
    return expm(A) @ eye(*plain(X).shape, like=X)


@any_shape
def matrix_exp_vjp(X, G):
    n, k = plain(X).shape
    A = rounded(skew(X))
    return skew_vjp(derivative(expm, H(A), G @ eye(k, n, like=X)), k)


@any_shape
def cayley(X):
    n, k = plain(X).shape
    A = skew(X)
    M = rounded(eye(n, n, like=X) - A / 2)
    return solve(M, (eye(n, n, like=X) + A / 2) @ eye(n, k, like=X))


@any_shape
def cayley_other(X):
    """Return Q = 2 (I - A/2)^-1 E - E."""
    n, k = plain(X).shape
    E = eye(n, k, like=X)
    return 2 * solve(eye(n, n, like=X) - skew(X) / 2, E) - E


@any_shape
def cayley_vjp(X, G):
    n, k = plain(X).shape
    J = solve(rounded(eye(n, n, like=X) + skew(X) / 2), G)
    K = (rounded(cayley(X)) + eye(n, k, like=X)) / 2
    return skew_vjp(J @ H(K), k)


# Reflectors


def vector(X, j):
    """Return column j of X below the diagonal, with a 1 on it, as an n x 1 matrix."""
    n, k = plain(X).shape
    below = np.tril(np.ones((n, k), dtype=int), -1).astype(plain(X).real.dtype)
    return eye(n, n, like=X)[:, j:j + 1] + (X * below) @ eye(k, k, like=X)[:, j:j + 1]


def reflect(v, M):
    """Return (I - 2 v v^H / (v^H v)) M."""
    return M - 2 * v @ (H(v) @ M / real(H(v) @ v))


def reflectors(X):
    """Return H_1 ... H_k E."""
    n, k = plain(X).shape
    Q = eye(n, k, like=X)
    for j in reversed(range(k)):
        Q = reflect(vector(X, j), Q)
    return Q


def reflectors_other(X):
    """Return E - V T V_1^H, T^-1 = triu(V^H V, 1) + diag(V^H V) / 2 (Joffrain et al. 2006)."""
    n, k = plain(X).shape
    E = eye(n, k, like=X)
    V = sum(vector(X, j) @ H(eye(k, k, like=X)[:, j:j + 1]) for j in range(k))
    gram = H(V) @ V
    above = np.triu(np.ones((k, k), dtype=int), 1).astype(plain(X).real.dtype)
    return E - V @ solve(gram * above + gram * eye(k, k, like=X) / 2, H(H(E) @ V))


def reflectors_vjp(X, G):
    n, k = plain(X).shape
    vectors = [vector(X, j) for j in range(k)]
    Xbar = 0 * X
    below = np.tril(np.ones((n, k), dtype=int), -1).astype(plain(X).real.dtype)
    for j, v in enumerate(vectors):
        S = eye(n, k, like=X)
        for w in reversed(vectors[j + 1:]):
            S = reflect(w, S)
        left = G
        for w in vectors[:j]:
            left = reflect(w, left)
        a = left @ (H(S) @ v) + S @ (H(left) @ v)
        square = real(H(v) @ v)
        vbar = -2 / square * (a - v @ (H(v) @ a) / square)
        Xbar = Xbar + vbar @ eye(k, k, like=X)[j:j + 1] * below
    return Xbar


def diagonal(X):
    """Return the diagonal of a tall X as a row."""
    n, k = plain(X).shape
    return total(X * eye(n, k, like=X), -2)


def with_signs(program, signs):
    """Return the program of the reflectors with the signs of a real X, which are constants."""
    if program is reflectors_vjp:
        return any_shape(lambda X, G: reflectors_vjp(X, G * signs))
    return any_shape(lambda X: program(X) * signs)


def phases(X):
    x = diagonal(X)
    return x / rounded(norm(x, ()))


@any_shape
def unitary_householder(X):
    return reflectors(X) * phases(X)


@any_shape
def unitary_householder_other(X):
    return reflectors_other(X) * phases(X)


@any_shape
def unitary_householder_vjp(X, G):
    n, k = plain(X).shape
    x = diagonal(X)
    size = rounded(norm(x, ()))
    d = x / size
    dbar = total(conj(reflectors(X)) * G, -2)
    xbar = (dbar - d * real(conj(d) * dbar)) / size
    return reflectors_vjp(X, G * conj(d)) + eye(n, k, like=X) * xbar


# The orthonormal factor


@any_shape
def orthonormalize(A):
    """Gram and Schmidt: subtract from each column its components along those before it."""
    n, k = plain(A).shape
    columns = []
    for j in range(k):
        a = A[..., :, j:j + 1]
        for q in columns:
            a = a - q @ (H(q) @ a)
        columns.append(a / norm(a))
    return sum((q @ eye(k, k, like=A)[j:j + 1] for j, q in enumerate(columns)), 0 * A)


@any_shape
def orthonormalize_other(A):
    """Return A R^-1, R^H R = A^H A the factorisation of Cholesky."""
    gram = H(A) @ A
    k = len(gram)
    R = 0 * gram
    for i in range(k):
        rest = gram - H(R) @ R
        R[i, i:] = rest[i, i:] / sqrt(real(rest[i:i + 1, i]))
    return H(solve(H(R), H(A)))


@any_shape
def orthonormalize_vjp(A, G):
    """Return (Q T + G - Q M) R^-H, M = Q^H G, T the lower triangle of M - M^H, half of its diagonal."""
    k = plain(A).shape[-1]
    Q = rounded(orthonormalize(A))
    R, M = H(Q) @ A, H(Q) @ G
    T = lower(M - H(M)) - (M - H(M)) * eye(k, k, like=A) / 2
    return H(solve(R, H(Q @ T + G - Q @ M)))
