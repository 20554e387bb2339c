"""Readers and writers of the file formats.

A reader takes an open file and returns the arrays and the dtypes they have in it, two dicts by name.
A writer takes an open file and a dict of arrays. What a file claims about itself is checked before
memory is taken for it.
"""
import json
import os
import pickle
import shlex
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..nn.state import nested_under

Arrays = dict[str, np.ndarray]
Dtypes = dict[str, str]

SAFETENSORS_DTYPES = {
    "F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "C64": "complex64",
    "I64": "int64", "I32": "int32", "I16": "int16", "I8": "int8",
    "U64": "uint64", "U32": "uint32", "U16": "uint16", "U8": "uint8", "BOOL": "bool",
}
IN_SAFETENSORS = set(SAFETENSORS_DTYPES.values()) - {"bfloat16"}
IN_NPZ = IN_SAFETENSORS | {"complex128"}

LONGEST_NAME = 1000
LONGEST_HEADER = 2**23  # of a .safetensors file; a byte of it takes some 30 to hold as objects
FREE_BYTES = 2**24  # what any file may ask for; beyond it, only in proportion to its own size
MOST_EXPANSION = 20


class CheckpointError(ValueError):
    """A file or a state dict that cannot be read, written or understood; the message is one line."""


def check_name(name: Any) -> str:
    """Return the name of a tensor, or raise CheckpointError if no honest file has it.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
    """
    if not isinstance(name, str):
        raise CheckpointError(f"names of tensors must be str, got {type(name).__name__}")
    if len(name) > LONGEST_NAME:
        raise CheckpointError(f"a tensor has a name of {len(name)} characters")
    steps = name.replace("\\", "/").split("/")
    if not name.isprintable() or ".." in steps or name == "__metadata__" or (not steps[0] and name):
        raise CheckpointError(f"{name!a} is not a name for a tensor")
    return name


def check_flat(state_dict: Mapping[Any, Any], advice: str = "give state_dict[{key!a}]") -> None:
    """Raise CheckpointError if a state dict holds another one, as checkpoints of training runs do.

    Parameters
    ----------
    state_dict : dict
    advice : str
        What to do, with `key` for the place of the other one.
    """
    if (key := nested_under(state_dict)) is not None:
        raise CheckpointError(f"it holds a dict under {key!a}, as checkpoints of training runs do: "
                              + advice.format(key=key))


def _check_expansion(size: int, file: BinaryIO) -> None:
    """Refuse a file that would fill far more memory than its own size, like a zip bomb."""
    if size > max(FREE_BYTES, MOST_EXPANSION * os.fstat(file.fileno()).st_size):
        raise CheckpointError(
            f"it would expand to {size} bytes, more than {MOST_EXPANSION} times its size")


# ---------------------------------------------------------------------------------------------------
# .safetensors
# ---------------------------------------------------------------------------------------------------

def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            ".safetensors files need the safetensors library: pip install 'orthonorm[checkpoints]'"
        ) from error
    return safetensors


def read_safetensors(file: BinaryIO) -> tuple[Arrays, Dtypes]:
    """Read a ``.safetensors`` file; bfloat16, which NumPy lacks, becomes float32 of equal value.

    Parameters
    ----------
    file : file object

    Returns
    -------
    arrays : dict of str to ndarray
    dtypes : dict of str to str

    Raises
    ------
    CheckpointError
        If a tensor has a dtype that NumPy lacks, other than bfloat16; if a name is there twice, which
        the format forbids and the library overlooks; if the header is too long.
    Exception
        Whatever the library raises on a file that is damaged.
    """
    content = file.read()
    header_end = 8 + int.from_bytes(content[:8], "little")
    if header_end > LONGEST_HEADER:
        raise CheckpointError(
            f"its header claims {header_end - 8} bytes, and the most is {LONGEST_HEADER - 8}")
    arrays, dtypes = {}, {}
    tensors = _safetensors().deserialize(content)
    json.loads(content[8:header_end], object_pairs_hook=_unique)
    for name, entry in tensors:
        if entry["dtype"] not in SAFETENSORS_DTYPES:
            raise CheckpointError(
                f"{check_name(name)} has the dtype {entry['dtype']}, which NumPy lacks")
        dtype = SAFETENSORS_DTYPES[entry["dtype"]]
        raw = np.dtype("uint16" if dtype == "bfloat16" else dtype).newbyteorder("<")
        array = np.frombuffer(entry["data"], raw).reshape(entry["shape"])
        if dtype == "bfloat16":  # the upper half of a float32
            array = np.asarray(array.astype(np.uint32) << 16).view(np.float32)
        arrays[check_name(name)] = array.astype(array.dtype.newbyteorder("="), copy=False)
        dtypes[name] = dtype
    return arrays, dtypes


def _unique(pairs: list[tuple[str, Any]]) -> None:
    names = set()
    for name, _ in pairs:
        if name in names:
            raise CheckpointError(f"it holds {check_name(name)} twice")
        names.add(name)


def write_safetensors(file: BinaryIO, arrays: Arrays) -> None:
    """Write a ``.safetensors`` file.

    Parameters
    ----------
    file : file object
    arrays : dict of str to ndarray
        C-contiguous: the library writes the memory as it lies.
    """
    file.write(_safetensors().numpy.save(arrays))


