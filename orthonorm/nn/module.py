"""The base class of every layer and model."""
from typing import Any, TypeVar

import numpy as np
from autograd.extend import Box

from ..core.matrices import is_of_torch
from .hooks import Hooked
from .parameter import Buffer, Parameter, check_not_substituted, holder_of, scope
from .state import Stateful

M = TypeVar("M", bound="Module")


class Module(Hooked, Stateful):
    """A function with parameters: the base class of every layer and model.

    A subclass calls ``super().__init__()``, assigns its parameters, buffers and submodules as
    attributes, and defines ``forward``. Calling the module calls ``forward``.

    Reading ``module.weight`` gives the array (inside a differentiated call, the autograd tracer), not
    the :class:`Parameter`, which is ``module._parameters["weight"]``.

    Attributes
    ----------
    training : bool
        Whether the module is in training mode; see :meth:`train`.

    Examples
    --------
    >>> class Scale(Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = Parameter(np.array([2.0, 3.0]))
    ...     def forward(self, x):
    ...         return self.factor * x
    >>> scale = Scale()
    >>> scale(np.ones(2))
    array([2., 3.])
    >>> [name for name, parameter in scale.named_parameters()]
    ['factor']
    """

    training: bool

    def __init__(self) -> None:
        set_plainly = super().__setattr__
        set_plainly("training", True)
        for slot in ("_parameters", "_buffers", "_modules",
                     "_forward_pre_hooks", "_forward_hooks", "_state_dict_hooks",
                     "_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"):
            set_plainly(slot, {})
        set_plainly("_non_persistent_buffers_set", set())

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("_save_to_state_dict", "_load_from_state_dict"):
            if hasattr(cls, name):
                raise TypeError(
                    f"{cls.__name__}.{name} would never be called: a state dict is loaded as a whole "
                    "or not at all. Use get_extra_state and set_extra_state, or the hooks that "
                    "register_state_dict_post_hook and register_load_state_dict_pre_hook register")

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Compute the module's output. Every subclass defines its own."""
        raise NotImplementedError(f'Module [{type(self).__name__}] is missing the "forward" function')

    # -- attributes --------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if (self, name) in scope.substitutes:
            return scope.substitutes[self, name]
        state = self.__dict__
        if name in state.get("_parameters", ()):
            parameter = state["_parameters"][name]
            return None if parameter is None else parameter.data
        if name in state.get("_buffers", ()):
            return state["_buffers"][name]
        if name in state.get("_modules", ()):
            return state["_modules"][name]
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, (Parameter, Module)) and "_parameters" not in self.__dict__:
            kind = "parameters" if isinstance(value, Parameter) else "module"
            raise AttributeError(f"cannot assign {kind} before Module.__init__() call")
        if isinstance(value, Parameter):
            _check_name(name, "parameter")
            if hasattr(type(self), name):
                raise KeyError(f"attribute '{name}' already exists")
            self._forget(name, but="_parameters")
            self._parameters[name] = value
        elif name in self.__dict__.get("_parameters", ()):
            parameter = self._parameters[name]
            if parameter is not None and value is parameter._data:
                return  # module.weight += 1 has written into the array
            if value is not None:
                raise TypeError(
                    f"cannot assign '{type(value).__name__}' as parameter '{name}' (Parameter or None "
                    f"expected); to change its value, write into module.{name}[...] or set "
                    f"module._parameters['{name}'].data; to tie it to another one, assign that "
                    f"Parameter: module.{name} = other._parameters['{name}']"
                )
            self._check_not_substituted(name)
            self._parameters[name] = None
        elif isinstance(value, Module):
            self._forget(name, but="_modules")
            self._modules[name] = value
        elif name in self.__dict__.get("_modules", ()):
            if value is not None:
                raise TypeError(
                    f"cannot assign '{type(value).__name__}' as child module '{name}' "
                    "(Module or None expected)"
                )
            self._modules[name] = None
        elif name in self.__dict__.get("_buffers", ()) and not isinstance(value, Buffer):
            substituted = (self, name) in scope.substitutes
            value = _as_buffer(name, value, tracers=substituted)
            if substituted:
                scope.substitutes[self, name] = value
            else:
                self._buffers[name] = value
        elif isinstance(value, Buffer):
            self.register_buffer(name, value.data, value.persistent)
        else:
            _check_plain(name, value)
            super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        self._check_not_substituted(name)
        for registry in (self._parameters, self._buffers, self._modules):
            if name in registry:
                del registry[name]
                self._non_persistent_buffers_set.discard(name)
                return
        super().__delattr__(name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def _forget(self, name: str, but: str) -> None:
        """Take `name` out of every registry but one, which will hold it."""
        self._check_not_substituted(name)
        self.__dict__.pop(name, None)
        for registry in {"_parameters", "_buffers", "_modules"} - {but}:
            self.__dict__[registry].pop(name, None)

    def _check_new_name(self, name: str, kind: str, registry: dict) -> None:
        _check_name(name, kind)
        if hasattr(self, name) and name not in registry:
            raise KeyError(f"attribute '{name}' already exists")
        self._check_not_substituted(name)

    def _check_not_substituted(self, name: str) -> None:
        check_not_substituted(f"cannot replace {name!r}", (self, name), self._parameters.get(name))

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter, or the empty place of one.

        Parameters
        ----------
        name : str
        param : Parameter or None
            With None, ``module.name`` is None and the state dict has no such key.

        Raises
        ------
        TypeError
            If `name` is not a string or `param` not a `Parameter`.
        KeyError
            If `name` is empty, contains a dot, or is an attribute already.
        """
        self._check_new_name(name, "parameter", self._parameters)
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"cannot assign '{type(param).__name__}' object to parameter '{name}' "
                "(Parameter or None required)"
            )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: np.ndarray | None, persistent: bool = True) -> None:
        """Add an array that belongs to the module's state but is not trained.

        Parameters
        ----------
        name : str
        tensor : ndarray or None
        persistent : bool
            Whether the state dict has it.

        Raises
        ------
        TypeError
            If `name` is not a string or `tensor` not an array.
        KeyError
            If `name` is empty, contains a dot, or is an attribute already.
        """
        self._check_new_name(name, "buffer", self._buffers)
        self._buffers[name] = _as_buffer(name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_module(self, name: str, module: "Module | None") -> None:
        """Add a submodule.

        Parameters
        ----------
        name : str
        module : Module or None

        Raises
        ------
        TypeError
            If `name` is not a string or `module` not a `Module`.
        KeyError
            If `name` is empty, contains a dot, or is an attribute already.
        """
        self._check_new_name(name, "module", self._modules)
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{kind_of(module)} is not a Module subclass")
        self._modules[name] = module

    add_module = register_module

    # -- modes -------------------------------------------------------------------------------------

    def train(self: M, mode: bool = True) -> M:
        """Set training mode (or evaluation mode) here and below, and return the module.

        Parameters
        ----------
        mode : bool

        Raises
        ------
        ValueError
            If `mode` is not a bool.
        """
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: M) -> M:
        """Set evaluation mode here and below, and return the module."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Set `requires_grad` of every parameter, and return the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    # -- printing ----------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """Return what stands between the brackets of the module's `repr`."""
        return ""

    def _children_lines(self) -> list[str]:
        return [_indented(f"({name}): {module!r}") for name, module in self._modules.items()]

    def __repr__(self) -> str:
        extra, children = self.extra_repr(), self._children_lines()
        if not children and "\n" not in extra:
            return f"{type(self).__name__}({extra})"
        lines = extra.split("\n") if extra else []
        return "\n  ".join([f"{type(self).__name__}(", *lines, *children]) + "\n)"


def _check_name(name: str, kind: str) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{kind} name should be a string. Got {type(name).__name__}")
    if "." in name:
        raise KeyError(f'{kind} name can\'t contain ".", got "{name}"')
    if name == "":
        raise KeyError(f'{kind} name can\'t be empty string ""')


def _as_buffer(name: str, value: Any, tracers: bool = False) -> Any:
    if isinstance(value, Box):
        if tracers:
            return value
        raise TypeError(
            f"cannot assign an autograd tracer to buffer '{name}', which outlives the differentiated "
            "call; assign its value, orthonorm.gradients.stop_gradient(...)"
        )
    if isinstance(value, np.generic):  # what NumPy makes of arrays without dimensions
        return np.asarray(value)
    if value is not None and not isinstance(value, np.ndarray):
        raise TypeError(
            f"cannot assign '{type(value).__name__}' object to buffer '{name}' "
            "(ndarray or None required)"
        )
    return value


def kind_of(x: Any) -> str:
    """Return the name of something's class, and whose it is where that is PyTorch."""
    name = type(x).__name__
    return f"PyTorch's {name} (use orthonorm.nn.{name})" if is_of_torch(x) else name


def _check_plain(name: str, value: Any) -> None:
    """Raise TypeError for what would be no part of the module where PyTorch's user expects it to be."""
    if isinstance(value, np.ndarray) and holder_of(value) is not None:
        raise TypeError(
            f"cannot assign the array of a Parameter as attribute '{name}', which would not be trained "
            f"with it. To tie them assign the Parameter: module.{name} = other._parameters['weight']; "
            "to keep the values assign a copy"
        )
    if is_of_torch(value) and hasattr(value, "requires_grad_"):
        raise TypeError(f"cannot assign PyTorch's {type(value).__name__} as attribute '{name}': "
                        "use a layer of orthonorm.nn, or the array tensor.detach().numpy()")


def _indented(text: str) -> str:
    return text.replace("\n", "\n  ")
