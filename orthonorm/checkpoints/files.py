"""Saving and loading state dicts."""
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from . import formats
from .formats import Arrays, CheckpointError, Dtypes

READERS = {".safetensors": formats.read_safetensors, ".npz": formats.read_npz,
           ".pt": formats.read_pytorch, ".pth": formats.read_pytorch, ".bin": formats.read_pytorch}
WRITERS = {".safetensors": (formats.write_safetensors, formats.IN_SAFETENSORS),
           ".npz": (formats.write_npz, formats.IN_NPZ)}


def save(state_dict: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Write a state dict to a file. An interrupted save leaves the old file as it was.

    Parameters
    ----------
    state_dict : dict of str to array_like
        Real or complex numbers, integers or booleans.
    path : path-like
        Ends in ``.safetensors``, which PyTorch's users read with ``safetensors.torch.load_file``, or
        in ``.npz``, for :func:`numpy.load`.

    Raises
    ------
    CheckpointError
        If the suffix is neither; if something is no array of a dtype that the format has, or no name
        for one. A ValueError.
    TypeError
        If `state_dict` is no dict: a module, for one.
    ImportError
        If the file is to be ``.safetensors`` and that library is not installed.
    OSError
        If the file cannot be written; the error names it.

    Notes
    -----
    The bytes go to a new file in the same folder, are flushed to the disk, and the new file takes the
    place of the old one in one step, under its permissions. Where `path` is a symbolic link, that is
    the file it points at. Only a process that is killed leaves the unfinished file behind, under a
    name such as ``.0123456789abcdef.tmp``. Equal arrays give equal files. ``.safetensors`` has no
    complex128.

    Examples
    --------
    >>> import tempfile
    >>> from orthonorm import nn
    >>> layer = nn.Linear(3, 2, rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save(layer.state_dict(), f"{folder}/layer.npz")
    ...     state_dict = load(f"{folder}/layer.npz")
    >>> np.array_equal(state_dict["weight"], layer.weight)
    True
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"state_dict must be a dict of arrays, got {type(state_dict).__name__}")
    formats.check_flat(state_dict)
    path = Path(path)
    if path.suffix not in WRITERS:
        raise CheckpointError(f"{path}: can be written as {' or '.join(WRITERS)}, not as "
                              f"{path.suffix or 'a file without suffix'}")
    write, dtypes = WRITERS[path.suffix]
    arrays = {}
    for name, value in state_dict.items():
        array = np.asarray(value)
        if array.dtype.name not in dtypes:
            raise CheckpointError(f"{path}: {name} has the dtype {array.dtype}, which {path.suffix} "
                                  f"does not hold")
        arrays[formats.check_name(name)] = np.asarray(array, order="C")
    with _replacing(path) as file:
        write(file, arrays)


@contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of `path` when the block has ended without an error."""
    path = Path(os.path.realpath(path))  # of what a link points at, not of the link
    mode = 0o666
    if path.exists():
        _check_is_file(path)
        open(path, "r+b").close()  # a file that is write-protected is not to be replaced either
        mode = path.stat().st_mode & 0o777
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb", opener=partial(os.open, mode=mode)) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):  # it may never have been there
            temporary.unlink()
        if isinstance(error, OSError) and not error.filename2:
            error.filename = str(path)
        raise
    with suppress(OSError):  # the file stands; not every system can flush a folder
        _flush_folder(path.parent)


def _check_is_file(path: Path) -> None:
    if not path.is_file():  # a folder; a pipe, which may never end
        raise OSError(f"{path} is not a file")


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def load(path: str | os.PathLike) -> Arrays:
    """Read a state dict from a file. Nothing in it is executed.

    Parameters
    ----------
    path : path-like
        Ends in ``.safetensors``, ``.npz``, or PyTorch's ``.pt``, ``.pth`` or ``.bin``, which is read
        through an installed PyTorch with ``weights_only=True``.

    Returns
    -------
    dict of str to ndarray
        For ``load_state_dict``. bfloat16, which NumPy lacks, comes as float32 of the same value.

    Raises
    ------
    CheckpointError
        If the suffix is another, or the content is damaged, too large for the file, or no state dict.
        A ValueError.
    ImportError
        If the library that reads the format is not installed.
    OSError
        If the file cannot be read.
    """
    return read(path)[0]


def read(path: str | os.PathLike) -> tuple[Arrays, Dtypes]:
    """Read a file, and the dtypes it has.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    arrays : dict of str to ndarray
        As :func:`load`.
    dtypes : dict of str to str
        The name of each tensor's dtype in the file.

    Raises
    ------
    CheckpointError, ImportError, OSError
        As :func:`load`.
    """
    path = Path(path)
    if path.exists():
        _check_is_file(path)
        if path.suffix not in READERS:
            raise CheckpointError(f"{path}: not a kind of file known here: {', '.join(READERS)}")
    with open(path, "rb") as file:
        try:
            arrays, dtypes = READERS[path.suffix](file)
        except ImportError as error:
            raise ImportError(f"{path}: {error}") from error
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from None
        except Exception as error:  # whatever the bytes of a foreign file make its library raise
            # Its text may quote the file: keep one line, of a line's length, that is safe to print.
            reason = "".join(filter(str.isprintable, re.split(r"\n|\. ", str(error))[0]))[:200]
            raise CheckpointError(f"{path}: not a readable {path.suffix} file: "
                                  f"{reason or type(error).__name__}") from error
    return {name: arrays[name] for name in sorted(arrays, key=_by_number)}, dtypes


def _by_number(name: str) -> str:
    """Sort 2.weight before 10.weight. The library hands the tensors over in no particular order."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(12), name)
