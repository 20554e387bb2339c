r"""Products of Householder reflectors, in blocks: the compact WY representation, and back."""
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from .matrices import H, add_to_diagonal, as_matrices, mT, on_tall, solve_upper


def householder(X: Any) -> np.ndarray:
    r"""Map an unconstrained matrix to an orthonormal frame by a product of reflectors.

    Parameters
    ----------
    X : array_like, shape (..., n, k)
        float32 or float64. The entries below the diagonal are the reflectors (right of it where
        n < k), the diagonal holds the signs of the columns; the rest is not read.

    Returns
    -------
    ndarray, shape (..., n, k)
        Of the dtype of `X`. Where the diagonal of `X` is 1s and -1s it has orthonormal columns if
        n >= k, orthonormal rows if n < k.

    Raises
    ------
    TypeError
        If the dtype is not float32, float64, complex64 or complex128.
    ValueError
        If `X` is complex, not finite, or not a matrix or stack of them; if the square of a reflector's
        norm overflows.

    Notes
    -----
    PyTorch multiplies the reflectors :math:`I - \tau_j v_j v_j^T`, :math:`\tau_j = 2 / \|v_j\|^2`,
    one at a time. With all of them in :math:`V = \operatorname{tril}(X, -1) + E` (E the first k
    columns of the identity, :math:`V_1` the top k rows of V), their product is

    .. math:: Q = (E - V T V_1^T) \operatorname{diag}(d), \qquad
              T^{-1} = \operatorname{triu}(V^T V, 1) + \tfrac12 \operatorname{diag}(V^T V),

    two matrix products and a triangular solve: the compact WY form [1]_, with T as in [2]_, called
    CWY in [3]_. As in PyTorch, :math:`d` is the integer part of the diagonal of X. A wide X is
    handled on its transpose.

    References
    ----------
    .. [1] R. Schreiber, C. Van Loan, "A storage-efficient WY representation for products of
       Householder transformations", SIAM J. Sci. Stat. Comput. 10 (1989).
    .. [2] T. Joffrain, T. M. Low, E. S. Quintana-Orti, R. van de Geijn, F. G. Van Zee,
       "Accumulating Householder transformations, revisited", ACM Trans. Math. Softw. 32 (2006).
    .. [3] V. Likhosherstov, J. Davis, K. Choromanski, A. Weller, "CWY parametrization: a solution
       for parallelized optimization of orthogonal and Stiefel matrices", AISTATS 2021.

    Examples
    --------
    >>> np.array_equal(householder(-np.eye(3, 2)), np.eye(3, 2))
    True
    >>> householder(np.array([[1.0], [1.0]]))
    array([[ 0.],
           [-1.]])
    """
    return _householder(as_real_matrices(X, "X"))


def as_real_matrices(X: Any, name: str) -> np.ndarray:
    """Check as :func:`.as_matrices` does, and raise ValueError if `X` is complex."""
    X = as_matrices(X, name)
    if np.iscomplexobj(X):
        raise ValueError(f"{name} must be real: the householder map does not support complex matrices, "
                         f"got {X.dtype}")
    return X


@on_tall("X")
def _householder(X):
    return compact_wy(X).frame()


class CompactWY(NamedTuple):
    r"""The n x n orthogonal matrix :math:`(I - V T V^H) \operatorname{diag}(d, I)`, as its factors.

    A product of k reflectors, and the signs of its first k columns. It takes O(n k) memory, and
    O(n k m) operations to multiply by m columns.

    Attributes
    ----------
    V : ndarray, shape (..., n, k)
        The reflectors, unit lower trapezoidal.
    T : ndarray, shape (..., k, k)
        Upper triangular.
    signs : ndarray, shape (..., k)
        Real: d.
    """

    V: np.ndarray
    T: np.ndarray
    signs: np.ndarray

    def frame(self) -> np.ndarray:
        """Return the first k columns, of shape (..., n, k)."""
        V, T, signs = self
        Q = V @ (T @ H(-V[..., :V.shape[-1], :]))
        add_to_diagonal(Q[..., :V.shape[-1], :], 1)
        Q *= signs[..., None, :]
        return Q

    def __matmul__(self, Z: np.ndarray) -> np.ndarray:
        """Multiply by `Z`, of shape (..., n, m)."""
        Z = Z.copy()
        Z[..., :self.V.shape[-1], :] *= self.signs[..., None]
        Z -= self.V @ (self.T @ (H(self.V) @ Z))
        return Z

    def adjoint_matmul(self, Z: np.ndarray) -> np.ndarray:
        """Multiply the conjugate transpose by `Z`, of shape (..., n, m)."""
        Z = Z - self.V @ (H(self.T) @ (H(self.V) @ Z))
        Z[..., :self.V.shape[-1], :] *= self.signs[..., None]
        return Z


def compact_wy(X: np.ndarray) -> CompactWY:
    r"""Read the reflectors below the diagonal of `X` and the signs on it; find T.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k
        Real.

    Returns
    -------
    CompactWY
    """
    V = reflectors(X)
    return CompactWY(V, triangle(V), np.trunc(np.diagonal(X, axis1=-2, axis2=-1)))


def reflectors(X: np.ndarray) -> np.ndarray:
    r"""Return :math:`V = \operatorname{tril}(X, -1) + E`, unit lower trapezoidal.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    ndarray, shape (..., n, k)
    """
    V = np.tril(X, -1)
    add_to_diagonal(V[..., :X.shape[-1], :], 1)
    return V


