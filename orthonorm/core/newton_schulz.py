r"""The Newton-Schulz iteration: odd polynomials of the singular values, by matrix products alone.

It stands in for the polar factor in Muon [1]_. What it does to a matrix is what :func:`polynomial_gain`
does to each singular value, and nothing else.

.. [1] K. Jordan, "Muon: an optimizer for hidden layers in neural networks", 2024,
   kellerjordan.github.io/posts/muon.
"""
from typing import Any

import numpy as np

from .coefficients import as_triples, critical_points
from .matrices import H, add_to_diagonal, as_matrices, mT
from .polar import power_of_two


def newton_schulz(A: Any, coefficients: Any, steps: int | None = None, eps: float = 0.0) -> np.ndarray:
    r"""Bring the singular values of a matrix towards 1 by an odd quintic polynomial a step.

    Parameters
    ----------
    A : array_like, shape (..., n, k)
        float32, float64, complex64 or complex128.
    coefficients : array_like, shape (3,) or (steps, 3)
        One triple (a, b, c) for all steps, or one for each. :func:`newton_schulz_coefficients` has
        those that were published, :func:`minimax_coefficients` computes the best ones.
    steps : int, optional
        How many steps; may be left out where there is a triple for each. Default: one for each triple.
    eps : float
        Each matrix is divided by its Frobenius norm, or by `eps` if that is larger.

    Returns
    -------
    ndarray, shape (..., n, k)
        Of the dtype of `A`. A zero matrix stays zero.

    Raises
    ------
    TypeError, ValueError
        If `A` is not a finite matrix, or stack of them, of a supported dtype; if `coefficients` is not
        a finite triple or one for each step, or `steps` or `eps` is negative.

    Notes
    -----
    Definition: the steps below, written out (:func:`.definitions.newton_schulz`). Here a step is three
    products instead of five, with the smaller of the two Gram matrices.

    Every matrix of a stack is divided by its own norm, so its singular values are at most 1. A step is

    .. math:: A \leftarrow a A + b\, A A^H A + c\, (A A^H)^2 A
              = A\, (a I + b\, G + c\, G^2), \qquad G = A^H A,

    and with :math:`A = U \Sigma V^H` it is :math:`U p(\Sigma) V^H`, :math:`p(s) = a s + b s^3 + c s^5`.
    The singular vectors stay, to rounding; :func:`polynomial_gain` is what happens to the singular
    values. The cost of a step is O(n k^2). A wide A is handled on its transpose.

    `eps` is 1e-7 in PyTorch, in bfloat16: smaller gradients keep their size and are not orthogonalised.
    Here it is zero unless given, so that the scale of A has no influence.

    References
    ----------
    .. [1] Z. Kovarik, "Some iterative methods for improving orthonormality", SIAM J. Numer. Anal. 7
       (1970); A. Bjorck, C. Bowie, "An iterative algorithm for computing the best estimate of an
       orthogonal matrix", SIAM J. Numer. Anal. 8 (1971).

    Examples
    --------
    >>> A = np.array([[3.0, -4.0], [4.0, 3.0]])
    >>> newton_schulz(A, [15 / 8, -10 / 8, 3 / 8], steps=5).round(12)
    array([[ 0.6, -0.8],
           [ 0.8,  0.6]])
    """
    A = as_matrices(A, "A")
    triples = as_triples(coefficients, steps)
    check_eps(eps)
    wide = A.shape[-2] < A.shape[-1]
    X = normalized(mT(A) if wide else A, eps)
    for a, b, c in triples:
        X = quintic_step(X, a, b, c)
    return mT(X) if wide else X


