"""The QR factorisation of long matrices, block of rows by block of rows."""
import numpy as np


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
