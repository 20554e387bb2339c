r"""Rules of the Newton-Schulz iteration, step by step."""
import autograd.numpy as np
from autograd.extend import primitive

from ..core.coefficients import as_triples
from ..core.matrices import as_matrices
from ..core.newton_schulz import check_eps, normalized, quintic_step
from ..core.polar import power_of_two
from .rules import H, any_shape, conj, register, stop_gradient


_normalized = primitive(normalized)
_quintic_step = primitive(quintic_step)


def newton_schulz(A, coefficients, steps=None, eps=0.0):
    r"""Differentiable :func:`orthonorm.core.newton_schulz`.

    Parameters
    ----------
    A : array or autograd tracer, shape (..., n, k)
        Not zero, where a derivative is wanted and `eps` is zero.
    coefficients, steps, eps
        See there. Constants to every derivative.

    Returns
    -------
    array or autograd tracer, shape (..., n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.newton_schulz`.
    numpy.linalg.LinAlgError
        On differentiating, if a matrix is zero and so is `eps`.

    Notes
    -----
    The division :math:`B = A / \nu` by the Frobenius norm :math:`\nu` has the derivative

    .. math:: \dot B = (\dot A - B \operatorname{Re} \operatorname{tr} B^H \dot A) / \nu,

    its own adjoint; where `eps` is larger than the norm it is :math:`\dot A / \mathrm{eps}`. Of a step
    :math:`Y = X M`, with :math:`G = X^H X` and the Hermitian :math:`M = a I + b G + c G^2`, the
    derivative and its adjoint are

    .. math::

        \dot G &= \dot X^H X + X^H \dot X, \qquad
            \dot Y = \dot X M + X (b \dot G + c\, \dot G G + c\, G \dot G), \\
        \bar M &= X^H \bar Y, \qquad \bar G = b \bar M + c\, G \bar M + c\, \bar M G, \qquad
            \bar X = \bar Y M + X (\bar G + \bar G^H).

    Examples
    --------
    >>> from autograd import grad
    >>> A = np.array([[3.0], [4.0]])
    >>> grad(lambda A: newton_schulz(A, (15 / 8, -10 / 8, 3 / 8), 5)[0, 0])(A).round(12)
    array([[ 0.128],
           [-0.096]])
    """
    as_matrices(stop_gradient(A), "A")
    triples = as_triples(coefficients, steps)
    check_eps(eps)

    @any_shape
    def iterated(A):
        X = _normalized(A, eps)
        for a, b, c in triples:
            X = _quintic_step(X, a, b, c)
        return X

    return iterated(A)


def _divisors(A, eps):
    """Return what each matrix is divided by, and 1 where this is its norm, 0 where it is `eps`."""
    scale = power_of_two(stop_gradient(A))
    squares = np.sum(np.real(conj(A / scale) * (A / scale)), axis=(-2, -1), keepdims=True)
    norms = scale * np.sqrt(stop_gradient(squares))
    if eps == 0 and A.size and not np.all(norms):
        raise np.linalg.LinAlgError("A must not be zero where newton_schulz is differentiated, or eps "
                                    "must not be")
    varies = (norms >= eps).astype(norms.dtype)  # a product, because autograd's rule of where is double
    return varies * scale * np.sqrt(varies * squares + (1 - varies)) + (1 - varies) * eps, varies


def _normalized_derivative(B, A, eps, dA):
    divisors, varies = _divisors(A, eps)
    along = np.sum(np.real(conj(B) * dA), axis=(-2, -1), keepdims=True)
    return (dA - B * (varies * along)) / divisors


def _step_adjoint(Y, X, a, b, c, Ybar):
    G, Mbar = H(X) @ X, H(X) @ Ybar
    Gbar = b * Mbar + c * (G @ Mbar + Mbar @ G)
    return a * Ybar + Ybar @ (b * G + c * (G @ G)) + X @ (Gbar + H(Gbar))


def _step_tangent(Y, X, a, b, c, dX):
    G, dG = H(X) @ X, H(dX) @ X
    dG = dG + H(dG)
    return a * dX + dX @ (b * G + c * (G @ G)) + X @ (b * dG + c * (dG @ G + G @ dG))


register(_normalized, adjoint=_normalized_derivative, tangent=_normalized_derivative)
register(_quintic_step, adjoint=_step_adjoint, tangent=_step_tangent)
