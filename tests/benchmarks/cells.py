"""What is timed: the cells, their inputs, and how much arithmetic each of them is."""
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

MAPS = ("matrix_exp", "cayley", "householder")
SQUARE = [(n, n) for n in (16, 64, 256, 512, 1024)]
TALL = [(512, 64), (1024, 64), (1024, 256), (4096, 64), (16384, 32)]
BATCH = [(64, 32, 32)]
SPECTRAL = [(32, 32), (256, 256), (1024, 1024), (256, 128, 3, 3)]
QUICK_SHAPES = [(16, 16), (64, 64), (256, 256), (512, 64), (64, 32, 32), (32, 32)]
DTYPES = ("float32", "float64")
DIRECTIONS = ("forward", "forward+backward")


@dataclass(frozen=True)
class Cell:
    """One weight, in one dtype, read (forward) or differentiated too (forward+backward)."""

    map: str
    shape: tuple[int, ...]
    dtype: str
    direction: str

    def __str__(self) -> str:
        return f"{self.map} {self.size} {self.dtype} {self.direction}"

    @property
    def size(self) -> str:
        return "x".join(map(str, self.shape))

    @property
    def backward(self) -> bool:
        return self.direction == "forward+backward"

    @property
    def orthogonal(self) -> bool:
        return self.map in MAPS

    @property
    def kind(self) -> str:
        if not self.orthogonal or len(self.shape) > 2:
            return "spectral" if not self.orthogonal else "batch"
        return "square" if self.shape[0] == self.shape[1] else "tall"


def cells(dtypes: Any = DTYPES, quick: bool = False) -> list[Cell]:
    """List the cells; `quick` keeps the small shapes."""
    shapes = [(name, shape) for name in MAPS for shape in SQUARE + TALL + BATCH]
    shapes += [("spectral_norm", shape) for shape in SPECTRAL]
    return [Cell(name, shape, dtype, direction) for dtype in dtypes for name, shape in shapes
            for direction in DIRECTIONS if not quick or shape in QUICK_SHAPES]


def arrays(cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """Draw the unconstrained matrix and the cotangent of a cell.

    The matrix is the start of every orthogonal weight, minus the identity, and normal entries of
    variance 1/n: an angle of a few radians away from the base, as after training for a while. (At
    the start itself the skew matrix is zero, where PyTorch's exponential returns at once.)
    """
    rng = np.random.default_rng(list(cell.shape))
    X = rng.standard_normal(cell.shape)
    if cell.orthogonal:
        X /= math.sqrt(cell.shape[-2])
        diagonal = range(cell.shape[-1])
        X[..., diagonal, diagonal] = -1
    return X.astype(cell.dtype), rng.standard_normal(cell.shape).astype(cell.dtype)


def flops(cell: Cell) -> float:
    """Count the arithmetic of orthonorm's algorithm in a cell, to leading order."""
    if not cell.orthogonal:
        return _spectral_norm_flops(cell)
    *batch, n, k = cell.shape
    forward, backward = MAP_FLOPS[cell.map](n, k, cell.dtype)
    base = 2 * n**3 if n == k else 4 * n * k**2
    return math.prod(batch) * (forward + base + cell.backward * (backward + base))


# A product of (m, l) and (l, p) matrices is 2 m l p, an inverse 2 k^3, a triangular solve with k
# right-hand sides k^3. n - k is the height of B. Multiplying by a square base is a product, by one of
# k reflectors, I - V T V^T, the two products with V. Each function returns (forward, backward).

def _cayley_flops(n: int, k: int, dtype: str) -> tuple[float, float]:
    """B^H B, the inverse, B Y; then B^H G2, G2 Y^H, B (S + S^H) and two products of k x k."""
    b = n - k
    return 4 * b * k**2 + 2 * k**3, 6 * b * k**2 + 4 * k**3


def _householder_flops(n: int, k: int, dtype: str) -> tuple[float, float]:
    """V^T V, a solve, V W; then V^T G, a solve, R W^T, G W^T and V (C + C^T).

    A square base takes the reflectors themselves, at the price of the product with it. Then Q^T G,
    which counts as the other product with the base, T, A = V T^T, K A, A^T K A and V times that.
    """
    if n == k:
        return 0, 9 * n**3
    return 4 * n * k**2 + k**3, 6 * n * k**2 + 3 * k**3


def _matrix_exp_flops(n: int, k: int, dtype: str) -> tuple[float, float]:
    """Six products of the Taylor polynomial, and the squarings; three times that for its dual."""
    m = min(n, 2 * k)
    products = 6 + (2 if dtype == "float64" else 0)  # squarings, at the norm of `arrays`
    tall = 4 * (n - k) * k**2 if m < n else 0
    return 2 * m**3 * products + tall, 6 * m**3 * products + 1.5 * tall


MAP_FLOPS = {"matrix_exp": _matrix_exp_flops, "cayley": _cayley_flops,
             "householder": _householder_flops}


def _spectral_norm_flops(cell: Cell) -> float:
    """W v and W^H u; then <W, G> and the product u v^H. (Memory, not arithmetic, bounds these.)"""
    return math.prod(cell.shape) * (8 if cell.backward else 4)


def pytorch_flops(cell: Cell) -> float:
    """Estimate the arithmetic of PyTorch's algorithm, to know what would take too long to time.

    The exponential of n x n is about 8 products, its gradient the exponential of a 2n x 2n matrix of
    larger norm, about 12. Cayley factors and solves with an n x n matrix; its gradient solves again.
    The gradient of householder passes over n x n matrices once for each of k reflectors, at the speed
    of memory: measured, that is worth 700 operations an entry.
    """
    if not cell.orthogonal:
        return 0
    *batch, n, k = cell.shape
    if cell.map == "matrix_exp":
        work = 16 * n**3 + cell.backward * 24 * (2 * n)**3
    elif cell.map == "cayley":
        work = 8 / 3 * n**3 + cell.backward * 4 * n**3
    else:
        work = 4 * n * k**2 + cell.backward * 700 * n**2 * k
    return math.prod(batch) * (work + 2 * n**2 * k * (1 + cell.backward))


def pytorch_bytes(cell: Cell) -> float:
    """Estimate the memory PyTorch needs: the base, and a dozen n x n matrices (not for householder)."""
    if not cell.orthogonal:
        return 0
    n = cell.shape[-2]
    square = math.prod(cell.shape[:-2]) * n**2 * np.dtype(cell.dtype).itemsize
    matrices = {"householder": 2, "cayley": 12, "matrix_exp": 12 + cell.backward * 60}
    return square * matrices[cell.map]
