"""The maps on plain arrays: NumPy and SciPy in, NumPy out, no differentiation.

Each map takes an unconstrained array ``(..., n, k)`` and returns one of the same shape and dtype
with orthonormal columns (rows where n < k).
"""
from .bounds import spectral_norm_bounds
from .cayley import cayley, cayley_inverse
from .completion import complete
from .convolution import (
    circular_convolution_norm_bounds, circular_convolution_singular_values, convolution_matrix,
)
from .exponential import expm, expm_frechet
from .householder import householder, householder_inverse
from .logarithm import matrix_exp_inverse
from .matrix_exp import matrix_exp
from .orthonormalize import orthonormalize
from .spectral import power_iteration, spectral_normalize
from .starts import haar, torus
from .unitary_householder import unitary_householder, unitary_householder_inverse

__all__ = [
    "cayley", "cayley_inverse", "circular_convolution_norm_bounds",
    "circular_convolution_singular_values", "complete", "convolution_matrix", "expm", "expm_frechet",
    "haar", "householder", "householder_inverse", "matrix_exp", "matrix_exp_inverse", "orthonormalize",
    "power_iteration", "spectral_norm_bounds", "spectral_normalize", "torus", "unitary_householder",
    "unitary_householder_inverse",
]
