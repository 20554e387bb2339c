"""What all rules promise alike: dtypes, empty shapes, points where a careless rule divides by zero."""
import autograd.numpy as np
import pytest
from autograd import grad, jacobian, make_jvp, make_vjp

import orthonorm
from orthonorm import core, gradients
from orthonorm.core.cayley import is_large, schur_complement
from orthonorm.gradients.exponential import expm
from orthonorm.gradients.householder import base_times_householder
from tests.differences import CHECKS, against, close, gradient, real_inner, single
from tests.gradients.cases import COMPLEX, REAL, TABLE, Case, well_conditioned
from tests.helpers import (
    DTYPES, EMPTY_SHAPES, assert_identical, assert_within, eps, is_complex, sample, with_signs,
)

ONE_ARRAY = ["matrix_exp", "cayley", "householder", "householder_inverse", "orthonormalize", "polar",
             "expm", "matrix_exp_inverse", "cayley_inverse", "unitary_householder",
             "unitary_householder_inverse"]
NAMES_AND_DTYPES = [(name, dtype) for name in ONE_ARRAY for dtype in DTYPES
                    if not (name.startswith("householder") and is_complex(dtype))]
every_function = pytest.mark.parametrize("name, dtype", NAMES_AND_DTYPES,
                                         ids=lambda x: getattr(x, "__name__", x))


def test_the_names_are_those_of_core():
    # Bases, random starts, and what there is to check with: constants to every derivative.
    constants = {"circular_convolution_singular_values", "complete", "convolution_matrix",
                 "gain_bounds", "haar", "minimax_coefficients", "newton_schulz_coefficients", "torus"}
    assert set(core.__all__) - constants <= set(gradients.__all__)


@every_function
def test_values_are_those_of_core(name, dtype):
    X = with_signs(sample((4, 4), dtype, scale=0.1))
    if name in ("matrix_exp_inverse", "cayley_inverse"):
        X = core.cayley(X)  # a determinant of 1
    value, expected = getattr(gradients, name)(X), getattr(core, name)(X)
    assert value.dtype == dtype
    if name.endswith("householder_inverse") or name in ("expm", "matrix_exp"):  # in another way
        assert_within(value, expected, 20 * eps(dtype))
    else:
        assert np.array_equal(value, expected)


@every_function
@pytest.mark.parametrize("shape", EMPTY_SHAPES, ids=str)
def test_empty_shapes_have_empty_derivatives(name, dtype, shape):
    if name == "expm" and shape[-1] != shape[-2]:
        return
    f, X = getattr(gradients, name), np.zeros(shape, dtype)
    g = grad(lambda X: np.sum(np.real(f(X))))(X)
    assert g.shape == shape and g.dtype == dtype
    _, tangent = make_jvp(f)(X)(X)
    assert tangent.shape == shape and tangent.dtype == dtype


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("dtype", [REAL, COMPLEX])
@pytest.mark.parametrize("wide_cotangent", [False, True])
def test_single_precision_stays(name, dtype, wide_cotangent):
    """Even where a loss in double precision sends back a cotangent in double precision."""
    if TABLE[name][3] and dtype is COMPLEX:
        return
    case = Case(name, TABLE[name][2][0], single(dtype))
    weight = np.ones(1, REAL if wide_cotangent else np.float32)
    g = grad(lambda X: np.sum(weight * np.real(case.f(X))))(case.X)
    assert g.dtype == single(dtype)
    value, tangent = make_jvp(case.f)(case.X)(case.X)
    assert tangent.dtype == value.dtype and tangent.real.dtype == np.float32


@pytest.mark.parametrize("name, dtype", [(name, dtype) for name in TABLE for dtype in (REAL, COMPLEX)
                                         if not (TABLE[name][3] and dtype is COMPLEX)])
def test_second_derivatives_stay_in_single_precision(name, dtype):
    case = Case(name, TABLE[name][2][0], single(dtype))
    gradient_at = grad(lambda X: np.sum(np.real(case.f(X)) ** 2))
    assert grad(lambda X: np.sum(np.real(gradient_at(X))))(case.X).dtype == single(dtype)


def householder_times_a_matrix(X):
    return base_times_householder(sample(X.shape, REAL, 2), X)


@pytest.mark.parametrize("shape, function", [
    *((shape, gradients.householder) for shape in ((4, 4), (5, 3), (2, 5))),
    ((4, 4), householder_times_a_matrix)], ids=lambda x: getattr(x, "__name__", str(x)))
@pytest.mark.parametrize("size", [0, 1e-300, 0.99999, 2, 1e300])
def test_only_the_sign_bits_of_the_diagonal_matter_to_the_derivatives(shape, function, size):
    """PyTorch multiplies by the integer part, which is 0 once weight decay has made -0.99999 of -1."""
    X, C = with_signs(sample(shape, REAL)), sample(shape, REAL, 1)
    other = X * (1 - np.eye(*shape)) + size * X * np.eye(*shape)
    gradient_at = grad(lambda X: np.sum(C * function(X)))
    assert_identical(gradient_at(other), gradient_at(X))
    assert np.any(gradient_at(X))
    tangent_at = make_jvp(function)
    assert_identical(tangent_at(other)(C)[1], tangent_at(X)(C)[1])


