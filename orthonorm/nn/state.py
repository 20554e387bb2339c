"""The state of a module: its state dict, and putting it back when something goes wrong."""
import functools
import itertools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..core.matrices import DTYPES
from .parameter import scope
from .tree import Tree

F = TypeVar("F", bound=Callable[..., Any])


class IncompatibleKeys(NamedTuple):
    """What :meth:`.Module.load_state_dict` could not match."""

    missing_keys: list[str]
    unexpected_keys: list[str]


def undone_if_it_raises(function: F) -> F:
    """Decorate a function so that, if it raises, the modules it was given are as they were, to the bit.

    That is their class, attributes, parameters and buffers, those of all modules below, and what
    :func:`.parametrize.cached` has computed. Arrays are put back, not what was written into them: the
    functions decorated here do not write into arrays.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable
    """
    @functools.wraps(function)
    def undoing(*args: Any, **kwargs: Any) -> Any:
        modules = [given for given in itertools.chain(args, kwargs.values()) if isinstance(given, Tree)]
        parts = [part for module in modules for part in module.modules()]
        states = [(part, type(part), {name: _copied(value) for name, value in vars(part).items()})
                  for part in parts]
        values = [(parameter, parameter._data) for part in parts
                  for parameter in part._parameters.values() if parameter is not None]
        cache = _copied(scope.cache)
        try:
            return function(*args, **kwargs)
        except BaseException:
            for part, cls, state in states:
                part.__class__ = cls
                _put_back(vars(part), state)
            for parameter, value in values:
                parameter._data = value
            if cache is not None and scope.cache is not None:
                _put_back(scope.cache, cache)
            raise
    return undoing  # type: ignore[return-value]


def _copied(value: Any) -> Any:
    return value.copy() if type(value) in (dict, set) else value


def _put_back(now: dict, before: dict) -> None:
    """Give a dict its old items; the registries in it stay the same objects."""
    for name, value in before.items():
        if type(value) in (dict, set) and type(now.get(name)) is type(value):
            now[name].clear()
            now[name].update(value)
            before[name] = now[name]
    now.clear()
    now.update(before)


def places(module: Any) -> dict[str, tuple[Any, str]]:
    """Map each key of the state dict to the module and name that hold it."""
    state = {}
    for path, part in module.named_modules(remove_duplicate=False):
        persistent = (name for name in part._buffers if name not in part._non_persistent_buffers_set)
        for name in itertools.chain(part._parameters, persistent):
            if part._parameters.get(name) is not None or part._buffers.get(name) is not None:
                state[f"{path}.{name}" if path else name] = part, name
    return state


def stored(module: Any, name: str) -> np.ndarray:
    """Return the array of a parameter or buffer, whatever stands in for it."""
    parameter = module._parameters.get(name)
    return module._buffers[name] if parameter is None else parameter._data


@undone_if_it_raises
def load(module: Any, state_dict: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """Do what :meth:`.Module.load_state_dict` says."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    given = dict(state_dict)
    for path, part in module.named_modules(remove_duplicate=False):
        for hook in part._load_state_dict_pre_hooks.values():
            hook(given, f"{path}." if path else "")
    wanted = places(module)
    keys = IncompatibleKeys([key for key in wanted if key not in given],
                            [key for key in given if key not in wanted])
    errors = []
    if strict and keys.missing_keys:
        errors.append("Missing key(s) in state_dict: " + _quoted(keys.missing_keys))
    if strict and keys.unexpected_keys:
        errors.append("Unexpected key(s) in state_dict: " + _quoted(keys.unexpected_keys))
    loaded = {}
    for key in (key for key in wanted if key in given):
        try:
            part, name = wanted[key]
            loaded[key] = part._loaded(name, key, _as_array(key, given[key]))
        except (TypeError, ValueError, RuntimeError) as error:
            errors.append(str(error))
    if errors:
        raise RuntimeError(
            f"Error(s) in loading state_dict for {type(module).__name__}:\n\t" + "\n\t".join(errors)
        )
    buffers = {}  # by the arrays that they replace, which may be buffers of several modules
    for key, value in loaded.items():
        part, name = wanted[key]
        if name in part._parameters:
            part._parameters[name].data = value
        else:
            buffers[id(part._buffers[name])] = value
    for part in module.modules():
        part._buffers.update({name: buffers[id(buffer)] for name, buffer in part._buffers.items()
                              if id(buffer) in buffers})
    return keys


def _as_array(key: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # NumPy's, and PyTorch's
        raise TypeError(f"{key} cannot be converted to an array: {error}") from error


def fitted(key: str, value: Any, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Copy `value` into an array of the given shape and dtype, or raise."""
    array = np.asarray(value)
    if array.shape != shape:
        raise ValueError(
            f"size mismatch for {key}: copying a param with shape {array.shape} from checkpoint, "
            f"the shape in current model is {shape}."
        )
    if not np.can_cast(array.dtype, dtype, casting="same_kind"):
        raise TypeError(
            f"dtype mismatch for {key}: {array.dtype} in the checkpoint cannot be converted to "
            f"{dtype}, the dtype in the current model."
        )
    return array.astype(dtype)


def _quoted(keys: list[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys) + ". "


@undone_if_it_raises
def convert(module: Any, dtype: Any, only_real: bool = False) -> Any:
    """Do what :meth:`.Module.to` says, or leave complex arrays alone; return the module."""
    dtype = None if dtype is None else np.dtype(dtype)  # NumPy reads None as float64
    if dtype is None or dtype not in DTYPES:
        raise TypeError(f"dtype must be float32, float64, complex64 or complex128, got {dtype}")
    for part in module.modules():
        for name, parameter in part._parameters.items():
            if parameter is not None:
                parameter.data = _converted(name, parameter._data, dtype, only_real)
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = _converted(name, buffer, dtype, only_real)
    return module


def _converted(name: str, array: np.ndarray, dtype: np.dtype, only_real: bool) -> np.ndarray:
    if array.dtype.kind not in ("f" if only_real else "fc"):
        return array
    if not np.can_cast(array.dtype, dtype, casting="same_kind"):
        raise TypeError(f"{name} is {array.dtype} and would lose its imaginary part as {dtype}")
    converted = array.astype(dtype, copy=False)
    converted.flags.writeable = array.flags.writeable
    return converted
