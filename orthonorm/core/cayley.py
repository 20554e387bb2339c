r"""The Cayley map: :math:`Q = (I + A/2)(I - A/2)^{-1}`, first k columns, for a skew-Hermitian A."""
import numpy as np

from .matrices import H, inverse, on_tall, skew_blocks


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

    The Hermitian part of S is at least the identity, so it is always invertible. The cost is
    O(n k^2); PyTorch solves with the n x n matrix I - A/2. A wide X is handled on its transpose.
    The map is the retraction of [1]_.

    References
    ----------
    .. [1] Z. Wen, W. Yin, "A feasible method for optimization with orthogonality constraints",
       Mathematical Programming 142 (2013).

    Examples
    --------
    >>> cayley(np.array([[0.0, 0.0], [2.0, 0.0]]))
    array([[ 0., -1.],
           [ 1.,  0.]])
    >>> cayley(np.zeros((3, 2)))
    array([[1., 0.],
           [0., 1.],
           [0., 0.]])
    """
    Omega, B = skew_blocks(X)
    identity = np.eye(X.shape[-1], dtype=X.dtype)
    Y = inverse(identity - Omega / 2 + H(B) @ B / 4)
    return np.concatenate([2 * Y - identity, B @ Y], axis=-2)
