"""Parameters, and what stands in for their values while a function of them is differentiated."""
import threading
from contextlib import contextmanager
from typing import Any, Iterator

import numpy as np
from autograd.extend import Box

from ..core.matrices import check_dtype


class Scope(threading.local):
    """What the running thread sees instead of the stored values; no other thread sees it.

    Attributes
    ----------
    substitutes : dict
        Values that stand in for parameters (the key is the `Parameter`), or for whatever a module has
        under a name (the key is the pair of them): the arrays or tracers of a running
        ``functional_call``.
    cache : dict or None
        Computed weights, while ``parametrize.cached()`` is active.
    """

    def __init__(self) -> None:
        self.substitutes: dict = {}
        self.cache: dict | None = None


scope = Scope()


@contextmanager
def substituting(values: dict) -> Iterator[None]:
    """Let `values` stand in for parameters and buffers, whatever happens inside.

    Weights cached outside belong to other values, and those cached inside may be tracers, so the
    cache is fresh inside and forgotten afterwards.

    Parameters
    ----------
    values : dict
        From `Parameter`, or (module, name), to array or tracer.
    """
    outer = scope.substitutes, scope.cache
    scope.substitutes = {**scope.substitutes, **values}
    scope.cache = None if scope.cache is None else {}
    try:
        yield
    finally:
        scope.substitutes, scope.cache = outer


class Parameter:
    """An array that a module trains.

    Parameters
    ----------
    data : array_like
        float32, float64, complex64 or complex128. An array is kept as it is, not copied, unless its
        bytes are in another order than the machine's.
    requires_grad : bool
        Whether `value_and_grad` returns a gradient for it.

    Attributes
    ----------
    data : ndarray
        The value; inside a differentiated call, the tracer that stands in for it.
    requires_grad : bool

    Raises
    ------
    TypeError
        If the dtype is not one of the four, or `data` is a tracer; if the parameter is used as an
        array while it is differentiated, where its `data` is to be used.
    RuntimeError
        If `data` is assigned while another value stands in for it.

    Examples
    --------
    >>> p = Parameter(np.zeros((2, 3)))
    >>> p.shape, p.dtype, p.requires_grad
    ((2, 3), dtype('float64'), True)
    """

    def __init__(self, data: Any, requires_grad: bool = True):
        self.data = data
        self.requires_grad = requires_grad

    @property
    def data(self) -> Any:
        return scope.substitutes.get(self, self._data) if scope.substitutes else self._data

    @data.setter
    def data(self, value: Any) -> None:
        if isinstance(value, Box):
            raise TypeError("a parameter must be an array, got an autograd tracer")
        self.check_assignable()
        value = native(value)
        check_dtype(value, "a parameter")
        self._data = value

    def check_assignable(self) -> None:
        """Raise RuntimeError while another value stands in for `data`."""
        if self in scope.substitutes:
            raise RuntimeError("a parameter cannot be assigned inside the functional_call or "
                               "value_and_grad in which another value stands in for it")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the array."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """Number of dimensions of the array."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """Number of entries of the array."""
        return self._data.size

    @property
    def dtype(self) -> np.dtype:
        """Data type of the array."""
        return self._data.dtype

    def requires_grad_(self, requires_grad: bool = True) -> "Parameter":
        """Set `requires_grad`, and return the parameter."""
        self.requires_grad = requires_grad
        return self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        value = self.data
        if isinstance(value, Box):
            raise TypeError("a parameter that is differentiated is no array, which no gradient would "
                            "reach: use its `data`")
        if copy is False and dtype is not None and dtype != value.dtype:
            raise ValueError(f"a conversion from {value.dtype} to {dtype} needs a copy")
        return value.astype(dtype or value.dtype, copy=bool(copy))

    def __repr__(self) -> str:
        note = "" if self.requires_grad else ", requires_grad=False"
        return f"Parameter({self._data!r}{note})"


class ParameterName(str):
    """The name of a parameter, as ``named_parameters()`` yields it: a str that knows its Parameter.

    By this an optimiser finds what a gradient belongs to when registering a parametrization, or
    removing one, has changed the name. Copies and pickles of it are plain strings.

    Attributes
    ----------
    parameter : Parameter
    """

    parameter: Parameter

    def __new__(cls, name: str, parameter: Parameter) -> "ParameterName":
        self = super().__new__(cls, name)
        self.parameter = parameter
        return self

    def __reduce__(self) -> tuple:
        return str, (str(self),)


def native(value: Any) -> np.ndarray:
    """Return `value` as an array whose bytes are in the machine's order."""
    value = np.asarray(value)
    return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))
