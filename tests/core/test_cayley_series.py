"""The truncated Cayley series and the fixed-point iteration: what they are off by, over many draws."""
import numpy as np
import pytest

from orthonorm.core import cayley
from orthonorm.core.cayley_series import (
    fixed_point_cayley, fixed_point_errors, neumann_cayley, neumann_errors, neumann_power,
    skew_of_upper,
)
from tests.helpers import H, assert_within, sample

APPROXIMATIONS = {"neumann": (neumann_cayley, neumann_errors),
                  "fixed": (fixed_point_cayley, fixed_point_errors)}


def skew(shape, dtype=float, seed=0, norm=1.0):
    """Draw skew matrices of a given 2-norm each."""
    Q = sample(shape, dtype, seed)
    Q = Q - H(Q)
    return Q * (norm / np.linalg.norm(Q, 2, axis=(-2, -1), keepdims=True))


def exact(Q):
    identity = np.eye(Q.shape[-1])
    return np.linalg.solve(identity - Q, identity + Q)


@pytest.mark.parametrize("dtype", [float, complex])
def test_the_limit_is_the_cayley_transform_without_its_half(dtype):
    Q = skew((3, 5, 5), dtype, norm=0.3)
    expected = exact(Q)
    if dtype is float:  # which reads the lower triangle
        assert_within(cayley(2 * Q), expected, 1e-14)
        assert_within(cayley(-2 * np.tril(Q)), H(expected), 1e-14)
    assert_within(neumann_cayley(Q, 40), expected, 1e-14)
    assert_within(fixed_point_cayley(Q, 40), expected, 1e-14)


@pytest.mark.parametrize("terms, powers", [
    (1, [1]), (2, [1, 2]), (3, [1, 2, 2, 1]), (4, [1, 2, 2, 1]), (5, [1, 2, 2, 2, 1]),
    (6, [1, 2, 2, 2, 2, 1])])
def test_the_terms_are_those_of_peft(terms, powers):
    """Its loop makes 3 and 4 terms the same."""
    Q = skew((4, 4), norm=0.5)
    expected = sum(c * np.linalg.matrix_power(Q, i) for i, c in enumerate(powers))
    assert_within(neumann_cayley(Q, terms), expected, 1e-15)


@pytest.mark.parametrize("iterations", range(6))
def test_a_fixed_point_step_is_spinquants(iterations):
    """Y <- X + t W (X + Y) / 2 from Y = X + t V, for the rotation X and the momentum V."""
    X, V, t = np.linalg.qr(sample((4, 4)))[0], sample((4, 4), seed=1), 0.2
    W_hat = V @ X.T - X @ X.T @ V @ X.T / 2
    W = W_hat - W_hat.T
    Y = X + t * V
    for _ in range(iterations):
        Y = X + t * W @ ((X + Y) / 2)
    normal = t * (V + X @ V.T @ X) / 2 @ X.T
    assert_within(normal, normal.T, 1e-15)
    assert_within(fixed_point_cayley(t * W / 2, iterations, normal) @ X, Y, 1e-14)


@pytest.mark.parametrize("iterations", [1, 2, 5])
def test_the_bounds_with_a_normal_component_hold_over_1e5_draws(iterations):
    """Steps as long as SpinQuant takes them, the 1-norm of Q being 1/2 or less."""
    found, bounds = np.zeros(2), np.zeros(2)
    for seed, (n, norm) in enumerate([(2, 0.5), (3, 0.3), (4, 0.2), (5, 0.1), (6, 0.05)]):
        Q = skew((20_000, n, n), seed=seed, norm=norm)
        N = sample(Q.shape, seed=seed + 50)
        N = N + H(N)
        N *= 2 * norm / np.linalg.norm(N, 2, axis=(-2, -1), keepdims=True)
        R = fixed_point_cayley(Q, iterations, N)
        off = np.linalg.norm(R - exact(Q), 2, axis=(-2, -1)).max()
        gram = np.linalg.norm(H(R) @ R - np.eye(n), 2, axis=(-2, -1)).max()
        bounds = np.array(fixed_point_errors(norm, iterations, 2 * norm))
        found = np.array([off, gram])
        assert np.all(found <= bounds * (1 + 1e-9))
        assert np.all(bounds <= 10 * found)


@pytest.mark.parametrize("name, number", [("neumann", terms) for terms in (3, 4, 5, 6, 7, 8)]
                         + [("fixed", iterations) for iterations in (0, 1, 2, 3, 5)])
def test_the_bounds_hold_over_1e5_draws_and_are_near_the_worst(name, number):
    """The error is the bound itself, to rounding: of a normal matrix of that norm it is attained."""
    approximation, errors = APPROXIMATIONS[name]
    worst = np.zeros(2)
    for seed, (n, norm) in enumerate([(2, 0.05), (3, 0.2), (4, 0.5), (5, 0.8), (6, 0.95)]):
        Q = skew((20_000, n, n), seed=seed, norm=norm)
        R = approximation(Q, number)
        off = np.linalg.norm(R - exact(Q), 2, axis=(-2, -1))
        gram = np.linalg.norm(H(R) @ R - np.eye(n), 2, axis=(-2, -1))
        bounds = np.array(errors(norm, number))
        found = np.array([off.max(), gram.max()])
        assert np.all(found <= bounds * (1 + 1e-9) + 1e-14)
        assert_within(off, np.full(off.shape, bounds[0]), 1e-9 * bounds[0] + 1e-14)
        assert np.all(bounds <= 10 * found + 1e-14)
        worst = np.maximum(worst, found)
    assert np.all(worst > 0.01)


def test_for_large_norms_the_series_is_no_rotation():
    Q = skew((100, 4, 4), norm=3.0)
    for R, (error, _) in [(neumann_cayley(Q, 5), neumann_errors(3.0, 5)),
                          (fixed_point_cayley(Q, 5), fixed_point_errors(3.0, 5))]:
        off = np.linalg.norm(R - exact(Q), 2, axis=(-2, -1))
        assert_within(off / error, np.ones(100), 1e-9)
        assert error > 80


def test_powers():
    assert [neumann_power(terms) for terms in range(3, 8)] == [3, 3, 4, 5, 6]


def test_skew_of_upper():
    Q = skew_of_upper(np.arange(1.0, 13).reshape(2, 6))
    assert Q.shape == (2, 4, 4)
    assert np.array_equal(Q, -Q.swapaxes(-1, -2))
    assert np.array_equal(Q[1][np.triu_indices(4, 1)], np.arange(7.0, 13))
    assert skew_of_upper(np.zeros((3, 0))).shape == (3, 1, 1)
    with pytest.raises(ValueError, match=r"^vectors must have n \(n - 1\) / 2 entries, got 5"):
        skew_of_upper(np.zeros((2, 5)))
