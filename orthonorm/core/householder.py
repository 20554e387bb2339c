r"""Products of Householder reflectors, in blocks: the compact WY representation, and back.

A tall X of shape (n, k) holds k reflectors below its diagonal, and the signs of the columns on it.
:class:`.reflectors.CompactWY` multiplies them:

==========================================  ==========================================================
what is wanted                              what runs
==========================================  ==========================================================
the frame, n > k                            ``frame``: (E - V T V1^T) diag(d), two products
the frame, n = k                            the identity from the left of all reflectors, as below
a matrix from the left, n = k <= 64, real   ``multiply_from_right``: LAPACK's ``ormqr``
the same, larger or complex                 ``multiply_from_right``: 64 reflectors at a time
==========================================  ==========================================================
"""
from typing import Any

import numpy as np

from .matrices import any_shape, as_matrices, check_finite
from .reflectors import CompactWY, factor, reflectors_and_tau


def householder(X: Any) -> np.ndarray:
    r"""Map an unconstrained matrix to an orthonormal frame by a product of reflectors.

    Parameters
    ----------
    X : array_like, shape (..., n, k)
        float32 or float64. The entries below the diagonal are the reflectors (right of it where
        n < k), those on it have the signs of the columns, their size does not matter; the rest is not
        read.

    Returns
    -------
    ndarray, shape (..., n, k)
        Of the dtype of `X`; orthonormal columns where n >= k, orthonormal rows where n < k.

    Raises
    ------
    TypeError
        If the dtype is not float32, float64, complex64 or complex128.
    ValueError
        If `X` is complex, not finite, or not a matrix or stack of them; if the square of a reflector's
        norm overflows.

    Notes
    -----
    Definition: the product of the reflectors :math:`I - \tau_j v_j v_j^T`,
    :math:`\tau_j = 2 / \|v_j\|^2`, one at a time, as PyTorch computes it; its first k columns, times
    the signs d (:func:`.definitions.householder`). Here all of them are multiplied at once: in
    :math:`V = \operatorname{tril}(X, -1) + E` (E the first k columns of the identity, :math:`V_1` the
    top k rows of V) they make

    .. math:: Q = (E - V T V_1^T) \operatorname{diag}(d), \qquad
              T^{-1} = \operatorname{triu}(V^T V, 1) + \tfrac12 \operatorname{diag}(V^T V),

    two matrix products and a triangular solve: the compact WY form [1]_, with T as in [2]_, called
    CWY in [3]_. A wide X is handled on its transpose.

    :math:`d_j` is -1 where the sign bit of :math:`x_{jj}` is set, -0.0 included, and 1 elsewhere.
    PyTorch takes the integer part of :math:`x_{jj}`: the same at 1 and -1, but 0, and a column of
    zeros, where weight decay has made -0.99999 of -1.

    References
    ----------
    .. [1] R. Schreiber, C. Van Loan, "A storage-efficient WY representation for products of
       Householder transformations", SIAM J. Sci. Stat. Comput. 10 (1989).
    .. [2] T. Joffrain, T. M. Low, E. S. Quintana-Orti, R. van de Geijn, F. G. Van Zee,
       "Accumulating Householder transformations, revisited", ACM Trans. Math. Softw. 32 (2006).
    .. [3] V. Likhosherstov, J. Davis, K. Choromanski, A. Weller, "CWY parametrization: a solution
       for parallelized optimization of orthogonal and Stiefel matrices", AISTATS 2021.

    Examples
    --------
    >>> np.array_equal(householder(-np.eye(3, 2)), np.eye(3, 2))
    True
    >>> householder(np.array([[1.0], [1.0]]))
    array([[ 0.],
           [-1.]])
    """
    return _householder(as_real_matrices(X, "X"))


def as_real_matrices(X: Any, name: str) -> np.ndarray:
    """Check as :func:`.as_matrices` does, and raise ValueError if `X` is complex."""
    X = as_matrices(X, name)
    if np.iscomplexobj(X):
        raise ValueError(f"{name} must be real: the householder map does not support complex matrices, "
                         f"got {X.dtype}")
    return X


@any_shape("X")
def _householder(X):
    return product_of_reflectors(X).frame()


def product_of_reflectors(X: np.ndarray) -> CompactWY:
    r"""Read the reflectors below the diagonal of `X` and the signs of what is on it.

    Parameters
    ----------
    X : ndarray, shape (..., n, k), n >= k
        Real.

    Returns
    -------
    CompactWY

    Raises
    ------
    ValueError
        If the squared norm of a reflector is not finite.
    """
    V, tau = reflectors_and_tau(X)
    return CompactWY(V, tau, np.copysign(1, np.diagonal(X, axis1=-2, axis2=-1)))


def householder_inverse(Q: Any) -> np.ndarray:
    r"""Find the reflectors and signs of an orthonormal frame: ``householder`` of them is `Q`.

    Parameters
    ----------
    Q : array_like, shape (..., n, k)
        float32 or float64. A matrix that is not orthonormal is replaced by its orthonormal
        factor, as of :func:`.orthonormalize`; one of several where its rank is deficient.

    Returns
    -------
    ndarray, shape (..., n, k)
        Of the dtype of `Q`. Reflectors below the diagonal, signs on it. Above it stands what LAPACK
        and PyTorch leave there, the rest of R; :func:`householder` does not read it.

    Raises
    ------
    TypeError
        If the dtype is not float32, float64, complex64 or complex128.
    ValueError
        If `Q` is complex, not finite, or not a matrix or stack of them; if R overflows.

    Notes
    -----
    Definition: an X whose ``householder`` is Q (:func:`.definitions.householder_inverse`). LAPACK's
    ``geqrf`` factors :math:`Q = H_1 \cdots H_k R`, so that the signs are those of the
    diagonal of R. Where the rest of a column is zero already, LAPACK takes :math:`\tau_j = 0`,
    :math:`H_j = I`, while :func:`householder` always reflects: the sign is turned. A zero on the
    diagonal of R counts as positive (PyTorch takes its sign, 0, and loses the column).

    Examples
    --------
    >>> Q = np.array([[0.6, -0.8], [0.8, 0.6]])
    >>> np.allclose(householder(householder_inverse(Q)), Q, atol=1e-15)
    True
    """
    return _householder_inverse(as_real_matrices(Q, "Q"))


@any_shape("Q")
def _householder_inverse(Q):
    X, tau = factor(Q)
    R = np.diagonal(X, axis1=-2, axis2=-1)
    i = np.arange(X.shape[-1])
    X[..., i, i] = np.where(R < 0, -1, 1) * np.where(tau == 0, -1, 1)
    return check_finite(X, "R in Q = H_1 ... H_k R")