@pytest.mark.parametrize("name", ["matrix_exp", "cayley"])
@pytest.mark.parametrize("dtype", [REAL, COMPLEX])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (7, 2), (2, 7), (9, 1), (2, 7, 2)], ids=str)
def test_gradient_at_zero_is_exact(name, dtype, shape):
    """Where training starts. To first order Q = E + [Omega; B], so that the gradient is that of A."""
    X = np.zeros(shape, dtype)
    C = sample(shape, dtype, 3)
    g = grad(lambda X: real_inner(C, getattr(gradients, name)(X)))(X)

    def first_order(X):
        tall = X if shape[-2] >= shape[-1] else np.swapaxes(X, -1, -2)
        L = np.tril(tall)
        k = tall.shape[-1]
        top = L[..., :k, :] - np.conj(np.swapaxes(L[..., :k, :], -1, -2))
        Q = np.concatenate([top, tall[..., k:, :]], axis=-2)
        return real_inner(C, Q if shape[-2] >= shape[-1] else np.swapaxes(Q, -1, -2))

    assert np.max(np.abs(g - grad(first_order)(X))) <= 8e-16 * np.max(np.abs(C))


@pytest.mark.parametrize("name", ["matrix_exp", "cayley"])
@pytest.mark.parametrize("zero", ["Omega", "B", "a column of B", "rank one B"])
def test_gradient_where_a_block_vanishes(name, zero):
    """No rule may divide by a norm or a singular value."""
    X = sample((7, 2))
    if zero == "Omega":
        X[:2] = 0
    elif zero == "B":
        X[2:] = 0
    elif zero == "a column of B":
        X[2:, 1] = 0
    else:
        X[2:, 1] = X[2:, 0]
    loss = against(getattr(gradients, name), X)
    close(grad(loss)(X), gradient(loss, X))


@pytest.mark.parametrize("name, point", [
    ("householder", lambda: np.zeros((5, 3)) + np.eye(5, 3)),
    ("householder_inverse", lambda: np.eye(5, 3)),
    ("householder_inverse", lambda: -np.eye(4)),
    ("orthonormalize", lambda: np.eye(5, 3)),
    ("expm", lambda: np.zeros((3, 3)))])
def test_gradient_at_the_identity_is_finite(name, point):
    X = point()
    g = grad(against(getattr(gradients, name), X))(X)
    assert np.all(np.isfinite(g)) and np.any(g)


@pytest.mark.parametrize("A", [np.ones((3, 2)), np.eye(3, 2) * [1, 0], np.zeros((2, 2)),
                               np.outer([1.0, 3.0, 7.0], [0.1, 0.3])], ids=str)
def test_gradient_of_orthonormalize_at_a_deficient_matrix_raises(A):
    with pytest.raises(np.linalg.LinAlgError, match="^A must have full rank where orthonormalize"):
        grad(lambda A: np.sum(gradients.orthonormalize(A)))(A)


def test_columns_of_unlike_lengths_are_no_rank_deficiency():
    A = well_conditioned((5, 3), REAL) * [1.0, 1e-30, 1e25]
    g = grad(lambda A: gradients.orthonormalize(A)[4, 2])(A)
    alike = grad(lambda A: gradients.orthonormalize(A)[4, 2])(A / [1.0, 1e-30, 1e25])
    assert_within(g * [1.0, 1e-30, 1e25], alike, 20 * eps(REAL) * np.abs(alike).max())


@pytest.mark.parametrize("name", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (7, 2)], ids=str)
def test_no_tangent_comes_from_what_is_not_read(name, shape):
    X, unread = with_signs(sample(shape)), np.triu(sample(shape, seed=1))
    _, dQ = make_jvp(getattr(gradients, name))(X)(unread)
    assert not np.any(dQ)


@pytest.mark.parametrize("name", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (7, 2), (2, 7)], ids=str)
def test_no_gradient_flows_to_what_is_not_read(name, shape):
    X = with_signs(sample(shape))
    g = grad(against(getattr(gradients, name), X))(X)
    above = np.triu(g) if shape[0] >= shape[1] else np.tril(g)
    assert not np.any(above)


def test_power_iteration_is_a_constant():
    W, u, v = sample((4, 3)), sample((4,)), sample((3,))
    u1, v1 = core.power_iteration(W, u, v)

    def loss(W):
        a, b = gradients.power_iteration(W, u, v)
        return a @ W @ b

    close(grad(loss)(W), np.outer(u1, v1))


def test_stop_gradient_inside_two_levels():
    """The inner constant is a constant of the outer derivative too."""
    f = grad(lambda x: x * gradients.stop_gradient(x)**2)
    assert f(3.0) == 9.0
    assert grad(lambda x: x * gradients.stop_gradient(f(x)))(2.0) == 4.0


