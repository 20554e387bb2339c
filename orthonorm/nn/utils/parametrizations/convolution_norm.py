"""Spectral normalisation of the linear map that a convolution layer is."""
import functools
import math
from typing import Any

import autograd.numpy as np
from autograd import make_vjp

from ....core.spectral import divisor, normalize, unit_vector
from ....gradients import stop_gradient
from ....gradients.spectral import to_usual_scale
from ...convolution import _Convolution
from ...functional.convolution import per_dimension
from ...module import Module
from .singular_vectors import SingularVectors


class ConvolutionSpectralNorm(SingularVectors):
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

    def __init__(self, layer: Module, name: str, n_power_iterations: int, eps: float, dim: Any,
                 input_size: Any, rng: Any):
        super().__init__(n_power_iterations, eps)
        if not isinstance(layer, _Convolution) or name != "weight":
            raise ValueError("input_size is for the weight of a convolution layer, got the "
                             f"{name} of {type(layer).__name__}")
        if dim is not None:
            raise ValueError(f"dim has no meaning with input_size, got dim={dim}")
        if layer.padding_mode != "zeros":
            raise ValueError(f"input_size goes with padding by zeros only, got {layer.padding_mode!r}")
        size = per_dimension(layer.ndim, "input_size", input_size, least=1)
        self.input_size = size
        extra = {"output_padding": layer.output_padding} if layer.transposed else {}
        self._convolve = functools.partial(
            type(layer).function, bias=None, stride=layer.stride, padding=layer.padding,
            dilation=layer.dilation, groups=layer.groups, **extra)

        self._inputs = (layer.in_channels, *size)

        weight = stop_gradient(to_usual_scale(layer.weight))
        u, v = self._found(weight, rng)
        if np.any(weight) and not np.any(self._convolve(v, weight)):
            raise ValueError(f"the layer maps every input of size {size} to zero, whatever its weight: "
                             "its kernel meets padding only")
        self.register_buffer("_u", u)
        self.register_buffer("_v", v)

    def forward(self, weight: Any) -> Any:
        return self._normalized(to_usual_scale(weight))

    def _start(self, weight: Any, rng: Any) -> tuple[Any, Any]:
        v = unit_vector(math.prod(self._inputs), weight.dtype, rng).reshape(self._inputs)
        outputs = self._convolve(v, weight).shape
        return unit_vector(math.prod(outputs), weight.dtype, rng).reshape(outputs), v

    def _divide(self, weight: Any, u: Any, v: Any) -> Any:
        y = self._convolve(v, weight)
        if (u.shape, v.shape) != (y.shape, self._inputs):
            raise ValueError(f"_u must have shape {y.shape} and _v {self._inputs}, got {u.shape} and "
                             f"{v.shape}")
        sigma = np.sum(np.conj(u) * y)
        divisor(stop_gradient(sigma), stop_gradient(weight))  # raises where it is none
        return weight / sigma if stop_gradient(sigma) else weight / 1  # zero stays zero

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
