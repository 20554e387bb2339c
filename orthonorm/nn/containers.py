"""Modules that hold modules: Sequential, ModuleList, ModuleDict."""
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .functional.arrays import as_int
from .module import Module, _indented
from .state import undone_if_it_raises


class _Numbered(Module):
    """What Sequential and ModuleList share: children named "0", "1", ..."""

    def _names(self) -> list[str]:
        return list(self._modules)

    def __len__(self) -> int:
        return len(self._names())

    def __iter__(self) -> Iterator[Module]:
        return (self._modules[name] for name in self._names())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._of([(name, self._modules[name]) for name in self._names()[index]])
        return self._modules[self._name(index)]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, self._name(index), module)

    @undone_if_it_raises
    def __delitem__(self, index: int | slice) -> None:
        names = self._names()
        for name in names[index] if isinstance(index, slice) else [self._name(index)]:
            del self._modules[name]
        self._renumber(list(self))

    def _renumber(self, modules: list[Module]) -> None:
        for name in self._names():
            del self._modules[name]
        self._modules.update((str(i), module) for i, module in enumerate(modules))

    def append(self, module: Module) -> "_Numbered":
        """Add a module at the end, and return the container."""
        self.register_module(str(len(self)), module)
        return self

    @undone_if_it_raises
    def extend(self, modules: Iterable[Module]) -> "_Numbered":
        """Add modules at the end, and return the container."""
        for module in modules:
            self.append(module)
        return self

    @undone_if_it_raises
    def _insert(self, index: int, module: Module) -> None:
        if not -len(self) <= as_int("index", index) <= len(self):
            raise IndexError(f"index {index} is out of range")
        modules = list(self)
        modules.insert(index, module)
        self._renumber(list(ModuleList(modules)))  # refuses what is not a module before any change

    def pop(self, index: int = -1) -> Module:
        """Remove a module, and return it."""
        module = self[index]
        del self[index]
        return module

    def _name(self, index: int) -> str:
        if not -len(self) <= as_int("index", index) < len(self):
            raise IndexError(f"index {index} is out of range")
        return self._names()[index]


class Sequential(_Numbered):
    """A chain of modules: each one's output is the next one's input.

    Parameters
    ----------
    *args : Module, or one dict of str to Module
        In order.

    Examples
    --------
    >>> import numpy as np
    >>> from orthonorm import nn
    >>> model = nn.Sequential(nn.Linear(4, 3, rng=0), nn.Tanh())
    >>> model(np.ones((2, 4))).shape
    (2, 3)
    >>> model
    Sequential(
      (0): Linear(in_features=4, out_features=3, bias=True)
      (1): Tanh()
    )
    """

    def __init__(self, *args: Any):
        super().__init__()
        given = args[0].items() if len(args) == 1 and isinstance(args[0], Mapping) else (
            (str(i), module) for i, module in enumerate(args))
        for name, module in given:
            self.register_module(name, module)

    @classmethod
    def _of(cls, named: list[tuple[str, Module]]) -> "Sequential":
        return cls(dict(named))

    def insert(self, index: int, module: Module) -> "Sequential":
        """Put a module before position `index`, from minus the length to the length; return self."""
        self._insert(index, module)
        return self

    def __add__(self, other: "Sequential") -> "Sequential":
        return Sequential(*self, *_chain(other))

    def __iadd__(self, other: "Sequential") -> "Sequential":
        self.extend(_chain(other))
        return self

    def __mul__(self, times: int) -> "Sequential":
        return Sequential(*list(self) * _positive(times))

    __rmul__ = __mul__

    def __imul__(self, times: int) -> "Sequential":
        self.extend(list(self) * (_positive(times) - 1))
        return self

    def forward(self, input: Any) -> Any:
        """Pass `input` through all modules in order."""
        for module in self:
            input = module(input)
        return input


def _chain(other: Any) -> list[Module]:
    if not isinstance(other, Sequential):
        raise ValueError("add operator supports only objects of Sequential class, but "
                         f"{type(other)} is given.")
    return list(other)


def _positive(times: Any) -> int:
    if as_int("the factor", times) <= 0:
        raise ValueError(f"Non-positive multiplication factor {times} for a Sequential")
    return times


class ModuleList(_Numbered):
    """A list of modules, registered as children.

    Parameters
    ----------
    modules : iterable of Module, optional

    Examples
    --------
    >>> from orthonorm import nn
    >>> nn.ModuleList([nn.Tanh(), nn.Tanh(), nn.ReLU()])
    ModuleList(
      (0-1): 2 x Tanh()
      (2): ReLU()
    )
    """

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        self.extend(modules or ())

    @classmethod
    def _of(cls, named: list[tuple[str, Module]]) -> "ModuleList":
        return ModuleList(module for _, module in named)

    def insert(self, index: int, module: Module) -> None:
        """Put a module before position `index`, from minus the length to the length."""
        self._insert(index, module)

    def __add__(self, other: Iterable[Module]) -> "ModuleList":
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> "ModuleList":
        self.extend(other)
        return self

    def _children_lines(self) -> list[str]:
        runs: list[list] = []  # [names, repr]: equal neighbours are printed once
        for name, text in ((name, repr(module)) for name, module in self._modules.items()):
            if runs and runs[-1][1] == text:
                runs[-1][0].append(name)
            else:
                runs.append([[name], text])
        return [_indented(f"({names[0]}): {text}" if len(names) == 1 else
                          f"({names[0]}-{names[-1]}): {len(names)} x {text}")
                for names, text in runs]


class ModuleDict(Module):
    """A dict of modules, registered as children.

    Parameters
    ----------
    modules : mapping of str to Module, or iterable of pairs of both, optional

    Examples
    --------
    >>> from orthonorm import nn
    >>> choices = nn.ModuleDict({"relu": nn.ReLU(), "tanh": nn.Tanh()})
    >>> choices["tanh"]
    Tanh()
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None):
        super().__init__()
        self.update(modules or {})

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: str) -> bool:
        return name in self._modules

    def __getitem__(self, name: str) -> Module:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.register_module(name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    @undone_if_it_raises
    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add every module of a mapping, or of pairs, replacing those of the same name."""
        if not isinstance(modules, Iterable):
            raise TypeError("ModuleDict.update should be called with an iterable of key/value pairs, "
                            f"but got {type(modules).__name__}")
        pairs = modules.items() if isinstance(modules, (Mapping, ModuleDict)) else modules
        for i, pair in enumerate(pairs):
            if not isinstance(pair, Iterable):
                raise TypeError(f"ModuleDict update sequence element #{i} should be Iterable; is "
                                f"{type(pair).__name__}")
            if len(pair) != 2:
                raise ValueError(f"ModuleDict update sequence element #{i} has length "
                                 f"{len(pair)}; 2 is required")
            name, module = pair
            self[name] = module

    def pop(self, name: str) -> Module:
        """Remove a module, and return it."""
        return self._modules.pop(name)

    def clear(self) -> None:
        """Remove every module."""
        self._modules.clear()

    def keys(self) -> Iterable[str]:
        """Return the names."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """Return the modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Return the pairs of name and module."""
        return self._modules.items()
