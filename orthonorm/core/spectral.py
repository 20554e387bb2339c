r"""Power iteration: the largest singular value of a matrix, and division by it."""
from typing import Any

import numpy as np
import scipy.linalg

from .matrices import as_array, check_dtype, check_finite


class ZeroEstimate(ValueError):
    """The vectors u and v estimate the norm of a matrix that is not zero as zero."""


def power_iteration(W: Any, u: Any, v: Any, n_power_iterations: int = 1,
                    eps: float = 1e-12) -> tuple[np.ndarray, np.ndarray]:
    r"""Improve estimates of the leading singular vectors of a matrix.

    Parameters
    ----------
    W : array_like, shape (h, w)
        float32, float64, complex64 or complex128.
    u : array_like, shape (h,)
        Estimate of the left singular vector.
    v : array_like, shape (w,)
        Estimate of the right singular vector.
    n_power_iterations : int
        How often to iterate. With 0, `u` and `v` come back as they are, as from PyTorch's iteration
        in evaluation mode. (A parametrization that never iterates is no use: `spectral_norm` refuses
        0, as PyTorch's does.)
    eps : float
        Norms smaller than this are replaced by it.

    Returns
    -------
    u : ndarray, shape (h,)
    v : ndarray, shape (w,)
        Of the dtype of `W`.

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite, or of an unsupported dtype or the wrong shape; if
        `n_power_iterations` is negative.

    Notes
    -----
    Definition: :func:`.definitions.power_iteration`, which is also what runs, without an exception for
    zero. Each iteration is, in this order,

    .. math:: u \leftarrow \frac{W v}{\max(\|W v\|, \varepsilon)}, \qquad
              v \leftarrow \frac{W^H u}{\max(\|W^H u\|, \varepsilon)}.

    The error falls by :math:`(\sigma_2 / \sigma_1)^2` each time [1]_; GAN critics take one iteration
    a training step and keep the vectors [2]_. A product that is exactly zero leaves its vector as it
    was: in PyTorch the vector becomes zero, and stays so whatever the matrix is later.

    References
    ----------
    .. [1] G. H. Golub, C. F. Van Loan, "Matrix Computations", 4th ed., 2013, section 8.2.
    .. [2] T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, "Spectral normalization for generative
       adversarial networks", ICLR 2018.

    Examples
    --------
    >>> W = np.diag([3.0, 2.0])
    >>> u, v = power_iteration(W, np.ones(2), np.ones(2), n_power_iterations=20)
    >>> (u @ W @ v).round(6)
    np.float64(3.0)
    """
    W, u, v = as_triple(W, u, v)
    if n_power_iterations < 0:
        raise ValueError(f"n_power_iterations must not be negative, got {n_power_iterations}")
    for x in (u, v) if n_power_iterations else (W, u, v):  # W reaches the products, checked there
        check_finite(x, "W, u and v")
    for _ in range(n_power_iterations):
        u = normalize(W @ v, u, eps)
        v = normalize(u.conj() @ W, v.conj(), eps).conj()
    return u, v


