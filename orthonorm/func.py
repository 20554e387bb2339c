"""Modules as pure functions of their parameters, and gradients of losses."""
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Callable

import numpy as np
from autograd.builtins import DictBox, SequenceBox
from autograd.core import VJPNode, add_outgrads
from autograd.extend import vspace
from autograd.tracer import isbox, new_box, toposort, trace_stack

from .gradients import stop_gradient
from .nn.module import Module
from .nn.parameter import Parameter, substituting
from .nn.utils.parametrize import is_parametrized

__all__ = ["functional_call", "value_and_grad"]

_running: list[int] = []
_lock = threading.Lock()


@contextmanager
def _new_trace() -> Iterator[int]:
    """Number a differentiation above all that are running, so that inner ones have larger numbers.

    This is what autograd's own method does as long as one thread differentiates. It counts the running
    ones, though: when another thread ends one, an inner differentiation gets the number of an outer
    one, whose gradient is then lost. The outermost may be autograd's, which begins before anything of
    this package runs; so autograd's method is replaced, for all.
    """
    with _lock:
        number = max(_running, default=-1) + 1
        _running.append(number)
    trace_stack.top = number
    try:
        yield number
    finally:
        with _lock:
            _running.remove(number)
        trace_stack.top = max(_running, default=-1)


trace_stack.new_trace = _new_trace


def functional_call(module: Module, parameter_and_buffer_dicts: Mapping[str, Any] | Any,
                    args: Any = (), kwargs: Mapping[str, Any] | None = None, *,
                    tie_weights: bool = True, strict: bool = False) -> Any:
    """Call a module with other values in place of its parameters and buffers.

    The module is not changed; what it assigns to substituted buffers is forgotten.

    Parameters
    ----------
    module : Module
    parameter_and_buffer_dicts : dict of str to array or autograd tracer, or a sequence of such dicts
        Or autograd's tracers of these. The names are those of ``named_parameters()`` and
        ``named_buffers()``. The name of a
        parametrized tensor, such as "weight", gives it this value without any parametrization.
        (PyTorch promises the same, but assigns the value, without a gradient.)
    args : tuple, or a single argument
        None stands for no argument.
    kwargs : dict, optional
    tie_weights : bool
        Whether a value for one name of a shared parameter or buffer is for its other names too.
    strict : bool
        Whether missing and unknown names are errors. Otherwise the module keeps its own values for
        missing names, and unknown ones are ignored.

    Returns
    -------
    Any
        What the module returns; a tracer if a value was one.

    Raises
    ------
    RuntimeError
        With `strict`, if names are missing or unknown.
    AttributeError
        If a name leads into a submodule that does not exist.
    TypeError
        If a value is no array, or a name that of something else than a tensor.
    ValueError
        If they are not dicts, or a name is in two of them; with `tie_weights`, if the names of one
        parameter have different values.

    Examples
    --------
    >>> from autograd import grad
    >>> from orthonorm import nn
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> def output(w):
    ...     return functional_call(layer, {"weight": w}, np.array([3.0, 4.0]))[0]
    >>> grad(output)(np.zeros((1, 2)))
    array([[3., 4.]])
    """
    values = _merged(parameter_and_buffer_dicts)
    with substituting(_at_their_places(module, values, tie_weights, strict)):
        args = () if args is None else args if isinstance(args, tuple) else (args,)
        return module(*args, **(kwargs or {}))


def _merged(dicts: Any) -> dict[str, Any]:
    if isinstance(dicts, SequenceBox):  # which cannot be iterated over
        dicts = [dicts[i] for i in range(len(dicts))]
    dicts = [dicts] if isinstance(dicts, (Mapping, DictBox)) else dicts
    if not isinstance(dicts, (list, tuple)) or not all(
            isinstance(given, (Mapping, DictBox)) for given in dicts):
        raise ValueError("Expected parameter_and_buffer_dicts to be a dict, or a list or tuple of "
                         f"dicts, but got {dicts!r}")
    names = [name for given in dicts for name in given]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{twice} appeared in more than one of parameter_and_buffer_dicts")
    return {name: value for given in dicts for name, value in given.items()}


def _at_their_places(module: Module, values: dict[str, Any], tie_weights: bool,
                     strict: bool) -> dict[Any, Any]:
    """Return the values by what they stand in for: a parameter, or a name of a module."""
    tensors: dict[str, Any] = {**dict(module.named_parameters(remove_duplicate=False)),
                               **dict(module.named_buffers(remove_duplicate=False))}
    if tie_weights:
        given = {id(tensors[name]): value for name, value in values.items() if name in tensors}
        tied = {name: given[id(x)] for name, x in tensors.items() if id(x) in given}
        if any(tied[name] is not values[name] for name in values.keys() & tied.keys()):
            raise ValueError(f"tied names, of {sorted(values.keys() & tied.keys())}, have different "
                             "values, which needs tie_weights=False")
        values = values | tied
    if strict and values.keys() != tensors.keys():
        raise RuntimeError(f"Error(s) in a strict functional_call of {type(module).__name__}: "
                           f"Unexpected key(s): {sorted(values.keys() - tensors.keys())}. "
                           f"Missing key(s): {sorted(tensors.keys() - values.keys())}.")
    held = [parameter for part in module.modules() for parameter in part._parameters.values()]
    places: dict[Any, Any] = {}
    for name, value in values.items():
        path, _, last = name.rpartition(".")
        value = value.data if isinstance(value, Parameter) else value
        value = np.asarray(value) if isinstance(value, np.generic) else value
        if value is not None and not isinstance(value, np.ndarray) and not isbox(value):
            raise TypeError(f"the value of {name!r} must be an array, got {type(value).__name__}")
        owner = module.get_submodule(path)
        parameter = owner._parameters.get(last)
        if parameter is not None and (tie_weights or held.count(parameter) == 1):
            places[parameter] = value
        elif last in owner._parameters or last in owner._buffers or is_parametrized(owner, last):
            places[owner, last] = value
        elif hasattr(owner, last):
            kind = type(getattr(owner, last)).__name__
            raise TypeError(f"{name!r} names a {kind}, not a parameter or buffer")
    return places


