"""Parametrized tensors: ``module.weight`` computed from other arrays each time it is read.

Registering a parametrization f on ``module.weight`` moves the parameter to
``module.parametrizations.weight.original`` and changes the module's class to one whose ``weight`` is
``f(original)``. Several parametrizations on one tensor are applied in the order of registration.

A parametrized module can be copied, pickled and sent to another process like any other; PyTorch
leaves it at state dicts. What unpickles it finds the class by the name of the one it was made from.
"""
import functools
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any, Iterator

import numpy as np
from autograd.extend import Box

from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter, scope

__all__ = [
    "ParametrizationList", "cached", "is_parametrized", "register_parametrization",
    "remove_parametrizations", "transfer_parametrizations_and_params",
    "type_before_parametrizations",
]


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized tensor at most once inside the ``with`` block.

    The values are those of the running thread only, and are dropped when the outermost block ends,
    by an exception too. Inside ``value_and_grad`` and ``functional_call`` they are computed anew,
    since the parameters have other values there.

    Examples
    --------
    >>> from orthonorm import nn
    >>> from orthonorm.nn.utils.parametrizations import orthogonal
    >>> layer = orthogonal(nn.Linear(3, 3, rng=0))
    >>> layer.weight is layer.weight
    False
    >>> with cached():
    ...     layer.weight is layer.weight
    True
    """
    outer = scope.cache
    if outer is None:
        scope.cache = {}
    try:
        yield
    finally:
        scope.cache = outer


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, and the arrays that it is computed from.

    Made by :func:`register_parametrization`. If the first parametrization's ``right_inverse`` returns
    one array, or it has none, that array is ``original``; if it returns a sequence, the arrays are
    ``original0``, ``original1``, ...

    Parameters
    ----------
    modules : sequence of Module
        The parametrizations, in order of application.
    original : Parameter or ndarray
        The parameter or buffer to parametrize.
    unsafe : bool
        Whether the parametrization may change shape and dtype; with True nothing is checked.

    Raises
    ------
    ValueError
        If there is no module; if a ``right_inverse`` returns something that is neither an array nor a
        sequence of arrays, or changes the dtype; unless `unsafe`, if the result has not the shape and
        dtype of the tensor. `original` is then as it was.
    """

    def __init__(self, modules: Sequence[Module], original: Any, unsafe: bool = False):
        if len(modules) == 0:
            raise ValueError("ParametrizationList requires one or more modules.")
        super().__init__(modules)
        self.unsafe = unsafe
        value = original.data if isinstance(original, Parameter) else original
        with _restoring(self):
            new = self._right_inverse_where_there_is_one(value)
            self.is_tensor = _is_array(new)
            self.ntensors = 1 if self.is_tensor else len(new)
            if self.is_tensor:
                if new.dtype != value.dtype:
                    raise ValueError(
                        "When `right_inverse` outputs one tensor, it may not change the dtype: the "
                        f"tensor has {value.dtype}, right_inverse(tensor) has {new.dtype}"
                    )
                self._register_originals(original, {"original": new})
            else:
                self._register_originals(
                    original, {f"original{i}": array for i, array in enumerate(new)})
            if not unsafe:
                result = self()
                _check_result("Registering a parametrization", result, value)
        if self.is_tensor and isinstance(original, Parameter):
            # The same Parameter keeps serving, so that an optimizer need not be told.
            original.data = self._parameters["original"].data
            self._parameters["original"] = original

    def _right_inverse_where_there_is_one(self, value: Any) -> Any:
        new = value
        for module in reversed(list(self)):
            if hasattr(module, "right_inverse"):
                try:
                    new = _inverse_at_registration(module)(new)
                except NotImplementedError:
                    pass
        if not _is_array(new) and not isinstance(new, Sequence):
            raise ValueError(
                "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
                f"Got {type(new).__name__}"
            )
        if isinstance(new, Sequence):
            for i, element in enumerate(new):
                _check_element(i, element)
        return new

    def _register_originals(self, original: Any, arrays: dict[str, Any]) -> None:
        for name, array in arrays.items():
            array = np.array(array)
            if isinstance(original, Parameter):
                self.register_parameter(name, Parameter(array, original.requires_grad))
            else:
                self.register_buffer(name, array)

    def _names(self) -> list[str]:
        # Where an original is parametrized itself, there is a child "parametrizations" too.
        return [name for name in self._modules if name.isdigit()]

    @property
    def _original_names(self) -> list[str]:
        return ["original"] if self.is_tensor else [f"original{i}" for i in range(self.ntensors)]

    def right_inverse(self, value: Any) -> None:
        """Store the arrays from which the parametrizations compute `value`.

        The ``right_inverse`` methods are called last to first. If one of them fails, or returns what
        cannot be stored, everything stays as it was.

        Parameters
        ----------
        value : ndarray
            What the parametrized tensor is to become.

        Raises
        ------
        RuntimeError
            If a parametrization has no ``right_inverse``.
        NotImplementedError
            If one cannot invert.
        ValueError
            If the result has not the number, dtype or shape of the originals.
        """
        with _restoring(self):
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise RuntimeError(
                        f"parametrization {type(module).__name__} does not implement right_inverse."
                    )
                value = module.right_inverse(value)
            if self.is_tensor:
                if not _is_array(value):
                    raise ValueError(
                        f"`right_inverse` should return a tensor. Got {type(value).__name__}"
                    )
                arrays = [value]
            else:
                if not isinstance(value, Sequence):
                    raise ValueError(
                        "'right_inverse' must return a sequence of tensors. "
                        f"Got {type(value).__name__}."
                    )
                if len(value) != self.ntensors:
                    raise ValueError(
                        "'right_inverse' must return a sequence of tensors of length "
                        f"{self.ntensors}. Got a sequence of length {len(value)}."
                    )
                for i, element in enumerate(value):
                    _check_element(i, element)
                arrays = list(value)
            for name, array in zip(self._original_names, arrays):
                self._check_original(name, array)
            for name, array in zip(self._original_names, arrays):
                self._store_original(name, np.array(array))

    def _check_original(self, name: str, array: Any) -> None:
        current = getattr(self, name)
        if array.dtype != current.dtype:
            raise ValueError(
                f"The tensor returned by `right_inverse` has dtype {array.dtype} "
                f"while `{name}` has dtype {current.dtype}"
            )
        if array.shape != current.shape:
            raise ValueError(
                f"The tensor returned by `right_inverse` has shape {array.shape} "
                f"while `{name}` has shape {current.shape}"
            )

    def _store_original(self, name: str, array: np.ndarray) -> None:
        if name in self._parameters:
            self._parameters[name].data = array
        else:  # a buffer, or parametrized itself
            setattr(self, name, array)

    def forward(self) -> Any:
        """Compute the parametrized tensor."""
        first, *others = self
        x = first(*(getattr(self, name) for name in self._original_names))
        for module in others:
            x = module(x)
        return x


