r"""Rules of the orthonormal factor of a matrix."""
import autograd.numpy as np
from autograd.extend import primitive

from .. import core
from .rules import H, any_shape, register, stop_gradient, tril
from .triangular import solve_upper, solve_upper_adjoint


_orthonormalize = primitive(core.orthonormalize)


@any_shape
def orthonormalize(A):
    r"""Differentiable :func:`orthonorm.core.orthonormalize`.

    Parameters
    ----------
    A : array or autograd tracer, shape (..., n, k)
        Of full rank, where a derivative is wanted.

    Returns
    -------
    array or autograd tracer, shape (..., n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.orthonormalize`.
    numpy.linalg.LinAlgError
        On differentiating, if `A` is rank-deficient: a column lies, to rounding, in the span of those
        before it.

    Notes
    -----
    From A = QR, with :math:`N = \dot A R^{-1}` and :math:`C = Q^H N`,

    .. math:: \dot Q = N - Q \operatorname{up}(C), \qquad
              \operatorname{up}(C) = \operatorname{triu}(C, 1) + \operatorname{tril}(C, -1)^H
              + \operatorname{Re} \operatorname{diag}(C),

    where up(C) :math:`= \dot R R^{-1}` is what makes :math:`Q^H \dot Q` skew-Hermitian with C's
    lower triangle. Backwards [1]_,

    .. math:: \bar A = (\bar Q - Q \operatorname{up}^*(Q^H \bar Q)) R^{-H}, \qquad
              \operatorname{up}^*(Z) = \operatorname{triu}(Z, 1) + \operatorname{tril}(Z^H, -1)
              + \operatorname{Re} \operatorname{diag}(Z).

    (Defined in this form by :func:`orthonorm.core.definitions.orthonormalize_vjp`.)

    References
    ----------
    .. [1] S. F. Walter, L. Lehmann, "Algorithmic differentiation of linear algebra functions with
       application in optimum experimental design", 2010, arXiv:1001.1654.

    Examples
    --------
    >>> from autograd import grad
    >>> grad(lambda A: orthonormalize(A)[0, 0])(np.array([[3.0], [4.0]]))
    array([[ 0.128],
           [-0.096]])
    """
    return _orthonormalize(A)


def _real_diagonal(Z):
    return np.real(Z) * np.eye(Z.shape[-1], dtype=np.real(stop_gradient(Z)).dtype)


def _triangle(Q, A):
    R, columns = np.triu(H(Q) @ A), np.linalg.norm(stop_gradient(A), axis=-2)
    heights = np.abs(np.diagonal(stop_gradient(R), axis1=-2, axis2=-1))
    if not np.all(heights > max(A.shape[-2:]) * np.finfo(A.dtype).eps * columns):
        raise np.linalg.LinAlgError("A must have full rank where orthonormalize is differentiated")
    return R


def _orthonormalize_adjoint(Q, A, Qbar):
    R = _triangle(Q, A)
    Z = H(Q) @ Qbar
    upper = np.triu(Z, 1) + tril(H(Z), -1) + _real_diagonal(Z)
    return H(solve_upper(R, H(Qbar - Q @ upper)))


def _orthonormalize_tangent(Q, A, dA):
    R = _triangle(Q, A)
    N = H(solve_upper_adjoint(R, H(dA)))
    C = H(Q) @ N
    return N - Q @ (np.triu(C, 1) + H(tril(C, -1)) + _real_diagonal(C))


register(_orthonormalize, adjoint=_orthonormalize_adjoint, tangent=_orthonormalize_tangent)