def value_and_grad(loss: Callable[..., Any], module: Module,
                   has_aux: bool = False) -> Callable[..., tuple[Any, dict]]:
    """Make a function that computes a loss and its gradient with respect to a module's parameters.

    Parameters
    ----------
    loss : callable
        Any function that uses `module` and returns a real scalar.
    module : Module
    has_aux : bool
        Whether `loss` returns a pair, of the real scalar and of anything else that is wanted besides,
        such as the outputs of the module.

    Returns
    -------
    callable
        Of the arguments of `loss`; returns ``(value, gradients)``, or with `has_aux`
        ``((value, anything else), gradients)``, with a dict from the names of
        ``module.named_parameters()`` to arrays of the parameters' shapes and dtypes. Parameters with
        ``requires_grad=False`` have no entry. A parameter that the loss does not use has the gradient
        zero.

    Raises
    ------
    RuntimeError
        When called, if the loss is not a real scalar, or with `has_aux` no pair.

    Notes
    -----
    For complex parameters the gradient is PyTorch's, the direction of steepest ascent: the complex
    conjugate of what ``autograd.grad`` returns.

    What other threads compute for the loss is constant: they see the parameters, not the tracers.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from orthonorm import nn
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> def loss(x):
    ...     return np.sum(layer(x))
    >>> value, gradients = value_and_grad(loss, layer)(np.array([3.0, 4.0]))
    >>> gradients
    {'weight': array([[3., 4.]])}
    """
    def compute(*args: Any, **kwargs: Any) -> tuple[Any, dict[str, np.ndarray]]:
        trained = {name: parameter for name, parameter in module.named_parameters()
                   if parameter.requires_grad}
        if not trained:
            value, aux = _parted(loss(*args, **kwargs), has_aux)
            _check_loss(value)
            return (value, aux) if has_aux else value, {}

        with trace_stack.new_trace() as trace:
            tracers = {name: new_box(parameter.data, trace, VJPNode.new_root())
                       for name, parameter in trained.items()}
            with substituting({trained[name]: tracer for name, tracer in tracers.items()}):
                value, aux = _parted(loss(*args, **kwargs), has_aux)
        _check_loss(value)
        if isbox(value) and value._trace == trace:
            value, end = value._value, value._node
        else:
            warnings.warn("Output seems independent of input.")
            end = VJPNode.new_root()
        roots = {tracer._node: name for name, tracer in tracers.items()}
        gradients = _backward(end, vspace(value).ones(), roots)
        gradients = {name: _as_gradient(gradients.get(name), stop_gradient(tracer))
                     for name, tracer in tracers.items()}
        return (value, _untraced(aux, trace)) if has_aux else value, gradients
    return compute


def _parted(returned: Any, has_aux: bool) -> tuple[Any, Any]:
    if not has_aux:
        return returned, None
    if not isinstance(returned, tuple) or len(returned) != 2:
        raise RuntimeError("with has_aux=True the loss must return a tuple (value, anything else), got "
                           f"{type(returned).__name__}")
    return returned


def _untraced(x: Any, trace: int) -> Any:
    """Return something with the values of the tracers of one differentiation, in containers too."""
    if isbox(x):
        return x._value if x._trace == trace else x
    if isinstance(x, dict):
        return {key: _untraced(value, trace) for key, value in x.items()}
    if type(x) in (list, tuple):
        return type(x)(_untraced(value, trace) for value in x)
    return x


def _backward(end: VJPNode, one: Any, roots: dict[VJPNode, str]) -> dict[str, Any]:
    """Propagate the gradient one from the end of a computation; return those that reach its roots.

    This is :func:`autograd.core.backward_pass`, which has a single root and keeps only its gradient.
    """
    gradients = {}
    arrived = {end: (one, False)}
    for node in toposort(end):
        gradient = arrived.pop(node)
        if node in roots:
            gradients[roots[node]] = gradient[0]
        for parent, contribution in zip(node.parents, node.vjp(gradient[0])):
            arrived[parent] = _sum(arrived.get(parent), contribution)
    return gradients


def _sum(earlier: tuple[Any, bool] | None, contribution: Any) -> tuple[Any, bool]:
    """Return :func:`autograd.core.add_outgrads`, for two arrays without its detours."""
    if earlier is None or type(earlier[0]) is not np.ndarray or type(contribution) is not np.ndarray:
        return add_outgrads(earlier, contribution)
    total, is_own = earlier
    return (np.add(total, contribution, out=total) if is_own else total + contribution), True


def _check_loss(value: Any) -> None:
    value = stop_gradient(value)
    if not isinstance(value, (float, np.ndarray, np.generic)):
        raise RuntimeError(f"the loss must be a real scalar, got {type(value).__name__}")
    value = np.asarray(value)
    if value.shape != () or value.dtype.kind != "f":
        raise RuntimeError(f"the loss must be a real scalar, got {value.dtype} of shape {value.shape}")


def _as_gradient(gradient: Any, x: np.ndarray) -> Any:
    dtype = x.dtype if x.dtype.kind in "fc" else float  # integers can be given too
    if gradient is None:
        return np.zeros_like(x, dtype)
    if isbox(gradient):  # inside another differentiation
        return np.conj(gradient) if x.dtype.kind == "c" else gradient
    gradient = np.array(gradient, dtype)
    return np.conj(gradient, out=gradient) if x.dtype.kind == "c" else gradient