# ---------------------------------------------------------------------------------------------------
# .npz
# ---------------------------------------------------------------------------------------------------

def read_npz(file: BinaryIO) -> tuple[Arrays, Dtypes]:
    """Read an ``.npz`` file, without pickles.

    Parameters
    ----------
    file : file object

    Returns
    -------
    arrays : dict of str to ndarray
    dtypes : dict of str to str

    Raises
    ------
    CheckpointError
        If the file is not one that :func:`numpy.savez` writes from numbers.
    Exception
        Whatever zipfile and NumPy raise on a file that is damaged.
    """
    arrays = {}
    with zipfile.ZipFile(file) as archive:
        _check_expansion(_unpacked_size(archive), file)
        for member in archive.infolist():
            name = check_name(member.filename.removesuffix(".npy"))
            if name in arrays:
                raise CheckpointError(f"it holds {name} twice")
            # Only deflate decompresses piece by piece, whatever the data says.
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise CheckpointError(f"{name} is compressed by a method that NumPy does not use")
            with archive.open(member) as npy:
                arrays[name] = _read_npy(name, npy, member.file_size)
    return arrays, {name: array.dtype.name for name, array in arrays.items()}


def _unpacked_size(archive: zipfile.ZipFile) -> int:
    return sum(member.file_size for member in archive.infolist())


def _read_npy(name: str, file: Any, file_size: int) -> np.ndarray:
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise CheckpointError(f"{name} has the format version {version}")
    read_header = (np.lib.format.read_array_header_1_0 if version == (1, 0)
                   else np.lib.format.read_array_header_2_0)
    with warnings.catch_warnings(action="ignore"):
        shape, fortran_order, dtype = read_header(file)
    if dtype.name not in IN_NPZ:
        raise CheckpointError(f"{name} has the dtype {dtype}, which is not one of numbers")
    size = dtype.itemsize
    for length in shape:
        size *= length
    if size != file_size - file.tell():
        raise CheckpointError(
            f"{name} claims the shape {shape} of {dtype}, but has {file_size - file.tell()} bytes")
    array = np.frombuffer(bytearray(file.read(size)), dtype)
    array = array.reshape(shape, order="F" if fortran_order else "C")
    return array.astype(dtype.newbyteorder("="), copy=False)


def write_npz(file: BinaryIO, arrays: Arrays) -> None:
    """Write an ``.npz`` file, uncompressed; equal arrays give equal bytes.

    :func:`numpy.savez` takes the names ``file`` and ``allow_pickle`` for its own arguments.

    Parameters
    ----------
    file : file object
    arrays : dict of str to ndarray
    """
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


# ---------------------------------------------------------------------------------------------------
# PyTorch's own files
# ---------------------------------------------------------------------------------------------------

# save_file takes no transposed tensors, as bases are, and none that share memory, as tied weights do.
CONVERT = ("import sys, torch, safetensors.torch as s; "
           "x = torch.load(sys.argv[1], map_location=\"cpu\", weights_only=True); "
           "s.save_file({k: x[k].contiguous().clone() for k in x}, sys.argv[2])")


def read_pytorch(file: BinaryIO) -> tuple[Arrays, Dtypes]:
    """Read a state dict saved by ``torch.save``, through the installed PyTorch.

    PyTorch is told ``weights_only=True``: it rebuilds tensors from the pickle and runs nothing else.

    Parameters
    ----------
    file : file object

    Returns
    -------
    arrays : dict of str to ndarray
        Dtypes that NumPy lacks become float32.
    dtypes : dict of str to str

    Raises
    ------
    ImportError
        If PyTorch is not installed; the message tells how to convert the file where it is.
    CheckpointError
        If the file holds something else than a state dict.
    Exception
        Whatever PyTorch raises on a file that is damaged.
    """
    try:
        import torch
    except ImportError as error:
        path = Path(file.name)
        raise ImportError(
            "a pickle, which PyTorch alone reads safely: install it, or convert the file where it is: "
            f"python -c '{CONVERT}' {shlex.quote(path.name)} {shlex.quote(path.stem)}.safetensors"
        ) from error
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            _check_expansion(_unpacked_size(archive), file)
    file.seek(0)
    try:
        with warnings.catch_warnings(action="ignore"):  # of kinds of tensors that are refused below
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # whose text advises to unpickle it all the same
        raise CheckpointError("PyTorch refuses it: a pickle of more than weights, or none") from error
    if isinstance(loaded, dict):
        check_flat(loaded, "save torch.load(..., weights_only=True)[{key!a}] alone, by torch.save")
    if not isinstance(loaded, dict) or not all(isinstance(x, torch.Tensor) for x in loaded.values()):
        raise CheckpointError("it holds something else than a state dict, names and tensors")
    _check_expansion(sum(x.numel() * x.element_size() for x in loaded.values()), file)
    arrays, dtypes = {}, {}
    for name, tensor in loaded.items():
        dtypes[check_name(name)] = str(tensor.dtype).removeprefix("torch.")
        tensor = tensor.detach().resolve_conj().resolve_neg()
        arrays[name] = np.array((tensor if dtypes[name] in IN_NPZ else tensor.float()).numpy())
    return arrays, dtypes
