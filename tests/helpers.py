"""Samples, shapes and comparisons that the tests of core and gradients share."""
import tracemalloc

import numpy as np
import pytest

REAL = [np.float32, np.float64]
COMPLEX = [np.complex64, np.complex128]
DTYPES = REAL + COMPLEX

# Every class of shape: matrix_exp takes the n x n exponential where 2 k >= n, a 2k x 2k one below.
SHAPES = [(4, 4), (5, 5), (6, 3), (5, 3), (7, 2), (3, 6), (3, 5), (2, 7), (1, 1), (5, 1), (1, 5)]
EMPTY_SHAPES = [(0, 0), (3, 0), (0, 3), (0, 4, 2), (0, 2, 4), (2, 0, 3, 3), (2, 3, 0), (2, 0, 3)]
WRONG_DTYPES = [int, bool, object, np.float16, np.longdouble, np.clongdouble, str]

dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: dtype.__name__)
real_dtypes = pytest.mark.parametrize("dtype", REAL, ids=lambda dtype: dtype.__name__)
shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
empty_shapes = pytest.mark.parametrize("shape", EMPTY_SHAPES, ids=str)
wrong_dtypes = pytest.mark.parametrize("wrong", WRONG_DTYPES, ids=lambda dtype: dtype.__name__)


def is_complex(dtype):
    return np.issubdtype(dtype, np.complexfloating)


def eps(dtype):
    return float(np.finfo(dtype).eps)


def sample(shape, dtype=np.float64, seed=0, scale=1.0):
    """Draw normal entries; real and imaginary parts where the dtype is complex."""
    rng = np.random.default_rng([seed, *shape])
    X = rng.standard_normal(shape)
    if is_complex(dtype):
        X = X + 1j * rng.standard_normal(shape)
    return (scale * X).astype(dtype)


def with_signs(X, seed=0):
    """Return X with a diagonal of random 1s and -1s, far from where signs and phases jump."""
    X = X.copy()
    diagonal = range(min(X.shape[-2:]))
    size = X.shape[:-2] + (len(diagonal),)
    X[..., diagonal, diagonal] = np.random.default_rng(seed).choice([-1, 1], size)
    return X


def H(A):
    return np.conj(np.swapaxes(A, -1, -2))


def gram_error(Q):
    """Return the largest entry of Q^H Q - I, or of Q Q^H - I for a wide Q, in double precision."""
    Q = np.asarray(Q, np.result_type(Q, np.float64))
    gram = H(Q) @ Q if Q.shape[-2] >= Q.shape[-1] else Q @ H(Q)
    return np.max(np.abs(gram - np.eye(gram.shape[-1])), initial=0)


def skew_norm(X, order=2):
    """Return a norm, the 2-norm unless told, of the n x n skew-Hermitian matrix X stands for."""
    X = X.T if X.shape[0] < X.shape[1] else X
    A = np.zeros((len(X), len(X)), np.result_type(X, np.float64))
    A[:, :X.shape[1]] = np.tril(X)
    return np.linalg.norm(A - H(A), order)


def peak_memory(function, *args):
    """Run a function; return its answer and the most memory its arrays took at any time."""
    tracemalloc.start()
    try:
        return function(*args), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def assert_within(actual, desired, tolerance):
    """Hold shape, dtype kind and every entry to an absolute tolerance; NaN is never within."""
    assert np.shape(actual) == np.shape(desired)
    assert np.iscomplexobj(actual) == np.iscomplexobj(desired)
    error = np.max(np.abs(np.asarray(actual) - desired), initial=0)
    assert error <= tolerance, f"off by {error:.3g}, allowed are {tolerance:.3g}"


def assert_identical(actual, desired):
    """Hold shape, dtype and every bit's meaning."""
    assert actual.dtype == desired.dtype
    assert actual.shape == desired.shape
    assert np.array_equal(actual, desired)


def layouts(X):
    """List the ways an array of the same values can lie in memory; and one that forbids writing."""
    fortran = np.asfortranarray(X)
    backwards = X[..., ::-1, ::-1].copy()[..., ::-1, ::-1]
    strided = np.repeat(X, 2, axis=-1)[..., ::2]
    read_only = X.copy()
    read_only.flags.writeable = False
    return {"fortran": fortran, "backwards": backwards, "strided": strided, "read-only": read_only}