class _Parametrized:
    """Mixed into the class of a module with parametrized tensors, which it computes when read."""

    _modules: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        parametrizations = self.__dict__.get("_modules", {}).get("parametrizations", ())
        if name not in parametrizations:
            return super().__getattr__(name)  # type: ignore[misc]
        if scope.cache is None:
            return _computed(parametrizations[name])
        key = self, name
        if key not in scope.cache:
            scope.cache[key] = _computed(parametrizations[name])
        return scope.cache[key]

    def __setattr__(self, name: str, value: Any) -> None:
        parametrizations = self.__dict__.get("_modules", {}).get("parametrizations", ())
        if name not in parametrizations:
            super().__setattr__(name, value)
            return
        parametrizations[name].right_inverse(
            value.data if isinstance(value, Parameter) else np.asarray(value))
        _forget_cached(self, name)  # type: ignore[arg-type]

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._modules.get("parametrizations", ())})

    def __reduce__(self) -> tuple:
        # The class is made at run time: copy and pickle find it through the one it was made from.
        return _new_parametrized, (type(self).__mro__[2],), self.__getstate__()


@functools.cache
def _parametrized_class(cls: Any) -> Any:
    return type(f"Parametrized{cls.__name__}", (_Parametrized, cls), {"__module__": cls.__module__})


