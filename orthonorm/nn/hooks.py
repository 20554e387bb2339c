"""Functions that a module calls besides its own, and how to take them away."""
from typing import Any


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