def as_triple(W: Any, u: Any, v: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Check the shapes of a matrix and a vector for each side; give the vectors the matrix's dtype."""
    W, u, v = as_array(W, "W"), as_array(u, "u"), as_array(v, "v")
    check_dtype(W, "W")
    if W.ndim != 2 or u.shape != W.shape[:1] or v.shape != W.shape[1:]:
        raise ValueError(
            "W must have shape (h, w), u (h,) and v (w,), "
            f"got {W.shape}, {u.shape} and {v.shape}"
        )
    return (W, u.astype(W.dtype, casting="same_kind", copy=False),
            v.astype(W.dtype, casting="same_kind", copy=False))


def normalize(x: np.ndarray, fallback: np.ndarray, eps: float) -> np.ndarray:
    """Divide a vector by its norm, or by `eps` if that is larger.

    Parameters
    ----------
    x : ndarray
        Of any shape: all of it is one vector.
    fallback : ndarray
        Returned where `x` is zero.
    eps : float

    Returns
    -------
    ndarray

    Raises
    ------
    ValueError
        If an entry is NaN or infinite.
    """
    # BLAS nrm2: the squares may leave the range
    norm = scipy.linalg.norm(x.ravel(), check_finite=False)
    _check_product(norm)
    return x / x.real.dtype.type(max(norm, eps)) if norm else fallback


def _check_product(x: Any) -> None:
    # Any NaN or infinity of W reaches every product with it: no pass over W is needed.
    if not np.isfinite(x):
        raise ValueError("W, u and v must be finite, got a product of them that is NaN or infinite")


def spectral_normalize(W: Any, u: Any, v: Any) -> np.ndarray:
    r"""Divide a matrix by the singular value that two vectors estimate.

    Parameters
    ----------
    W : array_like, shape (h, w)
        float32, float64, complex64 or complex128.
    u : array_like, shape (h,)
        Left singular vector, of norm 1.
    v : array_like, shape (w,)
        Right singular vector, of norm 1.

    Returns
    -------
    ndarray, shape (h, w)
        Of the dtype of `W`: :math:`W / \sigma` with :math:`\sigma = u^H W v`. A zero W is returned
        as it is, since no number divides it to norm 1 (PyTorch returns NaN).

    Raises
    ------
    TypeError, ValueError
        If an argument is not finite, or of an unsupported dtype or the wrong shape; if the estimate
        is zero, or too small to divide by, although W is not zero.

    Notes
    -----
    Definition: ``W / (conj(u) @ W @ v)`` (:func:`.definitions.spectral_normalize`), which is also what
    runs.

    References
    ----------
    .. [1] T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, "Spectral normalization for generative
       adversarial networks", ICLR 2018.

    Examples
    --------
    >>> spectral_normalize(np.diag([4.0, 2.0]), np.array([1.0, 0.0]), np.array([1.0, 0.0]))
    array([[1. , 0. ],
           [0. , 0.5]])
    """
    W, u, v = as_triple(W, u, v)
    return W / estimate_sigma(W, u, v)


def estimate_sigma(W: np.ndarray, u: np.ndarray, v: np.ndarray) -> Any:
    r"""Return :math:`\sigma = u^H W v`, or 1 for a zero `W`.

    Parameters
    ----------
    W : ndarray, shape (h, w)
    u : ndarray, shape (h,)
    v : ndarray, shape (w,)

    Returns
    -------
    scalar
        Of the dtype of `W`; complex where `W` is.

    Raises
    ------
    ZeroEstimate, ValueError
        As :func:`divisor`.
    """
    return divisor(np.vdot(u, W @ v), W)


def divisor(sigma: Any, W: np.ndarray) -> Any:
    """Return the estimate `sigma` of the norm of `W` if `W` can be divided by it, 1 for a zero `W`.

    Parameters
    ----------
    sigma : scalar
    W : ndarray

    Returns
    -------
    scalar

    Raises
    ------
    ZeroEstimate
        If the estimate is zero, or too small to divide by, although W is not zero.
    ValueError
        If it is not finite.
    """
    _check_product(sigma)
    if abs(sigma) >= np.finfo(W.dtype).tiny:
        return sigma
    if np.any(W):
        raise ZeroEstimate("u and v estimate a spectral norm of zero for a matrix that is not zero: "
                           "start power iteration from other vectors")
    return W.dtype.type(1)


def power_of_two(x: np.ndarray, axis: int | None = None) -> Any:
    """Return what to divide an array by, without rounding, so that its squares stay in the range.

    Parameters
    ----------
    x : ndarray
    axis : int, optional
        Return a number for each index of this axis, not one for all of `x`.

    Returns
    -------
    None, or scalar or ndarray
        Powers of two, of the real dtype of `x`, that bring the largest entry to between 1 and 4; for an
        `axis` with the other axes of length 1. None where all norms are within 1e-6 and 1e6 anyway.
    """
    axes = list(range(x.ndim))
    if axis is None:
        if 2.0**-40 < np.vdot(x, x).real < 2.0**40:
            return None
    else:
        squares = np.einsum(x, axes, x, axes, [axis])
        if np.all((2.0**-40 < squares) & (squares < 2.0**40)):
            return None
    others = tuple(i for i in axes if i != axis)
    largest = np.maximum(abs(x.real), abs(x.imag)).max(others, keepdims=axis is not None, initial=0)
    exponent = np.frexp(np.where(largest == 0, 1, largest))[1] - 1
    return np.ldexp(largest.dtype.type(1), exponent)[()]


def unit_vector(size: int, dtype: Any, rng: np.random.Generator) -> np.ndarray:
    """Draw a vector uniformly from the unit sphere of a real or complex space.

    Parameters
    ----------
    size : int
    dtype : dtype
        float32, float64, complex64 or complex128.
    rng : numpy.random.Generator

    Returns
    -------
    ndarray, shape (size,)
    """
    x = rng.standard_normal(size)
    if np.issubdtype(dtype, np.complexfloating):
        x = x + 1j * rng.standard_normal(size)
    norm = np.linalg.norm(x)
    return (x / norm if size else x).astype(dtype)
