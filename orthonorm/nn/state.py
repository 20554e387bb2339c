"""The state of a module: its state dict, and putting it back when something goes wrong."""
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np

from ..core.matrices import DTYPES, as_array
from .parameter import scope
from .tree import Tree

F = TypeVar("F", bound=Callable[..., Any])
S = TypeVar("S", bound="Stateful")

EXTRA_STATE = "_extra_state"


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
                parameter._hold(value)
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


class Stateful(Tree):
    """What :class:`.Module` inherits: its state dict, loading one, and its dtype."""

    _non_persistent_buffers_set: set[str]
    _state_dict_hooks: dict[Any, Callable]
    _load_state_dict_pre_hooks: dict[Any, tuple[Callable, bool]]
    _load_state_dict_post_hooks: dict[Any, Callable]

    def to(self: S, dtype: Any) -> S:
        """Convert parameters and buffers to a dtype, here and below, and return the module.

        Parameters
        ----------
        dtype : dtype
            float32, float64, complex64 or complex128. Each :class:`Parameter` keeps its identity.

        Raises
        ------
        TypeError
            If the dtype is another one, or would take an imaginary part away. Nothing has changed
            then.
        """
        return _convert(self, dtype)

    def float(self: S) -> S:
        """Convert real parameters and buffers to float32, and return the module."""
        return _convert(self, np.float32, only_real=True)

    def double(self: S) -> S:
        """Convert real parameters and buffers to float64, and return the module."""
        return _convert(self, np.float64, only_real=True)

    def state_dict(self, *, destination: dict | None = None, prefix: str = "") -> dict[str, Any]:
        """Copy every parameter and persistent buffer into a flat dict, under PyTorch's keys.

        Parameters
        ----------
        destination : dict, optional
            Filled and returned, instead of a new one.
        prefix : str
            Put before each key.

        Returns
        -------
        dict of str to ndarray
            And, under "_extra_state", what :meth:`get_extra_state` returns where a class has one.

        Raises
        ------
        RuntimeError
            If a hook of :meth:`register_state_dict_post_hook` returns something.
        """
        state = {} if destination is None else destination
        for name in _own_places(self):
            state[prefix + name] = self._saved(name)
        if type(self).get_extra_state is not Stateful.get_extra_state:
            state[prefix + EXTRA_STATE] = self.get_extra_state()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=state, prefix=f"{prefix}{name}.")
        for hook in tuple(self._state_dict_hooks.values()):
            if hook(self, state, prefix, {}) is not None:
                raise RuntimeError("state_dict post-hook must return None")
        return state

    def get_extra_state(self) -> Any:
        """Return what else belongs into the state dict. A class that has such state defines this.

        Returns
        -------
        Any
            Stored under "_extra_state" as it is, and given to :meth:`set_extra_state`. Only arrays can
            be written to files by :func:`orthonorm.checkpoints.save`.
        """
        raise RuntimeError(f"{type(self).__name__} has no extra state: define get_extra_state and "
                           "set_extra_state")

    def set_extra_state(self, state: Any) -> None:
        """Take what :meth:`get_extra_state` returned, when a state dict is loaded.

        Parameters
        ----------
        state : Any
            Copy what of it is kept. If loading fails, the attributes of the module are put back, but
            not what was written into arrays or other objects.
        """
        raise RuntimeError(f"{type(self).__name__} has no extra state: define get_extra_state and "
                           "set_extra_state")

    def _saved(self, name: str) -> np.ndarray:
        """Return the array that the state dict has for a parameter or buffer of this module."""
        return stored(self, name).copy()

    def _loaded(self, name: str, key: str, value: Any) -> np.ndarray:
        """Return the array to store for the `value` that a state dict has under `key`, or raise."""
        current = stored(self, name)
        return fitted(key, value, current.shape, current.dtype)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy parameters and buffers from a flat dict. If anything is wrong, nothing is changed.

        Parameters
        ----------
        state_dict : dict of str to array_like
            Anything `numpy.asarray` takes, so that a PyTorch state dict on the CPU does. Values are
            converted to the dtype that the module has.
        strict : bool
            Whether missing and unexpected keys are errors.

        Returns
        -------
        IncompatibleKeys
            The missing and the unexpected keys.

        Raises
        ------
        TypeError
            If `state_dict` is not a mapping.
        RuntimeError
            If a value has the wrong shape, or cannot be converted without losing an imaginary part or
            more; with `strict`, if a key is missing or unexpected.
        """
        return _load(self, state_dict, strict)


def _own_places(module: Any) -> list[str]:
    """List the names of a module's own parameters and buffers that are in its state dict."""
    persistent = (name for name in module._buffers if name not in module._non_persistent_buffers_set)
    return [name for name in itertools.chain(module._parameters, persistent)
            if module._parameters.get(name) is not None or module._buffers.get(name) is not None]


def _places(module: Any) -> dict[str, tuple[Any, str]]:
    """Map each key that is loaded to the module and name that hold it."""
    wanted = {}
    for path, part in module.named_modules(remove_duplicate=False):
        extra = [EXTRA_STATE] if type(part).set_extra_state is not Stateful.set_extra_state else []
        for name in _own_places(part) + extra:
            wanted[f"{path}.{name}" if path else name] = part, name
    return wanted


def stored(module: Any, name: str) -> np.ndarray:
    """Return the array of a parameter or buffer, whatever stands in for it."""
    parameter = module._parameters.get(name)
    return module._buffers[name] if parameter is None else parameter._data


