r"""The exponential map: :math:`Q = \exp(A)`, first k columns, for a skew-Hermitian A.

A tall X of shape (n, k) stands for the n x n matrix A of :func:`.skew.skew_blocks`. Since A has
rank at most 2k, its exponential acts on the first k columns through a 2k x 2k matrix.

================================  ====================================================================
where                             what runs
================================  ====================================================================
n <= 2k                           A itself is exponentiated
n > 2k                            the 2k x 2k matrix of :func:`.skew.compressed` is exponentiated
Frobenius norm above 4 sqrt(2k)   in double precision, whatever the dtype of X: the error of an
                                  exponential grows with the norm
Frobenius norm above 100          the orthonormal factor of the exponential is returned, which is no
                                  farther from the truth and orthonormal to rounding
================================  ====================================================================
"""
import numpy as np

from .exponential import expm
from .matrices import any_shape, sum_of_squares
from .orthonormalize import orthonormalize
from .skew import compressed, skew_blocks


@any_shape("X")
def matrix_exp(X):
    r"""Map an unconstrained matrix to an orthonormal frame by the matrix exponential.

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
        If `X` is not a finite matrix, or stack of them, of a supported dtype; or if the Frobenius norm
        of A exceeds 0.01 / eps of double precision: no digit of the exponential would be right.

    Notes
    -----
    Definition: ``expm(A)[:, :k]`` with the n x n matrix A (:func:`.definitions.matrix_exp`). Here a
    matrix of at most 2k rows is exponentiated instead, because A maps the columns of diag(I, P) below
    among themselves: with :math:`\Omega` and B from the lower triangle of X
    (:func:`.skew.skew_blocks`),

    .. math:: Q = \exp\begin{pmatrix} \Omega & -B^H \\ B & 0 \end{pmatrix}
                  \begin{pmatrix} I_k \\ 0 \end{pmatrix}
                = \begin{pmatrix} F_{11} \\ P F_{21} \end{pmatrix}, \qquad
              F = \exp\begin{pmatrix} \Omega & -R^H \\ R & 0 \end{pmatrix}, \qquad B = P R,

    by the QR factorisation of B. It does not matter which of its factorisations B gets, so that Q is as
    smooth in X as the exponential, although P is not. A wide X is handled on its transpose. This is the
    map of [1]_; the reduction to 2k x 2k is the one that makes geodesics on the Stiefel manifold
    cheap [2]_.

    References
    ----------
    .. [1] M. Lezcano-Casado, D. Martinez-Rubio, "Cheap orthogonal constraints in neural networks: a
       simple parametrization of the orthogonal and unitary group", ICML 2019.
    .. [2] A. Edelman, T. A. Arias, S. T. Smith, "The geometry of algorithms with orthogonality
       constraints", SIAM J. Matrix Anal. Appl. 20 (1998), Corollary 2.2.

    Examples
    --------
    >>> matrix_exp(np.array([[0.0, 0.0], [np.pi / 2, 0.0]])).round(12) + 0.0
    array([[ 0., -1.],
           [ 1.,  0.]])
    >>> Q = matrix_exp(np.random.default_rng(0).standard_normal((5, 3)))
    >>> np.allclose(Q.T @ Q, np.eye(3), atol=1e-14)
    True
    """
    A, P, norm = compressed_skew_matrix(X)
    return first_columns(X, expm(A), P, norm)


def compressed_skew_matrix(X: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the matrix that is exponentiated for a tall X: A, compressed where it has over 2k rows.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    A : ndarray, shape (..., k + m, k + m), m = min(k, n - k)
        In double precision where it is large.
    P : ndarray, shape (..., n - k, m)
        Of :func:`.skew.compressed`.
    norm : float
        The largest Frobenius norm of a matrix of the stack.

    Raises
    ------
    ValueError
        If that norm exceeds 0.01 / eps.
    """
    k = X.shape[-1]
    Omega, B = skew_blocks(X)
    squares = sum_of_squares(Omega) + 2 * sum_of_squares(B)
    norm = float(np.sqrt(np.max(squares, initial=0)))
    if norm > 4 * np.sqrt(2 * k):
        Omega, B = (block.astype(np.result_type(block, np.float64)) for block in (Omega, B))
    limit = 0.01 / np.finfo(Omega.dtype).eps
    if not norm <= limit:
        raise ValueError(
            f"X must stand for a skew matrix of norm at most {limit:.3g} in {Omega.dtype}, got a norm "
            f"of {norm:.3g}: no digit of its exponential would be right"
        )
    return (*compressed(Omega, B), norm)


def first_columns(X: np.ndarray, F: np.ndarray, P: np.ndarray, norm: float) -> np.ndarray:
    """Return Q = [F11; P F21] from the exponential F of :func:`compressed_skew_matrix`.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k
    F : ndarray, shape (..., k + m, k + m)
    P : ndarray, shape (..., n - k, m)
    norm : float

    Returns
    -------
    ndarray, shape (..., n, k)
        Of the dtype of `X`.
    """
    n, k = X.shape[-2:]
    F = F[..., :k]
    Q = F.copy() if F.shape[-2] == n else np.concatenate([F[..., :k, :], P @ F[..., k:, :]], axis=-2)
    if norm > 100:
        Q = orthonormalize(Q)
    return Q.astype(X.dtype, copy=False)
