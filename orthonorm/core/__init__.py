"""The maps on plain arrays: NumPy and SciPy in, NumPy out, no differentiation.

Begin with :mod:`.definitions`: what every map, inverse and adjoint is, in its textbook form, n x n and
slow. The other modules compute the same in O(n k^2), one map a module.

The maps :func:`matrix_exp`, :func:`cayley`, :func:`householder` and :func:`unitary_householder` take an
unconstrained array ``(..., n, k)`` and return one of the same shape and dtype with orthonormal columns
(rows where n < k). Their inverses, ``..._inverse``, go back. :func:`orthonormalize` and :func:`polar`
make a frame of any matrix; :func:`newton_schulz` is what Muon takes for the latter. The others are what
the parametrizations need beside the maps, and what they can be checked with: exponentials of general
matrices, completions, random frames, power iteration, norms of matrices and convolutions.
"""
from .bounds import spectral_norm_bounds
from .cayley import cayley, cayley_inverse
from .coefficients import minimax_coefficients, newton_schulz_coefficients
from .completion import complete
from .convolution import (
    circular_convolution_norm_bounds, circular_convolution_singular_values, convolution_matrix,
)
from .exponential import expm, expm_frechet
from .householder import householder, householder_inverse
from .logarithm import matrix_exp_inverse
from .matrix_exp import matrix_exp
from .newton_schulz import gain_bounds, newton_schulz, polynomial_gain
from .orthonormalize import orthonormalize
from .polar import polar
from .spectral import power_iteration, spectral_normalize
from .starts import haar, torus
from .unitary_householder import unitary_householder, unitary_householder_inverse

__all__ = [
    "cayley", "cayley_inverse", "circular_convolution_norm_bounds",
    "circular_convolution_singular_values", "complete", "convolution_matrix", "expm", "expm_frechet",
    "gain_bounds", "haar", "householder", "householder_inverse", "matrix_exp", "matrix_exp_inverse",
    "minimax_coefficients", "newton_schulz", "newton_schulz_coefficients", "orthonormalize", "polar",
    "polynomial_gain", "power_iteration", "spectral_norm_bounds", "spectral_normalize", "torus",
    "unitary_householder", "unitary_householder_inverse",
]
