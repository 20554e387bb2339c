"""PyTorch's recorded answers: one compressed file of plain arrays, without pickles.

The file holds one long array a dtype, and an index, JSON as bytes, that says where in them each array
of each case stands.
"""
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints import CheckpointError
from ..checkpoints import load as load_arrays

PATH = Path(__file__).with_name("recorded.npz")


def save(path: Path, header: dict[str, Any], answers: dict[str, Any]) -> None:
    """Write a recording.

    Parameters
    ----------
    path : Path
    header : dict
        What the recording is, JSON-able.
    answers : dict
        Nested dicts with str keys, whose leaves are arrays and strings.
    """
    chunks: dict[str, list[np.ndarray]] = {}
    lengths: dict[str, int] = {}

    def place(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: place(child) for key, child in node.items()}
        if isinstance(node, str):
            return node
        dtype = node.dtype.name
        offset = lengths.get(dtype, 0)
        chunks.setdefault(dtype, []).append(node.ravel())
        lengths[dtype] = offset + node.size
        return [dtype, offset, list(node.shape)]

    index = json.dumps({"header": header, "answers": place(answers)}, separators=(",", ":"))
    arrays: dict[str, Any] = {dtype: np.concatenate(parts) for dtype, parts in chunks.items()}
    arrays["index"] = np.frombuffer(index.encode(), np.uint8)
    np.savez_compressed(path, **arrays)


def load(path: Path = PATH) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a recording.

    Parameters
    ----------
    path : Path

    Returns
    -------
    header : dict
    answers : dict
        As they were given to :func:`save`.

    Raises
    ------
    CheckpointError
        If the file is no recording, or would take far more memory than its size.
    OSError
        If it cannot be read.
    """
    arrays = load_arrays(path)
    try:
        index = json.loads(arrays.pop("index").tobytes())
        answers = _pick(index["answers"], arrays)
        if _size(answers) > sum(array.nbytes for array in arrays.values()):
            raise ValueError("arrays overlap")
        return dict(index["header"]), answers
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        text = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path}: no recording: {type(error).__name__}: {text}") from error


def _pick(node: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(node, dict):
        return {key: _pick(child, arrays) for key, child in node.items()}
    if isinstance(node, str):
        return node
    dtype, offset, shape = node
    if min([offset, *shape]) < 0:
        raise ValueError(f"negative numbers in {node}")
    return arrays[dtype][offset:offset + math.prod(shape)].reshape(shape)


def _size(node: Any) -> int:
    if isinstance(node, dict):
        return sum(map(_size, node.values()))
    return 0 if isinstance(node, str) else int(node.nbytes)
