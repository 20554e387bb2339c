r"""The polar factor of a matrix: the orthonormal frame that is nearest to it."""
import numpy as np

from .matrices import any_shape


@any_shape("A")
def polar(A):
    r"""Return the nearest matrix with orthonormal columns: the unitary factor of A = P M.

    Parameters
    ----------
    A : array_like, shape (..., n, k)
        float32, float64, complex64 or complex128.

    Returns
    -------
    ndarray, shape (..., n, k)
        Of the dtype of `A`; orthonormal columns where n >= k, orthonormal rows where n < k.

    Raises
    ------
    TypeError, ValueError
        If `A` is not a finite matrix, or stack of them, of a supported dtype.

    Notes
    -----
    Definition: ``U @ Vh`` of ``svd(A)`` (:func:`.definitions.polar`), which is also what runs:

    .. math:: A = U \Sigma V^H, \qquad P = U V^H, \qquad M = V \Sigma V^H,

    and no orthonormal frame is nearer to A than P, in any unitarily invariant norm [1]_. The cost
    is O(n k^2).

    Where A has full rank, P is unique. Where it has not, P is one of many frames that are equally near:
    LAPACK's singular vectors of the singular value 0 are orthonormal too, and they complete it. The
    zero matrix goes to the first k columns of the identity.

    The computed P is the polar factor of a matrix that differs from A by rounding. How far this moves
    it depends on the smallest singular values alone: by :math:`2 / (\sigma_k + \sigma_{k-1})` times
    the difference where A is real and square, by :math:`1 / \sigma_k` times otherwise [1]_.

    A wide A is handled on its transpose. A is divided by a power of two first, which does not change P,
    so that nothing over- or underflows.

    References
    ----------
    .. [1] N. J. Higham, "Functions of matrices: theory and computation", 2008, chapter 8.

    Examples
    --------
    >>> polar(np.array([[3.0, -4.0], [4.0, 3.0]])).round(12)
    array([[ 0.6, -0.8],
           [ 0.8,  0.6]])
    >>> np.array_equal(polar(np.zeros((3, 2))), np.eye(3, 2))
    True
    """
    if A.size == 0:
        return A.copy()
    U, _, VH = np.linalg.svd(A / power_of_two(A), full_matrices=False)
    return U @ VH


def power_of_two(A: np.ndarray) -> np.ndarray:
    """Return the power of two next below the largest entry of each matrix, as far as it is normal.

    Parameters
    ----------
    A : ndarray, shape (..., n, k)

    Returns
    -------
    ndarray, shape (..., 1, 1)
        Of the real dtype of `A`. Division by it is exact.
    """
    largest = np.maximum(np.abs(A.real), np.abs(A.imag)).max(axis=(-2, -1), keepdims=True, initial=0)
    scale = np.ldexp(np.ones_like(largest), np.frexp(largest)[1] - 1)
    return np.maximum(scale, np.finfo(A.dtype).tiny)


def nearest_rotation(A: np.ndarray) -> np.ndarray:
    r"""Return the nearest orthogonal matrix of determinant 1.

    Parameters
    ----------
    A : ndarray, shape (..., n, n)
        Real and finite.

    Returns
    -------
    ndarray, shape (..., n, n)

    Notes
    -----
    Where the polar factor :math:`U V^T` has the determinant -1, the singular vector of the smallest
    singular value changes its sign [1]_.

    References
    ----------
    .. [1] W. Kabsch, "A discussion of the solution for the best rotation to relate two sets of
       vectors", Acta Crystallographica A34 (1978).
    """
    if A.size == 0:
        return A.copy()
    U, _, VH = np.linalg.svd(A / power_of_two(A))
    U[..., -1] *= np.linalg.slogdet(U @ VH)[0][..., None]
    return U @ VH
