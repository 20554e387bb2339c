r"""The orthonormal factor of a matrix."""
import numpy as np

from .matrices import any_shape


@any_shape("A")
def orthonormalize(A):
    r"""Return the orthonormal factor Q of A = QR, the one with a positive diagonal of R.

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
    Definition: ``Q * diag(R) / abs(diag(R))`` of ``Q, R = qr(A)``
    (:func:`.definitions.orthonormalize`). That is also what runs, with these precautions. The columns
    are scaled by powers of two first, which does not change Q, so that no sum of squares over- or
    underflows. A zero on the diagonal of R counts as positive. (PyTorch multiplies by its sign, 0, and
    the column is lost.)

    Where A has full rank, its QR factorisation with positive diagonal is unique, and an orthonormal
    A is its own factor. Where it has not, Q is one of many, but orthonormal all the same. A wide A is
    handled on its transpose.

    References
    ----------
    .. [1] G. H. Golub, C. F. Van Loan, "Matrix Computations", 4th ed., 2013, section 5.2.

    Examples
    --------
    >>> orthonormalize(np.array([[3.0, 1.0], [4.0, 2.0]]))
    array([[ 0.6, -0.8],
           [ 0.8,  0.6]])
    >>> np.array_equal(orthonormalize(np.zeros((3, 2))), np.eye(3, 2))
    True
    """
    if A.size == 0:
        return A.copy()
    largest = np.maximum(np.abs(A.real), np.abs(A.imag)).max(axis=-2, keepdims=True)
    scale = np.ldexp(np.ones_like(largest), np.frexp(largest)[1] - 1)
    Q, R = np.linalg.qr(A / np.maximum(scale, np.finfo(A.dtype).tiny))
    diagonal = np.diagonal(R, axis1=-2, axis2=-1)[..., None, :].real
    return Q * np.where(diagonal < 0, -1, 1).astype(diagonal.dtype)
