"""The conditions under which accuracy is measured: matrices that are easy, large, badly scaled."""
from typing import Callable

import numpy as np

SCALES = (1e-3, 1e-1, 1.0, 10.0, 1e2, 1e3, 1e4)


def _normal(n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Draw entries of variance 1/n: the skew matrix they stand for has a norm near 2."""
    return rng.standard_normal((n, k)) / np.sqrt(n)


def _start(n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Return zero: where training starts."""
    return np.zeros((n, k))


def _columns(n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Scale the columns from 1e-3 to 1e3."""
    return _normal(n, k, rng) * np.logspace(-3, 3, k)[rng.permutation(k)]


def _plane(n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Turn one plane of the first columns by 1e4: its Cayley transform is within 1e-3 of -1."""
    X = _normal(n, k, rng)
    u, v = np.linalg.qr(rng.standard_normal((n, 2)))[0].T
    u[k:] = 0  # u v^T - v u^T has its support in the first k rows and columns
    return X + 1e4 * (np.outer(u, v) - np.outer(v, u))[:, :k]


def _long_reflectors(n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Give every other column the norm 1e3 and the rest 1."""
    X = rng.standard_normal((n, k))
    return X / np.linalg.norm(X, axis=0) * np.where(np.arange(k) % 2, 1.0, 1e3)


def _repeated(n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Make all singular values of the skew matrix 3 (and 0): planes turned by the same angle."""
    X = np.zeros((n, k))
    if n >= 2 * k:
        X[k:] = 3 * np.linalg.qr(rng.standard_normal((n - k, k)))[0]
        return X
    U = np.linalg.qr(rng.standard_normal((k, k)))[0]
    J = np.zeros((k, k))
    J[range(1, k, 2), range(0, k - 1, 2)] = 3
    X[:k] = U @ (J - J.T) @ U.T
    return X


def _ill_conditioned(n: int, k: int, rng: np.random.Generator) -> np.ndarray:
    """Give the rows below the square singular values from 1e2 to 1e-6."""
    X = _normal(n, k, rng)
    if n > k:
        U, _, Vt = np.linalg.svd(rng.standard_normal((n - k, k)), full_matrices=False)
        X[k:] = (U * np.logspace(2, -6, len(Vt))) @ Vt
    return X


def _scaled(scale: float) -> Callable[[int, int, np.random.Generator], np.ndarray]:
    return lambda n, k, rng: scale * _normal(n, k, rng)


CONDITIONS: dict[str, Callable[[int, int, np.random.Generator], np.ndarray]] = {
    "start": _start,
    **{f"scale {scale:g}": _scaled(scale) for scale in SCALES},
    "columns 1e-3..1e3": _columns,
    "one plane 1e4": _plane,
    "reflectors of norm 1e3": _long_reflectors,
    "repeated singular values": _repeated,
    "ill-conditioned B": _ill_conditioned,
}


def draw(condition: str, shape: tuple[int, int], dtype: str, seed: int = 0) -> tuple:
    """Draw X, with a diagonal of 1s and -1s for the Householder map, and a cotangent."""
    n, k = shape
    rng = np.random.default_rng([seed, n, k, *condition.encode()])
    X = CONDITIONS[condition](n, k, rng)
    X[range(k), range(k)] = rng.choice([-1.0, 1.0], k)
    return X.astype(dtype), rng.standard_normal(shape).astype(dtype)