def triangle(V: np.ndarray) -> np.ndarray:
    r"""Find T such that :math:`I - V T V^T` is the product of the reflectors in the columns of `V`.

    Parameters
    ----------
    V : ndarray, shape (..., n, k)
        Real, unit lower trapezoidal.

    Returns
    -------
    ndarray, shape (..., k, k)
        Upper triangular.

    Notes
    -----
    :math:`T^{-1} = \operatorname{triu}(V^T V, 1) + \tfrac12 \operatorname{diag}(V^T V)` [1]_ is
    inverted by halves: with :math:`V = [V_1, V_2]` and the triangles of the halves, as in [2]_,

    .. math:: T = \begin{pmatrix} T_1 & -T_1 V_1^T V_2 T_2 \\ 0 & T_2 \end{pmatrix}.

    References
    ----------
    .. [1] T. Joffrain, T. M. Low, E. S. Quintana-Orti, R. van de Geijn, F. G. Van Zee,
       "Accumulating Householder transformations, revisited", ACM Trans. Math. Softw. 32 (2006).
    .. [2] E. Elmroth, F. G. Gustavson, "Applying recursion to serial and parallel QR factorization
       leads to better performance", IBM J. Res. Dev. 44 (2000).
    """
    k = V.shape[-1]
    if k <= (32 if V.ndim == 2 else 4):
        return solve_upper(inverse_T(V), np.broadcast_to(np.eye(k, dtype=V.dtype), (*V.shape[:-2], k, k)))
    h = k // 2
    V1, V2 = V[..., h:, :h], V[..., h:, h:]  # the rows of V_2 above are zero
    T = np.zeros(V.shape[:-2] + (k, k), V.dtype)
    T1, T2 = T[..., :h, :h], T[..., h:, h:]
    T1[...], T2[...] = triangle(V[..., :h]), triangle(V2)
    T[..., :h, h:] = -T1 @ (mT(V1) @ V2) @ T2
    return T


def inverse_T(V: np.ndarray) -> np.ndarray:
    r"""Return :math:`T^{-1} = \operatorname{triu}(V^T V, 1) + \operatorname{diag}(V^T V) / 2`.

    Parameters
    ----------
    V : ndarray, shape (..., n, k)
        The reflectors, a column each.

    Returns
    -------
    ndarray, shape (..., k, k)
        Upper triangular.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        gram = mT(V) @ V
    if not np.all(np.isfinite(np.diagonal(gram, axis1=-2, axis2=-1))):
        raise ValueError(f"X must hold reflectors whose squared norms are finite in {V.dtype}")
    return gram * upper_half(V)


def upper_half(V: np.ndarray) -> np.ndarray:
    """Return the k x k mask that keeps a strict upper triangle and half of the diagonal."""
    k = V.shape[-1]
    return np.triu(np.ones((k, k), V.dtype), 1) + np.eye(k, dtype=V.dtype) / 2


def householder_inverse(Q: Any) -> np.ndarray:
    r"""Find the reflectors and signs of an orthonormal frame: ``householder`` of them is `Q`.

    Parameters
    ----------
    Q : array_like, shape (..., n, k)
        float32 or float64. A matrix that is not orthonormal is replaced by the one that
        :func:`.orthonormalize` makes of it.

    Returns
    -------
    ndarray, shape (..., n, k)
        Of the dtype of `Q`. Reflectors below the diagonal, signs on it. Above it stands what LAPACK
        and PyTorch leave there, the rest of R; :func:`householder` does not read it.

    Raises
    ------
    TypeError
        If the dtype is not float32, float64, complex64 or complex128.
    ValueError
        If `Q` is complex, not finite, or not a matrix or stack of them.

    Notes
    -----
    LAPACK's ``geqrf`` factors :math:`Q = H_1 \cdots H_k R`, so that the signs are those of the
    diagonal of R. Where the rest of a column is zero already, LAPACK takes :math:`\tau_j = 0`,
    :math:`H_j = I`, while :func:`householder` always reflects: the sign is turned. A zero on the
    diagonal of R counts as positive (PyTorch takes its sign, 0, and loses the column).

    Examples
    --------
    >>> Q = np.array([[0.6, -0.8], [0.8, 0.6]])
    >>> np.allclose(householder(householder_inverse(Q)), Q, atol=1e-15)
    True
    """
    return _householder_inverse(as_real_matrices(Q, "Q"))


@on_tall("Q")
def _householder_inverse(Q):
    X, tau = factor(Q)
    R = np.diagonal(X, axis1=-2, axis2=-1)
    i = np.arange(X.shape[-1])
    X[..., i, i] = np.where(R < 0, -1, 1) * np.where(tau == 0, -1, 1)
    return X


def factor(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Factor each matrix of a stack into reflectors and a triangle (LAPACK ``geqrf``).

    Parameters
    ----------
    A : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    factored : ndarray, shape (..., n, k)
        R in the upper triangle, the reflectors below the diagonal.
    tau : ndarray, shape (..., k)
        Their factors: the j-th reflector is I - tau_j v_j v_j^H.
    """
    factored = np.empty_like(A)
    tau = np.empty(A.shape[:-2] + A.shape[-1:], A.dtype)
    for index in np.ndindex(A.shape[:-2]):
        if A[index].size:
            (factored[index], tau[index]), _ = scipy.linalg.qr(A[index], mode="raw", check_finite=False)
    return factored, tau
