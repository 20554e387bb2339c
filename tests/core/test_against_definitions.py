"""Every function of core that has a definition against it: any shape, dtype, stack and scale.

The definition is evaluated in double precision. Both sides round: the difference may be some units of
eps times what a relative error of eps in the argument does to the answer.
"""
import inspect
import pathlib
import re

import numpy as np
import pytest

from orthonorm import core
from orthonorm.core import definitions
from tests.helpers import REAL, SHAPES, dtypes, empty_shapes, eps, is_complex, sample, skew_norm

STACKS = [(3, 4, 4), (2, 2, 5, 3), (1, 7, 2), (2, 3, 6), (0, 3, 2)]
LARGER = [(40, 40), (66, 66), (70, 34), (80, 9), (9, 80)]  # where fast branches begin
MAPS = ["matrix_exp", "cayley", "householder", "unitary_householder"]
FACTORS = ["orthonormalize", "polar"]
SKEW = ["matrix_exp", "cayley"]
# Of core, what has no place there: bounds, convolutions, completions, random starts, coefficients and
# gains of polynomials. Their docstrings name their own plain definitions.
WITHOUT = {"circular_convolution_norm_bounds", "circular_convolution_singular_values", "complete",
           "convolution_matrix", "gain_bounds", "haar", "minimax_coefficients",
           "newton_schulz_coefficients", "polynomial_gain", "spectral_norm_bounds", "torus"}
CUBIC, QUINTIC = (1.5, -0.5, 0.0), (1.875, -1.25, 0.375)  # of Newton and Schulz, of Bjorck and Bowie
UNITS = 5  # of eps
SCIPY = 100  # SciPy's exponential, of which the definition consists, loses up to 30 on small matrices

ROOT = pathlib.Path(__file__).parent.parent.parent

some_shapes = pytest.mark.parametrize("shape", SHAPES + STACKS, ids=str)
all_shapes = pytest.mark.parametrize("shape", SHAPES + STACKS + LARGER, ids=str)


def shapes_and_scales(*scales):
    return pytest.mark.parametrize("shape, scale", [
        *((shape, scale) for shape in SHAPES + STACKS for scale in scales),
        *((shape, 1) for shape in LARGER)], ids=str)


def point(name, shape, dtype, scale=1.0, seed=0):
    """Draw an argument; for reflectors the diagonal is any number away from zero, as users have it."""
    X = sample(shape, dtype, seed, scale)
    if "householder" in name:
        i = np.arange(min(shape[-2:]))
        signs = np.random.default_rng(seed).choice([-1, 1], X[..., i, i].shape).astype(X.real.dtype)
        X[..., i, i] += 2 * signs
    return X


def double(X):
    return X.astype(np.result_type(X, np.float64))


def assert_near(actual, defined, dtype, condition=1.0, units=UNITS):
    """Hold the Frobenius norm of the difference to `units` of eps times (|answer| + condition)."""
    assert actual.shape == defined.shape and actual.dtype == dtype
    bound = units * eps(dtype) * (np.linalg.norm(defined) + condition)
    assert np.linalg.norm(actual - defined) <= bound


def allowed(name, dtype):
    return name in ("unitary_householder", "unitary_householder_inverse") or (
        not (is_complex(dtype) and "householder" in name))


def cases(names):
    return pytest.mark.parametrize("name", names)


def test_every_function_has_a_definition_or_is_known_to_have_none():
    assert {name for name in core.__all__ if not hasattr(definitions, name)} <= WITHOUT
    assert not {name for name in WITHOUT if hasattr(definitions, name)}


@pytest.mark.parametrize("name", core.__all__)
def test_notes_begin_with_the_definition(name):
    """Its name in definitions.py, or in words, and which tests hold it."""
    notes = inspect.getdoc(getattr(core, name)).split("\nNotes\n-----\n")[1]
    first = notes.split("\n\n")[0]
    assert first.startswith("Definition: ")
    if name in WITHOUT:
        [path] = set(re.findall(r"``(tests/\S+)``", first))
        assert (ROOT / path).exists()
    else:
        assert f":func:`.definitions.{name}`" in first


@dtypes
@shapes_and_scales(1e-3, 1, 10)
@cases(MAPS)
def test_maps(name, shape, dtype, scale):
    if allowed(name, dtype):
        X = point(name, shape, dtype, scale)
        condition = np.linalg.norm(X) if name in SKEW else np.sqrt(X.size)
        units = SCIPY if name == "matrix_exp" else UNITS
        defined = getattr(definitions, name)(double(X))
        assert_near(getattr(core, name)(X), defined, dtype, condition, units)


@dtypes
@empty_shapes
@cases(MAPS + FACTORS)
def test_maps_of_nothing(name, shape, dtype):
    if allowed(name, dtype):
        X = np.zeros(shape, dtype)
        assert_near(getattr(core, name)(X), getattr(definitions, name)(X), dtype)