@undone_if_it_raises
def _load(module: Any, state_dict: Mapping[str, Any], strict: bool) -> IncompatibleKeys:
    """Do what :meth:`.Module.load_state_dict` says."""
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    # What does not match is kept by modules: a hook sees what was found before it.
    found: dict[str, IncompatibleKeys] = {
        path: IncompatibleKeys([], []) for path, _ in module.named_modules(remove_duplicate=False)}
    errors: list[str] = []
    given = _after_hooks(module, dict(state_dict), "", found, errors)
    wanted = _places(module)
    for key in (key for key in wanted if key not in given):
        found[_holder(key, found)].missing_keys.append(key)
    for key in (key for key in given if key not in wanted):
        found[_holder(str(key), found)].unexpected_keys.append(key)
    arrays, extra_states = {}, []
    for key in (key for key in wanted if key in given):
        part, name = wanted[key]
        if name == EXTRA_STATE:
            extra_states.append((part, given[key]))
            continue
        try:
            arrays[key] = part._loaded(name, key, as_array(given[key], key))
        except (TypeError, ValueError, RuntimeError) as error:
            errors.append(str(error))
    if not errors:
        _store({wanted[key]: value for key, value in arrays.items()}, module)
        for part, state in extra_states:
            part.set_extra_state(state)
    keys = IncompatibleKeys([], [])
    _report(module, "", found, keys, with_hooks=not errors)
    if strict:
        errors.extend(_hints(given, keys.unexpected_keys))
    if strict and keys.unexpected_keys:
        errors.insert(0, "Unexpected key(s) in state_dict: " + _quoted(keys.unexpected_keys))
    if strict and keys.missing_keys:
        errors.insert(0, "Missing key(s) in state_dict: " + _quoted(keys.missing_keys))
    if errors:
        raise RuntimeError(
            f"Error(s) in loading state_dict for {type(module).__name__}:\n\t" + "\n\t".join(errors)
        )
    return keys


def _after_hooks(module: Any, state: dict[str, Any], path: str, found: dict[str, IncompatibleKeys],
                 errors: list[str]) -> dict[str, Any]:
    """Return a dict after the hooks of a module and those below; each sees the keys of its module."""
    prefix = f"{path}." if path else ""
    for hook, with_module in tuple(module._load_state_dict_pre_hooks.values()):
        hook(*((module,) if with_module else ()), state, prefix, {}, True, *found[path], errors)
    for name, child in module._modules.items():
        if child is not None:
            under = f"{prefix}{name}."
            below = {key: state.pop(key) for key in [*state] if str(key).startswith(under)}
            state |= _after_hooks(child, below, under[:-1], found, errors)
    return {key: value for key, value in state.items() if str(key).startswith(prefix)}


def _holder(key: str, paths: Mapping[str, Any]) -> str:
    """Return the path of the deepest module that a key leads to."""
    path = key.rpartition(".")[0]
    while path not in paths:
        path = path.rpartition(".")[0]
    return path


def _report(module: Any, path: str, found: dict[str, IncompatibleKeys], keys: IncompatibleKeys,
            with_hooks: bool) -> None:
    """Collect what does not match in `keys`, which a module's hooks see after those below it."""
    for collected, own in zip(keys, found[path]):
        collected.extend(own)
    for name, child in module._modules.items():
        if child is not None:
            _report(child, f"{path}.{name}" if path else name, found, keys, with_hooks)
    for hook in tuple(module._load_state_dict_post_hooks.values()) if with_hooks else ():
        if hook(module, keys) is not None:
            raise AssertionError("a hook of register_load_state_dict_post_hook must return None; it "
                                 "may change incompatible_keys in place")


def _hints(given: Mapping[str, Any], unexpected: list[str]) -> Iterator[str]:
    """Say what to do about keys that are there for a known reason."""
    there = {key: given[key] for key in unexpected if key in given}  # a hook may report others
    if (nested := nested_under(there)) is not None:
        yield (f"It holds a dict under {nested!r}, as checkpoints of training runs do: load "
               f"state_dict[{nested!r}]")
    for stem in (key.removesuffix("_orig") for key in map(str, unexpected) if key.endswith("_orig")):
        if {f"{stem}_u", f"{stem}_v"} <= set(unexpected):
            path, dot, name = stem.rpartition(".")
            new = f"{path}{dot}parametrizations.{name}."
            yield (f"{stem}_orig, {stem}_u and {stem}_v are keys of the older function, "
                   f"torch.nn.utils.spectral_norm: rename them to {new}original, {new}0._u and "
                   f"{new}0._v, or load what orthonorm.checkpoints.plain_weights(state_dict) returns "
                   "into a layer without parametrization")


def nested_under(state_dict: Mapping[Any, Any]) -> Any:
    """Return where a dict of arrays holds another dict, of arrays if there is one; None if nowhere."""
    keys = [key for key, value in state_dict.items()
            if isinstance(value, Mapping) and not str(key).endswith(EXTRA_STATE)]
    of_arrays = [key for key in keys
                 if state_dict[key] and all(hasattr(x, "shape") for x in state_dict[key].values())]
    return (of_arrays or keys or [None])[0]


def _store(arrays: dict[tuple[Any, str], np.ndarray], module: Any) -> None:
    buffers = {}  # by the arrays that they replace, which may be buffers of several modules
    for (part, name), value in arrays.items():
        if name in part._parameters:
            part._parameters[name].data = value
        else:
            buffers[id(part._buffers[name])] = value
    for part in module.modules():
        part._buffers.update({name: buffers[id(buffer)] for name, buffer in part._buffers.items()
                              if id(buffer) in buffers})


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
def _convert(module: Any, dtype: Any, only_real: bool = False) -> Any:
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
