r"""The exponential map: :math:`Q = \exp(A)`, first k columns, for a skew-Hermitian A.

A tall X of shape (n, k) stands for the n x n matrix A of :func:`.matrices.skew_blocks`. Since A has
rank at most 2k, its exponential acts on the first k columns through a 2k x 2k matrix.
"""
import numpy as np

from .exponential import Exponential
from .matrices import compressed, on_tall, skew_blocks, sum_of_squares
from .orthonormalize import orthonormalize


@on_tall("X")
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
        If `X` is not a finite matrix, or stack of them, of a supported dtype; or if the norm of A
        exceeds 0.01 / eps of double precision, beyond which no digit of the exponential would be right.

    Notes
    -----
    With :math:`\Omega` and B from the lower triangle of X (:func:`.matrices.skew_blocks`),

    .. math:: Q = \exp\begin{pmatrix} \Omega & -B^H \\ B & 0 \end{pmatrix}
                  \begin{pmatrix} I_k \\ 0 \end{pmatrix}
                = \begin{pmatrix} F_{11} \\ P F_{21} \end{pmatrix}, \qquad
              F = \exp\begin{pmatrix} \Omega & -R^H \\ R & 0 \end{pmatrix}, \qquad B = P R,

    by the QR factorisation of B, because A maps the columns of diag(I, P) among themselves. F is
    2k x 2k. It does not matter which of its factorisations B gets, so that Q is as smooth in X as the
    exponential, although P is not. Where 2k >= n, A itself is exponentiated. A wide X is handled on
    its transpose. This is the map of [1]_; the reduction to 2k x 2k is the one that makes geodesics on
    the Stiefel manifold cheap [2]_. The error of an exponential grows with the norm of A, so that
    single precision gives way to double inside where the singular values of A have a root mean square
    above 4, and above a norm of 100 the orthonormal factor of the exponential is returned, which is
    no farther from the truth and orthonormal to rounding. That norm, and the one in the error message,
    is estimated by :math:`\|A^4\|_1^{1/4}`.

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
    return first_columns(X, *exponential_of(X))


def exponential_of(X: np.ndarray) -> tuple[Exponential, np.ndarray]:
    """Exponentiate the matrix A that a tall X stands for, compressed to 2k rows where it has more.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    exponential : Exponential
    P : ndarray, shape (..., n - k, m)
        Of :func:`.matrices.compressed`.
    """
    Omega, B = skew_blocks(X)
    squares = sum_of_squares(Omega) + 2 * sum_of_squares(B)
    rms = np.max(np.sqrt(squares / max(1, 2 * X.shape[-1])), initial=0)  # of the singular values
    if rms > 4:
        Omega, B = (block.astype(np.result_type(block, np.float64)) for block in (Omega, B))
    _check_norm(rms, Omega.dtype)
    A, P = compressed(Omega, B)
    exponential = Exponential(A)
    _check_norm(np.max(exponential.norm, initial=0), A.dtype)
    return exponential, P


def first_columns(X: np.ndarray, exponential: Exponential, P: np.ndarray) -> np.ndarray:
    """Return the first k columns of exp(A), given the answer of :func:`exponential_of`."""
    n, k = X.shape[-2:]
    F = exponential.value[..., :k]
    Q = F.copy() if F.shape[-2] == n else np.concatenate([F[..., :k, :], P @ F[..., k:, :]], axis=-2)
    if np.max(exponential.norm, initial=0) > 100:
        Q = orthonormalize(Q)
    return Q.astype(X.dtype, copy=False)


def balance(S: np.ndarray) -> np.ndarray:
    r"""Return the power of two next to :math:`\sqrt{\|S\|_1}`, and 1 where S is zero.

    Parameters
    ----------
    S : ndarray, shape (..., k, k)

    Returns
    -------
    ndarray, shape (..., 1, 1)
    """
    norm = np.abs(S).sum(axis=-2, keepdims=True).max(axis=-1, keepdims=True, initial=0)
    return np.ldexp(np.ones_like(norm), np.frexp(np.sqrt(norm))[1])


def _check_norm(norm: float, dtype: np.dtype) -> None:
    limit = 0.01 / np.finfo(dtype).eps
    if not norm <= limit:
        raise ValueError(
            f"X must stand for a skew matrix of norm at most {limit:.3g} in {dtype}, got a norm "
            f"of {norm:.3g}: no digit of its exponential would be right"
        )
