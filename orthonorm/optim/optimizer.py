"""The base class of the optimisers: groups of parameters, their state, and the step."""
import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Callable

import numpy as np

from ..nn.hooks import RemovableHandle, add_hook
from ..nn.parameter import Parameter, ParameterName
from ..nn.state import fitted


class Optimizer:
    """The base class of the optimisers: groups of parameters, their state, and the step.

    A subclass says in ``_update`` how one parameter moves, in ``_slots`` what the state of each
    parameter holds, and in ``_optional_slots`` what it holds if an option was on in some step.

    Parameters
    ----------
    named_parameters : iterable of (str, Parameter), or of dict
        What ``module.named_parameters()`` yields. Or groups with options of their own: dicts with such
        pairs under "params" and any of the options by name.
    defaults : dict
        The options of the groups that do not give their own.

    Attributes
    ----------
    defaults : dict
        The argument.
    param_groups : list of dict
        For each group the lists "params" and "param_names", and the options. Writing
        ``optimizer.param_groups[0]["lr"] = 0.01`` changes the next step.
    state : dict
        For each :class:`~orthonorm.nn.Parameter` that has been moved, what the optimiser remembers of
        it.

    Raises
    ------
    TypeError
        If `named_parameters` holds anything else; unnamed parameters too.
    ValueError
        If there is no parameter, a name or a parameter occurs twice, or an option is unknown or out of
        range.

    Notes
    -----
    A parameter is known by its identity, as in PyTorch: an optimiser goes on, with what it remembers,
    when a parametrization is registered or removed that leaves the Parameter the same one under a new
    name.
    """

    _slots: tuple[str, ...] = ()
    _optional_slots: tuple[str, ...] = ()

    def __init__(self, named_parameters: Iterable[Any], defaults: dict[str, Any]):
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Parameter, dict[str, Any]] = {}
        self._step_pre_hooks: dict[Any, Callable] = {}
        self._step_post_hooks: dict[Any, Callable] = {}
        given = list(named_parameters)
        if not given:
            raise ValueError("optimizer got an empty parameter list")
        if not all(isinstance(group, Mapping) for group in given):
            given = [{"params": given}]
        for group in given:
            self.add_param_group(group)

    def __repr__(self) -> str:
        groups = [f"Parameter Group {i}\n" + "".join(f"    {option}: {group[option]}\n" for option in
                                                     sorted(group.keys() - {"params"}))
                  for i, group in enumerate(self.param_groups)]
        return f"{type(self).__name__} (\n" + "\n".join(groups) + ")"

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Add parameters with options of their own, such as layers that are trained from now on.

        Parameters
        ----------
        param_group : dict
            Pairs of name and Parameter under "params", and any of the options by name.

        Raises
        ------
        TypeError, ValueError
            As for :class:`Optimizer`. Nothing has changed then.
        """
        if not isinstance(param_group, Mapping) or "params" not in param_group:
            raise TypeError("param_group must be a dict with pairs under 'params', got "
                            f"{param_group!r}")
        options = {**self.defaults, **param_group}
        if unknown := options.keys() - self.defaults.keys() - {"params"}:
            raise ValueError(f"unknown option(s) {sorted(unknown)} in a parameter group; "
                             f"{type(self).__name__} has {sorted(self.defaults)}")
        pairs = [_named_parameter(pair) for pair in options.pop("params")]
        for name, parameter in pairs:
            self._check_parameter(name, parameter)
        self._check_options(options)
        groups = [*self.param_groups, {"params": [parameter for _, parameter in pairs],
                                       "param_names": [str(name) for name, _ in pairs], **options}]
        names = [name for group in groups for name in group["param_names"]]
        parameters = [parameter for group in groups for parameter in group["params"]]
        if len({*names}) < len(names) or len({*parameters}) < len(parameters):
            raise ValueError("some parameters appear in more than one parameter group, or twice in one")
        self.param_groups = groups

    def _check_parameter(self, name: str, parameter: Parameter) -> None:
        """Raise a ValueError if the optimiser cannot move a parameter."""

    def _check_options(self, options: Mapping[str, Any]) -> None:
        """Raise a ValueError if an option is out of range."""
        raise NotImplementedError

    def _update(self, x: np.ndarray, g: np.ndarray, state: dict[str, Any],
                options: Mapping[str, Any]) -> np.ndarray:
        """Return where x goes with the gradient g, both arrays of reals; write into `state`.

        A complex parameter has a last axis of two here, a scalar one of one.
        """
        raise NotImplementedError

    def step(self, grads: Mapping[str, Any]) -> None:
        """Move every parameter that has a gradient.

        Parameters
        ----------
        grads : dict of str to ndarray
            Each gradient under its parameter's name, of the parameter's shape and dtype. Parameters
            without one stay where they are, as do those whose gradient is None. The names that
            :func:`orthonorm.func.value_and_grad` returns know their Parameter, whatever it was called
            when the optimiser was made; other strings are names of that time.

        Raises
        ------
        TypeError
            If `grads` is not a mapping, or a gradient not an array.
        RuntimeError
            If a name is unknown, or knows a Parameter that the optimiser does not have, such as that of
            a copy of the module; if two names are of one parameter; if a gradient has another shape or
            dtype than its parameter; inside a differentiated call in which another value stands in for
            the parameter; or if the parameter has another shape or dtype than what is remembered of it.

        Notes
        -----
        Nothing has changed when this raises. NaN and infinity go through, as in PyTorch.
        """
        args: tuple = (grads,)
        kwargs: dict[str, Any] = {}
        for hook in tuple(self._step_pre_hooks.values()):
            result = hook(self, args, kwargs)
            if isinstance(result, tuple) and len(result) == 2:
                args, kwargs = result
            elif result is not None:
                raise RuntimeError("a step pre-hook must return None or a tuple of (new_args, "
                                   f"new_kwargs), but got {result}.")
        self._step(*args, **kwargs)
        for hook in tuple(self._step_post_hooks.values()):
            hook(self, args, kwargs)

    def _step(self, grads: Mapping[str, Any]) -> None:
        groups = {parameter: group for group in self.param_groups for parameter in group["params"]}
        moves = []
        for name, parameter, gradient in self._matched(grads):
            x, state = _reals(parameter._data), {**self.state.get(parameter, {})}
            if any((value.shape, value.dtype) != (x.shape, x.dtype)
                   for slot, value in state.items() if slot != "step"):
                raise RuntimeError(f"{name!r} has another shape or dtype than in its last step: "
                                   "a new optimizer is needed")
            moved = self._update(x, _reals(gradient), state, groups[parameter])
            moves.append((parameter, state, moved))
        self._move([(parameter, state, _shaped_like(parameter, moved))
                    for parameter, state, moved in moves])

    def _move(self, moves: list[tuple[Parameter, dict[str, Any], np.ndarray]]) -> None:
        """Store all new states and values, or where that is interrupted none."""
        values, states = [parameter._data for parameter, _, _ in moves], {**self.state}
        try:
            for parameter, state, moved in moves:
                self.state[parameter] = state
                parameter.data = moved
        except BaseException:
            for (parameter, _, _), value in zip(moves, values):
                parameter._hold(value)
            self.state = states
            raise

    def _matched(self, grads: Mapping[str, Any]) -> list[tuple[str, Parameter, Any]]:
        """Return the name, parameter and gradient of each gradient that there is; or raise."""
        if not isinstance(grads, Mapping):
            raise TypeError(f"grads must be a dict from names to gradients, got {type(grads).__name__}")
        named = {name: parameter for group in self.param_groups
                 for name, parameter in zip(group["param_names"], group["params"])}
        known = {*named.values()}
        matched: dict[Parameter, Any] = {}
        for name, gradient in grads.items():
            parameter: Any = (name.parameter if isinstance(name, ParameterName)
                              else named.get(name))
            if parameter not in known:
                same = " another Parameter under this name, and" if name in named else ""
                raise RuntimeError(f"grads has a gradient for {name!r}; the optimizer has{same} the "
                                   f"parameters {[*named]}")
            if parameter in matched:
                raise RuntimeError("grads has two gradients for one parameter, "
                                   f"{matched[parameter][0]!r} and {name!r}")
            matched[parameter] = name, parameter, gradient
            if gradient is not None:
                _check_gradient(name, gradient, parameter)
                parameter.check_assignable()
        return [match for match in matched.values() if match[2] is not None]

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step, `args` being ``(grads,)``.

        Parameters
        ----------
        hook : callable
            Returns None, or ``(args, kwargs)`` to step with instead, such as clipped gradients.

        Returns
        -------
        RemovableHandle
        """
        return add_hook(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step; what it returns is ignored.

        Parameters
        ----------
        hook : callable

        Returns
        -------
        RemovableHandle
        """
        return add_hook(self._step_post_hooks, hook)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copy the state and the options into a flat dict of arrays.

        Like a module's it can be saved as ``.npz``: ``np.savez(path, **optimizer.state_dict())``.

        Returns
        -------
        dict of str to ndarray
            ``state.<position>.<what>``, of the shape and dtype that the parameter had in its last step
            ("step" is an integer); ``param_groups.<number>.params``, the positions of the group's
            parameters, and ``param_groups.<number>.<option>``. Positions are counted from 0 through all
            groups, as in PyTorch, so that names may change.
        """
        state = {f"state.{position}.{slot}": np.array(value) if slot == "step"
                 else _remembered(parameter, value.copy())
                 for positions, group in zip(self._positions(), self.param_groups)
                 for position, parameter in zip(positions, group["params"])
                 for slot, value in self.state.get(parameter, {}).items()}
        options = {f"param_groups.{i}.{option}": np.array("" if value is None else value)
                   for i, (positions, group) in enumerate(zip(self._positions(), self.param_groups))
                   for option, value in {"params": positions, **_options(group)}.items()}
        return state | options

    def _positions(self) -> list[list[int]]:
        count = itertools.count()
        return [[next(count) for _ in group["params"]] for group in self.param_groups]

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take state and options from what :meth:`state_dict` returned.

        Parameters
        ----------
        state_dict : dict of str to array_like
            Values are converted to the dtypes of the parameters.

        Raises
        ------
        TypeError, ValueError
            If a key is missing or unexpected, a value has the wrong shape or would lose an imaginary
            part, or an option is out of range. Nothing has changed then.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"state_dict must be a dict, got {type(state_dict).__name__}")
        given = {key: np.asarray(value) for key, value in state_dict.items()}
        groups, state = [], {}
        try:
            for i, (positions, group) in enumerate(zip(self._positions(), self.param_groups)):
                if given.pop(f"param_groups.{i}.params").tolist() != positions:
                    raise ValueError("loaded state dict contains a parameter group that doesn't match "
                                     "the size of optimizer's group")
                options = {option: _plain(given.pop(f"param_groups.{i}.{option}"))
                           for option in _options(group)}
                for option, value in options.items():
                    if isinstance(self.defaults[option], bool) and not isinstance(value, bool):
                        raise ValueError(f"{option} must be True or False, got {value!r}")
                self._check_options(options)
                groups.append({**group, **options})
                for position, parameter in zip(positions, group["params"]):
                    prefix = f"state.{position}."
                    slots = self._slots + tuple(
                        slot for slot in self._optional_slots if prefix + slot in given)
                    if any(prefix + slot in given for slot in slots):
                        state[parameter] = {
                            slot: _slot(prefix + slot, given.pop(prefix + slot), parameter)
                            for slot in slots}
        except KeyError as error:
            raise ValueError(f"Missing key in the optimizer's state_dict: {error}") from None
        if given:
            raise ValueError(f"Unexpected key(s) in the optimizer's state_dict: {[*given]}")
        self.param_groups, self.state = groups, state


