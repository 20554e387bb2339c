r"""Bounds of the largest singular value that hold in spite of rounding."""
from typing import Any, NamedTuple

import numpy as np

from .matrices import H, as_matrices

UNIT_ROUNDOFF = 2.0**-53  # everything below is computed in double precision


class Bounds(NamedTuple):
    """Two numbers, or arrays of them, that enclose a norm."""

    lower: Any
    upper: Any


class ScaledBounds(NamedTuple):
    """Bounds in double precision, to be multiplied by 2^exponent."""

    lower: Any
    upper: Any
    exponent: Any


def spectral_norm_bounds(W: Any, n_iterations: int = 10) -> Bounds:
    r"""Enclose the largest singular value of a matrix between two numbers, with certainty.

    Parameters
    ----------
    W : array_like, shape (..., m, n)
        float32, float64, complex64 or complex128.
    n_iterations : int
        Number of Gram products, each :math:`O(\min(m, n)^3)` after the first. The upper bound is too
        large by a factor of at most :math:`r^{1/2^{T+1}}`, T being this number and r the rank: for
        T = 10 and r = 1000, by 0.34 %, and where few singular values are close to the largest by much
        less.

    Returns
    -------
    lower, upper : ndarray, shape (...)
        Of the real dtype of `W`; scalars for a single matrix.
        :math:`\mathrm{lower} \le \sigma_1(W) \le \mathrm{upper}` holds for the exact singular value of
        the stored numbers. Both are 0 for a zero or empty matrix; `upper` is infinite where
        :math:`\sigma_1` itself may be out of the dtype's range.

    Raises
    ------
    TypeError, ValueError
        If `W` is not a finite matrix, or of an unsupported dtype; if `n_iterations` is not positive.

    Notes
    -----
    Definition: two numbers around ``svd(W, compute_uv=False)[0]``, which ``tests/core/test_bounds.py``
    computes with 50 digits.

    Power iteration only ever gives a lower bound. The upper bound is by Gram iteration [1]_,
    :math:`G_0 = W`, :math:`G_{t+1} = G_t^H G_t`: each product squares the singular values, so that

    .. math:: \sigma_1(W) = \sigma_1(G_T)^{1/2^T} \le \|G_T\|_F^{1/2^T}
              = \Big(\sum_i \sigma_i^p\Big)^{1/p}, \qquad p = 2^{T+1},

    the Schatten norm of order p. The lower bound is :math:`\|W v\| / \|v\|` with v the largest column
    of :math:`G_T`, which is nearly :math:`\sigma_1^{2^T} v_1 v_1^H`.

    *Rounding*, after [2]_. All is computed in double precision, of unit roundoff u = 2^-53, for
    float32 too. Each :math:`G_t` is scaled by a power of two, which is exact, to a largest entry
    between 1/2 and 1. The product of the stored :math:`G_t`, of m rows, with itself is off by

    .. math:: G_{t+1} = G_t^H G_t + E_t, \quad |E_t| \le \gamma_m |G_t|^H |G_t|, \quad
              \|E_t\|_2 \le \gamma_m \|G_t\|_F^2 =: \varepsilon_t, \quad
              \gamma_m = \frac{m u}{1 - m u},

    in whatever order the terms are added, with fused multiplications or without (for complex numbers,
    whose products are sums of 2 m real ones in each part, :math:`\sqrt2 \gamma_{2m} \le \gamma_{3m}`).
    So :math:`\sigma_1(G_t)^2 \le \sigma_1(G_{t+1}) + \varepsilon_t`, and the bound is pulled back from
    the last product to the first,

    .. math:: b_T = \|G_T\|_F, \qquad b_t = \sqrt{b_{t+1} + \varepsilon_t} \ge \sigma_1(G_t),

    each operation on the b rounded upwards. What underflows, in products or in scaling, is at most
    2^-1022 an entry, and the m + 4 in place of m below covers it, as well as 1.1 the rounding of
    :math:`\varepsilon_t`. The lower bound loses :math:`\gamma_n \|W\|_F` for the product W v. All
    this assumes a BLAS that multiplies matrices by the definition (not by Strassen's method).

    References
    ----------
    .. [1] B. Delattre, Q. Barthelemy, A. Araujo, A. Allauzen, "Efficient bound of Lipschitz constant
       for convolutional layers by Gram iteration", ICML 2023.
    .. [2] N. J. Higham, "Accuracy and stability of numerical algorithms", 2nd ed., 2002, chapter 3.

    Examples
    --------
    >>> W = np.array([[3.0, 0.0], [4.0, 5.0]])  # singular values sqrt(45) and sqrt(5)
    >>> lower, upper = spectral_norm_bounds(W)
    >>> bool(lower <= 45**0.5 <= upper), bool(upper - lower < 1e-13)
    (True, True)
    """
    W = as_matrices(W, "W")
    return outward(bounds_and_vector(W, n_iterations)[0], W.real.dtype)


