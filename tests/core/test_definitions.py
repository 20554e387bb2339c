"""definitions.py against outside truth: 50-digit arithmetic, closed forms, and itself copied out."""
import pathlib
import shutil
import subprocess
import sys

import mpmath
import numpy as np
import pytest

from orthonorm.core import definitions
from tests import truth
from tests.helpers import (
    DTYPES, EMPTY_SHAPES, REAL, assert_identical, assert_within, dtypes, eps, gram_error, is_complex,
    sample, skew_norm, with_signs,
)

SHAPES = [(3, 3), (5, 3), (3, 5), (4, 2), (2, 4), (1, 1), (4, 1), (1, 4)]
MAPS = ["matrix_exp", "cayley", "householder", "unitary_householder"]
FACTORS = ["orthonormalize", "polar"]


def point(name, shape, dtype, seed=0):
    """Draw an argument; for reflectors the diagonal is any number away from zero, as users have it."""
    X = sample(shape, dtype, seed)
    if "householder" in name:
        i = np.arange(min(shape[-2:]))
        X[..., i, i] += 2 * with_signs(X, seed)[..., i, i]
    return X


def names(*lists, dtypes=DTYPES):
    return pytest.mark.parametrize("name, dtype", [
        (name, dtype) for each in lists for name in each for dtype in dtypes
        if dtype in REAL or name != "householder"])


def shapes(*more):
    return pytest.mark.parametrize("shape", SHAPES + list(more), ids=str)


def error(actual, exact):
    return truth.error(actual, exact) / eps(actual.dtype)


@names(MAPS, FACTORS)
@shapes()
def test_value_is_that_of_50_digits(name, dtype, shape):
    X = point(name, shape, dtype)
    bound = 8 * max(shape) * (np.linalg.cond(X) if name in FACTORS else 1 + skew_norm(X))
    answer = getattr(definitions, name)(X)
    assert answer.dtype == dtype
    assert error(answer, getattr(truth, name)(X)) <= bound


@names(MAPS, FACTORS)
@pytest.mark.parametrize("shape", [(2, 3, 3), (2, 5, 2), (2, 3, 2, 4), *EMPTY_SHAPES], ids=str)
def test_a_stack_is_its_matrices_one_by_one(name, dtype, shape):
    X, G = point(name, shape, dtype), sample(shape, dtype, 1)
    for f, arguments in [(name, (X,)), (f"{name}_vjp", (X, G))]:
        together = getattr(definitions, f)(*arguments)
        assert together.shape == shape and together.dtype == dtype
        for index in np.ndindex(shape[:-2]):
            alone = getattr(definitions, f)(*(A[index] for A in arguments))
            size = 1 + np.max(np.abs(alone), initial=0)
            assert_within(together[index], alone, 100 * eps(dtype) * size)


def units(shape, dtype):
    """Yield the directions in which the entries of a matrix can move."""
    for index in np.ndindex(shape):
        for unit in [1, 1j] if is_complex(dtype) else [1]:
            direction = np.zeros(shape, np.result_type(dtype, np.float64))
            direction[index] = unit
            yield index, unit, direction


def exact_gradient(f, X, G):
    """Differentiate Re tr(G^H f(X)) entry by entry: differences of 1e-20 in 50-digit arithmetic."""
    gradient = np.zeros_like(X, dtype=np.result_type(X, np.float64))
    with mpmath.workdps(truth.DIGITS):
        h, GH = mpmath.mpf(10)**-20, truth.exactly(G).H
        for index, unit, direction in units(X.shape, X.dtype):
            step = h * truth.exactly(direction)
            moved = (f(truth.exactly(X) + step) - f(truth.exactly(X) - step)) / (2 * h)
            trace = sum((GH * moved)[i, i] for i in range(moved.cols))
            gradient[index] += unit * float(mpmath.re(trace))
    return gradient