def towards(end: np.ndarray, start: np.ndarray, weight: float) -> np.ndarray:
    """Return (1 - weight) start + weight end, exactly the end where the weight is 1."""
    if weight < 0.5:
        return start + weight * (end - start)
    return end - (1 - weight) * (end - start)


# -- checks, and arrays of reals ----------------------------------------------------------------------

def _named_parameter(pair: Any) -> tuple[str, Parameter]:
    if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)
            and isinstance(pair[1], Parameter)):
        raise TypeError("an optimizer needs pairs of name and Parameter, such as "
                        f"module.named_parameters() yields; one of them is {pair!r}")
    return pair


def check_not_negative(options: Mapping[str, Any], **descriptions: str) -> None:
    """Raise ValueError, in PyTorch's words, if one of the named options is negative or NaN."""
    for name, description in descriptions.items():
        if not number(name, options[name]) >= 0:
            raise ValueError(f"Invalid {description}: {options[name]}")


def number(name: str, value: Any) -> float:
    """Return an option as a float, or raise TypeError if it is no number."""
    try:
        return float(value + 0.0)  # a string fails, where float() alone reads it
    except TypeError:
        raise TypeError(f"{name} must be a number, got {value!r}") from None


def _check_gradient(name: str, gradient: Any, parameter: Parameter) -> None:
    if not isinstance(gradient, (np.ndarray, np.generic)):
        raise TypeError(f"the gradient of {name!r} must be an array, got {type(gradient).__name__}")
    if (gradient.dtype, gradient.shape) != (parameter.dtype, parameter.shape):
        raise RuntimeError(f"the gradient of {name!r} must be of dtype {parameter.dtype} and shape "
                           f"{parameter.shape}, got {gradient.dtype} and {gradient.shape}")


