"""The maps on plain arrays: NumPy and SciPy in, NumPy out, no differentiation.

Each map takes an unconstrained array ``(..., n, k)`` and returns one of the same shape and dtype
with orthonormal columns (rows where n < k).
"""
from .cayley import cayley
from .completion import complete
from .exponential import expm, expm_frechet
from .householder import householder, householder_inverse
from .matrix_exp import matrix_exp
from .orthonormalize import orthonormalize
from .spectral import power_iteration, spectral_normalize

__all__ = [
    "cayley", "complete", "expm", "expm_frechet", "householder", "householder_inverse", "matrix_exp",
    "orthonormalize", "power_iteration", "spectral_normalize",
]