def quintic_step(X: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
    r"""Return :math:`X (a I + b G + c G^2)`, :math:`G = X^H X`.

    Parameters
    ----------
    X : ndarray, shape (..., n, k)
    a, b, c : float

    Returns
    -------
    ndarray, shape (..., n, k)
    """
    G = H(X) @ X
    M = b * G + c * (G @ G)
    add_to_diagonal(M, a)
    return X @ M


def normalized(A: np.ndarray, eps: float) -> np.ndarray:
    """Divide each matrix by its Frobenius norm, or by `eps` if that is larger; zero stays zero.

    Parameters
    ----------
    A : ndarray, shape (..., n, k)
    eps : float

    Returns
    -------
    ndarray, shape (..., n, k)
        A copy.
    """
    scale = power_of_two(A)  # no square over- or underflows
    scaled = A / scale
    norm = np.linalg.norm(scaled, axis=(-2, -1), keepdims=True)
    with np.errstate(over="ignore"):
        small = norm * scale < eps
    return np.where(small, A / (eps or 1), scaled / np.where(norm == 0, 1, norm))


def polynomial_gain(coefficients: Any, s: Any, steps: int | None = None) -> Any:
    r"""Return what :func:`newton_schulz` makes of a singular value.

    Parameters
    ----------
    coefficients : array_like, shape (3,) or (steps, 3)
        As :func:`newton_schulz` takes them.
    s : number or ndarray
        Singular values, divided by the Frobenius norm of their matrix. Products and sums are taken in
        the arithmetic of `s`, which may be one of mpmath's numbers or an autograd tracer.
    steps : int, optional

    Returns
    -------
    number or ndarray
        Of the shape of `s`.

    Raises
    ------
    ValueError
        As :func:`newton_schulz`.

    Notes
    -----
    Definition: step by step :math:`s \leftarrow a s + b s^3 + c s^5`, which is what runs. In 50 digits
    it is the truth that the iteration of matrices is tested against
    (``tests/core/test_newton_schulz.py``).

    Examples
    --------
    Muon's coefficients do not lead to 1, and small singular values stay small:

    >>> from orthonorm.core import newton_schulz_coefficients
    >>> jordan = newton_schulz_coefficients("jordan")
    >>> polynomial_gain(jordan, np.array([1.0, 0.5, 0.01, 1e-4]), steps=5).round(3)
    array([0.696, 0.765, 0.699, 0.048])
    """
    for a, b, c in as_triples(coefficients, steps):
        square = s * s
        s = s * (a + square * (b + square * c))
    return s


def gain_bounds(coefficients: Any, lower: float, upper: float = 1.0,
                steps: int | None = None) -> tuple[float, float]:
    r"""Return the smallest and the largest gain of the singular values in an interval.

    Parameters
    ----------
    coefficients : array_like, shape (3,) or (steps, 3)
        As :func:`newton_schulz` takes them.
    lower, upper : float
        The interval. After division by the Frobenius norm no singular value is above 1.
    steps : int, optional

    Returns
    -------
    smallest, largest : float

    Raises
    ------
    ValueError
        As :func:`newton_schulz`; and unless 0 <= lower <= upper.

    Notes
    -----
    Definition: the smallest and the largest :func:`polynomial_gain` of the interval, with which
    ``tests/core/test_newton_schulz.py`` compares at many points.

    A continuous function maps an interval to an interval, whose ends it takes at the ends or where its
    derivative :math:`a + 3 b s^2 + 5 c s^4` is zero. Those of a composition are found step by step.

    Examples
    --------
    >>> from orthonorm.core import newton_schulz_coefficients
    >>> jordan = newton_schulz_coefficients("jordan")
    >>> print("%.2f %.2f" % gain_bounds(jordan, 0.01, steps=5))
    0.68 1.13
    """
    if not 0 <= lower <= upper < np.inf:
        raise ValueError(f"lower and upper must be an interval of numbers >= 0, got {lower}, {upper}")
    ends = float(lower), float(upper)
    for triple in as_triples(coefficients, steps):
        positive = critical_points(*triple)
        inside = [s for s in (*positive, *-positive) if ends[0] < s < ends[1]]
        values = polynomial_gain(triple, np.array([*ends, *inside]))
        ends = float(values.min()), float(values.max())
    return ends


def check_eps(eps: float) -> None:
    """Raise ValueError unless `eps` is a number that is not negative."""
    if not eps >= 0:
        raise ValueError(f"eps must not be negative, got {eps}")