def _reals(array: Any) -> np.ndarray:
    """View an array as one of real numbers: a complex one with a last axis of two."""
    array = array if array.ndim else np.atleast_1d(array)
    if array.dtype.kind != "c":
        return array
    return np.ascontiguousarray(array)[..., None].view(np.finfo(array.dtype).dtype)


def _shaped_like(parameter: Parameter, reals: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(reals).view(parameter.dtype).reshape(parameter.shape)


def _remembered(parameter: Parameter, reals: np.ndarray) -> np.ndarray:
    """Return a part of a parameter's state; it may have got another shape since then."""
    ndim = len(parameter.shape)
    if reals.ndim > max(ndim, 1):
        reals = np.ascontiguousarray(reals).view(np.result_type(reals, np.complex64))[..., 0]
    return reals.reshape(()) if ndim == 0 and reals.size == 1 else reals


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name not in ("params", "param_names")}


def _plain(option: np.ndarray) -> Any:
    """Return an option, saved as an array, as the number, bool, string, None or tuple that it was."""
    value = option.tolist()
    if option.ndim:
        return tuple(map(tuple, value)) if option.ndim == 2 else tuple(value)
    return None if value == "" else value


def _slot(key: str, value: np.ndarray, parameter: Parameter) -> Any:
    """Return a saved part of a parameter's state as the optimiser keeps it."""
    if key.endswith(".step"):
        step = float(fitted(key, value, (), np.dtype(float)))
        if not (step >= 0 and step.is_integer()):
            raise ValueError(f"{key} must be a number of steps, got {step}")
        return int(step)
    return _reals(fitted(key, value, parameter.shape, parameter.dtype))
