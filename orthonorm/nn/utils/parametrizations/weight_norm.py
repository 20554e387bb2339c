"""Weight normalisation."""
import functools
from typing import Any

import autograd.numpy as np
import numpy

from ....core.matrices import check_finite
from ....core.spectral import power_of_two
from ....gradients.bookkeeping import fused
from ....gradients.rules import cast, stop_gradient
from ...functional.arrays import as_int
from ...module import Module
from ..parametrize import is_parametrized, register_parametrization


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    r"""Train the length of a weight apart from its direction.

    Parameters
    ----------
    module : Module
        Changed in place.
    name : str
        The parameter or buffer.
    dim : int or None
        The weight has one length for each index of this dimension; None, or -1 as in PyTorch, gives
        the whole tensor a single length.

    Returns
    -------
    Module
        `module`; its weight is :math:`g \, v / \|v\|` with g ``parametrizations.weight.original0``
        and v ``parametrizations.weight.original1``.

    Raises
    ------
    ValueError
        If there is no such tensor, it is parametrized already (weight_norm starts from two arrays, so
        it comes first in a chain), or it is complex (PyTorch's has no complex form either); if it holds
        NaN or infinity, or its norm is out of the range of its dtype.
    TypeError, IndexError
        If `dim` is not an integer, or out of range.

    Notes
    -----
    A slice of v that is zero has no direction: the weight there is zero, and PyTorch's NaN. State
    dicts with the older keys ``weight_g`` and ``weight_v`` are understood.

    References
    ----------
    .. [1] T. Salimans, D. P. Kingma, "Weight normalization: a simple reparameterization to accelerate
       training of deep neural networks", NeurIPS 2016.

    Examples
    --------
    >>> from orthonorm import nn
    >>> layer = weight_norm(nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original0.shape
    (40, 1)
    >>> layer.parametrizations.weight.original1.shape
    (40, 20)
    """
    if is_parametrized(module, name):
        raise ValueError(f"weight_norm must be the first parametrization of {name}")
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module._register_load_state_dict_pre_hook(functools.partial(_rename_old_keys, name))
    return module


def _rename_old_keys(name: str, state_dict: dict, prefix: str, *_: Any) -> None:
    old = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
    if all(key in state_dict for key in old):
        for i, key in enumerate(old):
            state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = -1 if dim is None else as_int("dim", dim)

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        self._check(weight_v)
        others = _others(weight_v, self.dim)
        shape = () if self.dim == -1 else tuple(
            1 if i in others else size for i, size in enumerate(weight_v.shape))
        if weight_g.shape != shape:
            raise ValueError(f"original0 must have shape {shape}, got {weight_g.shape}")
        return _scaled(weight_g, weight_v, self.dim)

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        self._check(check_finite(weight, "the weight"))
        v, c = _to_usual_scale(weight, self.dim)
        with np.errstate(over="ignore"):
            norm = _norm(v, self.dim) * c
        return check_finite(norm, "the norm of the weight"), weight

    def _check(self, v: Any) -> None:
        if v.dtype.kind != "f":
            raise ValueError(f"weight_norm needs a floating-point real weight, got {v.dtype}")
        if self.dim != -1 and not -v.ndim <= self.dim < v.ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{v.ndim}, {v.ndim - 1}] "
                f"but got {self.dim})"
            )


def _to_usual_scale(v: Any, dim: int) -> tuple[Any, Any]:
    """Return the direction v divided by powers of two, so that its squares stay in the range."""
    c = power_of_two(stop_gradient(v), None if dim == -1 else dim % v.ndim)
    return (v, 1) if c is None else (v / c, c)


def _norm(v: Any, dim: int) -> Any:
    if dim == -1:
        squares = np.sum(np.square(v))
    else:
        squares = np.sum(np.square(v), axis=_others(v, dim), keepdims=True)
    # The root has no derivative at zero, where the direction of v does not matter anyway.
    zero = cast(squares == 0, squares.dtype)
    return np.sqrt(squares + zero) * (1 - zero)


def _others(v: Any, dim: int) -> tuple[int, ...]:
    """Return the dimensions over which the norm is taken."""
    return tuple(i for i in range(v.ndim) if dim == -1 or i != dim % v.ndim)


def _by_norm(g: Any, v: Any, dim: int) -> Any:
    v, _ = _to_usual_scale(v, dim)
    norm = _norm(v, dim)
    return v * (g / (norm + cast(norm == 0, norm.dtype)))


@fused(_by_norm)
def _scaled(g: Any, v: Any, dim: int) -> Any:
    r"""Return g u, u = v / \|v\|.

    With G the gradient of it, :math:`\bar g = \langle G, u \rangle` and
    :math:`\bar v = (G - \bar g \, u) \, g / \|v\|`.
    """
    v, c = _to_usual_scale(v, dim)
    others = _others(v, dim)
    norm = numpy.sqrt(numpy.sum(v * v, axis=others, keepdims=dim != -1))
    factor = g / (norm + (norm == 0))

    def pull(G: Any, wanted: Any) -> tuple:
        u = v / (norm + (norm == 0))
        gbar = numpy.sum(G * u, axis=others, keepdims=dim != -1)
        return gbar, (G - gbar * u) * (factor / c)

    return v * factor, pull
