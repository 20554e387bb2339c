"""What the functions of this folder do to their arguments first."""
from typing import Any

import autograd.numpy as np

from ...gradients.rules import cast, stop_gradient


def as_array(x: Any) -> Any:
    """Return arrays, and tracers of arrays, as they are; lists and numbers as arrays."""
    return x if hasattr(stop_gradient(x), "ndim") else np.array(x)


def to_common_dtype(*arrays: Any) -> list[Any]:
    """Convert arrays to one dtype, of precision that no integers raise, as PyTorch does.

    Each gets its gradient in its own dtype.
    """
    arrays = [as_array(x) for x in arrays]  # type: ignore[assignment]
    dtypes = [x.dtype for x in arrays]
    inexact = [dtype for dtype in dtypes if np.issubdtype(dtype, np.inexact)]
    dtype = np.result_type(*(inexact or dtypes))
    return [_to_dtype(x, dtype) for x in arrays]


def _to_dtype(x: Any, dtype: Any) -> Any:
    if x.dtype == dtype:
        return x
    if np.issubdtype(dtype, np.complexfloating) and not np.iscomplexobj(x):
        x = x + 0j  # backwards, autograd takes the real part
    return cast(x, dtype)
