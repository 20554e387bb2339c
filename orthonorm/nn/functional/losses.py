"""Losses: how far outputs are from targets."""
import math
import warnings
from typing import Any

import autograd.numpy as np
import numpy
from scipy import special

from ...core.spectral import power_of_two
from ...gradients import stop_gradient
from ...gradients.bookkeeping import fused
from .activations import log1p_exp
from .arrays import as_array, as_float, keep, to_common_dtype
from .softmax import log_softmax

__all__ = ["binary_cross_entropy_with_logits", "cross_entropy", "mse_loss"]


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Any:
    r"""Return the mean of the squared differences.

    Parameters
    ----------
    input, target : array of float
        Of one shape; others are broadcast, with PyTorch's warning.
    reduction : {"mean", "sum", "none"}
        What is made of the squares.

    Returns
    -------
    scalar, or array of the shape of `input` with "none"

    Raises
    ------
    ValueError
        If `reduction` is none of the three.
    RuntimeError
        If the shapes cannot be broadcast.
    NotImplementedError
        If neither `input` nor `target` is floating-point, or one is complex.

    Examples
    --------
    >>> mse_loss(np.array([1.0, 2.0]), np.array([1.0, 5.0]))
    np.float64(4.5)
    """
    _check_reduction(reduction)
    x, t = map(as_float, to_common_dtype(input, target))
    if x.shape != t.shape:
        try:
            np.broadcast_shapes(x.shape, t.shape)
        except ValueError:
            raise RuntimeError(
                f"input of shape {x.shape} and target of shape {t.shape} do not fit") from None
        warnings.warn(f"target has shape {t.shape} and input {x.shape}: they are broadcast against "
                      "each other, which is seldom what is meant", stacklevel=2)
    squares = (x - t) * (x - t)
    return _reduced(squares, reduction, squares.size)


def cross_entropy(input: Any, target: Any, weight: Any = None, ignore_index: int = -100,
                  reduction: str = "mean", label_smoothing: float = 0.0) -> Any:
    r"""Return the negative log-likelihood of the target classes under the softmax of the input.

    Parameters
    ----------
    input : array of float, shape (C,), (N, C) or (N, C, d1, ...)
        Logits of C classes.
    target : array of int, shape (), (N,) or (N, d1, ...); or of float, of the shape of `input`
        Classes from 0 to C - 1, or the probabilities of all classes.
    weight : array, shape (C,), optional
        A factor for each class.
    ignore_index : int
        Targets with this value count nothing, whatever the logits.
    reduction : {"mean", "sum", "none"}
        What is made of the losses. The mean over classes is weighted with `weight`; that over
        probabilities is not.
    label_smoothing : float
        From 0 to 1; how much of the target is spread over all classes alike.

    Returns
    -------
    scalar, or array of shape (), (N,) or (N, d1, ...) with "none"

    Raises
    ------
    ValueError
        If `reduction` is none of the three, or there are more or fewer targets than samples.
    RuntimeError
        If other shapes or dtypes do not fit, or `label_smoothing` is out of range.
    IndexError
        If a class is out of range.
    NotImplementedError
        If `input` is not of a real floating-point dtype.

    Notes
    -----
    With :math:`\ell_c = \log \mathrm{softmax}(x)_c` and target probabilities p, 1 for the target class
    and 0 for the others where classes are given, a sample's loss is

    .. math:: -\sum_c w_c \left((1 - \epsilon) \, p_c + \epsilon / C\right) \ell_c .

    The mean of no losses is NaN, as in PyTorch. The gradient of an ignored sample is 0 whatever its
    logits are; PyTorch's is NaN where they hold NaN or infinity.

    Examples
    --------
    >>> logits = np.log(np.array([[0.25, 0.75], [0.5, 0.5]]))
    >>> cross_entropy(logits, np.array([0, 1]), reduction="none")
    array([1.38629436, 0.69314718])
    >>> cross_entropy(logits, np.array([[1.0, 0.0], [0.0, 1.0]]), reduction="none")
    array([1.38629436, 0.69314718])
    """
    _check_reduction(reduction)
    if not 0 <= label_smoothing <= 1:
        raise RuntimeError(f"label_smoothing must be from 0 to 1, got {label_smoothing}")
    x, t = as_array(input), as_array(target)
    shape = stop_gradient(x).shape
    if not shape:
        raise RuntimeError("input must have a dimension of classes, got shape ()")
    by_class = shape != stop_gradient(t).shape
    if len(shape) == 1:  # a batch of one, until the end
        x, t = np.reshape(x, (1, -1)), np.reshape(t, (1, *t.shape))
    w = None
    if weight is not None:
        if np.shape(weight) != shape[:2][-1:]:
            raise RuntimeError(f"weight must have shape {shape[:2][-1:]}, got {np.shape(weight)}")
        w = to_common_dtype(weight, x)[0]
        if by_class and reduction == "mean":  # which a factor common to all weights does not change
            c = power_of_two(stop_gradient(w))
            w = w if c is None else w / c
    compute = _against_classes if by_class else _against_probabilities
    x, q, count = compute(as_float(x), t, w, ignore_index, label_smoothing)
    loss = _negative_log_likelihood(x, q, _divisor(reduction, count))
    return np.reshape(loss, ()) if len(shape) == 1 and reduction == "none" else loss


