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


class LeakyReLU(Module):
    """Apply x where x > 0 and `negative_slope` x elsewhere.

    Parameters
    ----------
    negative_slope : float

    Examples
    --------
    >>> import numpy as np
    >>> LeakyReLU(0.1)(np.array([-1.0, 2.0]))
    array([-0.1,  2. ])
    """

    def __init__(self, negative_slope: float = 0.01):
        super().__init__()
        self.negative_slope = negative_slope

    def forward(self, input: Any) -> Any:
        """Return an array of the shape of `input`."""
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        return f"negative_slope={self.negative_slope}"


class Softmax(Module):
    """Apply exp(x) / sum(exp(x)) along a dimension.

    Parameters
    ----------
    dim : int

    Examples
    --------
    >>> import numpy as np
    >>> Softmax(0)(np.log([1.0, 3.0]))
    array([0.25, 0.75])
    """

    def __init__(self, dim: int):
        super().__init__()
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """Return an array of the shape of `input`."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        return f"dim={self.dim}"


class LogSoftmax(Softmax):
    """Apply x - log(sum(exp(x))) along a dimension.

    Parameters
    ----------
    dim : int

    Examples
    --------
    >>> import numpy as np
    >>> LogSoftmax(0)(np.array([0.0, 1e4]))
    array([-10000.,      0.])
    """

    def forward(self, input: Any) -> Any:
        """Return an array of the shape of `input`."""
        return F.log_softmax(input, self.dim)


class Sigmoid(Module):
    """Apply the logistic function 1 / (1 + exp(-x)).

    Examples
    --------
    >>> import numpy as np
    >>> Sigmoid()(np.array([0.0]))
    array([0.5])
    """

    def forward(self, input: Any) -> Any:
        """Return an array of the shape of `input`."""
        return F.sigmoid(input)


class GELU(Module):
    """Apply the Gaussian error linear unit :func:`.functional.gelu`.

    Parameters
    ----------
    approximate : {"none", "tanh"}

    Examples
    --------
    >>> import numpy as np
    >>> GELU()(np.array([1.0]))
    array([0.84134475])
    """

    def __init__(self, approximate: str = "none"):
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Any) -> Any:
        """Return an array of the shape of `input`."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        return f"approximate={self.approximate!r}"


class Softplus(Module):
    """Apply log(1 + exp(beta x)) / beta, as :func:`.functional.softplus`.

    Parameters
    ----------
    beta, threshold : float
        Where beta x is larger than the threshold, x itself is returned.

    Examples
    --------
    >>> import numpy as np
    >>> Softplus()(np.array([0.0, 100.0]))
    array([  0.69314718, 100.        ])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold

    def forward(self, input: Any) -> Any:
        """Return an array of the shape of `input`."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the layer's `repr`."""
        return f"beta={self.beta}, threshold={self.threshold}"
