"""Parameters, and what stands in for their values while a function of them is differentiated."""
import threading
import weakref
from contextlib import contextmanager
from typing import Any, Iterator

import numpy as np
from autograd.extend import Box

from ..core.matrices import as_array, check_dtype


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


# Which parameter holds an array, by the array's id: see `holder_of`.
_holders: weakref.WeakValueDictionary = weakref.WeakValueDictionary()


def check_not_substituted(doing: str, *things: Any) -> None:
    """Raise RuntimeError inside a call in which another value stands in for one of the things.

    Parameters
    ----------
    doing : str
        What is not possible then, such as "cannot replace 'weight'".
    *things : Parameter, or (module, name)
    """
    if scope.substitutes and any(thing in scope.substitutes for thing in things):
        raise RuntimeError(f"{doing} inside the functional_call or value_and_grad in which another "
                           "value stands in for it")


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
        self._hold(value)

    def _hold(self, array: np.ndarray) -> None:
        _holders.pop(id(self.__dict__.get("_data")), None)
        self._data = array
        _holders[id(array)] = self

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._hold(self._data)

    def check_assignable(self) -> None:
        """Raise RuntimeError while another value stands in for `data`."""
        check_not_substituted("a parameter cannot be assigned", self)

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


def holder_of(array: np.ndarray) -> Parameter | None:
    """Return a parameter whose value is this very array, or None."""
    parameter = _holders.get(id(array))
    return parameter if parameter is not None and parameter._data is array else None


class Buffer:
    """An array that becomes a buffer of the module that it is assigned to.

    Parameters
    ----------
    data : ndarray
    persistent : bool
        Whether the module's state dict has it.

    Examples
    --------
    >>> from orthonorm import nn
    >>> module = nn.Module()
    >>> module.mean = nn.Buffer(np.zeros(2))
    >>> module.mean, list(module.state_dict())
    (array([0., 0.]), ['mean'])
    """

    def __init__(self, data: np.ndarray, *, persistent: bool = True):
        self.data = data
        self.persistent = persistent


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
    value = as_array(value, "the value")
    return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))
