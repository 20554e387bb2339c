r"""Random orthogonal matrices to start from: uniform ones, and rotations in disjoint planes."""
from typing import Any

import numpy as np

from .matrices import check_dtype
from .orthonormalize import orthonormalize


def haar(shape: tuple[int, ...], dtype: Any = np.float64, rng: Any = None) -> np.ndarray:
    r"""Draw orthonormal frames uniformly: from the Haar measure where they are square.

    Parameters
    ----------
    shape : tuple of int
        (..., n, k).
    dtype : dtype
        float32, float64, complex64 or complex128 (unitary).
    rng : None, int or numpy.random.Generator

    Returns
    -------
    ndarray
        Of that shape and dtype; independent frames with orthonormal columns where n >= k, orthonormal
        rows where n < k.

    Raises
    ------
    ValueError
        If `shape` has fewer than two dimensions.
    TypeError
        If the dtype is not supported.

    Notes
    -----
    Definition: ``orthonormalize(Z)``, Z of independent standard normal entries, which is what runs. Its
    moments are tested against those of the Haar measure (``tests/core/test_starts.py``).

    Let Z have independent standard normal entries. The distribution of Z does not change when it is
    multiplied by an orthogonal matrix from the left, nor does therefore that of its orthonormal
    factor, provided that this is a function of Z alone: R has a positive diagonal [1]_. The Q of
    LAPACK's QR, whose signs follow the algorithm, is not uniform.

    Half of the square real matrices have determinant -1.

    References
    ----------
    .. [1] F. Mezzadri, "How to generate random matrices from the classical compact groups", Notices of
       the AMS 54 (2007).

    Examples
    --------
    >>> Q = haar((4, 2), rng=0)
    >>> bool(np.linalg.norm(Q.T @ Q - np.eye(2)) < 1e-14)
    True
    """
    if len(shape) < 2:
        raise ValueError(f"shape must be that of a matrix or a stack of matrices, got {shape}")
    rng = np.random.default_rng(rng)
    Z = np.empty(shape, dtype)
    check_dtype(Z, "the start")
    Z[...] = rng.standard_normal(shape)
    if np.iscomplexobj(Z):
        Z += 1j * rng.standard_normal(shape).astype(Z.real.dtype)
    return orthonormalize(Z)


def torus(shape: tuple[int, ...], dtype: Any = np.float64, rng: Any = None) -> np.ndarray:
    r"""Draw block-diagonal rotations by uniform angles: the start of orthogonal recurrent networks.

    Parameters
    ----------
    shape : tuple of int
        (..., n, n).
    dtype : dtype
        float32, float64, complex64 or complex128.
    rng : None, int or numpy.random.Generator

    Returns
    -------
    ndarray
        Of that shape and dtype. Real: blocks :math:`\begin{pmatrix} \cos\theta & -\sin\theta \\
        \sin\theta & \cos\theta \end{pmatrix}` along the diagonal, and where n is odd a last entry 1.
        Complex: a diagonal of phases :math:`e^{i\theta}`.

    Raises
    ------
    ValueError
        If `shape` is not that of square matrices.
    TypeError
        If the dtype is not supported.

    Notes
    -----
    Definition: the blocks above, of uniform angles; ``tests/core/test_starts.py`` tests their form and
    their distribution.

    The angles are independent and uniform in :math:`[-\pi, \pi)`, as in [1]_; [2]_ took them from
    :math:`[0, \pi/2]`. The matrices of this form are a maximal torus of SO(n), of U(n) where they are
    complex: every rotation is conjugate to one of them. Their determinant is 1 in SO(n). Unlike those
    of a Haar matrix, whose eigenvalues repel each other, the angles may come as close as they like.

    References
    ----------
    .. [1] M. Henaff, A. Szlam, Y. LeCun, "Recurrent orthogonal networks and long-memory tasks",
       ICML 2016.
    .. [2] K. Helfrich, D. Willmott, Q. Ye, "Orthogonal recurrent neural networks with scaled Cayley
       transform", ICML 2018.

    Examples
    --------
    >>> torus((3, 3), rng=0).round(2)
    array([[ 0.65, -0.76,  0.  ],
           [ 0.76,  0.65,  0.  ],
           [ 0.  ,  0.  ,  1.  ]])
    """
    if len(shape) < 2 or shape[-2] != shape[-1]:
        raise ValueError(f"the torus start is for square matrices, got shape {shape}")
    rng = np.random.default_rng(rng)
    n = shape[-1]
    Q = np.empty(shape, dtype)
    check_dtype(Q, "the start")
    Q[...] = np.eye(n)
    if np.iscomplexobj(Q):
        i = np.arange(n)
        Q[..., i, i] = np.exp(1j * rng.uniform(-np.pi, np.pi, shape[:-1]))
        return Q
    theta = rng.uniform(-np.pi, np.pi, (*shape[:-2], n // 2))
    i = np.arange(0, n - 1, 2)
    Q[..., i, i] = Q[..., i + 1, i + 1] = np.cos(theta)
    Q[..., i + 1, i] = np.sin(theta)
    Q[..., i, i + 1] = -np.sin(theta)
    return Q
