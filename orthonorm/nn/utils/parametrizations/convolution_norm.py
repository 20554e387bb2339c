"""Spectral normalisation of the linear map that a convolution layer is."""
import functools
import math
from typing import Any

import autograd.numpy as np
from autograd import make_vjp

from ....core.matrices import check_finite
from ....core.spectral import divisor, normalize, unit_vector
from ....gradients import stop_gradient
from ....gradients.spectral import to_usual_scale
from ...convolution import _Convolution
from ...functional.arrays import as_int
from ...functional.convolution import per_dimension
from ...module import Module


class ConvolutionSpectralNorm(Module):
    r"""Divide the weight of a convolution by the norm of the map from its inputs to its outputs.

    The formulas are in :func:`.parametrizations.spectral_norm`. The map is that of the layer as it is
    on registration: later changes of its stride or padding are not seen.

    Parameters
    ----------
    layer : Module
    name : str
    n_power_iterations : int
    eps : float
    dim : None
    input_size : int or tuple of int
    rng : None, int or numpy.random.Generator
        As :func:`.parametrizations.spectral_norm` takes them.

    Raises
    ------
    ValueError, RuntimeError, TypeError
        As :func:`.parametrizations.spectral_norm`.
    """

    _u: Any
    _v: Any

    def __init__(self, layer: Module, name: str, n_power_iterations: int, eps: float, dim: Any,
                 input_size: Any, rng: Any):
        super().__init__()
        check_iterations(n_power_iterations)
        if not isinstance(layer, _Convolution) or name != "weight":
            raise ValueError("input_size is for the weight of a convolution layer, got the "
                             f"{name} of {type(layer).__name__}")
        if dim is not None:
            raise ValueError(f"dim has no meaning with input_size, got dim={dim}")
        if layer.padding_mode != "zeros":
            raise ValueError(f"input_size goes with padding by zeros only, got {layer.padding_mode!r}")
        self.n_power_iterations, self.eps = n_power_iterations, eps
        size = per_dimension(layer.ndim, "input_size", input_size, least=1)
        self.input_size = size
        extra = {"output_padding": layer.output_padding} if layer.transposed else {}
        self._convolve = functools.partial(
            type(layer).function, bias=None, stride=layer.stride, padding=layer.padding,
            dilation=layer.dilation, groups=layer.groups, **extra)

        weight = stop_gradient(to_usual_scale(layer.weight))
        rng = np.random.default_rng(rng)
        shape = (layer.in_channels, *size)
        v = unit_vector(math.prod(shape), weight.dtype, rng).reshape(shape)
        y = self._convolve(v, weight)
        if np.any(weight) and not np.any(y):  # by chance with probability zero
            raise ValueError(f"the layer maps every input of size {size} to zero, whatever its weight: "
                             "its kernel meets padding only")
        u = unit_vector(y.size, weight.dtype, rng).reshape(y.shape)
        u, v = self._iterate(weight, u, v, 15)
        self.register_buffer("_u", u)
        self.register_buffer("_v", v)

    def forward(self, weight: Any) -> Any:
        weight = to_usual_scale(weight)
        if self.training:
            self._u, self._v = self._iterate(
                stop_gradient(weight), self._u, self._v, self.n_power_iterations)
        sigma = np.sum(np.conj(self._u) * self._convolve(self._v, weight))
        divisor(stop_gradient(sigma), stop_gradient(weight))  # raises where it is none
        return weight / sigma if stop_gradient(sigma) else weight / 1  # zero stays zero

    def right_inverse(self, value: Any) -> Any:
        return check_finite(value, "the weight")

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the parametrization's `repr`."""
        return f"input_size={self.input_size}"

    def _iterate(self, weight: Any, u: Any, v: Any, n_power_iterations: int) -> tuple[Any, Any]:
        for _ in range(n_power_iterations):
            # autograd knows the transpose of the convolution; its conjugate is the adjoint.
            transpose, y = make_vjp(lambda x: self._convolve(x, weight))(v)
            u = normalize(y, u, self.eps)
            v = np.conj(normalize(transpose(np.conj(u)), np.conj(v), self.eps))
        return u, v


def check_iterations(n_power_iterations: int) -> None:
    """Raise TypeError unless the number is an integer, and ValueError unless it is positive.

    Parameters
    ----------
    n_power_iterations : int
    """
    if as_int("n_power_iterations", n_power_iterations) <= 0:
        raise ValueError(
            "Expected n_power_iterations to be positive, but got "
            f"n_power_iterations={n_power_iterations}"
        )
