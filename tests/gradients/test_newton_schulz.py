"""Derivatives of the Newton-Schulz iteration. tests/gradients/cases.py has the differences."""
import autograd.numpy as np
import pytest
from autograd import grad, make_jvp, make_vjp

from orthonorm import core
from orthonorm.core import definitions
from orthonorm.gradients import newton_schulz, polar, polynomial_gain
from tests.helpers import EMPTY_SHAPES, H, assert_identical, assert_within, dtypes, eps, sample

JORDAN = core.newton_schulz_coefficients("jordan")
YOU = core.newton_schulz_coefficients("you")


def pull(f, A, G):
    """Return the adjoint in PyTorch's convention."""
    return np.conj(make_vjp(f)(A)[0](np.conj(G)))


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (1, 1), (4, 1), (2, 4, 3)], ids=str)
@pytest.mark.parametrize("coefficients, steps", [(JORDAN, 5), (YOU, 6)], ids=["jordan", "you"])
def test_value_and_adjoint_are_those_of_core_and_the_definition(shape, dtype, coefficients, steps):
    A, G = sample(shape, dtype), sample(shape, dtype, 1)
    value = newton_schulz(A, coefficients, steps)
    assert_identical(value, core.newton_schulz(A, coefficients, steps))
    expected = definitions.newton_schulz_vjp(A, coefficients, steps, G)
    actual = pull(lambda A: newton_schulz(A, coefficients, steps), A, G)
    assert actual.dtype == dtype
    assert_within(actual, expected, 5e4 * eps(dtype))


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (2, 5)], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_derivative_of_what_converged_is_that_of_the_polar_factor(shape, dtype):
    A, G = sample(shape, dtype), sample(shape, dtype, 1)
    best = core.minimax_coefficients(1e-3, 8)
    expected = pull(polar, A, G)
    actual = pull(lambda A: newton_schulz(A, best), A, G)
    assert_within(actual, expected, 1e-11 * np.abs(expected).max())


@dtypes
def test_a_diagonal_matrix_moves_by_the_derivative_of_the_gain(dtype):
    """Of a matrix of norm 1, along a change orthogonal to it."""
    s = np.array([0.6, 0.48, 0.64])
    ds = np.array([0.48, -0.6, 0])
    A, D = np.diag(s).astype(dtype), np.diag(ds).astype(dtype)
    slopes = [grad(lambda s: polynomial_gain(YOU, s))(x) for x in s]
    tangent = make_jvp(lambda A: newton_schulz(A, YOU))(A)(D)[1]
    assert_within(tangent, np.diag(slopes * ds).astype(dtype), 500 * eps(dtype))


@dtypes
@pytest.mark.parametrize("shape", EMPTY_SHAPES, ids=str)
def test_empty_shapes_have_empty_derivatives(dtype, shape):
    A = np.zeros(shape, dtype)
    assert_identical(pull(lambda A: newton_schulz(A, JORDAN, 5), A, A), A)


@pytest.mark.parametrize("scale", [2.0**-500, 2.0**500])
def test_the_derivative_falls_with_the_scale(scale):
    A, G = sample((5, 3)), sample((5, 3), seed=1)
    alike = pull(lambda A: newton_schulz(A, JORDAN, 5), A, G)
    assert_within(scale * pull(lambda A: newton_schulz(A, JORDAN, 5), scale * A, G), alike,
                  1e-12 * np.abs(alike).max())


def test_below_eps_the_division_is_linear():
    A, G = np.stack([sample((4, 3)), 1e-30 * sample((4, 3))]), sample((2, 4, 3), seed=1)
    actual = pull(lambda A: newton_schulz(A, (3, 0, 0), 1, eps=1e-7), A, G)
    assert_within(actual[1] / 1e7, 3 * G[1], 1e-12)
    alone = pull(lambda A: newton_schulz(A, (3, 0, 0), 1), A[0], G[0])
    assert_within(actual[0], alone, 1e-15)
    hardly = pull(lambda A: newton_schulz(A, (3, 0, 0), 1, eps=100.0), A, G)
    assert_within(hardly, 0.03 * G, 1e-15)
    zero = pull(lambda A: newton_schulz(A, (3, 0, 0), 1, eps=0.5), 0 * A, G)
    assert_within(zero, 6 * G, 1e-15)


def test_zero_has_no_derivative_without_eps():
    for A in (np.zeros((3, 2)), np.stack([np.eye(3), np.zeros((3, 3))])):
        with pytest.raises(np.linalg.LinAlgError, match="^A must not be zero where newton_schulz"):
            pull(lambda A: newton_schulz(A, JORDAN, 5), A, A)


def test_wrong_arguments_raise_as_in_core():
    with pytest.raises(ValueError, match="^A must be finite"):
        newton_schulz(np.array([[np.inf, 1.0]]), JORDAN, 5)
    with pytest.raises(ValueError, match="^coefficients has 6 triples for 5 steps"):
        newton_schulz(np.eye(2), YOU, 5)
    with pytest.raises(ValueError, match="^eps must not be negative"):
        newton_schulz(np.eye(2), YOU, eps=-1.0)


@dtypes
def test_the_adjoint_is_that_of_the_tangent(dtype):
    A, D, G = (sample((5, 3), dtype, seed) for seed in range(3))
    tangent = make_jvp(lambda A: newton_schulz(A, JORDAN, 5))(A)(D)[1]
    inner = np.real(np.trace(H(pull(lambda A: newton_schulz(A, JORDAN, 5), A, G)) @ D))
    assert abs(inner - np.real(np.trace(H(G) @ tangent))) <= 2e4 * eps(dtype)
