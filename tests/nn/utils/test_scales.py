"""spectral_norm and weight_norm of very large and very small weights.

A power of two times a weight changes no digit of what is computed from it: what the other tests hold at
usual scales is multiplied by the power and compared. Squares of the entries leave the range here.
"""
import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad, make_jvp

from orthonorm import nn
from orthonorm.core.spectral import power_of_two
from orthonorm.nn.utils.parametrizations import spectral_norm, weight_norm
from tests.helpers import DTYPES, REAL, assert_identical, assert_within, real_dtypes, sample

# Fractions of the way to the ends of the range.
exponents = pytest.mark.parametrize("exponent", [-0.9, -0.6, 0.6, 0.9])


class Holder(nn.Module):
    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)


def convolution(X):
    layer = nn.Conv1d(2, 4, 3, padding=1, dtype=X.dtype)
    layer._parameters["weight"].data[...] = X
    return spectral_norm(layer, input_size=5, rng=0)


# What is parametrized, its shape, and whether small weights are divided by their norm too.
SPECTRAL = {"matrix": (lambda X: spectral_norm(Holder(X), rng=0), (4, 3), True),
            "dim 1": (lambda X: spectral_norm(Holder(X), dim=1, rng=0), (2, 3, 2), True),
            "vector": (lambda X: spectral_norm(Holder(X)), (5,), False),
            "convolution": (convolution, (4, 2, 3), True)}
CASES = [(kind, dtype, exponent) for kind, (_, _, small) in SPECTRAL.items() for dtype in DTYPES
         for exponent in ([-0.9, -0.6, 0.6, 0.9] if small else [0.6, 0.9])]
every_case = pytest.mark.parametrize(
    "kind, dtype, exponent", CASES, ids=lambda x: getattr(x, "__name__", str(x)))


def power(exponent, dtype):
    limits = np.finfo(dtype)
    return limits.dtype.type(2)**int(exponent * limits.maxexp)


def trained(kind, X):
    """Read the weight three times; return the parametrization, in evaluation mode, and the weight."""
    module = SPECTRAL[kind][0](X)
    for _ in range(3):
        weight = module.weight
    return module.parametrizations.weight.eval()[0], weight


@every_case
def test_spectral_norm_does_not_depend_on_the_scale(kind, dtype, exponent):
    X, c = sample(SPECTRAL[kind][1], dtype), power(exponent, dtype)
    (part, weight), (scaled_part, scaled_weight) = trained(kind, X), trained(kind, c * X)
    assert_identical(scaled_weight, weight)
    for name, buffer in part.named_buffers():
        assert_identical(dict(scaled_part.named_buffers())[name], buffer)
    assert_identical(scaled_part(c * X), part(X))


@every_case
def test_derivatives_of_spectral_norm_fall_with_the_scale(kind, dtype, exponent):
    """The gradient at c X is that at X over c; so is its derivative in the direction c D."""
    X, c = sample(SPECTRAL[kind][1], dtype), power(exponent, dtype)
    C, D = sample(X.shape, dtype, 1), sample(X.shape, dtype, 2)

    def derivatives(part, X, D):
        def loss(X):
            return anp.sum(anp.real(C * part(X)))
        return make_jvp(grad(loss))(X)(D)
    expected = derivatives(trained(kind, X)[0], X, D)
    actual = derivatives(trained(kind, c * X)[0], c * X, c * D)
    for x, y in zip(actual, expected):
        assert x.dtype == dtype
        # Not to the bit: where the gradient is subnormal.
        assert_within(c * x, y, 1e-5 if np.finfo(dtype).maxexp < 1000 else 1e-13)


@pytest.mark.parametrize("dtype", REAL + [np.complex64])
@pytest.mark.parametrize("scale", [2e-13, 1e-13, 1e-20])
def test_weights_below_eps_get_norm_one(scale, dtype):
    """PyTorch's are 1e25 times too large, or infinite."""
    _, weight = trained("matrix", (scale * np.diag([4.0, 1.0, 1.0])).astype(dtype))
    assert_within(np.linalg.norm(weight, 2), 1, 1e-6)


def test_eps_keeps_its_meaning_at_usual_scales():
    module = spectral_norm(Holder(np.eye(2)), eps=4.0, rng=0)
    part = module.parametrizations.weight[0]
    assert np.linalg.norm(part._v) < 4.0**-30


@real_dtypes
@exponents
@pytest.mark.parametrize("dim", [0, 1, None])
def test_weight_norm_at_every_scale(dim, exponent, dtype):
    """The length is multiplied by c; of the derivatives by v each falls by c, as the length grows."""
    X, c = sample((4, 3), dtype), power(exponent, dtype)
    C, D = sample(X.shape, dtype, 1), sample(X.shape, dtype, 2)

    def parts(X):
        chain = weight_norm(Holder(X), dim=dim).parametrizations.weight
        return chain[0], chain.original0, chain.original1
    part, g, v = parts(X)
    scaled_part, scaled_g, scaled_v = parts(c * X)
    assert_identical(scaled_g, c * g)
    assert_identical(scaled_v, c * X)
    assert_within(scaled_part(scaled_g, scaled_v) / c, X, 4 * np.finfo(dtype).eps)

    def derivatives(part, g, v, D):
        def gradient(v):
            return grad(lambda v: anp.sum(C * part(g, v)))(v)
        of_g = grad(lambda g: anp.sum(C * part(g, v)))(g)
        return [of_g, *make_jvp(gradient)(v)(D)]
    for x, y in zip(derivatives(scaled_part, scaled_g, scaled_v, c * D), derivatives(part, g, v, D)):
        assert x.dtype == dtype
        assert_identical(x, y)


@real_dtypes
def test_weight_norm_of_slices_of_different_scales(dtype):
    """Beside a zero slice, too, which has no direction."""
    X = sample((4, 3), dtype) * np.array([[1], [0], [1e-30], [1e30]], dtype)
    module = weight_norm(Holder(X))
    norms = np.linalg.norm(X.astype(np.float64), axis=1, keepdims=True)
    np.testing.assert_allclose(module.parametrizations.weight.original0, norms, rtol=1e-6)
    np.testing.assert_allclose(module.weight, X, rtol=1e-6)


@real_dtypes
def test_weight_norm_out_of_the_range_raises(dtype):
    module = Holder(np.full((2, 3), np.finfo(dtype).max))
    with pytest.raises(ValueError, match="^the norm of the weight must be finite"):
        weight_norm(module)
    assert type(module) is Holder


def test_power_of_two():
    x = np.array([[1e-30, 0.0], [0.0, 0.0], [2.0, 3.0]])
    assert_identical(power_of_two(x, 0), np.array([[2.0**-100], [1.0], [2.0]]))
    assert power_of_two(x) is None and power_of_two(x[2:], 0) is None
    for norm in (1e-6, 1e6):
        assert power_of_two(np.array([norm])) is None and power_of_two(np.array([norm]), 0) is None
    for norm in (0.9e-6, 1.1e6):
        assert power_of_two(np.array([norm])) and power_of_two(np.array([norm]), 0)
    assert power_of_two(np.array([5e-324])) == 5e-324
    assert power_of_two(np.array([1.7e308 + 1j])) == 2.0**1023
    assert power_of_two(np.zeros((0, 3))) == 1
