"""Files that are damaged, foreign, or made to do harm; and the means to make them."""
import io
import json
import os
import pickle
import struct
import warnings
import zipfile

import numpy as np
import pytest


def safetensors_bytes(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def tensor(dtype="F32", shape=(1,), offsets=(0, 4)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


def npy_bytes(array):
    file = io.BytesIO()
    np.lib.format.write_array(file, np.asarray(array))
    return file.getvalue()


def npy_claiming(shape, data=b"", descr="'<f8'", fortran_order="False"):
    text = f"{{'descr': {descr}, 'fortran_order': {fortran_order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


def npz_bytes(members, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression, compresslevel=1) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def relabelled(content, place, value):
    """Set a byte in both records of the first member of a zip file, the local and the central one."""
    content = bytearray(content)
    content[place] = content[content.index(b"PK\1\2") + place + 2] = value
    return bytes(content)


class Harmful:
    """What a pickle may do."""

    def __reduce__(self):
        return os.mkdir, ("hacked",)


BAD_NAMES = ["../w", "a/../../w", "/etc/passwd", "..\\w", "\\w", "a\nb", "\x1b[2J", "a\0b",
             "__metadata__", "w" * 1001, "\ud800"]

TENSOR = json.dumps(tensor()).encode()
SAFETENSORS = {
    "empty": b"",
    "short": b"abc",
    "no header": struct.pack("<Q", 100) + b"{",
    "endless header": struct.pack("<Q", 2**63) + b"{}",
    "not JSON": safetensors_bytes(b"garbage!"),
    "nested without end": safetensors_bytes(b"[" * 10**6),
    "escape codes": safetensors_bytes({"a": tensor("\x1b[2J\r\u2028")}, bytes(4)),
    "long": safetensors_bytes({"a": tensor(10**6 * "x")}, bytes(4)),
    "twice": safetensors_bytes(b'{"a": %s, "\\u0061": %s}' % (TENSOR, TENSOR), bytes(4)),
    "million names": safetensors_bytes({f"{i}": tensor("U8", (0,), (0, 0)) for i in range(10**6 // 6)}),
    "overlap": safetensors_bytes({"a": tensor(), "b": tensor()}, bytes(4)),
    "gap": safetensors_bytes({"a": tensor(), "b": tensor(offsets=(8, 12))}, bytes(12)),
    "truncated": safetensors_bytes({"a": tensor(shape=(2,), offsets=(0, 8))}, bytes(7)),
    "too long": safetensors_bytes({"a": tensor()}, bytes(8)),
    "wrong shape": safetensors_bytes({"a": tensor(shape=(2,))}, bytes(4)),
    "negative": safetensors_bytes({"a": tensor(shape=(-1,))}, bytes(4)),
    "overflow": safetensors_bytes({"a": tensor(shape=(2**62, 2**62))}, bytes(4)),
    "backwards": safetensors_bytes({"a": tensor(offsets=(4, 0))}, bytes(4)),
    "100 dimensions": safetensors_bytes({"a": tensor(shape=(1,) * 100)}, bytes(4)),
    "nothing, hugely": safetensors_bytes({"a": tensor(shape=(0, 2**63), offsets=(0, 0))}),
    "unknown dtype": safetensors_bytes({"a": tensor("Q9")}, bytes(4)),
    "float8": safetensors_bytes({"a": tensor("F8_E4M3", (4,))}, bytes(4)),
    "pickle": b"\x80\x04\x95cos\nsystem\n(S'touch hacked'\ntR.",
    "npz": npz_bytes([("w.npy", npy_bytes(np.ones(3)))]),
    **{f"name {name!a}": safetensors_bytes({name: tensor()}, bytes(4)) for name in BAD_NAMES[:8]},
}

ZEROS = np.zeros(10**6)
FEW = npy_bytes(ZEROS[:9])
OBJECT = npy_claiming((1,), b"\x80\x04\x95cos\nsystem\n(S'touch hacked'\ntR.", descr="'|O'")
ORDINARY = npz_bytes([("w.npy", npy_bytes(np.arange(50.0)))])
NPZ = {
    "empty": b"",
    "short": b"PK\x03\x04",
    "truncated": ORDINARY[:-30],
    "first half": ORDINARY[:len(ORDINARY) // 2],
    "wrong checksum": ORDINARY.replace(np.float64(7).tobytes(), np.float64(8).tobytes()),
    "npy": FEW,
    "safetensors": safetensors_bytes({"a": tensor()}, bytes(4)),
    "pickle": b"\x80\x04\x95cos\nsystem\n(S'touch hacked'\ntR.",
    "object array": npz_bytes([("w.npy", OBJECT)]),
    "text": npz_bytes([("w.npy", npy_bytes(np.array(["text"])))]),
    "fields": npz_bytes([("w.npy", npy_bytes(np.zeros(2, [("a", "f8")])))]),
    "no array": npz_bytes([("w.npy", b"not an array")]),
    "other file": npz_bytes([("w.npy", FEW), ("data.pkl", b"cos\nsystem\n(S'touch hacked'\ntR.")]),
    "twice": None,  # below: zipfile warns when it writes it
    "claims too much": npz_bytes([("w.npy", npy_claiming((10**12,)))]),
    "claims overflow": npz_bytes([("w.npy", npy_claiming((2**62, 2**62)))]),
    "claims less": npz_bytes([("w.npy", npy_claiming((1,), bytes(16)))]),
    "negative": npz_bytes([("w.npy", npy_claiming((-1, -1), bytes(8)))]),
    "100 dimensions": npz_bytes([("w.npy", npy_claiming((1,) * 100, bytes(8)))]),
    "code in header": npz_bytes([("w.npy", npy_claiming("__import__('os').system('touch hacked')"))]),
    "nested header": npz_bytes([("w.npy", npy_claiming("(" * 5000 + ")" * 5000))]),
    "encrypted": relabelled(ORDINARY, 6, 1),
    "unknown method": relabelled(ORDINARY, 8, 99),
    "lies, too large": relabelled(ORDINARY, 25, 255),
    "lies, too small": relabelled(ORDINARY, 22, 200),
    "bomb": npz_bytes([(f"{i}.npy", npy_bytes(ZEROS)) for i in range(40)], zipfile.ZIP_DEFLATED),
    "bzip2": npz_bytes([("w.npy", npy_bytes(ZEROS))], zipfile.ZIP_BZIP2),
    "lzma": npz_bytes([("w.npy", npy_bytes(ZEROS))], zipfile.ZIP_LZMA),
    **{f"name {name!a}": npz_bytes([(f"{name}.npy", npy_bytes(ZEROS[:1]))])
       for name in BAD_NAMES[:8] if "\0" not in name},
}
with warnings.catch_warnings(action="ignore"):
    NPZ["twice"] = npz_bytes([("w.npy", FEW)] * 2)

PICKLES = [pickle.dumps({"w": Harmful()}, protocol) for protocol in (0, 2, 5)] + [
    b"\x80\x02cos\nsystem\n(S'touch hacked'\ntR.",
    npz_bytes([("x/data.pkl", pickle.dumps({"w": Harmful()}, 2)), ("x/version", b"3\n")])]

HOSTILE = [pytest.param(suffix, content, id=f"{suffix[1:]}: {name}")
           for suffix, table in ((".safetensors", SAFETENSORS), (".npz", NPZ))
           for name, content in table.items()]