def _against_classes(x: Any, t: Any, w: Any, ignore_index: int, smoothing: float) -> tuple:
    """Return logits, the factors of their log softmax, and what the mean is divided by."""
    value = stop_gradient(x)
    shape, dtype = value.shape, value.dtype
    if t.shape[:1] != shape[:1]:
        raise ValueError("input must have as many samples as target, got shapes "
                         f"{shape} and {t.shape}")
    if t.shape[1:] != shape[2:]:
        raise RuntimeError("target must hold a class for each sample and position of input of shape "
                           f"{shape}, got shape {t.shape}")
    if t.dtype.kind not in "iu":
        raise RuntimeError(
            f"target must hold integer classes, or have the shape of input, got {t.dtype}")
    kept, classes = t != ignore_index, shape[1]
    index = numpy.where(kept, t, 0)
    if index.size and not (0 <= index.min() and index.max() < classes):
        raise IndexError(f"target must hold classes from 0 to {classes - 1}, got {index.min()} to "
                         f"{index.max()}")
    wanted = index[:, None] == numpy.arange(classes).reshape(-1, *(len(shape) - 2) * (1,))
    wanted &= kept[:, None]
    if w is None:
        q, count, each = wanted.astype(dtype), kept.sum(dtype=dtype), dtype.type(1)
    else:
        each = np.broadcast_to(_for_classes(w, len(shape)), shape)
        q, count = keep(each, wanted), np.sum(keep(w[index], kept))
    if smoothing:
        spread = np.broadcast_to(smoothing / classes * each, shape)
        q = (1 - smoothing) * q + keep(spread, kept[:, None])
    if not kept.all():
        x = keep(x, kept[:, None])  # so that nothing in an ignored sample does harm
    return x, q, count


def _against_probabilities(x: Any, t: Any, w: Any, ignore_index: int,
                           smoothing: float) -> tuple:
    if t.dtype.kind != "f":
        raise RuntimeError(f"target of the shape of input must hold float probabilities, got {t.dtype}")
    if ignore_index >= 0:
        raise RuntimeError(f"ignore_index={ignore_index} does not go with probabilities as target")
    x, t = to_common_dtype(x, t)
    p = (1 - smoothing) * t + smoothing / max(x.shape[1], 1) if smoothing else t
    q = p if w is None else _for_classes(w, x.ndim) * p
    return x, q, x.shape[0] * math.prod(x.shape[2:])


def _for_classes(w: Any, ndim: int) -> Any:
    return np.reshape(w, (1, -1, *(ndim - 2) * (1,)))


def _by_log_softmax(x: Any, q: Any, count: Any) -> Any:
    log_p = log_softmax(x, 1)
    possible = stop_gradient(q) != 0  # the logarithm may be infinite elsewhere
    losses = -np.sum(q * keep(log_p, possible | numpy.isfinite(stop_gradient(log_p))), axis=1)
    return losses if count is None else np.sum(losses) / count


