"""Reading what is damaged, foreign or hostile: one clear error, little memory, nothing run."""
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orthonorm.checkpoints import CheckpointError, formats, load, save

from ..helpers import peak_memory, sample
from .hostile import HOSTILE


@pytest.mark.parametrize("suffix, content", HOSTILE)
def test_a_hostile_file_is_one_clear_error(tmp_path, monkeypatch, suffix, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)

    def attempt():
        with pytest.raises(CheckpointError) as raised:
            load(path)
        return str(raised.value)

    message, memory = peak_memory(attempt)
    assert message.startswith(f"{path}: ") and message.isprintable() and len(message) < 500
    assert memory < 50e6
    assert os.listdir(tmp_path) == [path.name]


def test_a_long_header_is_said_with_the_longest_that_there_may_be(tmp_path):
    path = tmp_path / "x.safetensors"
    path.write_bytes((2**23 - 7).to_bytes(8, "little"))
    with pytest.raises(CheckpointError, match="header claims 8388601 bytes, and the most is 8388600$"):
        load(path)


def test_a_large_file_of_zeros_is_no_bomb_where_it_stays_small(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", w=np.zeros(2 * 10**6))
    assert (tmp_path / "x.npz").stat().st_size < 20_000
    assert load(tmp_path / "x.npz")["w"].shape == (2 * 10**6,)


def test_a_file_may_expand_in_proportion_to_its_size(tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "FREE_BYTES", 0)
    noise = sample((5000,))
    np.savez_compressed(tmp_path / "x.npz", noise=noise, zeros=np.zeros(10 * noise.size))
    assert load(tmp_path / "x.npz")["zeros"].size == 10 * noise.size
    np.savez_compressed(tmp_path / "x.npz", noise=noise, zeros=np.zeros(50 * noise.size))
    with pytest.raises(CheckpointError, match="would expand to 2040.* bytes, more than 20 times its"):
        load(tmp_path / "x.npz")


@pytest.mark.parametrize("name", ["x.onnx", "x", "x.safetensors.index.json"])
def test_other_kinds_of_file_are_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(CheckpointError, match="not a kind of file known here: .safetensors, .npz, .pt"):
        load(tmp_path / name)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
def test_a_missing_file_is_the_systems_error(tmp_path, suffix):
    with pytest.raises(FileNotFoundError):
        load(tmp_path / f"x{suffix}")


def mutated(data, content):
    """Draw a version of some bytes with a few changed, inserted or removed."""
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 20)))
        content[start:end] = data.draw(st.binary(max_size=20))
    return bytes(content)


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("honest")
    arrays = {"0.weight": sample((3, 4), np.float32), "0.bias": np.zeros(3, np.float32)}
    for name in ("x.safetensors", "x.npz"):
        save(arrays, folder / name)
    np.savez_compressed(folder / "y.npz", **arrays)
    return folder


@pytest.mark.parametrize("name", ["x.safetensors", "x.npz", "y.npz"])
@settings(max_examples=300, deadline=1000)
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused(honest, name, data):
    path = honest / f"damaged-{name}"
    path.write_bytes(mutated(data, (honest / name).read_bytes()))
    try:
        arrays = load(path)
    except CheckpointError:
        return
    assert all(isinstance(array, np.ndarray) for array in arrays.values())


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
@pytest.mark.parametrize("length", [1001, 2000])
def test_a_name_has_a_thousand_characters_at_most(tmp_path, suffix, length):
    path = tmp_path / f"x{suffix}"
    with pytest.raises(CheckpointError, match=f"a tensor has a name of {length} characters"):
        save({"x" * length: np.zeros(1)}, path)
    save({"x" * 1000: np.zeros(1)}, path)
    assert load(path).keys() == {"x" * 1000}
