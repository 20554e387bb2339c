"""JAX on the CPU, compiled: what somebody would write there instead.

Each program computes sum(C * base f(X)) and its gradient by X in one compiled call. It is written
twice: "JAX, n x n" with the textbook's n x n matrices and an n x n base, and "JAX, closed form" with
the formulas of :mod:`orthonorm.core` and a base of k reflectors. JAX differentiates both.
"""
import os

# One thread: XLA reads this when it starts.
os.environ["XLA_FLAGS"] = (os.environ.get("XLA_FLAGS", "") + " --xla_cpu_multi_thread_eigen=false"
                           " intra_op_parallelism_threads=1")

import time  # noqa: E402
from typing import Any, Callable  # noqa: E402

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax.scipy.linalg import expm, solve_triangular  # noqa: E402

from .cells import Cell, arrays  # noqa: E402

jax.config.update("jax_enable_x64", True)  # float32 stays float32
NAMES = ("JAX, n x n", "JAX, closed form")


def program(name: str, cell: Cell) -> Callable[[], Any] | None:
    """Compile a cell; the function has the seconds that this took as ``compile_seconds``."""
    if not cell.orthogonal or not cell.backward:
        return None
    if name == NAMES[1] and cell.shape[:-2]:
        return None  # in a stack of triangular systems XLA's only thread waits for itself, for ever
    n, k = cell.shape[-2:]
    X, C = map(jnp.asarray, arrays(cell))
    dense = name == NAMES[0] or n == k
    function = (DENSE if name == NAMES[0] else CLOSED)[cell.map]
    base = _dense_base(X) if dense else _reflectors(X)

    def loss(X: Any, C: Any, base: Any) -> Any:
        Q = function(X)
        return jnp.sum(C * (base @ Q if dense else _times_reflectors(base, Q)))

    start = time.perf_counter()
    compiled = jax.jit(jax.value_and_grad(loss)).lower(X, C, base).compile()
    seconds = time.perf_counter() - start

    def run() -> Any:
        return jax.block_until_ready(compiled(X, C, base))
    run.compile_seconds = seconds  # type: ignore[attr-defined]
    return run


def _dense_base(X: Any) -> Any:
    n = X.shape[-2]
    return jnp.broadcast_to(jnp.eye(n, dtype=X.dtype), (*X.shape[:-1], n))


def _reflectors(X: Any) -> Any:
    """Return signs, V and T of a base D - V T V^T D, of the usual form."""
    rng = np.random.default_rng(0)
    V = rng.standard_normal(X.shape).astype(X.dtype)
    T = rng.standard_normal((*X.shape[:-2], X.shape[-1], X.shape[-1])).astype(X.dtype)
    return jnp.ones(X.shape[-2:-1] + (1,), X.dtype), jnp.asarray(V), jnp.asarray(T)


def _times_reflectors(base: Any, Q: Any) -> Any:
    D, V, T = base
    return D * Q - V @ (T @ (V.mT @ (D * Q)))


# -- the definitions, n x n --------------------------------------------------------------------------

def _skew(X: Any) -> Any:
    n, k = X.shape[-2:]
    L = jnp.concatenate([jnp.tril(X), jnp.zeros((*X.shape[:-1], n - k), X.dtype)], axis=-1)
    return L - L.mT


def _dense_matrix_exp(X: Any) -> Any:
    return expm(_skew(X))[..., :X.shape[-1]]


def _dense_cayley(X: Any) -> Any:
    A, identity = _skew(X), jnp.eye(X.shape[-2], dtype=X.dtype)
    return jnp.linalg.solve(identity - A / 2, (identity + A / 2)[..., :X.shape[-1]])


def _dense_householder(X: Any) -> Any:
    """Multiply the reflectors I - 2 v v^T / v^T v, one at a time, from the last to the first."""
    n, k = X.shape[-2:]
    V = jnp.tril(X, -1) + jnp.eye(n, k, dtype=X.dtype)

    def reflect(Q: Any, v: Any) -> tuple[Any, None]:
        v = v[..., None]
        return Q - v @ (2 * (v.mT @ Q) / (v.mT @ v)), None

    start = jnp.broadcast_to(jnp.eye(n, k, dtype=X.dtype), X.shape)
    Q, _ = jax.lax.scan(reflect, start, jnp.moveaxis(V, -1, 0), reverse=True)
    return Q * _signs(X)


def _signs(X: Any) -> Any:
    diagonal = jnp.diagonal(X, axis1=-2, axis2=-1)
    return jax.lax.stop_gradient(jnp.where(jnp.signbit(diagonal), -1, 1).astype(X.dtype))[..., None, :]


# -- the closed forms --------------------------------------------------------------------------------

def _blocks(X: Any) -> tuple[Any, Any]:
    k = X.shape[-1]
    L1 = jnp.tril(X[..., :k, :])
    return L1 - L1.mT, X[..., k:, :]


def _closed_matrix_exp(X: Any) -> Any:
    n, k = X.shape[-2:]
    if 2 * k >= n:
        return _dense_matrix_exp(X)
    Omega, B = _blocks(X)
    s = jax.lax.stop_gradient(jnp.linalg.norm(B))
    identity = jnp.eye(k, dtype=X.dtype)
    F = expm(jnp.block([[Omega, -(B.mT @ B) / s], [s * identity, jnp.zeros_like(Omega)]]))
    return jnp.concatenate([F[:k, :k], B @ (F[k:, :k] / s)], axis=-2)


def _closed_cayley(X: Any) -> Any:
    Omega, B = _blocks(X)
    identity = jnp.eye(X.shape[-1], dtype=X.dtype)
    Y = jnp.linalg.inv(identity - Omega / 2 + (B.mT @ B) / 4)
    return jnp.concatenate([2 * Y - identity, B @ Y], axis=-2)


def _closed_householder(X: Any) -> Any:
    n, k = X.shape[-2:]
    E = jnp.eye(n, k, dtype=X.dtype)
    V = jnp.tril(X, -1) + E
    gram = V.mT @ V
    M = jnp.triu(gram, 1) + jnp.eye(k, dtype=X.dtype) * gram / 2
    return (E - V @ solve_triangular(M, V[..., :k, :].mT)) * _signs(X)


DENSE = {"matrix_exp": _dense_matrix_exp, "cayley": _dense_cayley, "householder": _dense_householder}
CLOSED = {"matrix_exp": _closed_matrix_exp, "cayley": _closed_cayley,
          "householder": _closed_householder}
