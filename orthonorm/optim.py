"""Optimisers: gradient descent with momentum, Adam and AdamW, with PyTorch's arguments and arithmetic.

An optimiser is made from a module's ``named_parameters()`` and takes the gradients that
:func:`orthonorm.func.value_and_grad` returns. A step gives each :class:`~orthonorm.nn.Parameter` a new
array; the arrays that were read before keep their values. Complex parameters are treated as pairs of
real numbers.
"""
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .nn.parameter import Parameter
from .nn.state import fitted

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]


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


class SGD(Optimizer):
    r"""Gradient descent, with momentum if asked for.

    Parameters
    ----------
    named_parameters : iterable of (str, Parameter), or of dict
        See :class:`Optimizer`.
    lr : float
        The step size :math:`\gamma`.
    momentum : float
        :math:`\mu`: how much of the last step's direction is kept.
    dampening : float
        :math:`\tau`: how much is taken off the gradients that are added to it.
    weight_decay : float
        :math:`\lambda`: adds the gradient of :math:`\lambda \|x\|^2 / 2`.
    nesterov : bool
        Whether to look ahead, as Nesterov's momentum does.
    maximize : bool
        Whether to climb instead.

    Raises
    ------
    TypeError, ValueError
        See :class:`Optimizer`; and if `nesterov` comes without momentum or with dampening.

    Notes
    -----
    With the gradient g, its sign turned to maximise, a step is

    .. math::

        g &\leftarrow g + \lambda x \\
        b &\leftarrow \mu b + (1 - \tau) g \quad (b = g \text{ in the first step}) \\
        x &\leftarrow x - \gamma \, b
            \quad \text{or, with Nesterov's momentum, } x - \gamma \, (g + \mu b).

    References
    ----------
    .. [1] I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and
       momentum in deep learning", ICML 2013. (There :math:`\gamma` is inside b.)

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from orthonorm import func, nn
    >>> layer = nn.Linear(1, 1, bias=False)
    >>> optimizer = SGD(layer.named_parameters(), lr=0.1, momentum=0.5)
    >>> step = func.value_and_grad(lambda x: np.sum((layer(x) - 3 * x) ** 2), layer)
    >>> for _ in range(40):
    ...     loss, grads = step(np.array([1.0]))
    ...     optimizer.step(grads)
    >>> print(layer.weight.round(4))
    [[3.]]
    """

    _optional_slots = ("momentum_buffer",)

    def __init__(self, named_parameters: Iterable[Any], lr: float = 1e-3, momentum: float = 0,
                 dampening: float = 0, weight_decay: float = 0, nesterov: bool = False, *,
                 maximize: bool = False):
        super().__init__(named_parameters, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize})

    def _check_options(self, options: Mapping[str, Any]) -> None:
        _check_not_negative(options, lr="learning rate", momentum="momentum value",
                            weight_decay="weight_decay value")
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def _update(self, x: np.ndarray, g: np.ndarray, state: dict[str, Any],
                options: Mapping[str, Any]) -> np.ndarray:
        lr, momentum, dampening, weight_decay = (
            float(options[name]) for name in ("lr", "momentum", "dampening", "weight_decay"))
        if options["maximize"]:
            g = -g
        if weight_decay:
            g = g + weight_decay * x
        if momentum:
            b = state.get("momentum_buffer")
            b = g.copy() if b is None else momentum * b + (1 - dampening) * g
            state["momentum_buffer"] = b
            g = g + momentum * b if options["nesterov"] else b
        return x - lr * g