def bounds_and_vector(W: Any, n_iterations: int) -> tuple[ScaledBounds, np.ndarray]:
    """Return the bounds before their conversion to the dtype, and the vector v of the lower one.

    Parameters
    ----------
    W : array_like, shape (..., m, n)
    n_iterations : int

    Returns
    -------
    bounds : ScaledBounds
    v : ndarray, shape (..., min(m, n), 1)
        In double precision, not normalised. Where m < n it is that of W^H.
    """
    W = as_matrices(W, "W")
    if n_iterations < 1:
        raise ValueError(f"n_iterations must be positive, got {n_iterations}")
    if W.size == 0:
        nothing = np.zeros(W.shape[:-2])
        return (ScaledBounds(nothing, nothing, nothing.astype(int)),
                np.zeros((*W.shape[:-2], min(W.shape[-2:]), 1)))
    A = H(W) if W.shape[-2] < W.shape[-1] else W
    A, exponent = scaled(A.astype(np.result_type(W, np.float64)))
    with np.errstate(over="ignore", under="ignore"):
        G, upper = _gram_iteration(A, n_iterations)
        lower, v = _rayleigh(A, G)
    return ScaledBounds(lower, upper, exponent), v


def outward(bounds: ScaledBounds, dtype: Any) -> Bounds:
    """Multiply bounds by their powers of two, and convert them to a dtype.

    Parameters
    ----------
    bounds : ScaledBounds
    dtype : dtype
        float32 or float64.

    Returns
    -------
    Bounds
        The lower bound rounded to a smaller number, the upper bound to a larger one unless it is 0.
    """
    dtype = np.dtype(dtype)
    with np.errstate(over="ignore", under="ignore"):
        low, high = (np.ldexp(x, bounds.exponent).astype(dtype) for x in bounds[:2])
        high = np.where(bounds.upper == 0, 0, np.nextafter(high, dtype.type(np.inf)))
    return Bounds(np.nextafter(low, dtype.type(0))[()], high.astype(dtype)[()])


def _gram_iteration(A: np.ndarray, n_iterations: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the last Gram product of A, scaled, and the bound that it gives for A."""
    G, steps = A, []
    for _ in range(n_iterations):
        error = _product_error(G, G.shape[-2]) * _squares(G)
        G, exponent = scaled(H(G) @ G)
        steps.append((exponent, error))
    bound = _up(np.sqrt(_up(_squares(G) * (1 + 1.1 * UNIT_ROUNDOFF * (_reals(G) + 4)))))
    for exponent, error in reversed(steps):
        bound = _up(np.sqrt(_up(np.ldexp(bound, exponent) + error)))
    return G, np.where(_squares(A) == 0, 0, bound)


def _rayleigh(A: np.ndarray, G: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a lower bound for A by the largest column v of G, and v."""
    diagonal = np.diagonal(G, axis1=-2, axis2=-1).real
    largest = np.argmax(diagonal, axis=-1)[..., None, None]
    v = np.take_along_axis(G, largest, axis=-1)
    Av = A @ v
    m, n = A.shape[-2:]
    error = _product_error(A, n) * np.sqrt(_squares(A) * _squares(v))
    # What the two norms (of 2 m and 2 n squares) and the operations here are off by.
    slack = 1.1 * UNIT_ROUNDOFF * (2 * m + 2 * n + 16)
    size = np.sqrt(_squares(v))
    lower = (np.sqrt(_squares(Av)) - error) / (size + (size == 0)) * (1 - slack)
    return lower, v


def _product_error(A: np.ndarray, length: int) -> float:
    """Return the factor of what a product of A over `length` terms is off by."""
    return 1.1 * UNIT_ROUNDOFF * ((3 if np.iscomplexobj(A) else 1) * length + 4)


def _squares(A: np.ndarray) -> np.ndarray:
    """Return the squared Frobenius norm of each matrix."""
    parts = _as_real(A)
    return np.einsum("...ij,...ij->...", parts, parts)


def _reals(A: np.ndarray) -> int:
    return _as_real(A).shape[-2] * _as_real(A).shape[-1]


def _as_real(A: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(A).view(np.float64)


def scaled(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Divide each matrix by a power of two, so that its largest entry is between 1/2 and 1.

    Parameters
    ----------
    A : ndarray, shape (..., m, n)
        float64 or complex128, not empty.

    Returns
    -------
    A : ndarray, shape (..., m, n)
        The largest real or imaginary part counts. Zero matrices stay.
    exponent : ndarray of int, shape (...)
    """
    parts = _as_real(A)
    exponent = np.frexp(np.max(np.abs(parts), axis=(-2, -1)))[1]
    return np.ldexp(parts, -exponent[..., None, None]).view(A.dtype), exponent


def _up(x: np.ndarray) -> np.ndarray:
    """Round upwards what was rounded to nearest."""
    return np.nextafter(x, np.inf)
