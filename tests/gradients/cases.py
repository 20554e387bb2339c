"""Every primitive of orthonorm.gradients as a function of one array, with points to test it at."""
import autograd.numpy as np
import pytest

from orthonorm import gradients
from orthonorm.core import newton_schulz_coefficients
from orthonorm.core.completion import completion
from orthonorm.gradients.base import multiply
from orthonorm.gradients.cayley import base_times_cayley
from orthonorm.gradients.householder import base_times_householder
from orthonorm.gradients.triangular import solve_upper, solve_upper_adjoint
from tests.helpers import sample, with_signs

LAST_TWO_OF_YOU = newton_schulz_coefficients("you")[4:]
COMPLEX = np.complex128
REAL = np.float64

SHAPES = [(4, 4), (4, 2), (5, 3), (5, 2), (2, 4), (2, 5), (3, 4), (1, 1), (4, 1), (1, 4)]
BATCHES = [(2, 3, 3), (2, 5, 2), (1, 2, 2, 5), (2, 4, 3)]
SQUARES = [(4, 4), (1, 1), (2, 3, 3), (1, 2, 2, 2)]


def orthonormal(shape, dtype, seed=0):
    return gradients.orthonormalize(sample(shape, dtype, seed))


def well_conditioned(shape, dtype, seed=0):
    """A frame and a quarter of noise: differences of ill-conditioned functions are not exact."""
    return 2 * orthonormal(shape, dtype, seed) + 0.25 * sample(shape, dtype, seed + 1)


def reached(name, scale):
    """Make points of the inverse of a map: twice a frame it reaches from near zero, and noise."""
    def point(shape, dtype, seed=0):
        X = scale * sample(shape, dtype, seed) + np.eye(*shape[-2:], dtype=dtype)
        return 2 * getattr(gradients, name)(X) + 0.05 * sample(shape, dtype, seed + 1)
    return point


def square_pair(shape, dtype, seed=0):
    return np.concatenate([sample(shape, dtype, seed), sample(shape, dtype, seed + 1)], axis=-1)


def triangular_pair(shape, dtype, seed=0):
    """A well-conditioned U, with something below its diagonal, beside a right-hand side."""
    X = square_pair(shape, dtype, seed)
    return X + 3 * np.eye(shape[-1], 2 * shape[-1], dtype=dtype)


def away_from_zero(shape, dtype, seed=0):
    """A diagonal whose phases are well determined."""
    return sample(shape, dtype, seed) + 3 * np.eye(*shape[-2:], dtype=dtype)


def halves(function):
    """Make a function of [A, E] of one of A and E."""
    def of_both(X):
        n = X.shape[-2]
        return function(X[..., :n], X[..., n:])
    return of_both


def spectral(shape, dtype):
    """Fix u and v near the leading singular vectors, as training does."""
    W, v = sample(shape, dtype), sample(shape[1:], dtype, 1)
    u, v = gradients.power_iteration(W, sample(shape[:1], dtype), v, 3)
    return lambda X: gradients.spectral_normalize(X, u, v)


def times_completion(shape, dtype):
    """Multiply something not linear by the completion of a frame with half as many columns."""
    n = shape[-2]
    base = completion(orthonormal((*shape[:-2], n, (n + 1) // 2), dtype, 2))
    return lambda X: multiply(base, np.sin(X))


def times_a_matrix(base_times_map):
    """Multiply from the left by a matrix that need not be orthogonal: loaded bases are not quite."""
    def make(shape, dtype):
        base = well_conditioned(shape, dtype, 5)
        return lambda X: base_times_map(base, X)
    return make


def upper_bound(shape, dtype):
    return lambda W: gradients.spectral_norm_bounds(W, 2).upper


def circular_upper_bound(shape, dtype):
    return lambda W: gradients.circular_convolution_norm_bounds(W, 4, 2).upper


# name: (function maker, point maker, shapes, real only)
TABLE = {
    "matrix_exp": (lambda shape, dtype: gradients.matrix_exp, sample, SHAPES + BATCHES, False),
    "cayley": (lambda shape, dtype: gradients.cayley, sample, SHAPES + BATCHES, False),
    "householder": (lambda shape, dtype: gradients.householder,
                    lambda *args: with_signs(sample(*args)), SHAPES + BATCHES, True),
    "householder_inverse": (lambda shape, dtype: gradients.householder_inverse,
                            well_conditioned, SHAPES + BATCHES, True),
    "householder_inverse of a frame": (lambda shape, dtype: gradients.householder_inverse, orthonormal,
                                       SHAPES + BATCHES, True),
    "matrix_exp_inverse": (lambda shape, dtype: gradients.matrix_exp_inverse,
                           reached("matrix_exp", 0.2), SHAPES + BATCHES, False),
    "cayley_inverse": (lambda shape, dtype: gradients.cayley_inverse, reached("cayley", 0.2),
                       SHAPES + BATCHES, False),
    "unitary_householder": (lambda shape, dtype: gradients.unitary_householder, away_from_zero,
                            SHAPES + BATCHES, False),
    "unitary_householder_inverse": (lambda shape, dtype: gradients.unitary_householder_inverse,
                                    reached("unitary_householder", 0.1), SHAPES + BATCHES, False),
    "orthonormalize": (lambda shape, dtype: gradients.orthonormalize, well_conditioned,
                       SHAPES + BATCHES, False),
    "polar": (lambda shape, dtype: gradients.polar, well_conditioned, SHAPES + BATCHES, False),
    "newton_schulz": (lambda shape, dtype: lambda A: gradients.newton_schulz(A, LAST_TWO_OF_YOU),
                      well_conditioned, SHAPES + BATCHES, False),
    "newton_schulz below eps": (
        lambda shape, dtype: lambda A: gradients.newton_schulz(A, (1.5, -0.5, 0.25), 2, eps=10.0),
        well_conditioned, SHAPES + BATCHES, False),
    "expm": (lambda shape, dtype: gradients.expm, sample, SQUARES, False),
    "expm_frechet": (lambda shape, dtype: halves(gradients.expm_frechet), square_pair, SQUARES, False),
    "multiply": (times_completion, sample, SHAPES + BATCHES, False),
    "base_times_cayley": (times_a_matrix(base_times_cayley), sample, SQUARES, False),
    "base_times_householder": (times_a_matrix(base_times_householder),
                               lambda *args: with_signs(sample(*args)), SQUARES, True),
    "solve_upper": (lambda shape, dtype: halves(solve_upper), triangular_pair, SQUARES, False),
    "solve_upper_adjoint": (lambda shape, dtype: halves(solve_upper_adjoint), triangular_pair, SQUARES,
                            False),
    "spectral_normalize": (spectral, sample, SHAPES, False),
    "spectral_norm_bounds": (upper_bound, sample, SHAPES + BATCHES, False),
    "circular_convolution_norm_bounds": (circular_upper_bound, sample,
                                         [(3, 2, 3), (2, 3, 2), (1, 1, 1), (2, 2, 2, 3)], False),
}


class Case:
    """A function and a point."""

    def __init__(self, name, shape, dtype):
        make, point, _, _ = TABLE[name]
        self.f, self.X = make(shape, dtype), point(shape, dtype)


def cases(names=TABLE, dtypes=(REAL, COMPLEX)):
    return pytest.mark.parametrize("name, shape, dtype", [
        pytest.param(name, shape, dtype, id=f"{name}-{shape}-{dtype.__name__}")
        for name in names for shape in TABLE[name][2] for dtype in dtypes
        if not (TABLE[name][3] and dtype is COMPLEX)
    ])
