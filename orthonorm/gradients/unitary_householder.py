r"""Rules of the phases, and the map and its inverse made of differentiable steps."""
import autograd.numpy as np
from autograd.extend import primitive

from ..core.matrices import as_matrices
from ..core.unitary_householder import check_diagonal
from ..core.unitary_householder import phases as core_phases
from ..core.unitary_householder import product_of_reflectors as core_product
from .householder import half
from .orthonormalize import orthonormalize
from .rules import H, any_shape, conj, register, rows, stop_gradient, tril
from .triangular import solve_upper, solve_upper_adjoint


phases = primitive(core_phases)
product_of_reflectors = primitive(core_product)


@any_shape
def unitary_householder(X):
    r"""Differentiable :func:`orthonorm.core.unitary_householder`.

    Parameters
    ----------
    X : array or autograd tracer, shape (..., n, k)
        Real or complex. No gradient flows to a real diagonal, the signs.

    Returns
    -------
    array or autograd tracer, shape (..., n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.unitary_householder`.

    Notes
    -----
    Q is the product P of the reflectors times the phases d of the diagonal x. The product has the rules
    given in :func:`.householder.householder`, with the conjugate transpose for the transpose, and the
    phases :math:`d = x / |x|` have

    .. math:: \dot d = \frac{i d \operatorname{Im}(d^* \dot x)}{|x|}, \qquad
              \bar x = \frac{i d \operatorname{Im}(d^* \bar d)}{|x|},

    the same operator, since it is its own adjoint. :math:`\bar P = \bar Q \operatorname{diag}(d^*)`
    gives :math:`\bar X` below the diagonal, :math:`\bar x` gives it on the diagonal, where
    :math:`\bar d_j = \sum_i P_{ij}^* \bar Q_{ij}`; above it is zero. (The definition:
    :func:`orthonorm.core.definitions.unitary_householder_vjp`.)

    Examples
    --------
    >>> from autograd import grad
    >>> grad(lambda X: np.imag(unitary_householder(X)[0, 0]))(np.array([[2.0 + 0.0j]]))
    array([[0.+0.5j]])
    """
    check_diagonal(as_matrices(stop_gradient(X), "X"))
    return product_of_reflectors(X) * phases(X)


@any_shape
def unitary_householder_inverse(Q):
    r"""Differentiable :func:`orthonorm.core.unitary_householder_inverse`.

    Parameters
    ----------
    Q : array or autograd tracer, shape (..., n, k)
        Of full rank, where a derivative is wanted.

    Returns
    -------
    array or autograd tracer, shape (..., n, k)

    Raises
    ------
    TypeError, ValueError
        As :func:`orthonorm.core.unitary_householder_inverse`.
    numpy.linalg.LinAlgError
        On differentiating, if `Q` is rank-deficient, or a pivot of the elimination is zero: its phase
        may be any.

    Notes
    -----
    The k steps of the elimination, each differentiated by autograd: O(n k^2) operations and memory.

    Examples
    --------
    >>> from autograd import jacobian
    >>> jacobian(unitary_householder_inverse)(np.array([[0.6], [0.8]]))[1, 0, :, 0].round(12)
    array([-0.5  ,  0.375])
    """
    as_matrices(stop_gradient(Q), "Q")
    S = orthonormalize(Q)
    columns = [S[..., :0]]
    for j in range(S.shape[-1]):
        d = -phases(S[..., :1])
        v = S[..., 1:, :1] / (S[..., :1, :1] - d)
        columns.append(rows(np.zeros(S.shape[:-2] + (j, 1), S.dtype), d, v))
        S = S[..., 1:, 1:] - v * S[..., :1, 1:]
    return np.concatenate(columns, axis=-1)


def _product_parts(X):
    V = tril(X, -1) + _identity(X)
    inverse_T = half(H(V) @ V)
    return V, inverse_T, solve_upper(inverse_T, H(V[..., :X.shape[-1], :]))


def _product_adjoint(P, X, Pbar):
    k = X.shape[-1]
    V, inverse_T, W = _product_parts(X)
    R = solve_upper_adjoint(inverse_T, -H(V) @ Pbar)
    C = half(-R @ H(W))
    Vbar = V @ (C + H(C)) - Pbar @ H(W)
    return tril(rows(Vbar[..., :k, :] + H(R), Vbar[..., k:, :]), -1)


def _product_tangent(P, X, dX):
    k = X.shape[-1]
    V, inverse_T, W = _product_parts(X)
    dV = tril(dX, -1)
    dGram = H(dV) @ V
    dW = solve_upper(inverse_T, H(dV[..., :k, :]) - half(dGram + H(dGram)) @ W)
    return -(dV @ W + V @ dW)


register(product_of_reflectors, adjoint=_product_adjoint, tangent=_product_tangent)


def _identity(X):
    return np.eye(*X.shape[-2:], dtype=X.dtype)


def _diagonal(X):
    return np.sum(X * _identity(X), axis=-2, keepdims=True)


def _turn(d, x, dx):
    """Return what a step dx of x turns its phase d by."""
    if not np.iscomplexobj(x):
        return 0 * dx
    modulus = np.real(conj(d) * x)
    if not np.all(stop_gradient(modulus)):
        raise np.linalg.LinAlgError("zero has no phase, and that of what is near it no derivative")
    return 1j * d * np.imag(conj(d) * dx) / modulus


register(
    phases,
    adjoint=lambda d, X, dbar: _identity(X) * _turn(d, _diagonal(X), dbar),
    tangent=lambda d, X, dX: _turn(d, _diagonal(X), _diagonal(dX)),
)
