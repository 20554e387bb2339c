r"""Rules of the polar factor."""
import autograd.numpy as np
from autograd.extend import defjvp, defvjp, primitive

from .. import core
from .rules import H, any_shape, conj, register, rows


_polar = primitive(core.polar)


@any_shape
def polar(A):
    r"""Differentiable :func:`orthonorm.core.polar`.

    Parameters
    ----------
    A : array or autograd tracer, shape (..., n, k)
        Of full rank, where a derivative is wanted; of one less at least, where A is real and square.

    Returns
    -------
    array or autograd tracer, shape (..., n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.polar`.
    numpy.linalg.LinAlgError
        On differentiating, if there is no derivative: the smallest singular value, or for a real square
        A the sum of the smallest two, is zero to rounding.

    Notes
    -----
    In A = P M, the Hermitian M is :math:`P^H A`, and :math:`K = P^H \dot P` is skew-Hermitian. The
    Hermitian :math:`\dot M` drops out of :math:`P^H \dot A = K M + \dot M` minus its conjugate
    transpose; what is orthogonal to P is :math:`\dot P M`:

    .. math:: M K + K M = P^H \dot A - \dot A^H P, \qquad
              \dot P = P K + (I - P P^H) \dot A M^{-1}.

    With :math:`M = V \Sigma V^H`, and :math:`Z = V^H P^H \dot A V`, the first equation reads

    .. math:: (V^H K V)_{ij} = \frac{Z_{ij} - \overline{Z_{ji}}}{\sigma_i + \sigma_j}.

    The derivative is its own adjoint: :math:`\bar A` is the same function of :math:`\bar P` [1]_. For
    real matrices the diagonal of K is zero, so that a single zero among the :math:`\sigma_i` does no
    harm to a square one: its determinant changes sign there, and the derivative is that along the
    matrices whose polar factor has the determinant of P.

    References
    ----------
    .. [1] C. Kenney, A. J. Laub, "Polar decomposition and matrix sign function condition estimates",
       SIAM J. Sci. Stat. Comput. 12 (1991).

    Examples
    --------
    >>> from autograd import grad
    >>> grad(lambda A: polar(A)[0, 0])(np.array([[3.0], [4.0]]))
    array([[ 0.128],
           [-0.096]])
    """
    return _polar(A)


def _derivative(P, A, dA):
    Z, M = H(P) @ dA, H(P) @ A
    M = (M + H(M)) / 2
    if P.shape[-2] == P.shape[-1]:
        return P @ _solve(M, Z)
    k = P.shape[-1]
    X = _solve(M, rows(Z, dA - P @ Z))
    return P @ X[..., :k, :] + X[..., k:, :]


register(_polar, adjoint=_derivative, tangent=_derivative)


@primitive
def _solve(M, C):
    """Solve M K + K M = Z - Z^H and R M = N for [K; R], where C = [Z; N] and Z is square."""
    k = M.shape[-1]
    sigma, V = np.linalg.eigh(M)
    sums = sigma[..., :, None] + sigma[..., None, :]
    Z, N = H(V) @ C[..., :k, :] @ V, C[..., k:, :] @ V
    if not np.iscomplexobj(Z):
        sums = np.where(np.eye(k, dtype=bool), np.inf, sums)  # the diagonal of Z - Z^T is zero
    _check_regular(sigma, sums, tall=N.shape[-2] > 0)
    return rows(V @ ((Z - H(Z)) / sums) @ H(V), N / sigma[..., None, :] @ H(V))


def _check_regular(sigma, sums, tall):
    smallest = np.min(sums, axis=(-2, -1), initial=np.inf)
    if tall:
        smallest = np.minimum(smallest, sigma.min(axis=-1, initial=np.inf))
    size = sigma.max(axis=-1, initial=0)
    if not np.all(smallest > sigma.shape[-1] * np.finfo(sigma.dtype).eps * size):
        raise np.linalg.LinAlgError("A must have full rank where polar is differentiated, or one less "
                                    "where it is real and square")


def _products(X, Y):
    """Return [dM K; R dM] for X = dM and Y = [K; R]."""
    k = X.shape[-1]
    return rows(X @ Y[..., :k, :], Y[..., k:, :] @ X)


def _adjoint_in_M(X, M, Xbar):
    k, Cbar = M.shape[-1], _solve(M, Xbar)
    return Cbar[..., :k, :] @ X[..., :k, :] - H(X[..., k:, :]) @ Cbar[..., k:, :]


# M dK + dK M is dZ - dM K minus its conjugate transpose, and dR M = dN - R dM. In C the map is its own
# adjoint.
defvjp(
    _solve,
    lambda X, M, C: lambda g: conj(_adjoint_in_M(X, M, conj(g))),
    lambda X, M, C: lambda g: conj(_solve(M, conj(g))),
)
defjvp(
    _solve,
    lambda dM, X, M, C: -_solve(M, _products(dM, X)),
    lambda dC, X, M, C: _solve(M, dC),
)
