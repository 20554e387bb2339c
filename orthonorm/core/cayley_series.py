r"""What stands in for the Cayley transform in fine-tuning: a truncated series, a fixed-point iteration.

For a real skew-symmetric or skew-Hermitian Q, without the factor 1/2 of :func:`.cayley`, let

.. math:: C = (I - Q)^{-1} (I + Q) = I + 2 Q + 2 Q^2 + 2 Q^3 + \dots,

where the series converges for :math:`\|Q\| < 1`. Both are polynomials in Q, and Q is normal with
eigenvalues :math:`i \theta`, :math:`|\theta| \le \|Q\|`, so that their errors are known exactly.
"""
import math

import numpy as np

from .matrices import H


def neumann_cayley(Q: np.ndarray, terms: int = 5) -> np.ndarray:
    r"""Sum the Cayley series as PEFT's OFT and PSOFT do ("Cayley-Neumann").

    Parameters
    ----------
    Q : ndarray, shape (..., n, n)
        Skew-Hermitian.
    terms : int
        PEFT's ``num_cayley_neumann_terms``, at least 1.

    Returns
    -------
    ndarray, shape (..., n, n)
        Nearly :math:`(I - Q)^{-1} (I + Q)`. PEFT's OFT takes the transpose of this where it solves:
        its exact form is that of -Q.

    Notes
    -----
    1 and 2 terms are I and I + 2 Q; more are, with the power m of :func:`neumann_power`,

    .. math:: R = I + 2 Q + \dots + 2 Q^{m-1} + Q^m = C (I - Q^m).

    So :math:`\|R - C\| = \|Q\|^m` exactly: see :func:`neumann_errors`.

    Examples
    --------
    >>> neumann_cayley(np.array([[0.0, -0.5], [0.5, 0.0]]), 5)
    array([[ 0.5625, -0.75  ],
           [ 0.75  ,  0.5625]])
    """
    identity = np.eye(Q.shape[-1], dtype=Q.dtype)
    if terms < 3:
        return identity + 2 * (terms - 1) * Q
    R, power = identity + 2 * Q, Q
    for _ in range(neumann_power(terms) - 2):
        power = power @ Q
        R = R + 2 * power
    return R + power @ Q


def neumann_power(terms: int) -> int:
    """Return the highest power in PEFT's series of 3 or more terms: 3 and 4 terms are the same."""
    return max(terms - 1, 3)


def neumann_errors(norm: float, terms: int = 5) -> tuple[float, float]:
    r"""Bound what :func:`neumann_cayley` is off by, of three or more terms.

    Parameters
    ----------
    norm : float
        The 2-norm of Q.
    terms : int

    Returns
    -------
    error : float
        :math:`\|R - C\| = \|Q\|^m`. It is attained.
    orthogonality_error : float
        A bound of :math:`\|R^H R - I\|`.

    Notes
    -----
    :math:`R - C = -C Q^m`, and C is unitary. :math:`R^H R = (I - Q^m)^H (I - Q^m)` has the eigenvalues
    :math:`|1 - (i \theta)^m|^2`, which are :math:`1 + \theta^{2m}` where m is odd,
    :math:`(1 \mp \theta^m)^2` where it is even.
    """
    x = norm ** neumann_power(terms)
    return x, x * x if neumann_power(terms) % 2 else 2 * x + x * x


