"""The maps on plain arrays: NumPy and SciPy in, NumPy out, no differentiation.

Each map takes an unconstrained array ``(..., n, k)`` and returns one of the same shape and dtype
with orthonormal columns (rows where n < k).
"""
from .cayley import cayley, cayley_inverse
from .completion import complete
from .exponential import expm, expm_frechet
from .householder import householder, householder_inverse
from .logarithm import matrix_exp_inverse
from .matrix_exp import matrix_exp
from .orthonormalize import orthonormalize
from .spectral import power_iteration, spectral_normalize
from .unitary_householder import unitary_householder, unitary_householder_inverse

__all__ = [
    "cayley", "cayley_inverse", "complete", "expm", "expm_frechet", "householder",
    "householder_inverse", "matrix_exp", "matrix_exp_inverse", "orthonormalize", "power_iteration",
    "spectral_normalize", "unitary_householder", "unitary_householder_inverse",
]
