r"""The Cayley map: :math:`Q = (I - A/2)^{-1} (I + A/2)`, first k columns, for a skew-Hermitian A.

A tall X of shape (n, k) stands for the n x n matrix A of :func:`.matrices.skew_blocks`. Since A has
rank at most 2k, one k x k matrix has to be inverted, and nothing n x n ever exists.
"""
import numpy as np

from .matrices import (
    H, add_to_diagonal, from_skew_blocks, inverse, inverse_accretive, on_tall, skew_blocks,
)
from .orthonormalize import orthonormalize

MODERATE = 32.0
UNREACHED = ("Q must not have the eigenvalue -1 in its square block, nor one too near: the Cayley map "
             "does not go there")


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


@on_tall("Q")
def cayley_inverse(Q):
    r"""Find the unconstrained matrix whose Cayley map is a given frame.

    Parameters
    ----------
    Q : array_like, shape (..., n, k)
        float32, float64, complex64 or complex128. A matrix that is not orthonormal is replaced by the
        one that :func:`.orthonormalize` makes of it.

    Returns
    -------
    ndarray, shape (..., n, k)
        Of the dtype of `Q`: X with ``cayley(X)`` = Q. The lower triangle (upper where n < k) holds it;
        the rest, and the real part of the diagonal, is zero. There is no other such X.

    Raises
    ------
    TypeError
        If the dtype is not float32, float64, complex64 or complex128.
    ValueError
        If `Q` is not finite, or not a matrix or stack of them; or if the square block of its first k
        rows (columns where n < k) has the eigenvalue -1, as every real square matrix of determinant -1
        has: no X is mapped there. Or if it is too near to be mapped back.

    Notes
    -----
    With :math:`Q_1` the first k rows of Q and :math:`Q_2` the others, :func:`cayley` read backwards is

    .. math:: Y = \frac{Q_1 + I}{2}, \qquad B = Q_2 Y^{-1}, \qquad \Omega = Y^{-H} - Y^{-1},

    one k x k inverse [1]_, in double precision. An eigenvalue of :math:`Q_1` near -1 makes X long.
    Rounding X then moves ``cayley(X)`` by :math:`\varepsilon \|X\|`, and for a tall Q of several
    columns cancellation in :math:`\Omega` by up to :math:`\varepsilon \|X\|^2` (double precision's
    :math:`\varepsilon`). Where ``cayley(X)`` differs from Q by more than :math:`\sqrt\varepsilon`, half
    of the digits, the eigenvalue counts as -1.

    References
    ----------
    .. [1] Z. Wen, W. Yin, "A feasible method for optimization with orthogonality constraints",
       Mathematical Programming 142 (2013), whose Lemma 4 is the map read forwards.

    Examples
    --------
    >>> cayley_inverse(np.array([[0.0, -1.0], [1.0, 0.0]]))
    array([[0., 0.],
           [2., 0.]])
    >>> cayley_inverse(np.array([[1.0, 0.0], [0.0, -1.0]]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    ValueError: Q must not have the eigenvalue -1 in its square block, nor one too near: the Cayley ...
    """
    frame = orthonormalize(Q.astype(np.result_type(Q, np.float64)))
    X = cayley_inverse_of_frame(frame).astype(Q.dtype)
    check_reached(X, frame)
    return X


def cayley_inverse_of_frame(Q: np.ndarray) -> np.ndarray:
    """Compute :func:`cayley_inverse` of a frame in double precision, unchecked.

    Parameters
    ----------
    Q : ndarray, shape (..., n, k), n >= k
        Orthonormal columns.

    Returns
    -------
    ndarray, shape (..., n, k)
    """
    k = Q.shape[-1]
    identity = np.eye(k, dtype=Q.dtype)
    try:
        S = np.linalg.inv((Q[..., :k, :] + identity) / 2)
    except np.linalg.LinAlgError:
        raise ValueError(UNREACHED) from None
    return from_skew_blocks(H(S) - S, Q[..., k:, :] @ S)


def check_reached(X: np.ndarray, Q: np.ndarray) -> None:
    """Raise ValueError unless ``cayley(X)`` is `Q`, to half of the digits of `X`.

    Parameters
    ----------
    X, Q : ndarray, shape (..., n, k)
    """
    if not np.max(np.abs(cayley(X) - Q), initial=0) <= np.sqrt(np.finfo(X.dtype).eps):
        raise ValueError(UNREACHED)