def fixed_point_cayley(Q: np.ndarray, iterations: int = 5, normal: np.ndarray | float = 0.0
                       ) -> np.ndarray:
    r"""Iterate towards the Cayley transform as SpinQuant's optimiser does.

    Parameters
    ----------
    Q : ndarray, shape (..., n, n)
        Skew-Hermitian: half of the step along the tangent, where the present rotation is I.
    iterations : int
    normal : ndarray, shape (..., n, n)
        Hermitian: the step's component along the normal there, which SpinQuant starts with too.

    Returns
    -------
    ndarray, shape (..., n, n)
        What the present rotation is multiplied by, nearly :math:`(I - Q)^{-1} (I + Q)`.

    Notes
    -----
    From :math:`R = I + 2 Q + N`, repeat :math:`R \leftarrow I + Q (I + R)` [1]_: the fixed point is C.
    The distance from it is multiplied by Q, so that after j iterations

    .. math:: R = I + 2 Q + \dots + 2 Q^{j+1} + Q^j N = C - 2 Q^{j+2} (I - Q)^{-1} + Q^j N.

    It is a contraction for :math:`\|Q\| < 1`: see :func:`fixed_point_errors`. SpinQuant limits the step
    to :math:`\|Q\|_1 \le 1/2`. The present rotation being X, it starts from X plus the step size times
    the momentum V, whose components there are :math:`(V \mp X V^H X) / 2`.

    References
    ----------
    .. [1] J. Li, L. Fuxin, S. Todorovic, "Efficient Riemannian optimization on the Stiefel manifold via
       the Cayley transform", ICLR 2020, whose step SpinQuant (Liu et al., ICLR 2025) takes.

    Examples
    --------
    >>> fixed_point_cayley(np.array([[0.0, -0.5], [0.5, 0.0]]), 1)
    array([[ 0.5, -1. ],
           [ 1. ,  0.5]])
    """
    identity = np.eye(Q.shape[-1], dtype=Q.dtype)
    R = identity + 2 * Q + normal
    for _ in range(iterations):
        R = identity + Q @ (identity + R)
    return R


def fixed_point_errors(norm: float, iterations: int = 5, normal: float = 0.0) -> tuple[float, float]:
    r"""Bound what :func:`fixed_point_cayley` is off by.

    Parameters
    ----------
    norm : float
        The 2-norm of Q.
    iterations : int
    normal : float
        That of N.

    Returns
    -------
    error : float
        A bound of :math:`\|R - C\|`, :math:`2 \|Q\|^{j+2} / \sqrt{1 + \|Q\|^2} + \|Q\|^j \|N\|`.
        It is attained without N.
    orthogonality_error : float
        A bound of :math:`\|R^H R - I\|`.

    Notes
    -----
    With a normal component, :math:`R = C + E` makes :math:`R^H R - I = C^H E + E^H C + E^H E`, which is
    at most :math:`2 \|E\| + \|E\|^2`.

    Without, and with :math:`p = j + 2`, :math:`(I - Q) R = I + Q - 2 Q^p`. An eigenvalue of
    :math:`R^H R - I` is :math:`(|1 + i \theta - 2 (i \theta)^p|^2 - 1 - \theta^2) / (1 + \theta^2)`. In
    its numerator :math:`4 \theta^{2p} - 4 \operatorname{Re} (1 - i \theta) (i \theta)^p` the real part
    is :math:`\pm \theta^p` where p is even, :math:`\pm \theta^{p+1}` where it is odd.
    """
    p = iterations + 2
    error = 2 * norm**p / math.sqrt(1 + norm * norm) + norm**iterations * normal
    if normal:
        return error, 2 * error + error * error
    return error, 4 * (norm ** (p + p % 2) + norm ** (2 * p)) / (1 + norm * norm)


def skew_of_upper(vectors: np.ndarray) -> np.ndarray:
    r"""Return the skew matrices whose entries above the diagonal are given, row by row, as in PEFT.

    Parameters
    ----------
    vectors : ndarray, shape (..., n (n - 1) / 2)

    Returns
    -------
    ndarray, shape (..., n, n)

    Raises
    ------
    ValueError
        If no n has that many entries above the diagonal.

    Examples
    --------
    >>> skew_of_upper(np.array([1.0, 2.0, 3.0]))
    array([[ 0.,  1.,  2.],
           [-1.,  0.,  3.],
           [-2., -3.,  0.]])
    """
    count = vectors.shape[-1]
    n = (1 + math.isqrt(1 + 8 * count)) // 2
    if n * (n - 1) // 2 != count:
        raise ValueError(f"vectors must have n (n - 1) / 2 entries, got {count}")
    Q = np.zeros((*vectors.shape[:-1], n, n), vectors.dtype)
    Q[(..., *np.triu_indices(n, 1))] = vectors
    return Q - H(Q)
