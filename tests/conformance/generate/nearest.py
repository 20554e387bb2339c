"""The polar factor and the Newton-Schulz iteration as programs for any arithmetic."""

import numpy as np

from .arithmetic import H, conj, derivative, eye, norm, plain, real, solve, sqrt, total
from .condition import rounded
from .maps import any_shape


@any_shape
def polar(A):
    """Return the limit of X <- (X + X^-H) / 2, Newton's iteration, X^-H = X (X^H X)^-1 where X is tall.

    The factors, constants, bring the norms of both terms together first (Higham 2008, section 8.6).
    """
    n, k = plain(A).shape
    X = A
    for _ in range(18 if plain(A).size else 0):
        Y = solve(H(X), eye(n, n, like=X)) if n == k else X @ solve(H(X) @ X, eye(k, k, like=X))
        factor = sqrt(norm(plain(Y)) / norm(plain(X)))
        X = (factor * X + Y / factor) / 2
    return X


@any_shape
def polar_other(A):
    """Return A M^-1, M the square root of A^H A by the iteration of Denman and Beavers."""
    A = A / norm(A)
    M = H(A) @ A
    k = len(M)
    Z = eye(k, k, like=M)
    for _ in range(60):
        M, Z = (M + solve(Z, eye(k, k, like=M))) / 2, (Z + solve(M, eye(k, k, like=M))) / 2
    return H(solve(H(M), H(A)))


def polar_vjp(A, G):
    """Return the derivative of the polar factor along G: it is its own adjoint."""
    return derivative(polar, A, G)


def triples(coefficients, steps):
    """Return each step's (a, b, c), as arrays of one number, which a program rounds."""
    each = np.broadcast_to(np.array(coefficients, float), (steps, 3))
    return [[rounded(entry) for entry in triple.reshape(3, 1, 1)] for triple in each]


def newton_schulz(A, coefficients, steps):
    X = A / norm(A) if plain(A).size else A
    for a, b, c in triples(coefficients, steps):
        X = rounded(X)
        X = a * X + b * (X @ H(X) @ X) + c * (X @ H(X) @ X @ H(X) @ X)
    return X


def newton_schulz_other(A, coefficients, steps):
    """Return A p(A^H A) / |A|, the polynomials multiplied as functions of the Gram matrix."""
    gram = H(A) @ A / norm(A) ** 2
    factor = identity = eye(*plain(gram).shape, like=gram)
    for a, b, c in triples(coefficients, steps):
        step = a * identity + b * gram + c * gram @ gram
        gram, factor = gram @ step @ step, factor @ step
    return A @ factor / norm(A)


def newton_schulz_vjp(A, coefficients, steps, G):
    if not plain(A).size:
        return A
    iterates = [rounded(A / norm(A))]
    each = triples(coefficients, steps)
    for a, b, c in each:
        X = iterates[-1]
        iterates.append(rounded(a * X + b * (X @ H(X) @ X) + c * (X @ H(X) @ X @ H(X) @ X)))
    for X, (a, b, c) in zip(iterates[-2::-1], each[::-1]):
        P, R = X @ H(X), H(X) @ X
        G = rounded(G)
        cubic = G @ R + X @ H(G) @ X + P @ G
        quintic = G @ R @ R + P @ X @ H(G) @ X + P @ G @ R + X @ H(G) @ X @ R + P @ P @ G
        G = a * G + b * cubic + c * quintic
    B = iterates[0]
    return (G - B * total(real(conj(B) * G), (-2, -1))) / norm(A)
