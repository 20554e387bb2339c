r"""The Cayley map: :math:`Q = (I - A/2)^{-1} (I + A/2)`, first k columns, for a skew-Hermitian A.

A tall X of shape (n, k) stands for the n x n matrix A of :func:`.skew.skew_blocks`. Since A has
rank at most 2k, one k x k matrix has to be inverted, and nothing n x n ever exists.

============================  ======================================================================
S = I - Omega/2 + B^H B/4 is  what runs
============================  ======================================================================
not :func:`is_large`          Q = [2Y - I; B Y] with Y = S^-1, in the dtype of X
:func:`is_large`              :func:`cayley_of_large`: a system of at most 2k rows in double precision,
                              refined; then the orthonormal factor of the answer
============================  ======================================================================
"""
import numpy as np

from .inverses import inverse_accretive
from .matrices import H, add_to_diagonal, any_shape, sum_of_squares
from .orthonormalize import orthonormalize
from .skew import compressed, from_skew_blocks, skew_blocks

UNREACHED = ("Q must not have the eigenvalue -1 in its square block, nor one too near: the Cayley map "
             "does not go there")


@any_shape("X")
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
    Definition: ``solve(I - A/2, I + A/2)[:, :k]``, A n x n (:func:`.definitions.cayley`). Here the last
    n - k unknowns are eliminated first: with :math:`\Omega` and B from the lower triangle of X
    (:func:`.skew.skew_blocks`), the Schur complement of the last block of :math:`I - A/2`, which is the
    identity, is the k x k matrix S, and

    .. math:: S = I - \frac{\Omega}{2} + \frac{B^H B}{4}, \qquad Y = S^{-1}, \qquad
              Q = \begin{pmatrix} 2Y - I \\ B Y \end{pmatrix}.

    The Hermitian part of S is at least the identity, so it is always invertible, and its condition
    number is at most its norm. The cost is O(n k^2); PyTorch solves with the n x n matrix I - A/2. A
    wide X is handled on its transpose. The map is the retraction of [1]_. Where S is large, its inverse
    would lose digits: see :func:`cayley_of_large`.

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
    S = schur_complement(X)
    return cayley_given(X, S, is_large(S))


def schur_complement(X: np.ndarray) -> np.ndarray:
    r"""Return :math:`S = I - \Omega / 2 + B^H B / 4`, infinite or NaN where it overflows.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    ndarray, shape (..., k, k)
    """
    Omega, B = skew_blocks(X)
    S = -0.5 * Omega
    add_to_diagonal(S, 1)
    if B.shape[-2]:
        with np.errstate(over="ignore", invalid="ignore"):
            S += H(B) @ B / 4
    return S


def is_large(S: np.ndarray) -> bool:
    """Tell whether the root mean square of the singular values exceeds 4, in any matrix of the stack.

    Parameters
    ----------
    S : ndarray, shape (..., k, k)

    Returns
    -------
    bool
    """
    return not (sum_of_squares(S) <= 16 * S.shape[-1]).all()  # NaN is large too


def cayley_given(X: np.ndarray, S: np.ndarray, large: bool) -> np.ndarray:
    """Compute the Cayley map from X, its Schur complement, and whether that is large.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k
    S : ndarray, shape (..., k, k)
    large : bool

    Returns
    -------
    ndarray, shape (..., n, k)
    """
    if large:
        return cayley_of_large(X)
    n, k = X.shape[-2:]
    Y = inverse_accretive(S)
    if n == k:
        return square_block(Y)
    Q = np.empty_like(X, order="C")
    Q[..., :k, :] = square_block(Y)
    np.matmul(X[..., k:, :], Y, out=Q[..., k:, :])
    return Q


def square_block(Y: np.ndarray) -> np.ndarray:
    """Return the first k rows of Q, 2 Y - I.

    Parameters
    ----------
    Y : ndarray, shape (..., k, k)
        The inverse of the Schur complement.

    Returns
    -------
    ndarray, shape (..., k, k)
    """
    Q1 = 2 * Y
    add_to_diagonal(Q1, -1)
    return Q1


def cayley_of_large(X: np.ndarray) -> np.ndarray:
    r"""Compute the Cayley map so that it is orthonormal and accurate at any norm of A.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    ndarray, shape (..., n, k)

    Notes
    -----
    :math:`Q = 2K - E` with :math:`K = (I - A/2)^{-1} E`, E the first k columns of the identity; then
    its orthonormal factor, since K can be wrong in its last digits where A is nearly as large as 1/eps.
    """
    E = np.broadcast_to(np.eye(*X.shape[-2:], dtype=X.dtype), X.shape)
    return orthonormalize(2 * resolvent(X, E) - E)


