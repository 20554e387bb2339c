r"""Unitary matrices as products of complex reflectors and a diagonal of phases, and back."""
import numpy as np

from .matrices import any_shape
from .orthonormalize import orthonormalize
from .reflectors import CompactWY, reflectors_and_tau


@any_shape("X")
def unitary_householder(X):
    r"""Map an unconstrained matrix to an orthonormal frame by reflectors and phases.

    Parameters
    ----------
    X : array_like, shape (..., n, k)
        float32, float64, complex64 or complex128. The entries below the diagonal are the reflectors
        (right of it where n < k), those on it have the phases of the columns, their modulus does not
        matter; the rest is not read.

    Returns
    -------
    ndarray, shape (..., n, k)
        Of the dtype of `X`; orthonormal columns where n >= k, orthonormal rows where n < k.

    Raises
    ------
    TypeError
        If the dtype is not float32, float64, complex64 or complex128.
    ValueError
        If `X` is not finite, or not a matrix or stack of them; if there is a zero on its diagonal; if
        the square of a reflector's norm overflows.

    Notes
    -----
    Definition: the product of the reflectors, one at a time, and of the phases
    (:func:`.definitions.unitary_householder`). With the reflectors :math:`v_j` in
    :math:`V = \operatorname{tril}(X, -1) + E`,

    .. math:: Q = \prod_{j=1}^k \left(I - \frac{2}{\|v_j\|^2} v_j v_j^H\right) E
                  \operatorname{diag}(d), \qquad d_j = \frac{x_{jj}}{|x_{jj}|},

    computed in blocks as in :func:`orthonorm.core.householder`, which this is for a real X.

    PyTorch refuses complex matrices for its map, and so does ours, because reflectors alone do not
    reach every unitary matrix: below the diagonal there are :math:`n (n - 1)` real numbers, and the
    unitary group has :math:`n^2` dimensions. The missing n are phases. A real matrix has signs instead,
    which are discrete, and no gradient flows to them; phases are continuous, and the gradient turns
    them. It is orthogonal to :math:`x_{jj}`, so that a gradient step never comes nearer to the zero
    where the phase is undefined. Every frame is reached, for tall frames too: :math:`2 n k - k^2` real
    numbers are read, as many as the frames have dimensions. (LAPACK's complex reflectors [1]_ have a
    complex :math:`\tau` in place of :math:`2 / \|v\|^2`, are not Hermitian, and need no phases; but not
    every pair of v and tau is unitary.)

    References
    ----------
    .. [1] R. B. Lehoucq, "The computation of elementary unitary matrices", ACM Trans. Math. Softw. 22
       (1996), which compares the choices of tau.

    Examples
    --------
    >>> X = np.array([[2j, 0.0], [1.0, -1.0]])
    >>> unitary_householder(X).round(12) + 0.0
    array([[ 0.+0.j, -1.+0.j],
           [ 0.-1.j,  0.+0.j]])
    """
    check_diagonal(X)
    return product_of_reflectors(X) * phases(X)


def product_of_reflectors(X: np.ndarray) -> np.ndarray:
    """Multiply the reflectors, without the phases.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    ndarray, shape (..., n, k)

    Raises
    ------
    ValueError
        If the squared norm of a reflector is not finite.
    """
    V, tau = reflectors_and_tau(X)
    return CompactWY(V, tau, np.ones_like(tau, X.real.dtype)).frame()


def check_diagonal(X: np.ndarray) -> None:
    """Raise ValueError if there is a zero on the diagonal of a matrix.

    Parameters
    ----------
    X : ndarray, shape (..., n, k)
    """
    if not np.all(np.diagonal(X, axis1=-2, axis2=-1)):
        raise ValueError("X must have no zero on its diagonal, which holds phases")


def phases(X: np.ndarray) -> np.ndarray:
    r"""Return :math:`x_{jj} / |x_{jj}|` of each diagonal entry, 1 where it is zero.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k

    Returns
    -------
    ndarray, shape (..., 1, k)
    """
    x = np.diagonal(X, axis1=-2, axis2=-1)[..., None, :]
    x = np.where(x == 0, 1, x)
    if x.dtype.kind != "c":
        return np.sign(x)
    # The modulus of a subnormal number is inaccurate, that of a huge one infinite.
    largest = np.maximum(np.abs(x.real), np.abs(x.imag))
    x = x.real / largest + 1j * (x.imag / largest)
    return x / np.abs(x)


@any_shape("Q")
def unitary_householder_inverse(Q):
    r"""Find reflectors and phases of an orthonormal frame: ``unitary_householder`` of them is `Q`.

    Parameters
    ----------
    Q : array_like, shape (..., n, k)
        float32, float64, complex64 or complex128. A matrix that is not orthonormal is replaced by the
        one that :func:`.orthonormalize` makes of it.

    Returns
    -------
    ndarray, shape (..., n, k)
        Of the dtype of `Q`. Reflectors below the diagonal, entries of at most 1; phases, of modulus 1,
        on it; zeros above.

    Raises
    ------
    TypeError, ValueError
        If `Q` is not a finite matrix, or stack of them, of a supported dtype.

    Notes
    -----
    Definition: the X with zeros above its diagonal whose ``unitary_householder`` is Q
    (:func:`.definitions.unitary_householder_inverse`, a reflector for each column in turn). Here it is
    an elimination: :math:`Q - E \operatorname{diag}(d) = -V (T V_1^H \operatorname{diag}(d))` is an LU
    factorisation without pivoting [1]_. Each pivot is an entry p of modulus at most 1 minus its phase
    d; with :math:`d = -p / |p|` its modulus is :math:`1 + |p|`, so that nothing is divided by a small
    number.

    References
    ----------
    .. [1] G. Ballard, J. Demmel, L. Grigori, M. Jacquelin, N. Knight, H. D. Nguyen, "Reconstructing
       Householder vectors from tall-skinny QR", J. Parallel Distrib. Comput. 85 (2015).

    Examples
    --------
    >>> Q = np.array([[0.6, -0.8], [0.8j, 0.6j]])
    >>> np.allclose(unitary_householder(unitary_householder_inverse(Q)), Q, atol=1e-15)
    True
    """
    S = orthonormalize(Q)
    X = np.zeros_like(S)
    for j in range(S.shape[-1]):
        d = -phases(S[..., j:, j:j + 1])
        v = S[..., j + 1:, j:j + 1] / (S[..., j:j + 1, j:j + 1] - d)
        X[..., j:, j:j + 1] = np.concatenate([d, v], axis=-2)
        S[..., j + 1:, j + 1:] -= v * S[..., j:j + 1, j + 1:]
    return X
