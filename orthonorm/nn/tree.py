"""Walking through a module and what is below it."""
from collections.abc import Iterator
from typing import Any, Callable, TypeVar

import numpy as np

from .parameter import Parameter, ParameterName, scope

T = TypeVar("T", bound="Tree")


class Tree:
    """What :class:`.Module` inherits: its members and theirs, in order, by dotted names."""

    _parameters: dict[str, Any]
    _buffers: dict[str, Any]
    _modules: dict[str, Any]

    def named_modules(self, memo: set | None = None, prefix: str = "",
                      remove_duplicate: bool = True) -> Iterator[tuple[str, Any]]:
        """Yield the name and module of this module and of all below it.

        Parameters
        ----------
        memo : set, optional
            Modules to leave out.
        prefix : str
            Put before each name.
        remove_duplicate : bool
            Whether a module that occurs twice is yielded once.
        """
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(memo, below, remove_duplicate)

    def modules(self) -> Iterator[Any]:
        """Yield this module and all below it."""
        for _, module in self.named_modules():
            yield module

    def named_children(self) -> Iterator[tuple[str, Any]]:
        """Yield the name and module of each direct submodule."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Any]:
        """Yield each direct submodule."""
        for _, module in self.named_children():
            yield module

    def named_parameters(self, prefix: str = "", recurse: bool = True,
                         remove_duplicate: bool = True) -> Iterator[tuple[str, Parameter]]:
        """Yield the name and :class:`Parameter` of each parameter.

        Parameters
        ----------
        prefix : str
            Put before each name.
        recurse : bool
            Whether to include the submodules'.
        remove_duplicate : bool
            Whether a parameter that occurs twice is yielded once.

        Notes
        -----
        The names are :class:`.ParameterName`, strings that know their Parameter, so that an optimiser
        that was made before a name changed still finds it.
        """
        for name, parameter in self._named_members("_parameters", prefix, recurse, remove_duplicate):
            yield ParameterName(name, parameter), parameter

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Yield each parameter."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(self, prefix: str = "", recurse: bool = True,
                      remove_duplicate: bool = True) -> Iterator[tuple[str, np.ndarray]]:
        """Yield the name and array of each buffer; the arguments are those of `named_parameters`."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[np.ndarray]:
        """Yield each buffer."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def _named_members(self, registry: str, prefix: str, recurse: bool,
                       remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen = set()
        modules = self.named_modules(None, prefix, remove_duplicate) if recurse else [(prefix, self)]
        for path, module in modules:
            for name in module.__dict__[registry]:
                member = _held(module, registry, name)
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield (f"{path}.{name}" if path else name), member

    def get_submodule(self, target: str) -> Any:
        """Return the submodule of a dotted name; the module itself for ``""``.

        Raises
        ------
        AttributeError
            If there is none of that name.
        """
        module = self
        for name in target.split(".") if target else ():
            child = module._modules.get(name)
            if child is None:
                raise AttributeError(f"{type(module).__name__} has no submodule `{name}`")
            module = child
        return module

    def get_parameter(self, target: str) -> Parameter:
        """Return the :class:`Parameter` of a dotted name.

        Raises
        ------
        AttributeError
            If there is none of that name.
        """
        return self._member(target, "_parameters", "parameter")

    def get_buffer(self, target: str) -> np.ndarray:
        """Return the buffer of a dotted name.

        Raises
        ------
        AttributeError
            If there is none of that name.
        """
        return self._member(target, "_buffers", "buffer")

    def _member(self, target: str, registry: str, kind: str) -> Any:
        path, _, name = target.rpartition(".")
        member = _held(self.get_submodule(path), registry, name)
        if member is None:
            raise AttributeError(f"{type(self).__name__} has no {kind} `{target}`")
        return member

    def apply(self: T, fn: Callable[["Tree"], Any]) -> T:
        """Call `fn` on each submodule, then on this module, and return the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self


def _held(module: Tree, registry: str, name: str) -> Any:
    """Return what a module has under a name, or None; a buffer may have a substitute."""
    member = module.__dict__[registry].get(name)
    substituted = registry == "_buffers" and name in module._buffers
    return scope.substitutes.get((module, name), member) if substituted else member
