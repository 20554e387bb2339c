"""Functions that a module calls besides its own, and how to take them away."""
import warnings
from collections.abc import Callable
from typing import Any

from .functional.arrays import refuse_tensors


class RemovableHandle:
    """Returned by the ``register_*_hook`` methods; `remove` takes the hook away again."""

    def __init__(self, hooks: dict):
        self._hooks = hooks
        # Unlike a number, it meets no equal when it is unpickled in another process.
        self.id = object()

    def remove(self) -> None:
        """Remove the hook. Removing it twice does nothing."""
        self._hooks.pop(self.id, None)


def add_hook(hooks: dict, hook: Any, prepend: bool = False) -> RemovableHandle:
    """Put a hook after the others, or before them."""
    handle = RemovableHandle(hooks)
    later = dict(hooks) if prepend else {}
    if prepend:
        hooks.clear()
    hooks[handle.id] = hook
    hooks.update(later)
    return handle


class Hooked:
    """What :class:`.Module` inherits: hooks around the call, the state dict and its loading."""

    _forward_pre_hooks: dict[Any, tuple[Callable, bool]]
    _forward_hooks: dict[Any, tuple[Callable, bool, bool]]
    _state_dict_hooks: dict[Any, Callable]
    _load_state_dict_pre_hooks: dict[Any, tuple[Callable, bool]]
    _load_state_dict_post_hooks: dict[Any, Callable]
    forward: Callable

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        refuse_tensors(*args, *kwargs.values())
        if not self._forward_pre_hooks and not self._forward_hooks:
            return self.forward(*args, **kwargs)
        output, called = None, set()
        try:
            for pre_hook, with_kwargs in tuple(self._forward_pre_hooks.values()):
                args, kwargs = _replaced(self, pre_hook, with_kwargs, args, kwargs)
            output = self.forward(*args, **kwargs)
            for key, (hook, with_kwargs, _) in tuple(self._forward_hooks.items()):
                called.add(key)
                given = (args, kwargs) if with_kwargs else (args,)
                result = hook(self, *given, output)
                output = output if result is None else result
            return output
        except Exception:
            for key, (hook, with_kwargs, always_call) in tuple(self._forward_hooks.items()):
                if always_call and key not in called:
                    given = (args, kwargs) if with_kwargs else (args,)
                    try:
                        result = hook(self, *given, output)
                        output = output if result is None else result
                    except Exception as error:
                        warnings.warn("a forward hook with always_call=True raised an exception, "
                                      f"silenced as another was raised in forward: {error}")
            raise

    def register_forward_pre_hook(self, hook: Callable, *, prepend: bool = False,
                                  with_kwargs: bool = False) -> RemovableHandle:
        """Call ``hook(module, args)`` before each ``forward``; what it returns replaces `args`.

        Parameters
        ----------
        hook : callable
            Returns None, the new positional arguments as a tuple, or a single one.
        prepend : bool
            Whether it runs before the hooks already there.
        with_kwargs : bool
            Call ``hook(module, args, kwargs)``, which returns None or ``(args, kwargs)``.

        Returns
        -------
        RemovableHandle
        """
        return add_hook(self._forward_pre_hooks, (hook, with_kwargs), prepend)

    def register_forward_hook(self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False,
                              always_call: bool = False) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after each ``forward``; its result replaces the output.

        Parameters
        ----------
        hook : callable
            Returns None or the new output.
        prepend : bool
            Whether it runs before the hooks already there.
        with_kwargs : bool
            Call ``hook(module, args, kwargs, output)``.
        always_call : bool
            Call it also if ``forward`` or a hook before it raises an exception, with the output so far,
            or None. If it raises another one then, that is a warning.

        Returns
        -------
        RemovableHandle
        """
        return add_hook(self._forward_hooks, (hook, with_kwargs, always_call), prepend)

    def register_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` when a state dict has been made.

        Parameters
        ----------
        hook : callable
            May change the dict, and must return None. `prefix` stands before the module's own keys;
            `local_metadata` is empty.

        Returns
        -------
        RemovableHandle
        """
        return add_hook(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call a hook before `load_state_dict` reads its dict.

        Parameters
        ----------
        hook : callable
            Called as ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
            unexpected_keys, error_msgs)``. It may change `state_dict`, a copy of what was given for
            the module and those below it, and append to the three lists. `local_metadata` is empty
            and `strict` True, as in PyTorch.

        Returns
        -------
        RemovableHandle
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(self, hook: Callable,
                                           with_module: bool = False) -> RemovableHandle:
        """Do what the public method does; the hook gets the module only if that is asked for."""
        return add_hook(self._load_state_dict_pre_hooks, (hook, with_module))

    def register_load_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` when the module and all below it are loaded.

        Parameters
        ----------
        hook : callable
            May change the two lists of keys, which are errors where loading is strict, and must return
            None. They hold what was found in this module, those below it and those before it.

        Returns
        -------
        RemovableHandle
        """
        return add_hook(self._load_state_dict_post_hooks, hook)


def _replaced(module: Any, pre_hook: Callable, with_kwargs: bool, args: Any,
              kwargs: Any) -> tuple[Any, Any]:
    """Return the arguments after a forward pre-hook."""
    if not with_kwargs:
        result = pre_hook(module, args)
        if result is not None:
            args = result if isinstance(result, tuple) else (result,)
        return args, kwargs
    result = pre_hook(module, args, kwargs)
    if result is None:
        return args, kwargs
    if isinstance(result, tuple) and len(result) == 2:
        return result
    raise RuntimeError("forward pre-hook must return None or a tuple of (new_args, new_kwargs), but "
                       f"got {result}.")
