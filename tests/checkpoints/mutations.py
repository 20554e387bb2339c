"""Strategies that draw hostile files: honest ones in which some things, then some bytes, change."""
import io
import json
import pickle
import struct
import warnings
import zipfile

import numpy as np
from hypothesis import strategies as st

from .hostile import (BAD_NAMES, NPZ, PICKLES, SAFETENSORS, Harmful, npy_bytes, npy_claiming, npz_bytes,
                      safetensors_bytes)

LIES = [-1, 0, 1, 3, 2**31, 2**32 - 1, 2**62, 2**63, 2**64 - 1, 2**64, 10**30, 1.5, True, None, "1", [],
        [[]], [{}]]
WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "C64": 8, "I64": 8, "I8": 1, "U16": 2, "BOOL": 1}
DTYPES = [*WIDTHS, "F8_E4M3", "F4", "f32", "", "\x1b[2J"]
DESCRS = ["'<f8'", "'>f4'", "'<f2'", "'<c16'", "'|b1'", "'|O'", "'<U3'", "'|V8'", "'<M8[s]'", "'<f16'",
          "[('a', '<f8')]", "('<f8', (2,))", "__import__('os').system('touch hacked')", "'xxxx'",
          "-" * 3000 + "1", "[" * 90 + "]" * 90, "9" * 5000, "{}", "b''", "'O,O'", "None"]
SHAPES = ["()", "(1,)", "(2, 2)", "(0, 7)", "(-1,)", "(-1, -8)", "(True,)", "(2**9,)", "(1.0,)",
          "('1',)", "(4294967296, 4294967296)",
          "(0, 9223372036854775808)", f"({10**30},)", str((1,) * 65),
          "[1]", "9", "None", "(1" + "0" * 4500 + ",)", "__import__('os').system('touch hacked')"]
PARTS = [f"{layer}parametrizations.weight.{part}" for layer in ("", "0.") for part in (
    "original", "original0", "original1", "0.base", "0._u", "0._v", "1._u", "1._v", "99.base",
    "parametrizations.original.original")]
sizes = st.lists(st.integers(0, 4), max_size=3).map(tuple)
names = st.one_of(st.sampled_from(PARTS), st.sampled_from(["weight", "0.weight", "bias", "a/b", ""]),
                  st.sampled_from(BAD_NAMES), st.text(max_size=8))
spans = st.tuples(st.integers(0, 2**16), st.integers(0, 20), st.binary(max_size=12))


def damaged(content, cuts):
    """Replace a few spans of some bytes by others; the last may cut off the rest."""
    content = bytearray(content)
    for start, length, other in cuts:
        start %= len(content) + 1
        content[start:start + length] = other
    return bytes(content)


cuts = st.one_of(st.just([]), st.lists(spans, max_size=4))


