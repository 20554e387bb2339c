"""Parametrized tensors: ``module.weight`` computed from other arrays each time it is read.

Registering a parametrization f on ``module.weight`` moves the parameter to
``module.parametrizations.weight.original`` and changes the module's class to one whose ``weight`` is
``f(original)``. Several parametrizations on one tensor are applied in the order of registration.

A parametrized module can be copied, pickled and sent to another process like any other; PyTorch
leaves it at state dicts. What unpickles it finds the class by the name of the one it was made from.
"""
import functools
from contextlib import contextmanager
from typing import Any, Iterator

import numpy as np

from ...core.matrices import DTYPES
from ...gradients import stop_gradient
from ..containers import ModuleDict
from ..module import Module, kind_of
from ..parameter import Parameter, check_not_substituted, native, scope
from ..state import undone_if_it_raises
from .parametrization_list import (
    ParametrizationList, check_result, inverse_at_registration, is_array, read_only,
)

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


class _Parametrized:
    """Mixed into the class of a module with parametrized tensors, which it computes when read."""

    _modules: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        parametrizations = self.__dict__.get("_modules", {}).get("parametrizations", ())
        if name not in parametrizations or (self, name) in scope.substitutes:
            return super().__getattr__(name)  # type: ignore[misc]
        if scope.cache is None:
            return read_only(parametrizations[name]())
        key = self, name
        if key not in scope.cache:
            scope.cache[key] = read_only(parametrizations[name]())
        return scope.cache[key]

    def __setattr__(self, name: str, value: Any) -> None:
        parametrizations = self.__dict__.get("_modules", {}).get("parametrizations", ())
        if name not in parametrizations:
            super().__setattr__(name, value)
            return
        _check_not_substituted(self, name, "assign to")
        array = value.data if isinstance(value, Parameter) else native(stop_gradient(value))
        if array.dtype not in DTYPES:
            raise ValueError(f"cannot assign an array of dtype {array.dtype} to {name!r}: expected "
                             "float32, float64, complex64 or complex128")
        parametrizations[name].right_inverse(array)
        _forget_cached(self, name)

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


@undone_if_it_raises
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
        or dtype, or returns something else than arrays.
    TypeError
        If `parametrization` is not a module.
    RuntimeError
        Inside a ``value_and_grad`` or ``functional_call`` that has another value for the tensor.

    Notes
    -----
    Whatever raises, also in `forward` and `right_inverse`, the module is as it was.

    A Parameter that another module shares stays shared, as ``original``: as in PyTorch, the other
    module then has the unconstrained array as its weight, and the two weights are tied no longer. To
    tie computed weights use :func:`transfer_parametrizations_and_params`, or the same module twice.

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
    if not isinstance(parametrization, Module):
        raise TypeError("parametrization must be a Module whose forward computes the tensor, got "
                        f"{parametrization!r}, {kind_of(parametrization)}")
    _check_module(module)
    _check_not_substituted(module, tensor_name, "register a parametrization of")
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        chain = module.parametrizations[tensor_name]
        if not unsafe:
            _check_on_top(module, tensor_name, parametrization)
        chain.append(parametrization)
        chain.unsafe |= unsafe
    else:
        _register_first(module, tensor_name, parametrization, unsafe)
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
    _check_module(module)
    tensor = getattr(module, name, None)
    if not is_array(tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return tensor


def _check_module(module: Any) -> None:
    if not isinstance(module, Module):
        raise TypeError(f"module must be an orthonorm.nn.Module, got {kind_of(module)}")


def _check_not_substituted(module: Any, name: str, doing: str) -> None:
    """Raise inside a call that has other values for a tensor, or for what it is computed from."""
    if not scope.substitutes:
        return
    used = [(module, name), module._parameters.get(name)]
    if is_parametrized(module, name):
        for part in module.parametrizations[name].modules():
            used += [*part._parameters.values(), *((part, key) for key in part._buffers)]
    check_not_substituted(f"cannot {doing} {name!r}", *used)


def _forget_cached(module: Any, name: str) -> None:
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
    check_result("Registering a parametrization", X, Y)
    if hasattr(parametrization, "right_inverse"):
        try:
            Z = inverse_at_registration(parametrization)(X)
        except NotImplementedError:
            return
        if not is_array(Z):
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


@undone_if_it_raises
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
    RuntimeError
        Inside a ``value_and_grad`` or ``functional_call`` that has another value for the tensor.

    Examples
    --------
    >>> from orthonorm import nn
    >>> from orthonorm.nn.utils.parametrizations import weight_norm
    >>> layer = weight_norm(nn.Linear(2, 3))
    >>> remove_parametrizations(layer, "weight")
    Linear(in_features=2, out_features=3, bias=True)
    """
    _check_module(module)
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"Module {module} does not have a parametrization on {tensor_name}")
    _check_not_substituted(module, tensor_name, "remove the parametrization of")
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


@undone_if_it_raises
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
        As :func:`register_parametrization`; if the tensors have different shapes.
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
        value = getattr(from_module, name)
        if not hasattr(to_module, name):
            setattr(to_module, name, Parameter(np.array(value)))
        _check_same_shape(name, value, getattr(to_module, name))
        for parametrization in source:
            register_parametrization(to_module, name, parametrization)
        for part, buffers in state:
            part._buffers.update(buffers)
        target = to_module.parametrizations[name]
        for registry in ("_parameters", "_buffers"):
            _check_shapes(name, getattr(source, registry), getattr(target, registry))
            getattr(target, registry).update(getattr(source, registry))
    return to_module


def _check_same_shape(name: str, value: Any, present: Any) -> None:
    if is_array(value) and is_array(present) and value.shape != present.shape:
        raise ValueError(f"cannot transfer {name!r}: from_module must have it in the shape of "
                         f"to_module's, {present.shape}, got shape {value.shape}")


def _check_shapes(name: str, given: dict[str, Any], present: dict[str, Any]) -> None:
    for key, one in given.items():
        if key in present and present[key].shape != one.shape:
            raise ValueError(f"cannot transfer {name!r}: {key} has shape {one.shape}, and would take "
                             f"the place of shape {present[key].shape}")