class Adam(Optimizer):
    r"""Adam: steps of even length in every coordinate, by averages of the gradient and its square.

    Parameters
    ----------
    named_parameters : iterable of (str, Parameter), or of dict
        See :class:`Optimizer`.
    lr : float
        The step size :math:`\gamma`.
    betas : pair of float
        :math:`\beta_1, \beta_2`: how much of the averages is kept at each step.
    eps : float
        :math:`\epsilon`: keeps the division from zero.
    weight_decay : float
        :math:`\lambda`: adds the gradient of :math:`\lambda \|x\|^2 / 2`.
    amsgrad : bool
        Whether to divide by the largest average of squares so far [2]_.
    maximize : bool
        Whether to climb instead.
    decoupled_weight_decay : bool
        Whether to shrink x by the factor :math:`1 - \gamma \lambda` instead, which keeps the decay out
        of the averages: this is :class:`AdamW`.

    Raises
    ------
    TypeError, ValueError
        See :class:`Optimizer`.

    Notes
    -----
    In step t, with the gradient g, its sign turned to maximise,

    .. math::

        g &\leftarrow g + \lambda x \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        x &\leftarrow x - \frac{\gamma}{1 - \beta_1^t} \,
            \frac{m}{\sqrt{v} / \sqrt{1 - \beta_2^t} + \epsilon}.

    Of a complex parameter, real and imaginary part have averages of their own, as in PyTorch.

    References
    ----------
    .. [1] D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    .. [2] S. J. Reddi, S. Kale, S. Kumar, "On the convergence of Adam and beyond", ICLR 2018.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from orthonorm import func, nn
    >>> layer = nn.Linear(1, 1, bias=False)
    >>> optimizer = Adam(layer.named_parameters(), lr=0.1)
    >>> step = func.value_and_grad(lambda x: np.sum((layer(x) - 3 * x) ** 2), layer)
    >>> for _ in range(500):
    ...     loss, grads = step(np.array([1.0]))
    ...     optimizer.step(grads)
    >>> print(layer.weight.round(4))
    [[3.]]
    """

    _slots = ("step", "exp_avg", "exp_avg_sq")
    _optional_slots = ("max_exp_avg_sq",)

    def __init__(self, named_parameters: Iterable[Any], lr: float = 1e-3,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, amsgrad: bool = False, *, maximize: bool = False,
                 decoupled_weight_decay: bool = False):
        super().__init__(named_parameters, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay})

    def _check_options(self, options: Mapping[str, Any]) -> None:
        _check_not_negative(options, lr="learning rate", eps="epsilon value",
                            weight_decay="weight_decay value")
        if np.shape(options["betas"]) != (2,):
            raise ValueError(f"betas must be a pair of numbers, got {options['betas']!r}")
        for i, beta in enumerate(options["betas"]):
            if not 0 <= _number("betas", beta) < 1:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")

    def _update(self, x: np.ndarray, g: np.ndarray, state: dict[str, Any],
                options: Mapping[str, Any]) -> np.ndarray:
        lr, eps, weight_decay = (float(options[name]) for name in ("lr", "eps", "weight_decay"))
        beta1, beta2 = map(float, options["betas"])
        if options["maximize"]:
            g = -g
        if weight_decay and options["decoupled_weight_decay"]:
            x = x * (1 - lr * weight_decay)
        elif weight_decay:
            g = g + weight_decay * x
        t = state["step"] = state.get("step", 0) + 1
        m = state["exp_avg"] = _towards(g, state.get("exp_avg", np.zeros_like(x)), 1 - beta1)
        v = state["exp_avg_sq"] = (
            beta2 * state.get("exp_avg_sq", np.zeros_like(x)) + (1 - beta2) * g * g)
        if options["amsgrad"]:
            v = state["max_exp_avg_sq"] = np.maximum(state.get("max_exp_avg_sq", v), v)
        root = np.sqrt(v) / (1 - beta2 ** t) ** 0.5
        return x - lr / (1 - beta1 ** t) * m / (root + eps)


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters themselves, apart from the gradient.

    Parameters
    ----------
    named_parameters, lr, betas, eps, weight_decay, amsgrad, maximize
        Those of :class:`Adam`, where the formula is too.

    References
    ----------
    .. [1] I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> from orthonorm import nn
    >>> parameter = nn.Parameter(np.array([1.0, 2.0]))
    >>> AdamW([("x", parameter)], lr=0.1, weight_decay=0.5).step({"x": np.zeros(2)})
    >>> parameter.data
    array([0.95, 1.9 ])
    """

    def __init__(self, named_parameters: Iterable[Any], lr: float = 1e-3,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False):
        super().__init__(named_parameters, lr, betas, eps, weight_decay, amsgrad, maximize=maximize,
                         decoupled_weight_decay=True)


def _towards(end: np.ndarray, start: np.ndarray, weight: float) -> np.ndarray:
    """Return (1 - weight) start + weight end, exactly the end where the weight is 1."""
    if weight < 0.5:
        return start + weight * (end - start)
    return end - (1 - weight) * (end - start)


# -- checks, and arrays as vectors of reals -----------------------------------------------------------

def _named_parameter(pair: Any) -> tuple[str, Parameter]:
    if not (isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str)
            and isinstance(pair[1], Parameter)):
        raise TypeError("an optimizer needs pairs of name and Parameter, such as "
                        f"module.named_parameters() yields; one of them is {pair!r}")
    return pair


def _check_not_negative(options: Mapping[str, Any], **descriptions: str) -> None:
    for name, description in descriptions.items():
        if not _number(name, options[name]) >= 0:
            raise ValueError(f"Invalid {description}: {options[name]}")


def _number(name: str, value: Any) -> float:
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
