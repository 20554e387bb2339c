"""State dicts in files: saving, loading, and a look at the weights they hold. Nothing is unpickled.

* :mod:`.files`: :func:`save` and :func:`load`, by the file's suffix;
* :mod:`.formats`: the readers and writers of ``.safetensors``, ``.npz`` and PyTorch's own files;
* :mod:`.parametrized`: the weights behind ``parametrizations.weight.original`` and its like;
* :mod:`.adapters`: the rotations of orthogonal fine-tuning, as PEFT saves them;
* :mod:`.inspection`: the report that ``python -m orthonorm inspect FILE`` prints.
"""
from .adapters import adapter_rotations
from .files import load, save
from .formats import CheckpointError
from .parametrized import plain_weights

__all__ = ["CheckpointError", "adapter_rotations", "load", "plain_weights", "save"]
