"""One case: a program with options and the inputs to draw for it."""
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

REAL = ("float32", "float64")
COMPLEX = ("complex64", "complex128")
CLASSES = 4


@dataclass(frozen=True)
class Case:
    """One comparison.

    Parameters
    ----------
    family : str
        The row of the report it counts in.
    name : str
        Unique in its family and dtype.
    program : str
        Name of a function of :mod:`.programs`.
    dtype : str
    shapes : dict of str to tuple
        The inputs to draw. The name says how: see :meth:`draw`.
    options : dict
        What else the program gets.
    scale : float
        Of the input X: the norm of the skew matrix it stands for; for reflectors, of its entries,
        times the root of the larger dimension.
    only : tuple of str
        The answers that are compared, where some differ on purpose; empty for all.
    """

    family: str
    name: str
    program: str
    dtype: str
    shapes: dict[str, tuple[int, ...]]
    options: dict[str, Any] = field(default_factory=dict)
    scale: float = 1.0
    only: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The name of the case in the recording."""
        return f"{self.family}/{self.dtype}/{self.name}"

    def draw(self, seed: int) -> dict[str, np.ndarray]:
        """Draw the inputs, normal unless the name says otherwise.

        Orthonormal where it starts with Q, unit vectors for u and v, classes, probabilities of them,
        chances between 0 and 1, positive factors.

        Parameters
        ----------
        seed : int

        Returns
        -------
        dict of str to ndarray
        """
        rng = np.random.default_rng([seed, zlib.crc32(self.id.encode())])
        return {name: self._draw_one(name, shape, rng).astype(self.dtype)
                for name, shape in self.shapes.items()}

    def _draw_one(self, name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
        if name == "classes":
            return rng.integers(0, CLASSES, shape)
        if name == "probabilities":
            p = rng.exponential(size=shape)
            return p / p.sum(axis=1, keepdims=True)
        if name == "chances":
            return rng.uniform(size=shape)
        if name in ("factor", "pos_factor"):
            return rng.uniform(0.5, 2, shape)
        x = rng.standard_normal(shape)
        if self.dtype in COMPLEX:
            x = x + 1j * rng.standard_normal(shape)
        if name.startswith("Q"):
            wide = shape[-2] < shape[-1]
            Q = np.linalg.qr(np.swapaxes(x, -1, -2) if wide else x)[0]
            return np.swapaxes(Q, -1, -2) if wide else Q
        # A clear largest singular value, not orthogonal to the start: where power iteration has to
        # choose between directions, it multiplies the rounding errors of both libraries.
        if name == "W":
            return x + 1
        if name in ("u", "v"):
            return (x / 2 + 1) / np.linalg.norm(x / 2 + 1)
        if name == "X" and self.options["orthogonal_map"] == "householder":
            x = x * self.scale / np.sqrt(max(shape[-2:]))
            i = np.arange(min(shape[-2:]))
            x[..., i, i] = rng.choice([-1.0, 1.0], size=x[..., i, i].shape)
        elif name == "X":
            x = x * self.scale / max(_skew_norm(x), 1e-6)
        return x


def _skew_norm(X: np.ndarray) -> float:
    """Return the largest spectral norm of the skew-Hermitian matrices that X stands for."""
    tall = X if X.shape[-2] >= X.shape[-1] else np.swapaxes(X, -1, -2)
    n, k = tall.shape[-2:]
    L = np.zeros(tall.shape[:-2] + (n, n), X.dtype)
    L[..., :k] = np.tril(tall)
    return np.linalg.norm(L - np.swapaxes(L.conj(), -1, -2), 2, axis=(-2, -1)).max()