def _new_parametrized(cls: type) -> Any:
    parametrized = _parametrized_class(cls)
    return parametrized.__new__(parametrized)


def _computed(parametrization_list: ParametrizationList) -> Any:
    """Compute a tensor, read-only: what is written into it would be lost."""
    value = parametrization_list()
    if isinstance(value, Box):
        return value
    value = np.asarray(value).view()
    value.flags.writeable = False
    return value


def register_parametrization(module: Module, tensor_name: str, parametrization: Module, *,
                             unsafe: bool = False) -> Module:
    """Compute a parameter or buffer of a module by a parametrization from now on.

    ``module.weight`` becomes ``parametrization(original)``, read-only, where ``original`` is the
    parameter that was ``weight`` and is now ``module.parametrizations.weight.original``; its gradient
    is what training uses. On a tensor that is parametrized already, the new parametrization is
    applied to the result of those before it.

    If the parametrization has a method ``right_inverse(value)``, it is called with the present value
    to find the start of ``original``, and ``module.weight = value`` calls it to assign. It may return
    several arrays; they become the arguments of ``forward``, named ``original0``, ``original1``, ...
    Without it, ``original`` starts as the present value.

    Parameters
    ----------
    module : Module
    tensor_name : str
        Name of a parameter or buffer of `module`, or of a tensor parametrized before.
    parametrization : Module
        Takes and returns arrays. Its training mode becomes that of `module`.
    unsafe : bool
        Allow it to change shape and dtype; ``forward`` is then not tried out.

    Returns
    -------
    Module
        `module`.

    Raises
    ------
    ValueError
        If there is no such tensor; unless `unsafe`, if `forward` or `right_inverse` changes the shape
        or dtype, or returns something else than arrays. The module is then as it was.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from orthonorm import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, X):
    ...         return np.triu(X) + np.triu(X, 1).T
    ...     def right_inverse(self, A):
    ...         return np.triu(A)
    >>> layer = register_parametrization(nn.Linear(3, 3, rng=0), "weight", Symmetric())
    >>> np.array_equal(layer.weight, layer.weight.T)
    True
    >>> layer.weight = np.eye(3)
    >>> layer.parametrizations.weight.original
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    mode = parametrization.training
    parametrization.train(module.training)
    try:
        if is_parametrized(module, tensor_name):
            chain = module.parametrizations[tensor_name]
            if not unsafe:
                with _restoring(parametrization, chain):
                    _check_on_top(module, tensor_name, parametrization)
            chain.append(parametrization)
            chain.unsafe |= unsafe
        else:
            _register_first(module, tensor_name, parametrization, unsafe)
    except BaseException:
        parametrization.train(mode)
        raise
    _forget_cached(module, tensor_name)
    return module


def tensor_named(module: Module, name: str) -> Any:
    """Return the parameter, buffer or parametrized tensor of a name.

    Parameters
    ----------
    module : Module
    name : str

    Returns
    -------
    ndarray or autograd tracer

    Raises
    ------
    ValueError
        If the module has none.
    """
    tensor = getattr(module, name, None)
    if not _is_array(tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return tensor


def _forget_cached(module: Module, name: str) -> None:
    if scope.cache is not None:
        scope.cache.pop((module, name), None)


def _register_first(module: Module, name: str, parametrization: Module, unsafe: bool) -> None:
    original = module._parameters.get(name, module._buffers.get(name))
    if original is None:
        raise ValueError(
            f"Module '{module}' does not have a parameter, a buffer, or a parametrized element with "
            f"name '{name}'"
        )
    parametrization_list = ParametrizationList([parametrization], original, unsafe=unsafe)
    delattr(module, name)
    if not is_parametrized(module):
        module.__class__ = _parametrized_class(type_before_parametrizations(module))
        module.parametrizations = ModuleDict()
    module.parametrizations.register_module(name, parametrization_list)


def _check_on_top(module: Module, name: str, parametrization: Module) -> None:
    """Check that a further parametrization of a tensor keeps its shape and dtype, both ways."""
    Y = getattr(module, name)
    X = parametrization(Y)
    _check_result("Registering a parametrization", X, Y)
    if hasattr(parametrization, "right_inverse"):
        try:
            Z = _inverse_at_registration(parametrization)(X)
        except NotImplementedError:
            return
        if not _is_array(Z):
            raise ValueError(
                f"parametrization.right_inverse must return a tensor. Got: {type(Z).__name__}"
            )
        for what in ("dtype", "shape"):
            if getattr(Z, what) != getattr(Y, what):
                raise ValueError(
                    f"The tensor returned by parametrization.right_inverse must have the same {what} "
                    f"as module.{name}, {getattr(Y, what)}, unless the `unsafe` flag is enabled. "
                    f"Got {getattr(Z, what)}"
                )


def _inverse_at_registration(parametrization: Module) -> Callable[[Any], Any]:
    """Return ``right_inverse``, or what `orthogonal` starts with where PyTorch cannot invert."""
    return getattr(parametrization, "right_inverse_at_registration", parametrization.right_inverse)


def _check_result(doing: str, result: Any, before: Any) -> None:
    if not _is_array(result):
        raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
    for what in ("dtype", "shape"):
        if getattr(result, what) != getattr(before, what):
            raise ValueError(
                f"{doing} may not change the {what} of the tensor, unless the `unsafe` flag is "
                f"enabled: it was {getattr(before, what)} and became {getattr(result, what)}"
            )


def _check_element(i: int, element: Any) -> None:
    if not _is_array(element):
        raise ValueError(
            "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
            f"Got element {i} of the sequence with type {type(element).__name__}."
        )


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic, Box))


@contextmanager
def _restoring(*modules: Module) -> Iterator[None]:
    """Undo assignments to parameters and buffers of modules and below if the block raises."""
    parts = [part for module in modules for part in module.modules()]
    buffers = [dict(part._buffers) for part in parts]
    values = [(parameter, parameter._data) for part in parts for parameter in part.parameters(False)]
    try:
        yield
    except BaseException:
        for part, before in zip(parts, buffers):
            part._buffers.clear()
            part._buffers.update(before)
        for parameter, value in values:
            parameter._data = value
        raise


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Tell whether a module, or one tensor of it, is parametrized.

    Parameters
    ----------
    module : Module
    tensor_name : str, optional
        The tensor; None asks for any.

    Returns
    -------
    bool

    Examples
    --------
    >>> from orthonorm import nn
    >>> is_parametrized(nn.Linear(2, 2))
    False
    """
    parametrizations = getattr(module, "parametrizations", None)
    if not isinstance(parametrizations, ModuleDict):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


