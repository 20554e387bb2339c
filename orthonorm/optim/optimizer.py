"""The base class of the optimisers: groups of parameters, their state, and the step."""
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ..nn.parameter import Parameter
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
        For the name of each parameter that has been moved, what the optimiser remembers of it.

    Raises
    ------
    TypeError
        If `named_parameters` holds anything else; unnamed parameters too.
    ValueError
        If there is no parameter, a name or a parameter occurs twice, or an option is unknown or out of
        range.
    """

    _slots: tuple[str, ...] = ()
    _optional_slots: tuple[str, ...] = ()

    def __init__(self, named_parameters: Iterable[Any], defaults: dict[str, Any]):
        self.defaults = defaults
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[str, dict[str, Any]] = {}
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
        self._check_options(options)
        groups = [*self.param_groups, {"params": [parameter for _, parameter in pairs],
                                       "param_names": [name for name, _ in pairs], **options}]
        names = [name for group in groups for name in group["param_names"]]
        parameters = [parameter for group in groups for parameter in group["params"]]
        if len({*names}) < len(names) or len({*parameters}) < len(parameters):
            raise ValueError("some parameters appear in more than one parameter group, or twice in one")
        self.param_groups = groups

    def _check_options(self, options: Mapping[str, Any]) -> None:
        """Raise a ValueError if an option is out of range."""
        raise NotImplementedError

    def _update(self, x: np.ndarray, g: np.ndarray, state: dict[str, Any],
                options: Mapping[str, Any]) -> np.ndarray:
        """Return where x goes with the gradient g, both vectors of reals; write into `state`."""
        raise NotImplementedError

    def step(self, grads: Mapping[str, Any]) -> None:
        """Move every parameter that has a gradient.

        Parameters
        ----------
        grads : dict of str to ndarray
            Each gradient under its parameter's name, of the parameter's shape and dtype. Parameters
            without one stay where they are, as do those whose gradient is None.

        Raises
        ------
        TypeError
            If `grads` is not a mapping, or a gradient not an array.
        RuntimeError
            If a name is unknown, or a gradient has another shape or dtype than its parameter; or
            inside a differentiated call in which another value stands in for the parameter; or if the
            parameter has another shape or dtype than what is remembered of it.

        Notes
        -----
        Nothing has changed when this raises. NaN and infinity go through, as in PyTorch.
        """
        if not isinstance(grads, Mapping):
            raise TypeError(f"grads must be a dict from names to gradients, got {type(grads).__name__}")
        places = {name: (parameter, group) for group in self.param_groups
                  for name, parameter in zip(group["param_names"], group["params"])}
        for name, gradient in grads.items():
            if name not in places:
                raise RuntimeError(
                    f"grads has a gradient for {name!r}; the optimizer has the parameters {[*places]}")
            if gradient is not None:
                _check_gradient(name, gradient, places[name][0])
                places[name][0].check_assignable()
        moves = []
        for name, gradient in grads.items():
            if gradient is not None:
                parameter, group = places[name]
                x, state = _reals(parameter._data), {**self.state.get(name, {})}
                if any((np.shape(value), np.result_type(value)) != (x.shape, x.dtype)
                       for slot, value in state.items() if slot != "step"):
                    raise RuntimeError(f"{name!r} has another shape or dtype than in its last step: "
                                       "a new optimizer is needed")
                moves.append((name, state, self._update(x, _reals(gradient), state, group)))
        for name, state, moved in moves:
            self.state[name] = state
            places[name][0].data = _shaped_like(places[name][0], moved)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copy the state and the options into a flat dict of arrays.

        Like a module's it can be saved as ``.npz``: ``np.savez(path, **optimizer.state_dict())``.

        Returns
        -------
        dict of str to ndarray
            ``state.<parameter name>.<what>``, of the parameter's shape and dtype ("step" is an
            integer), and ``param_groups.<number>.<option>``.
        """
        state = {f"state.{name}.{slot}": np.array(value) if slot == "step"
                 else _shaped_like(parameter, value.copy())
                 for group in self.param_groups
                 for name, parameter in zip(group["param_names"], group["params"])
                 for slot, value in self.state.get(name, {}).items()}
        options = {f"param_groups.{i}.{option}": np.array(value)
                   for i, group in enumerate(self.param_groups)
                   for option, value in _options(group).items()}
        return state | options

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
        given = {key: np.asarray(value) for key, value in state_dict.items()}
        groups, state = [], {}
        try:
            for i, group in enumerate(self.param_groups):
                options = {option: _plain(given.pop(f"param_groups.{i}.{option}"))
                           for option in _options(group)}
                self._check_options(options)
                groups.append({**group, **options})
                for name, parameter in zip(group["param_names"], group["params"]):
                    prefix = f"state.{name}."
                    slots = self._slots + tuple(
                        slot for slot in self._optional_slots if prefix + slot in given)
                    if any(prefix + slot in given for slot in slots):
                        state[name] = {slot: _slot(prefix + slot, given.pop(prefix + slot), parameter)
                                       for slot in slots}
        except KeyError as error:
            raise ValueError(f"Missing key in the optimizer's state_dict: {error}") from None
        if given:
            raise ValueError(f"Unexpected key(s) in the optimizer's state_dict: {[*given]}")
        self.param_groups, self.state = groups, state


# -- checks, and arrays as vectors of reals -----------------------------------------------------------

def _named_parameter(pair: Any) -> tuple[str, Parameter]:
    if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)
            and isinstance(pair[1], Parameter)):
        raise TypeError("an optimizer needs pairs of name and Parameter, such as "
                        f"module.named_parameters() yields; one of them is {pair!r}")
    return pair


def check_not_negative(options: Mapping[str, Any], **descriptions: str) -> None:
    for name, description in descriptions.items():
        if not number(name, options[name]) >= 0:
            raise ValueError(f"Invalid {description}: {options[name]}")


def number(name: str, value: Any) -> float:
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
    """View an array as a vector of real numbers, two for a complex one."""
    return np.ravel(array).view(np.finfo(array.dtype).dtype)


def _shaped_like(parameter: Parameter, reals: np.ndarray) -> np.ndarray:
    return reals.view(parameter.dtype).reshape(parameter.shape)


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if name not in ("params", "param_names")}


def _plain(option: np.ndarray) -> Any:
    """Return an option, saved as an array, as the number, bool or tuple that it was."""
    return tuple(option.tolist()) if option.ndim else option.item()


def _slot(key: str, value: np.ndarray, parameter: Parameter) -> Any:
    """Return a saved part of a parameter's state as the optimiser keeps it."""
    if key.endswith(".step"):
        return int(fitted(key, value, (), np.dtype(float)))
    return _reals(fitted(key, value, parameter.shape, parameter.dtype))