def test_complex_gradient_of_autograd_is_the_conjugate_of_steepest_ascent():
    """L = Re tr(C^H e^A): steepest ascent is the adjoint L(A^H, C); autograd's is its conjugate."""
    A, C = sample((3, 3), COMPLEX), sample((3, 3), COMPLEX, 1)
    g = grad(lambda A: np.sum(np.real(np.conj(C) * expm(A))))(A)
    close(np.conj(g), core.expm_frechet(A.conj().T, C))
    step = 1e-6 * np.conj(g)
    value = [np.sum(np.real(np.conj(C) * core.expm(A + t * step))) for t in (-1, 1)]
    assert abs((value[1] - value[0]) / 2e-6 / np.sum(np.abs(g)**2) - 1) < 1e-8


def test_hessian_vector_product_and_jacobian_agree():
    X = sample((5, 2))
    loss = against(gradients.matrix_exp, X)
    H = jacobian(grad(loss))(X).reshape(10, 10)
    close(H, H.T)
    D = sample((5, 2), seed=4)
    _, tangent = make_jvp(grad(loss))(X)(D)
    close(tangent.ravel(), H @ D.ravel())


def test_gradient_is_tangent_to_the_frames():
    """Any motion of X moves Q so that Q^H dQ is skew-Hermitian."""
    for name in ("matrix_exp", "cayley", "householder"):
        X = with_signs(sample((6, 3)))
        Q, dQ = make_jvp(getattr(orthonorm.gradients, name))(X)(sample((6, 3), seed=1))
        close(Q.T @ dQ, -(Q.T @ dQ).T)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("dtype", [REAL, COMPLEX])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (7, 2), (2, 7), (2, 5, 2)], ids=str)
def test_derivatives_of_cayley_of_large(shape, dtype, check):
    X = 30 * sample(shape, dtype)
    tall = X if shape[-2] >= shape[-1] else X.swapaxes(-1, -2)
    assert is_large(schur_complement(tall))
    CHECKS[check](lambda X: 50 * gradients.cayley(X), X)  # the derivatives are of order 1 / 50


@pytest.mark.parametrize("name", ["matrix_exp", "cayley", "unitary_householder"])
@pytest.mark.parametrize("dtype", [REAL, COMPLEX])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (2, 7), (6, 3)], ids=str)
def test_the_derivative_of_the_inverse_is_the_inverse_of_the_derivative(name, dtype, shape):
    """Map after inverse is the identity along the frames, in forward and in reverse mode."""
    f, inverse = getattr(gradients, name), getattr(gradients, name + "_inverse")
    X = 0.2 * sample(shape, dtype) + np.eye(*shape, dtype=dtype)
    Q, dQ = make_jvp(f)(X)(sample(shape, dtype, 1))
    _, tangent = make_jvp(lambda Q: f(inverse(Q)))(Q)(dQ)
    assert_within(tangent, dQ, 1e-12)
    C = sample(shape, dtype, 2)
    g = grad(lambda Q: real_inner(C, f(inverse(Q))))(Q)
    assert_within(real_inner(g, dQ), real_inner(C, dQ), 1e-12)


@pytest.mark.parametrize("name, Q", [("matrix_exp_inverse", -np.eye(4)),
                                     ("matrix_exp_inverse", -np.eye(5, 2)),
                                     ("unitary_householder_inverse", np.eye(3)[::-1] + 0j)])
def test_where_an_inverse_jumps_there_is_no_derivative(name, Q):
    with pytest.raises(np.linalg.LinAlgError, match="no derivative"):
        grad(against(getattr(gradients, name), Q))(Q)


@pytest.mark.parametrize("name", ["matrix_exp_inverse", "cayley_inverse"])
def test_what_has_no_preimage_raises_as_in_core(name):
    with pytest.raises(ValueError, match="^Q must"):
        getattr(gradients, name)(np.diag([1.0, -1.0, 1.0]))


def test_unitary_householder_checks_its_input():
    X = np.eye(3, dtype=complex)
    X[1, 1] = 0
    with pytest.raises(ValueError, match="^X must have no zero on its diagonal"):
        gradients.unitary_householder(X)


@pytest.mark.parametrize("name", ["matrix_exp", "cayley", "householder", "matrix_exp_inverse",
                                  "cayley_inverse", "unitary_householder"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (7, 2)], ids=str)
def test_rules_can_be_differentiated_by_their_direction_alone(name, shape):
    """The adjoint is linear: its derivative along C is its value at C."""
    X = core.cayley(0.3 * sample(shape)) if name.endswith("inverse") else with_signs(sample(shape))
    pull, _ = make_vjp(getattr(gradients, name))(X)
    C = sample(shape, seed=1)
    assert_within(make_jvp(pull)(0 * C)(C)[1], pull(C), 1e-13)
