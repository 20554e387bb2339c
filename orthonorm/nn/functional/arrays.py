"""What the functions of this folder do to their arguments first, checks too; and a mask."""
import operator
from typing import Any

import autograd.numpy as np
import numpy
from autograd.extend import defjvp, defvjp, primitive

from ...core.matrices import is_of_torch
from ...gradients.bookkeeping import quick
from ...gradients.rules import cast, stop_gradient


def as_array(x: Any) -> Any:
    """Return arrays, and tracers of arrays, as they are; lists and numbers as arrays."""
    value = stop_gradient(x)
    if type(value) is numpy.ndarray:
        return x
    refuse_tensors(x)
    return x if hasattr(value, "ndim") else np.array(x)


def refuse_tensors(*values: Any) -> None:
    """Raise TypeError if one of the values is a tensor of PyTorch, which NumPy half understands."""
    for value in values:
        if is_of_torch(value):
            raise TypeError(f"expected a NumPy array, got a torch.{type(value).__name__}: pass "
                            "tensor.detach().cpu().numpy(), and torch.from_numpy(...) of the result")


def as_float(x: Any) -> Any:
    """Return an array of real floating-point numbers, or raise PyTorch's error, NotImplementedError."""
    x = as_array(x)
    if x.dtype.kind != "f":
        raise NotImplementedError(f"input must be real floating-point, got dtype {x.dtype}")
    return x


def as_int(name: str, value: Any) -> int:
    """Return an integer as an int, or raise TypeError."""
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None


def as_size(name: str, value: Any) -> int:
    """Return a length as an int, or raise PyTorch's errors: TypeError, and RuntimeError below 0."""
    size = as_int(name, value)
    if size < 0:
        raise RuntimeError(f"{name} must not be negative, got {value}")
    return size


def check_bias(bias: Any, shape: tuple[int, ...]) -> None:
    """Raise RuntimeError unless a bias is None or of this shape."""
    if bias is not None and numpy.shape(stop_gradient(bias)) != shape:
        raise RuntimeError(f"bias must have shape {shape}, got {np.shape(bias)}")


@primitive
def keep(x: Any, mask: Any) -> Any:
    """Return x where `mask` holds and 0 elsewhere, so that NaN and infinity there do no harm."""
    return numpy.where(mask, x, x.dtype.type(0))


defvjp(keep, lambda y, x, mask: lambda g: keep(g, mask), argnums=(0,))
defjvp(keep, "same")
keep = quick(keep)


def to_common_dtype(*arrays: Any) -> list[Any]:
    """Convert arrays to one dtype, of precision that no integers raise, as PyTorch does.

    Each gets its gradient in its own dtype.
    """
    arrays = [as_array(x) for x in arrays]  # type: ignore[assignment]
    dtypes = [stop_gradient(x).dtype for x in arrays]
    if all(dtype is dtypes[0] for dtype in dtypes):
        return arrays  # type: ignore[return-value]
    inexact = [dtype for dtype in dtypes if np.issubdtype(dtype, np.inexact)]
    dtype = np.result_type(*(inexact or dtypes))
    return [_to_dtype(x, dtype) for x in arrays]


def _to_dtype(x: Any, dtype: Any) -> Any:
    if x.dtype == dtype:
        return x
    if np.issubdtype(dtype, np.complexfloating) and not np.iscomplexobj(x):
        x = x + 0j  # backwards, autograd takes the real part
    return cast(x, dtype)
