"""The parametrizations of one tensor, in a list with the arrays that it is computed from."""
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from autograd.extend import Box

from ..containers import ModuleList
from ..module import Module
from ..parameter import Parameter
from ..state import undone_if_it_raises


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
        new = self._right_inverse_where_there_is_one(np.array(value))  # which may write into it
        self.is_tensor = is_array(new)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            if new.dtype != value.dtype:
                raise ValueError(
                    "When `right_inverse` outputs one tensor, it may not change the dtype: the "
                    f"tensor has {value.dtype}, right_inverse(tensor) has {new.dtype}"
                )
            self._register_originals(original, {"original": new})
        else:
            self._register_originals(original, {f"original{i}": new[i] for i in range(len(new))})
        if not unsafe:
            check_result("Registering a parametrization", self(), value)
        if self.is_tensor and isinstance(original, Parameter):
            # The same Parameter keeps serving, so that an optimizer need not be told.
            original.data = self._parameters["original"].data
            self._parameters["original"] = original

    def _right_inverse_where_there_is_one(self, value: Any) -> Any:
        new = value
        for module in reversed(list(self)):
            if hasattr(module, "right_inverse"):
                try:
                    new = inverse_at_registration(module)(new)
                except NotImplementedError:
                    pass
        if not is_array(new) and not isinstance(new, Sequence):
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

    @undone_if_it_raises
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
        for module in reversed(list(self)):
            if not hasattr(module, "right_inverse"):
                raise RuntimeError(
                    f"parametrization {type(module).__name__} does not implement right_inverse."
                )
            value = module.right_inverse(value)
        if self.is_tensor:
            if not is_array(value):
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
        """Compute the parametrized tensor. If that fails, no buffer has moved."""
        # All of this package fail before they move a buffer: alone they need not be undone (15 us).
        return self._in_turn() if len(self) == 1 else self._in_turn_or_undone()

    def _in_turn(self) -> Any:
        first, *others = self
        x = first(*(read_only(getattr(self, name)) for name in self._original_names))
        for module in others:
            x = module(x)
        return x

    _in_turn_or_undone = undone_if_it_raises(_in_turn)


def inverse_at_registration(parametrization: Module) -> Callable[[Any], Any]:
    """Return ``right_inverse``, or what `orthogonal` starts with where PyTorch cannot invert."""
    return getattr(parametrization, "right_inverse_at_registration", parametrization.right_inverse)


def check_result(doing: str, result: Any, before: Any) -> None:
    """Raise ValueError unless a parametrization's result is an array of the dtype and shape before."""
    if not is_array(result):
        raise ValueError(f"A parametrization must return a tensor. Got {type(result).__name__}.")
    for what in ("dtype", "shape"):
        if getattr(result, what) != getattr(before, what):
            raise ValueError(
                f"{doing} may not change the {what} of the tensor, unless the `unsafe` flag is "
                f"enabled: it was {getattr(before, what)} and became {getattr(result, what)}"
            )


def _check_element(i: int, element: Any) -> None:
    if not is_array(element):
        raise ValueError(
            "'right_inverse' must return a Tensor or a Sequence of tensors (list, tuple...). "
            f"Got element {i} of the sequence with type {type(element).__name__}."
        )


def is_array(x: Any) -> bool:
    """Tell whether something is an array, a NumPy number or an autograd tracer of one."""
    return isinstance(x, (np.ndarray, np.generic, Box))


def read_only(value: Any) -> Any:
    """Return a view of an array that nobody writes into; tracers and what is no array as they are.

    What is written into a computed tensor would be lost, and what a parametrization wrote into its
    argument would change the original.
    """
    if not isinstance(value, (np.ndarray, np.generic)):
        return value
    value = np.asarray(value).view()
    value.flags.writeable = False
    return value
