"""orthonorm as the judge takes it: values from core, derivatives from gradients, by autograd.

python -m orthonorm conformance judge tests/conformance/own.py
"""
import functools

import autograd.numpy as np
from autograd import make_jvp, make_vjp

from orthonorm import core, gradients
from orthonorm.gradients.base import multiply
from orthonorm.gradients.cayley import base_times_cayley
from orthonorm.gradients.householder import base_times_householder
from orthonorm.nn.utils.parametrizations.weight_norm import _WeightNorm

FUNCTIONS = {name: getattr(gradients, name) for name in (
    "matrix_exp", "cayley", "householder", "unitary_householder", "expm", "orthonormalize", "polar")}
BASE_TIMES_MAP = {"cayley": base_times_cayley, "householder": base_times_householder}


def vjp(f, X, G):
    """Return the gradient in PyTorch's convention: autograd's is the conjugate."""
    return np.conj(make_vjp(f)(X)[0](np.conj(G)))


def vjp_of(f):
    return functools.partial(vjp, f)


def jvp_of(f):
    return lambda X, dX: make_jvp(f)(X)(dX)[1]


def hvp_of(f):
    return lambda X, G, dX: make_jvp(lambda X: vjp(f, X, G))(X)(dX)[1]


def with_base_of(name):
    """Multiply as `orthogonal` does."""
    def with_base(base, X):
        n, k = X.shape[-2:]
        if n == k and name in BASE_TIMES_MAP:
            return BASE_TIMES_MAP[name](base, X)
        if n < k:
            return np.swapaxes(multiply(base, np.swapaxes(FUNCTIONS[name](X), -1, -2)), -1, -2)
        return multiply(base, FUNCTIONS[name](X))
    return with_base


def with_base_vjp_of(with_base):
    return lambda base, X, G: vjp(lambda X: with_base(base, X), X, G)


for name, f in FUNCTIONS.items():
    globals().update({name: getattr(core, name), f"{name}_vjp": vjp_of(f), f"{name}_jvp": jvp_of(f),
                      f"{name}_hvp": hvp_of(f)})
    if hasattr(core, f"{name}_inverse"):
        globals().update({f"{name}_inverse": getattr(core, f"{name}_inverse"),
                          f"{name}_with_base": with_base_of(name),
                          f"{name}_with_base_vjp": with_base_vjp_of(with_base_of(name))})

expm_frechet, newton_schulz = core.expm_frechet, core.newton_schulz
power_iteration, spectral_normalize = core.power_iteration, core.spectral_normalize


def newton_schulz_vjp(A, coefficients, steps, G):
    return vjp(lambda A: gradients.newton_schulz(A, coefficients, steps), A, G)


def spectral_normalize_vjp(W, u, v, G):
    return vjp(lambda W: gradients.spectral_normalize(W, u, v), W, G)


def weight_norm(g, v, dim):
    return _WeightNorm(dim).forward(g, v)


def weight_norm_vjp(g, v, dim, G):
    forward = _WeightNorm(dim).forward
    return vjp(lambda g: forward(g, v), g, G), vjp(lambda v: forward(g, v), v, G)
