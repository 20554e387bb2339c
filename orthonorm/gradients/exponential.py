r"""Rules of the exponential of a general matrix, and of its Frechet derivative."""
import numpy as np
from autograd.extend import defjvp, defvjp, primitive
from autograd.tracer import isbox

from .. import core
from ..core.exponential import Exponential, as_square
from .rules import H, block2, mT, register, stop_gradient


@primitive
def _expm(A, exponential):
    return exponential.value


def expm(A):
    r"""Differentiable :func:`orthonorm.core.expm`.

    Parameters
    ----------
    A : array or autograd tracer, shape (..., n, n)

    Returns
    -------
    array or autograd tracer, shape (..., n, n)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.expm`.

    Notes
    -----
    With L the Frechet derivative (:func:`expm_frechet`), and :math:`F = e^A`,

    .. math:: \dot F = L(A, \dot A), \qquad \bar A = L(A^H, \bar F),

    because L(A, .) is linear, with the adjoint L(A^H, .) [1]_. (The definition:
    :func:`orthonorm.core.definitions.expm_vjp`.)

    References
    ----------
    .. [1] A. H. Al-Mohy, N. J. Higham, SIAM J. Matrix Anal. Appl. 30 (2009).

    Examples
    --------
    >>> from autograd import grad
    >>> grad(lambda A: expm(A)[0, 0])(np.zeros((2, 2)))
    array([[1., 0.],
           [0., 0.]])
    """
    return _expm(A, Exponential(as_square(stop_gradient(A), "A")))


expm_frechet = primitive(core.expm_frechet)


def frechet(A, exponential, E):
    """Return L(A, E): from the `exponential` of A, or as a function of A and E if they are traced."""
    return expm_frechet(A, E) if isbox(A) or isbox(E) else exponential.derivative(E)


def frechet_adjoint(A, exponential, E):
    """Return L(A^H, E): from the `exponential` of A, or as a function of A and E if they are traced."""
    if isbox(A) or isbox(E):
        return expm_frechet(H(A), E)
    return exponential.derivative(E, adjoint=True)


def _second_frechet(A, E, D):
    r"""The derivative of L(A, E) when A moves along D, read off a block-triangular exponential.

    L at :math:`[[A, D], [0, A]]` in the direction :math:`[[E, 0], [0, E]]` has it as its upper right
    block [1]_. It is symmetric in E and D.

    References
    ----------
    .. [1] N. J. Higham, S. D. Relton, "Higher order Frechet derivatives of matrix functions and the
       level-2 condition number", SIAM J. Matrix Anal. Appl. 35 (2014).
    """
    n = A.shape[-1]
    zero = np.zeros_like(stop_gradient(A))
    return expm_frechet(block2(A, D, zero, A), block2(E, zero, zero, E))[..., :n, n:]


# The second derivative D -> L2(A; E, D) is linear, as L(A, .) is; its adjoint is L2(A^H; E^H, .), as
# reversing the words of the power series of the exponential shows.
register(
    _expm,
    adjoint=lambda F, A, exponential, Fbar: frechet_adjoint(A, exponential, Fbar),
    tangent=lambda F, A, exponential, dA: frechet(A, exponential, dA),
)
defvjp(
    expm_frechet,
    lambda L, A, E: lambda g: _second_frechet(mT(A), mT(E), g),
    lambda L, A, E: lambda g: expm_frechet(mT(A), g),
)
defjvp(
    expm_frechet,
    lambda dA, L, A, E: _second_frechet(A, E, dA),
    lambda dE, L, A, E: expm_frechet(A, dE),
)
