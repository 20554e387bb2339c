"""The random starts against the known laws of Haar matrices and of uniform angles.

Two bounds hold for every law and sample size N: the empirical distribution is within
sqrt(log(2 / p) / (2 N)) of the true one but with probability p (Dvoretzky, Kiefer, Wolfowitz; Massart
1990), here p = 1e-6; a mean is within 5 standard deviations over sqrt(N), which has about that p.
"""
import numpy as np
import pytest
from scipy.stats import beta, kstest, uniform

from orthonorm.core import haar, torus
from tests.helpers import assert_identical, dtypes, eps, gram_error, is_complex, sample, wrong_dtypes

N = 4000

starts = pytest.mark.parametrize("start", [haar, torus])


def assert_law(samples, cdf):
    samples = np.ravel(samples)
    assert kstest(samples, cdf).statistic < np.sqrt(np.log(2e6) / (2 * samples.size))


def assert_mean(samples, mean, variance):
    assert abs(np.mean(samples) - mean) < 5 * np.sqrt(variance / len(samples))


def uniform_angle(angles):
    return uniform(-np.pi, 2 * np.pi).cdf(angles)


def unit(size, dtype, seed):
    x = sample((size,), dtype, seed)
    return x / np.linalg.norm(x)


def trace(Q):
    return np.trace(Q, axis1=-2, axis2=-1)


# -- haar --------------------------------------------------------------------------------------------

@dtypes
@pytest.mark.parametrize(
    "shape", [(4, 4), (6, 2), (2, 6), (1, 1), (1, 5), (3, 2, 5, 4), (2, 0, 3), (0, 0)], ids=str)
def test_haar_is_orthonormal(shape, dtype):
    Q = haar(shape, dtype, rng=0)
    assert Q.shape == shape and Q.dtype == dtype
    assert gram_error(Q) <= 4 * max(*shape, 1) * eps(dtype)


@dtypes
@pytest.mark.parametrize("shape", [(8, 8), (7, 3), (3, 7), (5, 1)], ids=str)
@pytest.mark.parametrize("seed", [1, 2])
def test_haar_entries_have_the_law_of_a_sphere_in_every_basis(shape, dtype, seed):
    """Re a^H Q b is a coordinate of a uniform point on a sphere, whatever the unit vectors a, b."""
    a, b = unit(shape[0], dtype, seed), unit(shape[1], dtype, seed + 2)
    coordinates = np.real(np.conj(a) @ haar((N, *shape), dtype, seed) @ b)
    parameter = (max(shape) * (2 if is_complex(dtype) else 1) - 1) / 2
    assert_law((coordinates + 1) / 2, beta(parameter, parameter).cdf)


@dtypes
@pytest.mark.parametrize("i, j", [(0, 0), (3, 3), (0, 3), (3, 0)])
def test_haar_entries_have_the_law_of_a_sphere_one_by_one(i, j, dtype):
    """Where a QR without the sign rule goes wrong: it treats the first and last columns unlike."""
    entries = np.real(haar((N, 4, 4), dtype, rng=3)[:, i, j])
    parameter = (8 if is_complex(dtype) else 4) / 2 - 1 / 2
    assert_law((entries + 1) / 2, beta(parameter, parameter).cdf)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_haar_unitary_has_uniform_eigenvalues(n):
    """One eigenvalue of each matrix, chosen at random: those of one matrix repel each other."""
    rng = np.random.default_rng(4)
    eigenvalues = np.linalg.eigvals(haar((N, n, n), np.complex128, rng))
    chosen = eigenvalues[np.arange(N), rng.integers(n, size=N)]
    assert_law(np.angle(chosen), uniform_angle)


def test_haar_unitary_traces():
    """E |tr U^j|^2 = j for n >= j; with fourth moments 2 j^2 (Diaconis, Shahshahani 1994)."""
    U = haar((N, 5, 5), np.complex128, rng=5)
    assert_mean(np.abs(trace(U)) ** 2, 1, 1)
    assert_mean(np.abs(trace(U @ U)) ** 2, 2, 4)
    assert_mean(np.real(trace(U)), 0, 1 / 2)
    assert_mean(np.real(trace(U) ** 2), 0, 1)


