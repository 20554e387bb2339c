"""autograd's own rules: a Cayley transform by autograd.numpy.linalg.solve, a polar factor by svd."""

import autograd.numpy as np
from autograd import make_jvp, make_vjp


def cayley(X):
    if X.shape[-2] < X.shape[-1]:
        return np.swapaxes(cayley(np.swapaxes(X, -1, -2)), -1, -2)
    n, k = X.shape[-2:]
    L = np.concatenate([np.tril(X), np.zeros((*X.shape[:-1], n - k), X.dtype)], axis=-1)
    A = L - np.conj(np.swapaxes(L, -1, -2))
    return np.linalg.solve(np.eye(n, dtype=X.dtype) - A / 2, np.eye(n, dtype=X.dtype) + A / 2)[..., :k]


def cayley_vjp(X, G):
    return np.conj(make_vjp(cayley)(X)[0](np.conj(G)))


def polar(A):
    U, _, Vh = np.linalg.svd(A, full_matrices=False)
    return np.matmul(U, Vh)


def polar_vjp(A, G):
    return np.conj(make_vjp(polar)(A)[0](np.conj(G)))


def cayley_jvp(X, dX):
    return make_jvp(cayley)(X)(dX)[1]
