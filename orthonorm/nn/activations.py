"""Activation functions as modules."""
from typing import Any

from . import functional as F
from .module import Module


class ReLU(Module):
    """Apply max(x, 0).

    Examples
    --------
    >>> import numpy as np
    >>> ReLU()(np.array([-1.0, 2.0]))
    array([0., 2.])
    """

    def forward(self, input: Any) -> Any:
        """Return an array of the shape of `input`."""
        return F.relu(input)


class Tanh(Module):
    """Apply the hyperbolic tangent.

    Examples
    --------
    >>> import numpy as np
    >>> Tanh()(np.array([0.0]))
    array([0.])
    """

    def forward(self, input: Any) -> Any:
        """Return an array of the shape of `input`."""
        return F.tanh(input)