@st.composite
def safetensors_files(draw):
    """Draw a header that fits its data, and then change it."""
    pairs, data = [], b""
    for name in draw(st.lists(names, max_size=4)):
        dtype, shape = draw(st.sampled_from(DTYPES)), draw(sizes)
        size = int(np.prod(shape)) * WIDTHS.get(dtype, 1)
        pairs.append([name, {"dtype": dtype, "shape": list(shape),
                             "data_offsets": [len(data), len(data) + size]}])
        data += draw(st.binary(min_size=size, max_size=size))
    for _ in range(draw(st.integers(0, 2)) if pairs else 0):
        pair = draw(st.sampled_from(pairs))
        lie, place = draw(st.sampled_from(LIES)), draw(st.integers(0, 1))
        match draw(st.integers(0, 7)):
            case 0 if isinstance(pair[1], dict):
                pair[1]["data_offsets"] = draw(st.sampled_from([[lie, lie], [0, lie], [lie, 0]]))
            case 1 if isinstance(pair[1], dict):
                pair[1]["shape"] = [lie] * draw(st.integers(1, 3))
            case 2 if isinstance(pair[1], dict):
                pair[1][draw(st.sampled_from(["dtype", "shape", "data_offsets", "other"]))] = lie
            case 3:
                pairs.append([pair[0], draw(st.sampled_from(pairs))[1]])
            case 4:
                pair[1] = lie
            case 5:
                pairs.insert(0, ["__metadata__", draw(st.sampled_from([{"a": "b"}, {"a": lie}, lie]))])
            case 6:
                pairs.reverse()
            case 7:
                data = data[:len(data) // 2] if place else data + b"more"
    # By hand, because a dict would hold no name twice.
    text = b"{" + b",".join(json.dumps(name, ensure_ascii=draw(st.booleans())).encode(errors="replace")
                            + b":" + json.dumps(entry).encode() for name, entry in pairs) + b"}"
    if draw(st.integers(0, 9)) == 0:
        deep = [b"[" * 10**5, b'{"a":' * 10**4]
        text = draw(st.sampled_from([text[:-1], 2 * text, b"\xff" + text, *deep]))
    content = safetensors_bytes(text, data)
    if draw(st.integers(0, 9)) == 0:
        lie = draw(st.sampled_from([0, 1, len(text) - 1, len(text) + 1, 2**31, 2**63, 2**64 - 1]))
        content = struct.pack("<Q", lie) + content[8:]
    return damaged(content, draw(cuts))


@st.composite
def npy_members(draw):
    """Draw what is inside an .npz file: an array, a header that lies, a pickle, or anything."""
    match draw(st.integers(0, 5)):
        case 0 | 1 | 2:
            dtype = draw(st.sampled_from(["<f8", ">f4", "<f2", "<c8", "|b1", "<i8"]))
            shape = draw(sizes)
            size = int(np.prod(shape)) * np.dtype(dtype).itemsize
            array = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), dtype).reshape(shape)
            content = npy_bytes(np.asfortranarray(array) if draw(st.booleans()) else array)
            version = draw(st.sampled_from([b"\1", b"\1", b"\2", b"\3"]))
            return content[:6] + version + content[7:]
        case 3:
            data = draw(st.one_of(st.binary(max_size=64), st.just(pickle.dumps([Harmful()]))))
            return npy_claiming(draw(st.sampled_from(SHAPES)), data, draw(st.sampled_from(DESCRS)),
                                draw(st.sampled_from(["True", "False", "0", "[]"])))
        case 4:
            return draw(st.sampled_from([pickle.dumps(Harmful()), bytes(10**5), b"PK\5\6" + bytes(18)]))
        case 5:
            return draw(st.binary(max_size=40))


METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED] * 3 + [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
# Where a member's central record, and its local header, hold: version, flags, method, time, checksum,
# packed size, size, length of the name, of the extra field, of the comment, disk, offset.
CENTRAL = {6: 2, 8: 2, 10: 2, 16: 4, 20: 4, 24: 4, 28: 2, 30: 2, 32: 2, 34: 2, 42: 4}
END = {8: 2, 10: 2, 12: 4, 16: 4}
LOCAL = {4: 2, 6: 2, 8: 2, 14: 4, 18: 4, 22: 4, 26: 2, 28: 2}
NUMBERS = [0, 1, 8, 9, 64, 99, 2**11, 2**15, 2**16 - 1, 2**24, 2**31, 2**32 - 1]


def fields(content):
    """Find every number in the records of a zip file, as its place and width."""
    found = []
    for mark, table in ((b"PK\1\2", CENTRAL), (b"PK\3\4", LOCAL), (b"PK\5\6", END)):
        start = content.find(mark)
        while start >= 0:
            found += [(start + offset, width) for offset, width in table.items()]
            start = content.find(mark, start + 4)
    return found


@st.composite
def npz_files(draw):
    """Draw a zip file of such members, and then change the numbers in its records."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive, warnings.catch_warnings(action="ignore"):
        for name in draw(st.lists(names, max_size=4)):
            name = name.replace("\0", "0").encode(errors="replace").decode()
            name += draw(st.sampled_from([".npy", ".npy", "", "/"])) if name else ".npy"
            archive.writestr(name, draw(npy_members()), draw(st.sampled_from(METHODS)), compresslevel=1)
    content = bytearray(file.getvalue())
    for _ in range(draw(st.integers(0, 2))):
        start, width = draw(st.sampled_from(fields(content)))
        lie = draw(st.sampled_from(NUMBERS)) % 2**(8 * width)
        content[start:start + width] = lie.to_bytes(width, "little")
    return damaged(content, draw(cuts))


def damaged_ones(contents):
    return st.builds(damaged, st.sampled_from([x for x in contents if len(x) < 10**6]), cuts)


LARGE = npz_bytes([("w.npy", npy_bytes(np.zeros(2 * 10**6)))], zipfile.ZIP_DEFLATED)
FILES = {".safetensors": safetensors_files() | damaged_ones(SAFETENSORS.values()),
         ".npz": npz_files() | npz_files() | damaged_ones([*NPZ.values(), LARGE]),
         ".pt": damaged_ones(PICKLES) | npz_files()}
