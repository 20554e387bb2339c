"""Every rule of gradients that has a definition against it: values with a base, and adjoints."""
import numpy as np
import pytest
from autograd import make_jvp, make_vjp

from orthonorm import core, gradients, nn
from orthonorm.core import definitions
from orthonorm.core.completion import completion
from orthonorm.func import functional_call
from orthonorm.gradients.base import multiply
from orthonorm.gradients.cayley import base_times_cayley
from orthonorm.gradients.householder import base_times_householder
from orthonorm.nn.utils.parametrizations import weight_norm
from tests.core.test_against_definitions import (
    CUBIC, FACTORS, MAPS, QUINTIC, SCIPY, SKEW, SQUARES, UNITS, WITHOUT, all_shapes, allowed,
    assert_near, cases, double, point, shapes_and_scales, some_shapes, vectors,
)
from tests.helpers import dtypes, empty_shapes, eps, real_dtypes, sample

BASE_TIMES = {"cayley": base_times_cayley, "householder": base_times_householder}


def pulled_back(f, X, G):
    """Return f(X), and the gradient in X where G is that in f(X), in PyTorch's convention."""
    pull, value = make_vjp(f)(X)
    return value, np.conj(pull(np.conj(G)))


def assert_adjoint(f, vjp, X, G, condition, units=UNITS):
    value, gradient = pulled_back(f, X, G)
    assert gradient.dtype == X.dtype
    assert_near(gradient, vjp(double(X), double(G)), X.dtype, condition * np.linalg.norm(G), units)
    return value


def test_every_function_has_a_definition_or_is_known_to_have_none():
    without = {name for name in gradients.__all__ if not hasattr(definitions, name)}
    assert without <= WITHOUT | {"stop_gradient"}


@dtypes
@shapes_and_scales(1e-3, 1, 10)
@cases(MAPS)
def test_adjoints_of_maps(name, shape, dtype, scale):
    if allowed(name, dtype):
        X, G = point(name, shape, dtype, scale), sample(shape, dtype, 1)
        condition = 1 + np.linalg.norm(X) if name in SKEW else np.sqrt(X.size)
        assert_adjoint(getattr(gradients, name), getattr(definitions, f"{name}_vjp"), X, G, condition,
                       SCIPY if name == "matrix_exp" else UNITS)


@dtypes
@empty_shapes
@cases(MAPS + FACTORS)
def test_adjoints_of_nothing(name, shape, dtype):
    if allowed(name, dtype):
        X = np.zeros(shape, dtype)
        assert_adjoint(getattr(gradients, name), getattr(definitions, f"{name}_vjp"), X, X, 1)


def with_base(name, base):
    """Return X -> base @ map(X), or map(X) @ base^T, as the parametrization computes it."""
    f = getattr(gradients, name)

    def of_any_shape(X):
        n, k = X.shape[-2:]
        if n == k and name in BASE_TIMES:
            return BASE_TIMES[name](base, X)
        if n < k:
            return np.swapaxes(multiply(base, np.swapaxes(f(X), -1, -2)), -1, -2)
        return multiply(base, f(X))
    return of_any_shape


@dtypes
@some_shapes
@cases(MAPS)
@pytest.mark.parametrize("kept_as_reflectors", [False, True])
def test_maps_with_a_base(name, shape, dtype, kept_as_reflectors):
    if not allowed(name, dtype):
        return
    X, G, n = point(name, shape, dtype), sample(shape, dtype, 1), max(shape[-2:])
    frame = core.haar((*shape[:-2], n, min(shape[-2:])), dtype, rng=2)
    base = dense = core.complete(frame)
    if kept_as_reflectors and shape[-2] != shape[-1]:
        base = completion(frame)
    value = assert_adjoint(
        with_base(name, base),
        lambda X, G: getattr(definitions, f"{name}_with_base_vjp")(double(dense), X, G), X, G,
        1 + np.linalg.norm(X), SCIPY)
    defined = getattr(definitions, f"{name}_with_base")(double(dense), double(X))
    assert_near(value, defined, dtype, 1 + np.linalg.norm(X), SCIPY)


@dtypes
@shapes_and_scales(1e-3, 1, 1e3)
@cases(FACTORS)
def test_adjoints_of_orthonormal_factors(name, shape, dtype, scale):
    A, G = sample(shape, dtype, scale=scale), sample(shape, dtype, 1)
    if A.size:
        smallest = np.linalg.svd(double(A), compute_uv=False)[..., -1].min()
        condition = np.linalg.norm(A) / smallest**2
        assert_adjoint(getattr(gradients, name), getattr(definitions, f"{name}_vjp"), A, G, condition)


@dtypes
@all_shapes
@pytest.mark.parametrize("coefficients, steps", [(CUBIC, 4), ([QUINTIC, CUBIC, QUINTIC], 3)], ids=str)
def test_adjoint_of_newton_schulz(coefficients, steps, shape, dtype):
    A, G = sample(shape, dtype), sample(shape, dtype, 1)
    if A.size:
        smallest = np.linalg.norm(double(A), axis=(-2, -1)).min()
        assert_adjoint(lambda A: gradients.newton_schulz(A, coefficients, steps),
                       lambda A, G: definitions.newton_schulz_vjp(A, coefficients, steps, G), A, G,
                       20 * np.linalg.norm(A) / smallest**2)


