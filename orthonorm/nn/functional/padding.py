"""Padding with entries of the input itself."""
from typing import Any

import numpy as np
from autograd.extend import defjvp, defvjp, primitive

from .trilinear import Widths

MODES = {"circular": "wrap", "reflect": "reflect", "replicate": "edge"}  # PyTorch's names and NumPy's


def pad_with(x: Any, widths: Widths, mode: str) -> Any:
    """Pad the dimensions of space, the last ones.

    Parameters
    ----------
    x : array
    widths : tuple of (int, int)
        Numbers of entries before and after each dimension of space.
    mode : {"circular", "reflect", "replicate"}

    Returns
    -------
    array

    Raises
    ------
    RuntimeError
        If a dimension has not as many entries as are to be put beside it.
    """
    for axis, (low, high) in enumerate(widths, x.ndim - len(widths)):
        size = x.shape[axis]
        if size < {"circular": max(low, high), "reflect": max(low, high) + 1, "replicate": 1}[mode]:
            raise RuntimeError(f"padding by {low} and {high} with padding_mode={mode!r} needs larger "
                               f"dimensions of space, got shape {x.shape}")
        source = np.pad(np.arange(size), (low, high), MODES[mode])  # type: ignore[call-overload]
        x = _take(x, source, axis, low)
    return x


# Linear in the array, and each other's transpose.

@primitive
def _take(x: Any, source: Any, axis: int, low: int) -> Any:
    """Return y[i] = x[source[i]]; from i = `low` on, y is x itself."""
    return np.take(x, source, axis)


@primitive
def _add_back(y: Any, source: Any, axis: int, low: int) -> Any:
    """Return x, the sum of the y's taken from each place."""
    y = np.moveaxis(y, axis, 0)
    size = source.max() + 1
    x = y[low:low + size].copy()
    for i in (*range(low), *range(low + size, len(source))):
        x[source[i]] += y[i]
    return np.moveaxis(x, 0, axis)


defvjp(_take, lambda y, x, *at: lambda g: _add_back(g, *at), argnums=(0,))
defvjp(_add_back, lambda x, y, *at: lambda g: _take(g, *at), argnums=(0,))
defjvp(_take, "same")
defjvp(_add_back, "same")