@names(MAPS, FACTORS, dtypes=[np.float64, np.complex128])
@shapes()
def test_adjoint_is_that_of_50_digits(name, dtype, shape):
    X, G = point(name, shape, dtype), sample(shape, dtype, 1)
    exact = exact_gradient(getattr(truth, name), X, G)
    bound = 100 * eps(dtype) * (np.linalg.cond(X)**2 if name in FACTORS else 1 + skew_norm(X)**2)
    assert_within(getattr(definitions, f"{name}_vjp")(X, G), exact, bound)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_expm_and_its_derivatives_are_those_of_50_digits(dtype):
    A, E, G = (sample((3, 3), dtype, seed) for seed in range(3))
    bound = 100 * eps(dtype) * np.exp(np.linalg.norm(A, 2))
    assert truth.error(definitions.expm(A), truth.expm(A)) <= bound
    assert truth.error(definitions.expm_frechet(A, E), truth.expm_frechet(A, E)) <= bound
    assert_within(definitions.expm_vjp(A, G), exact_gradient(truth.expm, A, G), bound)


@names(MAPS)
@shapes((2, 5, 2))
def test_with_base_is_the_product_on_the_longer_side(name, dtype, shape):
    X, G = point(name, shape, dtype), sample(shape, dtype, 1)
    base = sample((max(shape[-2:]),) * 2, dtype, 2)
    wide = shape[-2] < shape[-1]
    f, vjp = getattr(definitions, name), getattr(definitions, f"{name}_vjp")
    with_base = getattr(definitions, f"{name}_with_base")(base, X)
    assert with_base.dtype == dtype
    assert_within(with_base, f(X) @ base.T if wide else base @ f(X), 100 * eps(dtype))
    # <G, Df(X)[dX] base^T> = <G conj(base), Df(X)[dX]>
    pulled_back = vjp(X, G @ base.conj() if wide else base.conj().T @ G)
    bound = 100 * eps(dtype) * (1 + np.max(np.abs(pulled_back)))
    assert_within(getattr(definitions, f"{name}_with_base_vjp")(base, X, G), pulled_back, bound)


@names(MAPS)
@shapes((2, 3, 3), (2, 5, 2), (2, 2, 4))
def test_inverse_is_mapped_back(name, dtype, shape):
    Q = getattr(definitions, name)(0.3 * point(name, shape, dtype))
    X = getattr(definitions, f"{name}_inverse")(Q)
    assert X.dtype == dtype
    assert_within(getattr(definitions, name)(X), Q, 100 * eps(dtype))


@pytest.mark.parametrize("name", ["matrix_exp", "cayley"])
@pytest.mark.parametrize("c, s", [(1.0, 0.0), (0.6, 0.8)])
def test_a_reflection_has_no_preimage(name, c, s):
    Q = np.array([[c, s], [s, -c]])
    with pytest.raises(ValueError):  # LinAlgError is one
        getattr(definitions, f"{name}_inverse")(Q)


def test_matrix_exp_inverse_of_a_square_matrix_is_the_principal_logarithm():
    A = definitions.skew(sample((4, 4)))
    A *= 3 / np.linalg.norm(A, 2)  # below pi
    X = definitions.matrix_exp_inverse(definitions.expm(A))
    assert_within(definitions.skew(X), A, 1e-13)


def test_householder_refuses_complex_numbers():
    X = sample((3, 2), complex)
    for call in [lambda: definitions.householder(X), lambda: definitions.householder_vjp(X, X),
                 lambda: definitions.householder_inverse(X)]:
        with pytest.raises(ValueError, match="real, got complex128"):
            call()


@pytest.mark.parametrize("diagonal", [0.0, -0.0, 1e-30, -1e-30, 0.99999, -0.99999, 1, -1, 7.5, -7.5])
def test_signs_are_sign_bits(diagonal):
    X = sample((5, 3))
    X[range(3), range(3)] = diagonal
    Q = definitions.householder(X)
    assert gram_error(Q) <= 1e-14
    X[range(3), range(3)] = -1 if np.signbit(diagonal) else 1
    assert_identical(Q, definitions.householder(X))