def resolvent(X: np.ndarray, G: np.ndarray) -> np.ndarray:
    r"""Solve :math:`(I - A/2) J = G` with the n x n matrix A that `X` stands for.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k
    G : ndarray, shape (..., n, m)

    Returns
    -------
    ndarray, shape (..., n, m)

    Notes
    -----
    A is brought to at most 2k rows, :func:`.skew.compressed`; on the complement it is zero. The
    system is solved in double precision. A step of iterative refinement, with the residual in extended
    precision unless the matrix is too big for that, takes the condition number, up to the norm of A,
    out of the error [1]_.

    Some A go another way, :func:`resolvent_by_eigenvalues`: those of a norm above 0.01 / eps, and from
    a norm of 1e5 on also real ones of odd order, which are singular. Elimination would lose their null
    space.

    References
    ----------
    .. [1] N. J. Higham, "Accuracy and stability of numerical algorithms", 2nd ed., 2002, section 12.1.
    """
    n, k = X.shape[-2:]
    Omega, B = skew_blocks(X.astype(np.result_type(X, np.float64), copy=False))
    singular = X.dtype.kind != "c" and min(2 * k, n) % 2 == 1
    huge = norm1(Omega, B) > (1e5 if singular else 0.01 / np.finfo(Omega.dtype).eps)
    if huge.any():
        J = np.empty_like(G)
        J[huge] = resolvent_by_eigenvalues(X[huge], G[huge])
        J[~huge] = resolvent(X[~huge], G[~huge])
        return J
    A, P = compressed(Omega, B)
    S = np.eye(A.shape[-1], dtype=A.dtype) - A / 2

    def solve(G1: np.ndarray, G2: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        part = H(P) @ G2
        J = np.linalg.solve(S, np.concatenate([G1, part], axis=-2))
        return J[..., :k, :], G2 + P @ (J[..., k:, :] - part)

    G1, G2 = G[..., :k, :], G[..., k:, :]
    J1, J2 = solve(G1, G2)
    if X.size * k <= 2**22:  # long double has no BLAS: this takes up to 50 ms
        Omega, B = (block.astype(np.result_type(block, np.longdouble)) for block in (Omega, B))
    residual1 = G1 - J1 + (Omega @ J1 - H(B) @ J2) / 2
    residual2 = G2 - J2 + B @ J1 / 2
    change1, change2 = solve(residual1.astype(A.dtype), residual2.astype(A.dtype))
    return np.concatenate([J1 + change1, J2 + change2], axis=-2).astype(G.dtype)


def resolvent_by_eigenvalues(X: np.ndarray, G: np.ndarray) -> np.ndarray:
    r"""Solve :math:`(I - A/2) J = G` for an A of any norm.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k
        Not zero.
    G : ndarray, shape (..., n, m)

    Returns
    -------
    ndarray, shape (..., n, m)

    Notes
    -----
    With :math:`c A = U \operatorname{diag}(i\theta) U^H`, compressed, and a c that makes its largest
    entry 1,

    .. math:: J = U \operatorname{diag}\left( \frac{c}{c - i\theta/2} \right) U^H G.

    A :math:`\theta` that is zero to rounding counts as zero: whether it is, X does not determine.
    """
    k = X.shape[-1]
    Omega, B = skew_blocks(X.astype(np.result_type(X, np.float64), copy=False))
    c = 1 / np.maximum(*(np.abs(M).max((-2, -1), keepdims=True, initial=0) for M in (Omega, B)))
    A, P = compressed(c * Omega, c * B)
    theta, U = np.linalg.eigh(-1j * A)
    rounding = A.shape[-1] * np.finfo(A.dtype).eps * np.abs(theta).max(axis=-1, keepdims=True)
    zero = (np.abs(theta) <= rounding)[..., None]
    factors = np.where(zero, 1, c / np.where(zero, 1, c - 0.5j * theta[..., None]))
    G1, G2 = G[..., :k, :], G[..., k:, :]
    part = H(P) @ G2
    J = U @ (factors * (H(U) @ np.concatenate([G1, part], axis=-2)))
    J = J if np.iscomplexobj(A) else J.real
    return np.concatenate([J[..., :k, :], G2 + P @ (J[..., k:, :] - part)], axis=-2).astype(G.dtype)


def norm1(Omega: np.ndarray, B: np.ndarray) -> np.ndarray:
    """Return the 1-norm of A, infinite where it overflows.

    Parameters
    ----------
    Omega, B : ndarray
        Of :func:`.skew.skew_blocks`.

    Returns
    -------
    ndarray, shape (...)
    """
    with np.errstate(over="ignore"):
        columns = np.abs(Omega).sum(axis=-2) + np.abs(B).sum(axis=-2)
        rows = np.abs(B).sum(axis=-1)
    return np.maximum(columns.max(axis=-1, initial=0), rows.max(axis=-1, initial=0))


@any_shape("Q")
def cayley_inverse(Q):
    r"""Find the unconstrained matrix whose Cayley map is a given frame.

    Parameters
    ----------
    Q : array_like, shape (..., n, k)
        float32, float64, complex64 or complex128. A matrix that is not orthonormal is replaced by its
        orthonormal factor, as of :func:`.orthonormalize`; one of several where its rank is deficient.

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
    Definition: the X for which ``cayley(X)`` is Q (:func:`.definitions.cayley_inverse`). With
    :math:`Q_1` the first k rows of Q and :math:`Q_2` the others, :func:`cayley` read backwards is

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
