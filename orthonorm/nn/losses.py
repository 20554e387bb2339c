"""Losses as modules."""
from typing import Any

import numpy as np

from . import functional as F
from .module import Module


class MSELoss(Module):
    """Return the mean of the squared differences: :func:`.functional.mse_loss`.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> MSELoss()(np.array([1.0, 2.0]), np.array([1.0, 5.0]))
    np.float64(4.5)
    """

    def __init__(self, *, reduction: str = "mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        """Return the loss of `input`."""
        return F.mse_loss(input, target, self.reduction)


class CrossEntropyLoss(Module):
    """Return the negative log-likelihood of target classes: :func:`.functional.cross_entropy`.

    Parameters
    ----------
    weight : array, shape (C,), optional
        Becomes a buffer.
    ignore_index, reduction, label_smoothing
        As for :func:`.functional.cross_entropy`.

    Examples
    --------
    >>> CrossEntropyLoss()(np.log([[0.25, 0.75]]), np.array([0])).round(6)
    np.float64(1.386294)
    """

    weight: Any

    def __init__(self, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean",
                 label_smoothing: float = 0.0):
        super().__init__()
        self.register_buffer("weight", _array(weight))
        self.ignore_index, self.reduction = ignore_index, reduction
        self.label_smoothing = label_smoothing

    def forward(self, input: Any, target: Any) -> Any:
        """Return the loss of the logits `input`."""
        return F.cross_entropy(input, target, self.weight, self.ignore_index, self.reduction,
                               self.label_smoothing)


class BCEWithLogitsLoss(Module):
    """Return the negative log-likelihood of yes-or-no targets.

    It is :func:`.functional.binary_cross_entropy_with_logits`.

    Parameters
    ----------
    weight, pos_weight : array, optional
        Become buffers.
    reduction : {"mean", "sum", "none"}

    Examples
    --------
    >>> BCEWithLogitsLoss(reduction="sum")(np.array([0.0, -1e4]), np.array([0.0, 1.0])).round(3)
    np.float64(10000.693)
    """

    weight: Any
    pos_weight: Any

    def __init__(self, weight: Any = None, *, reduction: str = "mean", pos_weight: Any = None):
        super().__init__()
        self.register_buffer("weight", _array(weight))
        self.register_buffer("pos_weight", _array(pos_weight))
        self.reduction = reduction

    def forward(self, input: Any, target: Any) -> Any:
        """Return the loss of the logits `input`."""
        return F.binary_cross_entropy_with_logits(input, target, self.weight, self.reduction,
                                                  self.pos_weight)


def _array(weight: Any) -> np.ndarray | None:
    return None if weight is None else np.asarray(weight)