@dtypes
@some_shapes
@cases(MAPS)
def test_inverses(name, shape, dtype):
    """Frames that the map reaches from near zero, where there is one preimage, or one nearest to it."""
    if allowed(name, dtype):
        Q = getattr(definitions, name)(point(name, shape, dtype, 0.2))
        frame = definitions.orthonormalize(double(Q))  # single precision is orthonormal to 1e-7 only
        found = getattr(core, f"{name}_inverse")(Q)
        read = np.tril if shape[-2] >= shape[-1] else np.triu  # householder_inverse leaves R elsewhere
        defined = read(getattr(definitions, f"{name}_inverse")(frame))
        assert_near(read(found), defined, dtype, np.sqrt(Q.size))


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(3, 3), (3, 1), (4, 1), (4, 2), (5, 3), (2, 4)], ids=str)
def test_logarithms_of_frames_far_from_the_identity(shape, dtype):
    """Some complete to a matrix of determinant -1, which has no real logarithm; some take 700 steps."""
    for seed in range(4):
        X = sample(shape, dtype, seed) * (1 - np.eye(*shape))
        X = np.tril(X) if shape[0] >= shape[1] else np.triu(X)
        X *= 2 / skew_norm(X)
        Q = definitions.matrix_exp(X)
        for found in (core.matrix_exp_inverse(Q), definitions.matrix_exp_inverse(Q)):
            assert_near(found, X, dtype, 10, SCIPY)


@dtypes
@shapes_and_scales(1e-3, 1, 1e3)
@cases(FACTORS)
def test_orthonormal_factors(name, shape, dtype, scale):
    A = sample(shape, dtype, scale=scale)
    condition = np.max(np.linalg.cond(double(A)), initial=1) * np.sqrt(A.size)
    assert_near(getattr(core, name)(A), getattr(definitions, name)(double(A)), dtype, condition)


@dtypes
@all_shapes
@pytest.mark.parametrize("coefficients, steps", [(CUBIC, 4), ([QUINTIC, CUBIC, QUINTIC], 3)], ids=str)
def test_newton_schulz(coefficients, steps, shape, dtype):
    A = sample(shape, dtype, scale=100)
    defined = definitions.newton_schulz(double(A), coefficients, steps)
    assert_near(core.newton_schulz(A, coefficients, steps), defined, dtype, np.sqrt(A.size))


SQUARES = [(1, 1), (2, 2), (5, 5), (33, 33), (3, 4, 4), (2, 2, 3, 3), (0, 3, 3)]


@dtypes
@pytest.mark.parametrize("shape", SQUARES, ids=str)
@pytest.mark.parametrize("scale", [1e-3, 0.3, 1])
def test_exponential_and_its_derivative(shape, dtype, scale):
    """General matrices, whose exponential has a condition number of up to e^(2 ||A||)."""
    A, E = sample(shape, dtype, 0, scale / np.sqrt(shape[-1])), sample(shape, dtype, 1)
    size = np.exp(2 * np.max(np.linalg.norm(double(A), 2, axis=(-2, -1)), initial=0)) * np.sqrt(A.size)
    assert_near(core.expm(A), definitions.expm(double(A)), dtype, size)
    assert_near(core.expm_frechet(A, E), definitions.expm_frechet(double(A), double(E)), dtype,
                size * np.linalg.norm(E))


def vectors(shape, dtype, seed=1):
    u, v = sample(shape[:1], dtype, seed), sample(shape[1:], dtype, seed + 1)
    return u / np.linalg.norm(u), v / np.linalg.norm(v)


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (1, 5), (5, 1), (40, 30)], ids=str)
@pytest.mark.parametrize("n_power_iterations", [0, 1, 5])
@pytest.mark.parametrize("eps_of_norms", [1e-12, 100.0])
def test_power_iteration_and_spectral_normalisation(shape, dtype, n_power_iterations, eps_of_norms):
    W, (u, v) = sample(shape, dtype), vectors(shape, dtype)
    found = core.power_iteration(W, u, v, n_power_iterations, eps_of_norms)
    defined = definitions.power_iteration(double(W), double(u), double(v), n_power_iterations,
                                          eps_of_norms)
    for x, y in zip(found, defined):
        assert_near(x, y, dtype)
    u, v = core.power_iteration(W, u, v, 3)
    assert_near(core.spectral_normalize(W, u, v),
                definitions.spectral_normalize(double(W), double(u), double(v)), dtype)


@pytest.mark.parametrize("name", ["householder", "unitary_householder"])
@pytest.mark.parametrize("shape", [(2, 2), (4, 4), (5, 3), (3, 5), (4, 1)], ids=str)
def test_permutations_have_reflectors(name, shape):
    """Where the first entry of a column is zero, its phase may be any."""
    Q = np.eye(*shape)[::-1, ::-1]
    for module in (core, definitions):
        X = getattr(module, f"{name}_inverse")(Q)
        assert_near(getattr(definitions, name)(X), Q, np.float64)


@pytest.mark.parametrize("name", ["householder", "householder_inverse"])
def test_complex_reflectors_are_refused_by_both(name):
    for module in (core, definitions):
        with pytest.raises(ValueError, match="real"):
            getattr(module, name)(sample((3, 2), complex))


@pytest.mark.parametrize("name", SKEW)
@pytest.mark.parametrize("dtype", REAL)
def test_what_has_no_preimage_is_refused_by_both(name, dtype):
    for module in (core, definitions):
        with pytest.raises(ValueError):  # LinAlgError is one
            getattr(module, f"{name}_inverse")(np.diag(np.array([1, 1, -1], dtype)))