@dtypes
@pytest.mark.parametrize("shape", SQUARES, ids=str)
@pytest.mark.parametrize("scale", [1e-3, 0.3, 1])
def test_adjoints_of_the_exponential(shape, dtype, scale):
    A, E, G = (sample(shape, dtype, seed, scale / np.sqrt(shape[-1])) for seed in range(3))
    size = np.exp(2 * np.max(np.linalg.norm(double(A), 2, axis=(-2, -1)), initial=0)) * np.sqrt(A.size)
    value = assert_adjoint(gradients.expm, definitions.expm_vjp, A, G, size)
    assert_near(value, definitions.expm(double(A)), dtype, size)
    # L(A, .) is its own definition's adjoint at the conjugate transpose.
    value = assert_adjoint(lambda E: gradients.expm_frechet(A, E),
                           lambda E, G: definitions.expm_vjp(double(A), G), E, G, size)
    assert_near(value, definitions.expm_frechet(double(A), double(E)), dtype, size * np.linalg.norm(E))


@dtypes
@some_shapes
@cases(MAPS)
def test_the_inverse_has_the_inverse_derivative(name, shape, dtype):
    """Map after inverse is the identity of the frames: D map D inverse = 1 along them."""
    if not allowed(name, dtype) or shape[0] == 0:
        return
    f, inverse = getattr(gradients, name), getattr(gradients, f"{name}_inverse")
    X = point(name, shape, dtype, 0.2)
    Q, dQ = make_jvp(f)(X)(sample(shape, dtype, 1))
    _, dX = make_jvp(inverse)(Q)(dQ)
    G = sample(shape, dtype, 2)
    Xbar = getattr(definitions, f"{name}_vjp")(double(getattr(definitions, f"{name}_inverse")(
        definitions.orthonormalize(double(Q)))), double(G))
    _, Qbar = pulled_back(inverse, Q, Xbar.astype(dtype))
    slope = np.vdot(G, dQ).real
    bound = 1000 * eps(dtype) * np.linalg.norm(G) * (1 + np.linalg.norm(dQ))
    assert abs(np.vdot(Xbar, dX).real - slope) <= bound
    assert abs(np.vdot(Qbar, dQ).real - slope) <= bound


@dtypes
@pytest.mark.parametrize("shape", [(4, 4), (6, 3), (3, 6), (1, 5), (5, 1), (40, 30)], ids=str)
def test_adjoint_of_spectral_normalisation(shape, dtype):
    W, G, (u, v) = sample(shape, dtype), sample(shape, dtype, 1), vectors(shape, dtype, 2)
    u, v = core.power_iteration(W, u, v, 3)
    u = u * np.exp(0.3j).astype(dtype) if np.iscomplexobj(W) else u  # a complex sigma
    sigma = abs(np.vdot(u, W @ v))
    assert_adjoint(lambda W: gradients.spectral_normalize(W, u, v),
                   lambda W, G: definitions.spectral_normalize_vjp(W, double(u), double(v), G), W, G,
                   np.linalg.norm(W) / sigma**2)


def test_power_iteration_is_that_of_core():
    W, (u, v) = sample((4, 3)), vectors((4, 3), np.float64)
    for found, defined in zip(gradients.power_iteration(W, u, v, 2), core.power_iteration(W, u, v, 2)):
        assert np.array_equal(found, defined)


class Weight(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self):
        return self.weight


@real_dtypes
@pytest.mark.parametrize("shape", [(4, 3), (3, 4, 2), (1, 1)], ids=str)
@pytest.mark.parametrize("dim", [0, 1, -2, -1, None])
def test_weight_normalisation(shape, dim, dtype):
    """It is a parametrization only, and is differentiated by autograd."""
    v, G = sample(shape, dtype), sample(shape, dtype, 1)
    module = weight_norm(Weight(v), dim=dim)
    names = [f"parametrizations.weight.original{i}" for i in range(2)]
    lengths = module.parametrizations.weight.original0
    g = np.asarray(np.abs(sample(lengths.shape, dtype, 2)) + 0.5, dtype)

    def of(g, v):
        return functional_call(module, dict(zip(names, (g, v))), ())

    defined = definitions.weight_norm_vjp(double(g), double(v), dim, double(G))
    condition = np.linalg.norm(g) + 1
    value, gbar = pulled_back(lambda g: of(g, v), g, G)
    _, vbar = pulled_back(lambda v: of(g, v), v, G)
    assert_near(value, definitions.weight_norm(double(g), double(v), dim), dtype, condition)
    assert_near(gbar, defined[0], dtype, condition * np.linalg.norm(G))
    assert_near(vbar, defined[1], dtype, condition * np.linalg.norm(G) / np.linalg.norm(v, axis=None))
