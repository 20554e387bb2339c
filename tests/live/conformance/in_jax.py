"""The maps in JAX as the judge takes them, in both precisions; JAX_ENABLE_X64=0: in single only.

    python -m orthonorm conformance judge tests/live/conformance/in_jax.py
"""
import functools
import os

import jax
import jax.numpy as jnp
import numpy as np

DOUBLE = os.environ.get("JAX_ENABLE_X64", "1") != "0"
jax.config.update("jax_enable_x64", DOUBLE)


def H(A):
    return jnp.conj(jnp.swapaxes(A, -1, -2))


def any_shape(tall):
    """Extend a function of tall matrices to wide ones, by the plain transpose."""
    def of_any_shape(X):
        n, k = X.shape[-2:]
        return tall(X) if n >= k else jnp.swapaxes(tall(jnp.swapaxes(X, -1, -2)), -1, -2)
    return of_any_shape


def skew(X):
    n, k = X.shape[-2:]
    L = jnp.concatenate([jnp.tril(X), jnp.zeros((*X.shape[:-1], n - k), X.dtype)], axis=-1)
    return L - H(L)


@any_shape
def matrix_exp_of(X):
    return jax.scipy.linalg.expm(skew(X))[..., :X.shape[-1]]


@any_shape
def cayley_of(X):
    A = skew(X)
    identity = jnp.eye(A.shape[-1], dtype=A.dtype)
    return jnp.linalg.solve(identity - A / 2, identity + A / 2)[..., :X.shape[-1]]


def reflectors(X):
    n, k = X.shape[-2:]
    V = jnp.tril(X, -1) + jnp.eye(n, k, dtype=X.dtype)
    Q = jnp.broadcast_to(jnp.eye(n, k, dtype=X.dtype), X.shape)
    for j in reversed(range(k)):
        v = V[..., j:j + 1]
        Q = Q - v @ (H(v) @ Q) * (2 / jnp.real(H(v) @ v))
    return Q


def diagonal(X):
    return jnp.diagonal(X, axis1=-2, axis2=-1)[..., None, :]


@any_shape
def householder_of(X):
    if jnp.iscomplexobj(X):
        raise ValueError("X must be real")
    return reflectors(X) * jnp.where(jnp.signbit(diagonal(X)), -1, 1).astype(X.dtype)


@any_shape
def unitary_householder_of(X):
    x = diagonal(X)
    return reflectors(X) * (x / jnp.sqrt(x.real**2 + x.imag**2))


def with_base_of(f):
    def value(base, X):
        n, k = X.shape[-2:]
        return base @ f(X) if n >= k else jnp.swapaxes(base @ jnp.swapaxes(f(X), -1, -2), -1, -2)
    return value


def vjp(f, *arguments):
    """Return the gradients in PyTorch's convention: JAX's cotangents are the conjugates."""
    *point, G = arguments
    return tuple(jnp.conj(x) for x in jax.vjp(f, *point)[1](jnp.conj(G)))


def arrays(function):
    """Let a function of JAX's arrays return NumPy's; refuse what JAX would make single in silence."""
    @functools.wraps(function)
    def of_arrays(*arguments):
        if not DOUBLE and any(x.dtype in (np.float64, np.complex128) for x in arguments
                              if isinstance(x, np.ndarray)):
            raise NotImplementedError("JAX without jax_enable_x64 has single precision only")
        result = function(*(jnp.asarray(x) if isinstance(x, np.ndarray) else x for x in arguments))
        return tuple(map(np.asarray, result)) if isinstance(result, tuple) else np.asarray(result)
    return of_arrays


def operations(name, f):
    with_base = with_base_of(f)
    return {key: arrays(function) for key, function in {
        name: f,
        f"{name}_vjp": lambda X, G: vjp(f, X, G)[0],
        f"{name}_jvp": lambda X, dX: jax.jvp(f, (X,), (dX,))[1],
        f"{name}_hvp": lambda X, G, dX: jax.jvp(lambda X: vjp(f, X, G)[0], (X,), (dX,))[1],
        f"{name}_with_base": with_base,
        f"{name}_with_base_vjp": lambda base, X, G: vjp(functools.partial(with_base, base), X, G)[0],
    }.items()}


for name in ("matrix_exp", "cayley", "householder", "unitary_householder"):
    globals().update(operations(name, globals()[f"{name}_of"]))

expm = arrays(jax.scipy.linalg.expm)
expm_frechet = arrays(lambda A, E: jax.jvp(jax.scipy.linalg.expm, (A,), (E,))[1])
expm_vjp = arrays(lambda A, G: vjp(jax.scipy.linalg.expm, A, G)[0])


@arrays
def power_iteration(W, u, v, n_power_iterations, eps):
    for _ in range(n_power_iterations):
        u = W @ v / jnp.maximum(jnp.linalg.norm(W @ v), eps)
        v = H(W) @ u / jnp.maximum(jnp.linalg.norm(H(W) @ u), eps)
    return u, v


def normalize(W, u, v):
    return W / (jnp.conj(u) @ W @ v)


spectral_normalize = arrays(normalize)
spectral_normalize_vjp = arrays(lambda W, u, v, G: vjp(lambda W: normalize(W, u, v), W, G)[0])


def lengths(g, v, dim):
    axes = tuple(i for i in range(v.ndim) if dim in (None, -1) or i != dim % v.ndim)
    return g * v / jnp.sqrt(jnp.sum(v * v, axis=axes, keepdims=dim not in (None, -1)))


weight_norm = arrays(lengths)
weight_norm_vjp = arrays(lambda g, v, dim, G: vjp(lambda g, v: lengths(g, v, dim), g, v, G))
