r"""The Cayley map: :math:`Q = (I - A/2)^{-1} (I + A/2)`, first k columns, for a skew-Hermitian A.

A tall X of shape (n, k) stands for the n x n matrix A of :func:`.matrices.skew_blocks`. Since A has
rank at most 2k, one k x k matrix has to be inverted, and nothing n x n ever exists.
"""
import numpy as np

from .matrices import H, add_to_diagonal, inverse, inverse_accretive, on_tall, skew_blocks
from .orthonormalize import orthonormalize

MODERATE = 32.0


@on_tall("X")
def cayley(X):
    r"""Map an unconstrained matrix to an orthonormal frame by the Cayley transform.

    Parameters
    ----------
    X : array_like, shape (..., n, k)
        float32, float64, complex64 or complex128. Only the lower triangle (upper where n < k) is
        read, and of a real diagonal nothing.

    Returns
    -------
    ndarray, shape (..., n, k)
        Of the dtype of `X`; orthonormal columns where n >= k, orthonormal rows where n < k.

    Raises
    ------
    TypeError, ValueError
        If `X` is not a finite matrix, or stack of them, of a supported dtype.

    Notes
    -----
    With :math:`\Omega` and B from the lower triangle of X (:func:`.matrices.skew_blocks`), the
    Schur complement of the zero block in :math:`I - A/2` is the k x k matrix S below, and

    .. math:: S = I - \frac{\Omega}{2} + \frac{B^H B}{4}, \qquad Y = S^{-1}, \qquad
              Q = \begin{pmatrix} 2Y - I \\ B Y \end{pmatrix}.

    The Hermitian part of S is at least the identity, so it is always invertible, and its condition
    number is at most its norm. The cost is O(n k^2); PyTorch solves with the n x n matrix I - A/2. A
    wide X is handled on its transpose. The map is the retraction of [1]_.

    Where the norm of S exceeds 32, B is not squared: see :func:`cayley_of_large`.

    References
    ----------
    .. [1] Z. Wen, W. Yin, "A feasible method for optimization with orthogonality constraints",
       Mathematical Programming 142 (2013).

    Examples
    --------
    >>> cayley(np.array([[0.0, 0.0], [2.0, 0.0]]))
    array([[ 0., -1.],
           [ 1.,  0.]])
    >>> cayley(np.zeros((3, 2))) + 0.0
    array([[1., 0.],
           [0., 1.],
           [0., 0.]])
    """
    Omega, B = skew_blocks(X)
    n, k = X.shape[-2:]
    S = Omega / -2
    add_to_diagonal(S, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        if n > k:
            S += H(B) @ B / 4
        norm = np.max(np.linalg.norm(S, 1, axis=(-2, -1)), initial=0)
    if not norm <= MODERATE:
        return cayley_of_large(Omega, B)
    Y = inverse_accretive(S)
    Q1 = 2 * Y
    add_to_diagonal(Q1, -1)
    return Q1 if n == k else np.concatenate([Q1, B @ Y], axis=-2)


def cayley_of_large(Omega: np.ndarray, B: np.ndarray) -> np.ndarray:
    r"""Compute the Cayley map from the blocks of A so that it is orthonormal at any norm of A.

    Parameters
    ----------
    Omega : ndarray, shape (..., k, k)
        Skew-Hermitian.
    B : ndarray, shape (..., n - k, k)

    Returns
    -------
    ndarray, shape (..., n, k)

    Notes
    -----
    From the QR factorisation :math:`[I; B/2] = P R` follows :math:`S = R^H (I - T/2) R` with
    :math:`T = P_1^H \Omega P_1` (:math:`P_1 = R^{-1}`, the top k rows of P), and

    .. math:: U = 2 (I - T/2)^{-1} - I, \qquad Q = P (U + I) P_1^H - E,

    E the first k columns of the identity. Q is orthonormal if P is and U is unitary, and U, which is
    the square Cayley transform of T, is replaced by its orthonormal factor. This loses half as many
    digits as the inverse of S, whose condition number is that of I - A/2 squared, and is four times
    slower.

    Where the norm of T exceeds 0.01 / eps, it is scaled down to that. Rounding X moves T by more than
    0.01 there, so that of the eigenvalues of U only those are determined which are -1 to rounding, and
    they stay.
    """
    n, k = B.shape[-2] + B.shape[-1], B.shape[-1]
    identity = np.eye(k, dtype=B.dtype)
    top = np.broadcast_to(identity, Omega.shape)
    P = orthonormalize(np.concatenate([top, B / 2], axis=-2))
    P1 = P[..., :k, :]
    T = H(P1) @ Omega @ P1
    T = T / 2 - H(T) / 2
    norm = np.linalg.norm(T, 1, axis=(-2, -1))[..., None, None]
    T = T * np.minimum(1, 0.01 / np.finfo(T.dtype).eps / np.maximum(norm, 1))
    U = orthonormalize(2 * inverse(identity - T / 2) - identity)
    return P @ ((U + identity) @ H(P1)) - np.eye(n, k, dtype=B.dtype)