def test_phases_of_zero_are_nan():
    with np.errstate(invalid="ignore"):
        assert np.isnan(definitions.unitary_householder(np.zeros((2, 1), complex))).any()


@dtypes
@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (1, 1), (1, 5)], ids=str)
def test_power_iteration_finds_the_leading_singular_vectors(shape, dtype):
    W = sample(shape, dtype)
    U, s, Vh = np.linalg.svd(W)
    u, v = definitions.power_iteration(W, sample(shape[:1], dtype, 1), sample(shape[1:], dtype, 2), 200)
    assert u.dtype == v.dtype == dtype
    assert abs(abs(np.vdot(U[:, 0], u)) - 1) <= 20 * eps(dtype)
    assert abs(abs(np.vdot(Vh[0].conj(), v)) - 1) <= 20 * eps(dtype)
    assert_within(definitions.spectral_normalize(W, u, v), W / s[0], 50 * eps(dtype))


def test_one_power_iteration_by_hand():
    W = np.array([[3.0, 4.0], [0.0, 0.0]])
    u, v = definitions.power_iteration(W, np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    assert_identical(u, np.array([1.0, 0.0]))
    assert_within(v, np.array([0.6, 0.8]), 1e-16)
    assert_identical(definitions.power_iteration(W, v, u, 0)[0], v)
    u, v = definitions.power_iteration(np.array([[1e-3]]), np.ones(1), np.ones(1), eps=0.5)
    assert_within(u, np.array([2e-3]), 1e-18)
    assert_within(v, np.array([4e-6]), 1e-21)


def differences(f, X, G):
    """Differentiate Re sum(conj(G) f(X)) by central differences."""
    gradient = np.zeros_like(X)
    for index, unit, direction in units(X.shape, X.dtype):
        moved = (f(X + 1e-5 * direction) - f(X - 1e-5 * direction)) / 2e-5
        gradient[index] += unit * np.sum(np.conj(G) * moved).real
    return gradient


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_adjoint_of_spectral_normalize(dtype):
    W, G = sample((4, 3), dtype), sample((4, 3), dtype, 1)
    u, v = definitions.power_iteration(W, sample((4,), dtype, 2), sample((3,), dtype, 3), 2)
    u = u * np.exp(0.3j) if is_complex(dtype) else u  # a complex sigma
    exact = differences(lambda W: W / (u.conj() @ W @ v), W, G)
    assert_within(definitions.spectral_normalize_vjp(W, u, v, G), exact, 1e-8)


@pytest.mark.parametrize("dim, axes", [
    (0, (1, 2)), (1, (0, 2)), (2, (0, 1)), (-2, (0, 2)), (-1, None), (None, None)])
def test_weight_norm_and_its_adjoints(dim, axes):
    v, G = sample((3, 4, 2)), sample((3, 4, 2), seed=1)
    length = np.linalg.norm(v) if axes is None else np.sqrt((v**2).sum(axes, keepdims=True))
    g = np.asarray(1.3 * length)
    assert_within(definitions.weight_norm(g, v, dim), 1.3 * v, 1e-15)
    gbar, vbar = definitions.weight_norm_vjp(g, v, dim, G)
    assert_within(gbar, differences(lambda g: definitions.weight_norm(g, v, dim), g, G), 1e-8)
    assert_within(vbar, differences(lambda v: definitions.weight_norm(g, v, dim), v, G), 1e-8)


def test_runs_when_copied_out_alone(tmp_path):
    source = pathlib.Path(definitions.__file__)
    shutil.copy(source, tmp_path / "mailed.py")
    program = """
import sys
import mailed, numpy
assert not [name for name in sys.modules if name.split(".")[0] in ("orthonorm", "autograd")]
print(mailed.cayley(numpy.array([[0.0], [2.0]])).tolist())
"""
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert run.stdout == "[[0.0], [1.0]]\n", run.stderr
    assert len(source.read_text().splitlines()) <= 400
