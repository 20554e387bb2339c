"""Complex reflectors and phases: against the reflectors multiplied one at a time in 50 digits."""
import numpy as np
import pytest

from orthonorm.core import (
    householder, orthonormalize, unitary_householder, unitary_householder_inverse,
)
from tests import truth
from tests.helpers import (
    COMPLEX, SHAPES, assert_identical, assert_within, dtypes, eps, gram_error, is_complex,
    peak_memory, real_dtypes, sample, shapes,
)

complex_dtypes = pytest.mark.parametrize("dtype", COMPLEX, ids=lambda dtype: dtype.__name__)
LARGER = [(40, 40), (60, 25), (25, 60), (3, 4, 2), (2, 2, 2, 5), (2, 3, 3)]


@dtypes
@shapes
@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
def test_is_the_product_of_reflectors_and_phases(shape, dtype, scale):
    X = sample(shape, dtype, scale=scale)
    found = unitary_householder(X)
    assert found.dtype == dtype
    assert truth.error(found, truth.unitary_householder(X)) <= 4 * sum(shape) * eps(dtype)


@dtypes
@pytest.mark.parametrize("shape", SHAPES + LARGER, ids=str)
@pytest.mark.parametrize("scale", [1e-3, 1, 1e4])
def test_is_orthonormal_whatever_the_diagonal(shape, dtype, scale):
    X = sample(shape, dtype, scale=scale)
    assert gram_error(unitary_householder(X)) <= 20 * max(shape) * eps(dtype)


@real_dtypes
@shapes
def test_is_householder_for_a_real_matrix(shape, dtype):
    X = sample(shape, dtype)
    assert_within(unitary_householder(X), householder(X), 10 * eps(dtype))
    assert_identical(unitary_householder(7 * np.eye(*shape, dtype=dtype)), -np.eye(*shape, dtype=dtype))


@complex_dtypes
def test_minus_the_identity_gives_the_identity(dtype):
    """Where training starts: as for the other maps."""
    for n, k in [(3, 3), (4, 3), (2, 7)]:
        assert_identical(unitary_householder(-np.eye(n, k, dtype=dtype)), np.eye(n, k, dtype=dtype))


@complex_dtypes
def test_the_modulus_of_the_diagonal_and_what_is_above_it_do_not_matter(dtype):
    X = sample((5, 3), dtype)
    Y = X + np.triu(np.full((5, 3), 100, dtype), 1)
    assert_identical(unitary_householder(Y), unitary_householder(X))
    i = np.arange(3)
    Y[i, i] *= [8, 0.25, 1024]
    assert_identical(unitary_householder(Y), unitary_householder(X))


@dtypes
@pytest.mark.parametrize("shape", SHAPES + LARGER, ids=str)
@pytest.mark.parametrize("seed", range(3))
def test_every_frame_is_reached(shape, dtype, seed):
    Q = orthonormalize(sample(shape, dtype, seed))
    X = unitary_householder_inverse(Q)
    assert X.dtype == dtype
    assert_within(unitary_householder(X), Q, 4 * sum(shape[-2:]) * eps(dtype))
    tall = X if shape[-2] >= shape[-1] else X.swapaxes(-1, -2)
    i = np.arange(tall.shape[-1])
    assert_within(np.abs(tall[..., i, i]), np.ones(tall.shape[:-2] + i.shape), 4 * eps(dtype))
    assert not np.any(np.triu(tall, 1))
    assert np.abs(X).max() <= 1 + 20 * eps(dtype)  # no small pivot


@dtypes
@shapes
def test_the_inverse_finds_the_reflectors(shape, dtype):
    """Unique where its choice of phases is the one the frame was made with: short reflectors."""
    X = sample(shape, dtype, scale=0.1 / np.sqrt(max(shape)))
    i = np.arange(min(shape))
    X[i, i] = np.exp(1j * np.angle(X[i, i])) if is_complex(dtype) else 1
    X = np.tril(X.T).T if shape[0] < shape[1] else np.tril(X)
    assert_within(unitary_householder_inverse(unitary_householder(X)), X, 40 * max(shape) * eps(dtype))


@dtypes
@pytest.mark.parametrize("n, k", [(3, 3), (4, 2), (2, 4), (1, 1)])
@pytest.mark.parametrize("phase", [1, -1, 1j])
def test_inverse_of_zero_pivots_and_of_multiples_of_the_identity(n, k, phase, dtype):
    if phase == 1j and not is_complex(dtype):
        phase = 1
    for Q in (phase * np.eye(n, k), phase * np.eye(n, k)[::-1], phase * np.eye(n, k)[:, ::-1]):
        Q = Q.astype(dtype)
        assert_within(unitary_householder(unitary_householder_inverse(Q)), Q, 4 * eps(dtype))


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)], ids=str)
def test_inverse_orthonormalizes_what_is_not_a_frame(shape, dtype):
    for A in (sample(shape, dtype, seed=3), np.zeros(shape, dtype), np.ones(shape, dtype)):
        Q = orthonormalize(A)
        assert_within(unitary_householder(unitary_householder_inverse(A)), Q, 40 * eps(dtype))


@complex_dtypes
@pytest.mark.parametrize("size", ["smallest_subnormal", "max"])
def test_a_phase_is_a_unit_however_small_or_large_the_entry(size, dtype):
    size = getattr(np.finfo(dtype), size)
    X = sample((4, 3), dtype)
    X[range(3), range(3)] = size * np.array([1 + 1j, -1 - 1j, 1j], dtype)
    Y = X.copy()
    Y[range(3), range(3)] = [1 + 1j, -1 - 1j, 1j]
    assert_identical(unitary_householder(X), unitary_householder(Y))
    assert gram_error(unitary_householder(X)) <= 20 * eps(dtype)


@dtypes
def test_a_zero_on_the_diagonal_raises(dtype):
    X = sample((2, 4, 3), dtype)
    X[1, 2, 2] = 0
    with pytest.raises(ValueError, match="^X must have no zero on its diagonal"):
        unitary_householder(X)


@complex_dtypes
def test_reflectors_too_long_to_square_raise(dtype):
    X = sample((5, 2), dtype, scale=float(np.finfo(dtype).max) ** 0.6)
    with pytest.raises(ValueError, match="^X must hold reflectors whose squared norms are finite"):
        unitary_householder(X)


def test_nothing_n_by_n():
    n, k = 200_000, 2
    X = sample((n, k), complex, scale=n**-0.5)
    Q, peak = peak_memory(unitary_householder, X)
    assert peak < 20 * X.nbytes
    Y, peak = peak_memory(unitary_householder_inverse, Q)
    assert peak < 20 * X.nbytes
    assert_within(unitary_householder(Y), Q, n**0.5 * eps(float))
