"""PyTorch's recorded answers: one compressed file of plain arrays, without pickles.

The file holds one long array a dtype, and an index, JSON as bytes, that says where in them each array
of each case stands.
"""
import json
from pathlib import Path
from typing import Any

import numpy as np

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
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    index = json.loads(arrays.pop("index").tobytes())

    def pick(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: pick(child) for key, child in node.items()}
        if isinstance(node, str):
            return node
        dtype, offset, shape = node
        return arrays[dtype][offset:offset + int(np.prod(shape))].reshape(shape)

    return index["header"], pick(index["answers"])