def remove_parametrizations(module: Module, tensor_name: str,
                            leave_parametrized: bool = True) -> Module:
    """Make a parametrized tensor a plain parameter or buffer again.

    Where it was computed from one ``original``, the same :class:`Parameter` returns to its place.
    Without any parametrized tensor left, the module has its old class again.

    Parameters
    ----------
    module : Module
    tensor_name : str
    leave_parametrized : bool
        Whether the tensor keeps its computed value (computed once more, so that spectral
        normalisation in training mode iterates once more) or becomes ``original``.

    Returns
    -------
    Module
        `module`.

    Raises
    ------
    ValueError
        If the tensor is not parametrized, or if `leave_parametrized` is False and there is no single
        ``original``: it was computed from several, or is parametrized itself.

    Examples
    --------
    >>> from orthonorm import nn
    >>> from orthonorm.nn.utils.parametrizations import weight_norm
    >>> layer = weight_norm(nn.Linear(2, 3))
    >>> remove_parametrizations(layer, "weight")
    Linear(in_features=2, out_features=3, bias=True)
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    parametrizations = module.parametrizations[tensor_name]
    single = parametrizations.is_tensor and not is_parametrized(parametrizations)
    if not single and not leave_parametrized:
        raise ValueError(
            "Cannot leave unparametrized (`leave_parametrized=False`) a tensor that is parametrized "
            "in terms of a sequence of tensors, or of a parametrized one."
        )
    original = parametrizations._parameters.get("original") if single else None
    if leave_parametrized:
        value = np.array(getattr(module, tensor_name))
        if original is not None:
            original.data = value
        elif parametrizations._parameters or is_parametrized(parametrizations):
            wanted = any(p.requires_grad for p in parametrizations.parameters())
            original = Parameter(value, requires_grad=wanted)
    else:
        value = parametrizations.original

    del module.parametrizations[tensor_name]
    _forget_cached(module, tensor_name)
    if not is_parametrized(module):
        del module.parametrizations
        module.__class__ = type_before_parametrizations(module)
    if original is not None:
        module.register_parameter(tensor_name, original)
    else:
        module.register_buffer(tensor_name, value)
    return module


def type_before_parametrizations(module: Module) -> Any:
    """Return the class that a module has when nothing in it is parametrized.

    Parameters
    ----------
    module : Module

    Returns
    -------
    type

    Examples
    --------
    >>> from orthonorm import nn
    >>> from orthonorm.nn.utils.parametrizations import spectral_norm
    >>> type_before_parametrizations(spectral_norm(nn.Linear(2, 2))).__name__
    'Linear'
    """
    cls = type(module)
    return cls.__mro__[2] if issubclass(cls, _Parametrized) else cls


def transfer_parametrizations_and_params(from_module: Module, to_module: Module,
                                         tensor_name: str | None = None) -> Module:
    """Give one module the parametrizations of another, and the parameters that they compute from.

    The two modules share them afterwards, as in PyTorch: the same parametrization modules and the
    same :class:`Parameter` objects. A tensor that `to_module` lacks is created.

    Parameters
    ----------
    from_module, to_module : Module
    tensor_name : str, optional
        The tensor to transfer; None transfers all. Nothing happens where `from_module` is not
        parametrized.

    Returns
    -------
    Module
        `to_module`.

    Raises
    ------
    ValueError
        As :func:`register_parametrization`.
    KeyError
        If `tensor_name` is not parametrized in `from_module`.

    Examples
    --------
    >>> from orthonorm import nn
    >>> from orthonorm.nn.utils.parametrizations import orthogonal
    >>> source, target = orthogonal(nn.Linear(3, 3, rng=0)), nn.Linear(3, 3, rng=1)
    >>> target = transfer_parametrizations_and_params(source, target)
    >>> np.array_equal(source.weight, target.weight)
    True
    """
    if not is_parametrized(from_module):
        return to_module
    names = list(from_module.parametrizations) if tensor_name is None else [tensor_name]
    for name in names:
        source = from_module.parametrizations[name]
        # Reading, and trying a shared parametrization out on to_module's value, may move its buffers
        # (the base of `orthogonal`, the vectors of `spectral_norm`), which are from_module's too.
        state = [(part, dict(part._buffers)) for part in source.modules() if part is not source]
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(np.array(getattr(from_module, name))))
        for parametrization in source:
            register_parametrization(to_module, name, parametrization)
        for part, buffers in state:
            part._buffers.update(buffers)
        target = to_module.parametrizations[name]
        for registry in ("_parameters", "_buffers"):
            getattr(target, registry).update(getattr(source, registry))
    return to_module
