r"""Rules of the exponential of a general matrix, and of its Frechet derivative."""
import autograd.numpy as np
from autograd.extend import defjvp, defvjp, primitive

from .. import core
from .rules import H, block2, define, mT, stop_gradient


expm = primitive(core.expm)
expm_frechet = primitive(core.expm_frechet)


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


# L(A, .) is linear, and its adjoint is L(A^H, .) (Al-Mohy & Higham 2009). The second derivative
# D -> L2(A; E, D) is linear too; its adjoint is L2(A^H; E^H, .), as reversing the words of the power
# series of the exponential shows.
define(
    expm,
    adjoint=lambda F, A, Fbar: expm_frechet(H(A), Fbar),
    tangent=lambda F, A, dA: expm_frechet(A, dA),
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
