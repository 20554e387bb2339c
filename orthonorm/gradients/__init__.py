r"""The core maps as autograd primitives: their values, and how they are differentiated.

Every name here is a function of :mod:`orthonorm.core` that `autograd
<https://github.com/HIPS/autograd>`_ can differentiate, in reverse and in forward mode, to any
order, or :func:`stop_gradient`. Some functions are in core only, because they are constants to every
derivative: random frames, completions, coefficients of polynomials and their bounds, the dense matrix
and all the singular values of a convolution.

For each map f there are two rules, with their derivations:

* the *tangent* :math:`\dot Q = Df(X)[\dot X]`, for forward mode;
* the *adjoint* :math:`\bar X = Df(X)^*[\bar Q]`, for reverse mode, with respect to the inner product
  :math:`\langle X, Y \rangle = \operatorname{Re} \operatorname{tr}(X^H Y)`.

So :math:`\langle \bar Q, \dot Q \rangle = \langle \bar X, \dot X \rangle` for all tangents. The rules
are written with :mod:`autograd.numpy`, and are differentiable in turn.

For complex matrices the adjoint above is PyTorch's convention: the gradient is the direction of
steepest ascent. autograd's own convention is its complex conjugate, so what is registered is
:math:`g \mapsto \overline{\mathrm{adjoint}(\bar g)}`, and ``autograd.grad`` of a function of these
maps is the conjugate of what PyTorch returns. :func:`orthonorm.func.value_and_grad` returns
PyTorch's.

The derivation of an adjoint ends at X-bar, the gradient in the unconstrained X. Its definition is the
``..._vjp`` of that name in :mod:`orthonorm.core.definitions`. Rules are registered by
:func:`.rules.register`, as ``adjoint(Q, X, *constants, Qbar)`` and ``tangent(Q, X, *constants, dX)``.

A dot over a name stands for a tangent, a bar for an adjoint; in the code they are ``dQ`` and
``Qbar``.
"""
from ..core.newton_schulz import polynomial_gain
from .bounds import circular_convolution_norm_bounds, spectral_norm_bounds
from .cayley import cayley, cayley_inverse
from .exponential import expm, expm_frechet
from .householder import householder, householder_inverse
from .logarithm import matrix_exp_inverse
from .matrix_exp import matrix_exp
from .newton_schulz import newton_schulz
from .orthonormalize import orthonormalize
from .polar import polar
from .rules import stop_gradient
from .spectral import power_iteration, spectral_normalize
from .unitary_householder import unitary_householder, unitary_householder_inverse

__all__ = [
    "cayley", "cayley_inverse", "circular_convolution_norm_bounds", "expm", "expm_frechet",
    "householder", "householder_inverse", "matrix_exp", "matrix_exp_inverse", "newton_schulz",
    "orthonormalize", "polar", "polynomial_gain", "power_iteration", "spectral_norm_bounds",
    "spectral_normalize", "stop_gradient", "unitary_householder", "unitary_householder_inverse",
]
