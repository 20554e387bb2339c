r"""Completing an orthonormal frame to a square orthogonal matrix, without storing the square."""
from typing import Any, NamedTuple

import numpy as np

from .householder import factor, reflectors
from .matrices import H, as_matrices, solve_upper


class Completion(NamedTuple):
    r"""The orthogonal matrix :math:`(I - V T V^H) \operatorname{diag}(d, I)`, as its factors.

    Made by :func:`completion`. It is n x n, but takes O(n k) memory, and O(n k m) operations to
    multiply by m columns.

    Attributes
    ----------
    V : ndarray, shape (..., n, k)
        The reflectors, unit lower trapezoidal.
    T : ndarray, shape (..., k, k)
        Upper triangular.
    signs : ndarray, shape (..., k, 1)
        Real, 1s and -1s: d.
    """

    V: np.ndarray
    T: np.ndarray
    signs: np.ndarray

    def __matmul__(self, Z: np.ndarray) -> np.ndarray:
        """Multiply by `Z`, of shape (..., n, m)."""
        Z = Z.copy()
        Z[..., :self.V.shape[-1], :] *= self.signs
        Z -= self.V @ (self.T @ (H(self.V) @ Z))
        return Z

    def adjoint_matmul(self, Z: np.ndarray) -> np.ndarray:
        """Multiply the conjugate transpose by `Z`, of shape (..., n, m)."""
        Z = Z - self.V @ (H(self.T) @ (H(self.V) @ Z))
        Z[..., :self.V.shape[-1], :] *= self.signs
        return Z


def completion(Q: np.ndarray) -> Completion:
    r"""Find k reflectors whose product has an orthonormal frame as its first k columns.

    Parameters
    ----------
    Q : ndarray, shape (..., n, k), n >= k
        Orthonormal columns.

    Returns
    -------
    Completion

    Notes
    -----
    LAPACK's ``geqrf`` factors :math:`Q = H_1 \cdots H_k R` with reflectors
    :math:`H_j = I - \tau_j v_j v_j^H`. R is diagonal for an orthonormal Q, with the signs d. The
    product of the reflectors is :math:`I - V T V^H` with [1]_

    .. math:: T^{-1} = \operatorname{diag}(1 / \tau) + N, \qquad N = \operatorname{triu}(V^H V, 1),

    for complex reflectors too, whose :math:`\tau` is complex. LAPACK skips a reflection by
    :math:`\tau_j = 0`, so that T is computed as :math:`\Lambda (I + N \Lambda)^{-1}`, :math:`\Lambda =
    \operatorname{diag}(\tau)`.

    References
    ----------
    .. [1] T. Joffrain, T. M. Low, E. S. Quintana-Orti, R. van de Geijn, F. G. Van Zee,
       "Accumulating Householder transformations, revisited", ACM Trans. Math. Softw. 32 (2006).

    Examples
    --------
    >>> Q = np.array([[0.6], [0.0], [0.8]])
    >>> (completion(Q) @ np.array([[1.0], [0.0], [0.0]])).round(12)
    array([[0.6],
           [0. ],
           [0.8]])
    """
    factored, tau = factor(Q)
    V = reflectors(factored)
    identity = np.eye(V.shape[-1], dtype=V.dtype)
    N = np.triu(H(V) @ V, 1)
    T = tau[..., :, None] * solve_upper(identity + N * tau[..., None, :],
                                        np.broadcast_to(identity, N.shape))
    R = np.diagonal(factored, axis1=-2, axis2=-1)[..., None].real
    return Completion(V, T, np.where(R < 0, -1, 1).astype(R.dtype))


def complete(Q: Any) -> np.ndarray:
    r"""Complete an orthonormal frame to a square orthogonal matrix.

    Parameters
    ----------
    Q : array_like, shape (..., n, k), n >= k
        float32, float64, complex64 or complex128, with orthonormal columns.

    Returns
    -------
    ndarray, shape (..., n, n)
        Of the dtype of `Q`. Its first k columns are Q; the others are those of the product of the k
        Householder reflectors that the QR factorisation of Q takes [1]_.

    Raises
    ------
    TypeError
        If the dtype is not float32, float64, complex64 or complex128.
    ValueError
        If `Q` is not finite, not a matrix or stack of them, wide, or its columns are far from
        orthonormal.

    References
    ----------
    .. [1] G. H. Golub, C. F. Van Loan, "Matrix Computations", 4th ed., 2013, section 5.1.6.

    Examples
    --------
    >>> complete(np.array([[0.6], [0.8]])).round(12)
    array([[ 0.6, -0.8],
           [ 0.8,  0.6]])
    """
    Q = as_matrices(Q, "Q")
    n, k = Q.shape[-2:]
    if n < k or not is_orthonormal(Q, tolerance=1e-3):
        raise ValueError(f"Q must have orthonormal columns, got one without, of shape {Q.shape}")
    others = np.broadcast_to(np.eye(n, dtype=Q.dtype)[:, k:], Q.shape[:-1] + (n - k,))
    return np.concatenate((Q, completion(Q) @ others), axis=-1)


def is_orthonormal(Q: np.ndarray, tolerance: float | None = None) -> bool:
    """Tell whether the columns are orthonormal.

    Parameters
    ----------
    Q : ndarray, shape (..., n, k)
    tolerance : float, optional
        The largest error of an entry of Q^H Q. Default: 10 n eps.

    Returns
    -------
    bool
    """
    n, k = Q.shape[-2:]
    if tolerance is None:
        tolerance = 10 * n * np.finfo(Q.dtype).eps
    error = np.abs(H(Q) @ Q - np.eye(k, dtype=Q.dtype))
    return bool(np.max(error, initial=0) <= tolerance)