@fused(_by_log_softmax)
def _negative_log_likelihood(x: Any, q: Any, count: Any) -> Any:
    r"""Return the sum over the classes c of -q_c log softmax(x)_c; 0 times infinity is 0.

    With a `count` the losses are summed and divided by it. With p = softmax(x), and g the gradient of a
    loss, those of x and q are :math:`(p \sum_c q_c - q) \, g` and :math:`-g \log p`.
    """
    x = x - x.max(axis=1, keepdims=True, initial=-math.inf)
    powers = numpy.exp(x)
    total = powers.sum(axis=1, keepdims=True)
    log_p = x - numpy.log(total) if x.size else x
    losses = -numpy.multiply(q, log_p, out=numpy.zeros_like(log_p), where=q != 0).sum(axis=1)
    value = losses if count is None else _sum(losses, count)

    def pull(g: Any, wanted: Any) -> tuple:
        of_count = None if count is None else -g * value / count
        g = g[:, None] if count is None else g / count
        xbar = powers / total * q.sum(axis=1, keepdims=True)
        xbar -= q
        return xbar * g, -g * log_p, of_count

    return value, pull


def binary_cross_entropy_with_logits(input: Any, target: Any, weight: Any = None,
                                     reduction: str = "mean", pos_weight: Any = None) -> Any:
    r"""Return the negative log-likelihood of yes-or-no targets under the sigmoid of the input.

    Parameters
    ----------
    input : array of float
        Logits.
    target : array, of the shape of `input`
        0, 1 or a probability between.
    weight : array, optional
        A factor for each loss; is broadcast.
    reduction : {"mean", "sum", "none"}
        What is made of the losses.
    pos_weight : array, optional
        A factor q for the positive targets; is broadcast.

    Returns
    -------
    scalar, or array of the shape of `input` with "none"

    Raises
    ------
    ValueError
        If `reduction` is none of the three, or the shapes differ.
    RuntimeError
        If `weight` or `pos_weight` cannot be broadcast to the shape of `input`.
    NotImplementedError
        If neither `input` nor `target` is floating-point, or one is complex.

    Notes
    -----
    .. math:: w \left(-q \, t \log \sigma(x) - (1 - t) \log(1 - \sigma(x))\right)
              = w \left(q \, t \log(1 + e^{-x}) + (1 - t) \log(1 + e^x)\right)

    For t from 0 to 1 no terms cancel in the second form. For t = 1 and x = -infinity it is infinity,
    where PyTorch has NaN.

    Examples
    --------
    >>> binary_cross_entropy_with_logits(np.array([0.0, -1e4]), np.array([1.0, 1.0]), reduction="none")
    array([6.93147181e-01, 1.00000000e+04])
    """
    _check_reduction(reduction)
    x, t = map(as_float, to_common_dtype(input, target))
    if x.shape != t.shape:
        raise ValueError(f"target must have the shape of input, {x.shape}, got {t.shape}")
    positive = t if pos_weight is None else _factor("pos_weight", pos_weight, x) * t
    losses = _two_sided(x, positive, 1 - t)
    if weight is not None:
        losses = _factor("weight", weight, x) * losses
    return _reduced(losses, reduction, losses.size)


@fused(lambda x, a, b: a * log1p_exp(-x) + b * log1p_exp(x))
def _two_sided(x: Any, a: Any, b: Any) -> Any:
    below, above = log1p_exp(-x), log1p_exp(x)

    def pull(g: Any, wanted: Any) -> tuple:
        return g * (b * special.expit(x) - a * special.expit(-x)), g * below, g * above

    return a * below + b * above, pull


def _factor(name: str, w: Any, x: Any) -> Any:
    w = to_common_dtype(w, x)[0]
    try:
        fits = np.broadcast_shapes(w.shape, x.shape) == x.shape
    except ValueError:
        fits = False
    if not fits:
        raise RuntimeError(f"{name} must broadcast to the shape of input, {x.shape}, got {w.shape}")
    return w


def _check_reduction(reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")


def _divisor(reduction: str, count: Any) -> Any:
    """Return what the sum of the losses is divided by, or None."""
    if reduction == "mean":
        return count if stop_gradient(count) else math.nan
    return 1 if reduction == "sum" else None


def _reduced(losses: Any, reduction: str, count: Any) -> Any:
    return losses if reduction == "none" else _sum_over(losses, _divisor(reduction, count))


@fused(lambda losses, count: np.sum(losses) / count)
def _sum_over(losses: Any, count: Any) -> Any:
    value = _sum(losses, count)
    return value, lambda g, wanted: (numpy.full_like(losses, g / count), -g * value / count)


def _sum(losses: Any, count: Any) -> Any:
    with numpy.errstate(over="ignore"):
        value = losses.sum() / count
    if losses.size and not numpy.isfinite(value) and numpy.isfinite(losses).all():
        # The sum may leave the range where the mean does not.
        value = numpy.sum(losses / losses.size) / (count / losses.size)
    return value
