"""Losses: how far outputs are from targets."""
import math
import warnings
from typing import Any

import autograd.numpy as np
from autograd.extend import defjvp, defvjp, primitive

from ...core.spectral import power_of_two
from ...gradients import stop_gradient
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
    if x.ndim == 0:
        raise RuntimeError("input must have a dimension of classes, got shape ()")
    by_class = x.shape != t.shape
    if x.ndim == 1:  # a batch of one, until the end
        x, t = np.reshape(x, (1, -1)), np.reshape(t, (1, *t.shape))
    classes = x.shape[1]
    if weight is not None and np.shape(weight) != (classes,):
        raise RuntimeError(f"weight must have shape ({classes},), got {np.shape(weight)}")
    w = np.ones(classes, x.dtype) if weight is None else to_common_dtype(weight, x)[0]
    if by_class and reduction == "mean":  # which a factor common to all weights does not change
        c = power_of_two(stop_gradient(w))
        w = w if c is None else w / c
    compute = _against_classes if by_class else _against_probabilities
    losses, count = compute(x, t, w, ignore_index, label_smoothing)
    if np.ndim(input) == 1:
        losses = np.reshape(losses, ())
    return _reduced(losses, reduction, count)


def _against_classes(x: Any, t: Any, w: Any, ignore_index: int, smoothing: float) -> tuple[Any, Any]:
    """Return the losses and what their sum is divided by for the mean."""
    if t.shape[:1] != x.shape[:1]:
        raise ValueError("input must have as many samples as target, got shapes "
                         f"{x.shape} and {t.shape}")
    if t.shape[1:] != x.shape[2:]:
        raise RuntimeError("target must hold a class for each sample and position of input of shape "
                           f"{x.shape}, got shape {t.shape}")
    if t.dtype.kind not in "iu":
        raise RuntimeError(
            f"target must hold integer classes, or have the shape of input, got {t.dtype}")
    kept = t != ignore_index
    index = np.where(kept, t, 0)
    if index.size and not (0 <= index.min() and index.max() < x.shape[1]):
        raise IndexError(f"target must hold classes from 0 to {x.shape[1] - 1}, got {index.min()} to "
                         f"{index.max()}")
    log_p = log_softmax(keep(x, kept[:, None]), 1)  # so that nothing in an ignored sample does harm
    w_t = keep(w[index], kept)
    losses = -w_t * _pick(log_p, index)
    if smoothing:
        each = smoothing / x.shape[1] * _for_classes(w, x.ndim) * log_p
        losses = (1 - smoothing) * losses + keep(-np.sum(each, axis=1), kept)
    return losses, np.sum(w_t)


def _against_probabilities(x: Any, t: Any, w: Any, ignore_index: int,
                           smoothing: float) -> tuple[Any, Any]:
    if t.dtype.kind != "f":
        raise RuntimeError(f"target of the shape of input must hold float probabilities, got {t.dtype}")
    if ignore_index >= 0:
        raise RuntimeError(f"ignore_index={ignore_index} does not go with probabilities as target")
    x, t = to_common_dtype(x, t)
    p = (1 - smoothing) * t + smoothing / max(x.shape[1], 1) if smoothing else t
    losses = -np.sum(_for_classes(w, x.ndim) * p * log_softmax(x, 1), axis=1)
    return losses, losses.size


def _for_classes(w: Any, ndim: int) -> Any:
    return np.reshape(w, (-1, *(ndim - 2) * (1,)))


# Picking one class of each sample, and its transpose: linear in the array, and each other's derivative.

@primitive
def _pick(x: Any, index: Any) -> Any:
    """Return x[n, index[n, ...], ...]."""
    return np.take_along_axis(x, index[:, None], 1)[:, 0]


@primitive
def _place(y: Any, index: Any, classes: int) -> Any:
    """Return zeros with y[n, ...] at [n, index[n, ...], ...]."""
    x = np.zeros((len(y), classes, *y.shape[1:]), y.dtype)
    np.put_along_axis(x, index[:, None], y[:, None], 1)
    return x


defvjp(_pick, lambda y, x, index: lambda g: _place(g, index, x.shape[1]), argnums=(0,))
defvjp(_place, lambda x, y, index, classes: lambda g: _pick(g, index), argnums=(0,))
defjvp(_pick, "same")
defjvp(_place, "same")


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
    positive = t * log1p_exp(-x)
    if pos_weight is not None:
        positive = _factor("pos_weight", pos_weight, x) * positive
    losses = positive + (1 - t) * log1p_exp(x)
    if weight is not None:
        losses = _factor("weight", weight, x) * losses
    return _reduced(losses, reduction, losses.size)


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


def _reduced(losses: Any, reduction: str, count: Any) -> Any:
    if reduction == "none":
        return losses
    if reduction == "sum" or not stop_gradient(count):
        return np.sum(losses) * (1 if reduction == "sum" else math.nan)
    # The sum may leave the range where the mean does not.
    largest = np.max(np.abs(stop_gradient(losses)), initial=0)
    c = 1 if largest <= np.finfo(losses.dtype).max / losses.size else losses.size
    return np.sum(losses / c) / (count / c)
