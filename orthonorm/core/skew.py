"""The skew-Hermitian matrix A that an unconstrained X stands for: its blocks, and fewer rows of it.

Everything that the exponential and the Cayley map share. A is n x n and of rank at most 2k.
"""
import numpy as np

from .matrices import H, tril


def skew_blocks(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Split the lower triangle of a tall `X` into the two blocks of a skew-Hermitian matrix.

    With :math:`L = \operatorname{tril}(X)`, :math:`L_1` its top k rows and :math:`L_2` the rest,

    .. math:: \Omega = L_1 - L_1^H, \qquad B = L_2, \qquad
              A = \begin{pmatrix} \Omega & -B^H \\ B & 0 \end{pmatrix}.

    A is what PyTorch exponentiates or Cayley-transforms. It is n x n, but its rank is at most 2k,
    and nothing here builds it unless n is close to k.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    Omega : ndarray, shape (..., k, k)
    B : ndarray, shape (..., n - k, k)

    Examples
    --------
    >>> Omega, B = skew_blocks(np.array([[1.0, 9.0], [2.0, 3.0], [4.0, 5.0]]))
    >>> Omega
    array([[ 0., -2.],
           [ 2.,  0.]])
    >>> B
    array([[4., 5.]])
    """
    k = X.shape[-1]
    L1 = tril(X[..., :k, :])
    return L1 - H(L1), X[..., k:, :]


def from_skew_blocks(Omega: np.ndarray, B: np.ndarray) -> np.ndarray:
    r"""Return the lower triangular `X` that :func:`skew_blocks` splits into these two blocks.

    Parameters
    ----------
    Omega : ndarray, shape (..., k, k)
        Skew-Hermitian. Only its lower triangle is read, half of its diagonal.
    B : ndarray, shape (..., n - k, k)

    Returns
    -------
    ndarray, shape (..., n, k)

    Examples
    --------
    >>> from_skew_blocks(np.array([[0.0, -2.0], [2.0, 0.0]]), np.array([[4.0, 5.0]]))
    array([[0., 0.],
           [2., 0.],
           [4., 5.]])
    """
    L1 = np.tril(Omega)
    i = np.arange(Omega.shape[-1])
    L1[..., i, i] /= 2
    return np.concatenate([L1, B], axis=-2)


def skew_part(M: np.ndarray) -> np.ndarray:
    r"""Return :math:`(M - M^H) / 2` of each matrix of a stack.

    Parameters
    ----------
    M : ndarray, shape (..., k, k)

    Returns
    -------
    ndarray, shape (..., k, k)
    """
    return M / 2 - H(M) / 2


def skew_matrix(Omega: np.ndarray, B: np.ndarray) -> np.ndarray:
    r"""Assemble the n x n matrix :math:`A = [[\Omega, -B^H], [B, 0]]`.

    Parameters
    ----------
    Omega : ndarray, shape (..., k, k)
    B : ndarray, shape (..., n - k, k)

    Returns
    -------
    ndarray, shape (..., n, n)
    """
    if not B.shape[-2]:
        return Omega
    n, k = B.shape[-2] + B.shape[-1], B.shape[-1]
    A = np.zeros((*B.shape[:-2], n, n), B.dtype)
    A[..., :k, :k], A[..., :k, k:], A[..., k:, :k] = Omega, -H(B), B
    return A


def compressed(Omega: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Bring A to at most 2k rows by an orthonormal change of the last n - k coordinates.

    With :math:`B = P R`, P orthonormal,

    .. math:: A = \begin{pmatrix} I & \\ & P \end{pmatrix}
                  \begin{pmatrix} \Omega & -R^H \\ R & 0 \end{pmatrix}
                  \begin{pmatrix} I & \\ & P^H \end{pmatrix}.

    Parameters
    ----------
    Omega : ndarray, shape (..., k, k)
    B : ndarray, shape (..., n - k, k)

    Returns
    -------
    A : ndarray, shape (..., k + m, k + m), m = min(k, n - k)
        The matrix in the middle.
    P : ndarray, shape (..., n - k, m)
    """
    rest, k = B.shape[-2:]
    if rest <= k:
        return skew_matrix(Omega, B), np.eye(rest, dtype=B.dtype)
    P, R = tall_qr(B)
    return skew_matrix(Omega, R), P


def tall_qr(B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Factor :math:`B = P R`, each matrix of a stack, block of rows by block of rows.

    Parameters
    ----------
    B : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    P : ndarray, shape (..., n, k)
        Orthonormal columns.
    R : ndarray, shape (..., k, k)
        Upper triangular.

    Notes
    -----
    The blocks :math:`B_i = P_i R_i` fit into the cache, which LAPACK's ``geqrf`` of a long matrix
    leaves k times. Their triangles on top of each other have a factorisation in turn [1]_,

    .. math:: \begin{pmatrix} R_1 \\ R_2 \\ \vdots \end{pmatrix}
              = \begin{pmatrix} S_1 \\ S_2 \\ \vdots \end{pmatrix} R, \qquad
              B = \begin{pmatrix} P_1 S_1 \\ P_2 S_2 \\ \vdots \end{pmatrix} R.

    References
    ----------
    .. [1] J. Demmel, L. Grigori, M. Hoemmen, J. Langou, "Communication-optimal parallel and sequential
       QR and LU factorizations", SIAM J. Sci. Comput. 34 (2012).
    """
    *batch, n, k = B.shape
    blocks = n // max(512, 4 * k)
    if blocks < 2:
        return np.linalg.qr(B)
    rows = -(-n // blocks)
    padded = np.zeros((*batch, blocks * rows, k), B.dtype)
    padded[..., :n, :] = B
    P, triangles = np.linalg.qr(padded.reshape(*batch, blocks, rows, k))
    S, R = tall_qr(triangles.reshape(*batch, blocks * k, k))
    P = P @ S.reshape(*batch, blocks, k, k)
    return P.reshape(*batch, blocks * rows, k)[..., :n, :], R