def test_haar_orthogonal_traces():
    """tr Q^j has mean 0, j odd, or 1, j even, and variance j (Diaconis, Shahshahani 1994)."""
    Q = haar((N, 8, 8), rng=6)
    assert_mean(trace(Q), 0, 1)
    assert_mean(trace(Q) ** 2, 1, 2)
    assert_mean(trace(Q @ Q), 1, 2)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_half_of_the_haar_matrices_reflect(n):
    assert_mean(np.linalg.det(haar((N, n, n), rng=7)) < 0, 1 / 2, 1 / 4)


def test_haar_matrices_of_a_stack_are_independent():
    """tr(Q_1^T Q_2) of two independent ones has the law of tr Q."""
    Q = haar((N, 2, 8, 8), rng=8)
    traces = trace(np.swapaxes(Q[:, 0], -1, -2) @ Q[:, 1])
    assert_mean(traces, 0, 1)
    assert_mean(traces ** 2, 1, 2)


# -- torus -------------------------------------------------------------------------------------------

@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 5), (1, 1), (2, 3, 2, 2), (2, 0, 0)], ids=str)
def test_torus_is_orthogonal(shape, dtype):
    Q = torus(shape, dtype, rng=0)
    assert Q.shape == shape and Q.dtype == dtype
    assert gram_error(Q) <= 4 * eps(dtype)


@pytest.mark.parametrize("n", [2, 4, 5, 1])
def test_torus_is_rotations_in_disjoint_planes(n):
    Q = torus((N, n, n), rng=1)
    blocks = np.kron(np.eye(n // 2), np.ones((2, 2)))
    inside = np.zeros((n, n), bool)
    inside[:len(blocks), :len(blocks)] = blocks
    if n % 2:
        inside[-1, -1] = True
        assert np.all(Q[:, -1, -1] == 1)
    assert not np.any(Q[:, ~inside])
    np.testing.assert_allclose(np.linalg.det(Q), 1, rtol=1e-14)


def test_torus_angles_are_uniform_and_independent():
    Q = torus((N, 5, 5), rng=2)
    angles = np.arctan2(Q[:, [1, 3], [0, 2]], Q[:, [0, 2], [0, 2]])
    np.testing.assert_array_equal(Q[:, [0, 2], [1, 3]], -Q[:, [1, 3], [0, 2]])
    assert_law(angles, uniform_angle)
    difference = angles[:, 0] - angles[:, 1]
    assert_law(np.angle(np.exp(1j * difference)), uniform_angle)


def test_torus_complex_is_a_diagonal_of_uniform_phases():
    U = torus((N, 3, 3), np.complex128, rng=3)
    assert not np.any(U[:, ~np.eye(3, dtype=bool)])
    phases = np.angle(U[:, range(3), range(3)])
    assert_law(phases, uniform_angle)
    assert_mean(np.abs(trace(U)) ** 2, 3, 6)  # 1 of a Haar matrix; E|.|^4 = 2 n^2 - n


@pytest.mark.parametrize("shape", [(3, 4), (4, 3), (2, 3, 4), (3,), ()], ids=str)
def test_torus_is_for_square_matrices(shape):
    with pytest.raises(ValueError, match="square matrices, got shape"):
        torus(shape)


# -- both --------------------------------------------------------------------------------------------

@starts
@dtypes
def test_a_seed_gives_the_same_draw(start, dtype):
    Q = start((4, 4), dtype, rng=9)
    assert_identical(start((4, 4), dtype, rng=np.random.default_rng(9)), Q)
    assert not np.array_equal(start((4, 4), dtype, rng=10), Q)
    assert not np.array_equal(start((4, 4), dtype), start((4, 4), dtype))


@starts
def test_the_global_random_state_is_left_alone(start):
    before = np.random.get_state()[1:3]
    start((4, 4))
    np.testing.assert_equal(np.random.get_state()[1:3], before)


@starts
@wrong_dtypes
def test_a_wrong_dtype_is_refused(start, wrong):
    with pytest.raises(TypeError, match="the start"):
        start((2, 2), wrong)


@pytest.mark.parametrize("shape", [(3,), ()], ids=str)
def test_haar_needs_matrices(shape):
    with pytest.raises(ValueError, match="shape must be that of a matrix"):
        haar(shape)
