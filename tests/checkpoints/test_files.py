"""Saving and loading state dicts: what comes back, what is refused, what a failing save leaves."""
import itertools
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from orthonorm import nn
from orthonorm.checkpoints import CheckpointError, files, load, save
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from ..helpers import assert_identical, layouts, sample
from .hostile import BAD_NAMES, safetensors_bytes, tensor

ROOT = Path(__file__).parents[2]
NUMBERS = ("float16", "float32", "float64", "complex64", "int8", "int16", "int32", "int64", "uint8",
           "uint16", "uint32", "uint64", "bool")

both = pytest.mark.parametrize("suffix", [".safetensors", ".npz"])


# -- round trips -------------------------------------------------------------------------------------

@both
@pytest.mark.parametrize("dtype", NUMBERS)
def test_numbers_of_every_dtype_come_back(tmp_path, suffix, dtype):
    arrays = {"matrix": sample((3, 4), np.float64, scale=3).astype(dtype),
              "scalar": np.array(1, dtype), "empty": np.zeros((0, 3), dtype)}
    save(arrays, tmp_path / f"x{suffix}")
    loaded = load(tmp_path / f"x{suffix}")
    assert loaded.keys() == arrays.keys()
    for name, array in arrays.items():
        assert_identical(loaded[name], array)
        assert loaded[name].flags.writeable and loaded[name].flags.aligned


def test_complex128_comes_back_from_npz_and_is_refused_for_safetensors(tmp_path):
    X = sample((3, 2), np.complex128)
    save({"X": X}, tmp_path / "x.npz")
    assert_identical(load(tmp_path / "x.npz")["X"], X)
    with pytest.raises(CheckpointError, match="X has the dtype complex128, which .safetensors does"):
        save({"X": X}, tmp_path / "x.safetensors")
    assert os.listdir(tmp_path) == ["x.npz"]


@both
def test_every_layout_in_memory_is_stored_by_value(tmp_path, suffix):
    X = sample((4, 3), np.float32)
    arrays = {**layouts(X), "other byte order": X.astype(X.dtype.newbyteorder())}
    save(arrays, tmp_path / f"x{suffix}")
    for name, array in load(tmp_path / f"x{suffix}").items():
        assert_identical(array, X), name


@both
def test_names_that_libraries_use_themselves_are_kept(tmp_path, suffix):
    names = ["file", "allow_pickle", "args", "kwds", "a/b", "x.npy", "Größe", "10.w", "2.w", ""]
    save({name: np.array(float(i)) for i, name in enumerate(names)}, tmp_path / f"x{suffix}")
    assert load(tmp_path / f"x{suffix}") == {name: float(i) for i, name in enumerate(names)}


@both
def test_names_come_in_the_order_of_their_numbers(tmp_path, suffix):
    save({f"{i}.weight": np.ones(1) for i in (10, 2, 1)}, tmp_path / f"x{suffix}")
    assert list(load(tmp_path / f"x{suffix}")) == ["1.weight", "2.weight", "10.weight"]


@both
def test_equal_state_dicts_give_equal_files_at_any_time(tmp_path, monkeypatch, suffix):
    arrays = {f"{i}": sample((3, 3), seed=i) for i in range(20)}
    for name, now in (("a", 1.0e9), ("b", 1.5e9)):
        monkeypatch.setattr(time, "time", lambda: now)
        save(arrays, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


@both
def test_a_module_is_saved_and_restored(tmp_path, suffix):
    def made(seed):
        return nn.Sequential(orthogonal(nn.Linear(3, 5, rng=seed), rng=seed), nn.Tanh(),
                             spectral_norm(weight_norm(nn.Linear(5, 4, rng=seed)), rng=seed)).eval()
    old, new, x = made(0), made(1), sample((2, 3))
    save(old.state_dict(), tmp_path / f"x{suffix}")
    new.load_state_dict(load(tmp_path / f"x{suffix}"))
    assert np.array_equal(new(x), old(x))


def test_numpy_itself_reads_what_is_saved_as_npz(tmp_path):
    X = sample((3, 4))
    save({"0.weight": X}, tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as file:
        assert_identical(file["0.weight"], X)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_what_numpy_saves_as_npz_is_read(tmp_path, write):
    X = np.asfortranarray(sample((3, 4)))
    write(tmp_path / "x.npz", X=X, zeros=np.zeros(10**6), other=X.astype(">f8"))
    loaded = load(tmp_path / "x.npz")
    assert_identical(loaded["X"], X)
    assert_identical(loaded["other"], X)
    assert np.array_equal(loaded["zeros"], np.zeros(10**6))


def test_bfloat16_is_read_as_float32_of_the_same_value(tmp_path):
    bits = np.array([0x3FC0, 0x8000, 0x7F80, 0x4049, 0x0001], "<u2")  # 1.5, -0, inf, 3.140625, 2^-133
    path = tmp_path / "x.safetensors"
    path.write_bytes(safetensors_bytes({"w": tensor("BF16", (5,), (0, 10))}, bits.tobytes()))
    arrays, dtypes = files.read(path)
    assert arrays["w"].dtype == np.float32 and dtypes == {"w": "bfloat16"}
    assert arrays["w"].tolist() == [1.5, 0.0, np.inf, 3.140625, 2.0**-133]
    assert np.signbit(arrays["w"][1])
    path.write_bytes(safetensors_bytes({"w": tensor("BF16", (), (0, 2))}, bits[:1].tobytes()))
    scalar = load(path)["w"]
    assert isinstance(scalar, np.ndarray) and scalar.shape == () and scalar == 1.5


# -- saves that fail ---------------------------------------------------------------------------------

class Interrupted(Exception):
    pass


def failing(count, error):
    """Make a function that calls another, and raises at the call of the given number."""
    numbers = itertools.count()

    def wrap(function):
        def call(*args, **kwargs):
            if next(numbers) == count:
                raise error
            return function(*args, **kwargs)
        return call
    return wrap


class FailingFile:
    """A file whose writes fail from some call on, after writing half of what they were given."""

    def __init__(self, file, good_writes, error):
        self.file, self.left, self.error = file, good_writes, error

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        self.file.__enter__()
        return self

    def __exit__(self, *exception):
        return self.file.__exit__(*exception)

    def write(self, data):
        if self.left == 0:
            self.file.write(bytes(data)[:len(data) // 2])
            raise self.error
        self.left -= 1
        return self.file.write(data)


@pytest.fixture(params=[".safetensors", ".npz"])
def old(request, tmp_path):
    """A file that a save is to replace; nothing else is in its folder."""
    path = tmp_path / f"model{request.param}"
    save({"w": np.arange(6.0), "b": np.ones(3)}, path)
    return path


NEW = {"w": np.zeros(6), "b": np.zeros(3), "c": np.zeros(100)}
errors = pytest.mark.parametrize("error", [
    OSError(28, "No space left on device"), KeyboardInterrupt(), Interrupted()], ids=repr)


def assert_untouched(old, content):
    assert os.listdir(old.parent) == [old.name]
    assert old.read_bytes() == content


@errors
def test_a_write_that_fails_leaves_the_old_file(old, monkeypatch, error):
    content, good_writes, opened = old.read_bytes(), 0, open
    while True:
        def opening(path, mode, **options):
            file = opened(path, mode, **options)
            return FailingFile(file, good_writes, error) if mode == "xb" else file
        monkeypatch.setattr(files, "open", opening, raising=False)
        try:
            save(NEW, old)
            break
        except BaseException as raised:
            assert raised is error
            assert_untouched(old, content)
        good_writes += 1
    assert good_writes >= (1 if old.suffix == ".safetensors" else 7)
    assert load(old).keys() == NEW.keys()


@errors
@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_system_call_that_fails_leaves_the_old_file(old, monkeypatch, error, name):
    content = old.read_bytes()
    monkeypatch.setattr(files.os, name, failing(0, error)(getattr(os, name)))
    with pytest.raises(type(error)) as raised:
        save(NEW, old)
    assert raised.value is error
    assert_untouched(old, content)


def in_child(code, *args):
    return subprocess.run([sys.executable, "-c", code, *map(str, args)], capture_output=True, text=True)


def test_a_save_is_on_the_disk_before_it_takes_the_place_and_so_is_the_place(old, monkeypatch):
    calls, sizes, fsync, replace = [], [], os.fsync, os.replace

    def fsyncing(descriptor):
        calls.append(os.fstat(descriptor).st_ino)
        sizes.append(os.fstat(descriptor).st_size)
        fsync(descriptor)

    def replacing(*paths):
        calls.append("replace")
        replace(*paths)
    monkeypatch.setattr(files.os, "fsync", fsyncing)
    monkeypatch.setattr(files.os, "replace", replacing)
    save(NEW, old)
    assert calls == [old.stat().st_ino, "replace", old.parent.stat().st_ino]
    assert sizes[0] == old.stat().st_size  # nothing is left in a buffer


def test_a_folder_that_cannot_be_flushed_is_no_error(old, monkeypatch):
    monkeypatch.setattr(files.os, "fsync", failing(1, OSError(22, "Invalid argument"))(os.fsync))
    save(NEW, old)
    assert load(old).keys() == NEW.keys() and os.listdir(old.parent) == [old.name]


SAVES = """
import sys
import numpy as np
from orthonorm.checkpoints import save
for i in range(100):
    save({"w": np.full(5000, float(sys.argv[2]))}, sys.argv[1])
"""


def test_two_savers_and_a_reader_see_whole_files_only(old):
    savers = [subprocess.Popen([sys.executable, "-c", SAVES, old, value], cwd=ROOT) for value in "12"]
    seen = set()
    while any(saver.poll() is None for saver in savers):
        w = load(old)["w"]
        assert w.size == 6 or w.size == 5000 and np.all(w == w[0])
        seen.add((w.size, w[0]))
    assert [saver.returncode for saver in savers] == [0, 0]
    assert (5000, load(old)["w"][0]) in {(5000, 1), (5000, 2)}
    assert os.listdir(old.parent) == [old.name] and len(seen) > 1


@pytest.mark.parametrize("name", ["missing/x.npz", f"{300 * 'x'}.npz", "old.npz/x.npz"])
def test_where_no_file_can_be_written_the_error_names_it(tmp_path, name):
    (tmp_path / "old.npz").touch()
    with pytest.raises(OSError, match=name[-20:]) as raised:
        save(NEW, tmp_path / name)
    assert ".tmp" not in str(raised.value) and os.listdir(tmp_path) == ["old.npz"]


@both
def test_a_name_may_be_as_long_as_the_system_lets_it(tmp_path, suffix):
    path = tmp_path / f"{'x' * (255 - len(suffix))}{suffix}"
    save(NEW, path)
    assert load(path).keys() == NEW.keys()


PROTECTED = """
import os, sys
import numpy as np
from orthonorm.checkpoints import save
path = sys.argv[1]
save({"w": np.ones(1)}, path)  # imports what it needs, as long as that can be read
os.chmod(sys.argv[2], int(sys.argv[3], 8))
if os.getuid() == 0:  # to whom nothing is forbidden
    os.setuid(65534)
try:
    save({"w": np.zeros(1)}, path)
except PermissionError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs the modes of Unix")
@both
@pytest.mark.parametrize("protected", ["file", "folder"])
def test_what_is_write_protected_stays(suffix, protected):
    with tempfile.TemporaryDirectory() as folder:  # tmp_path is closed to other users
        os.chmod(folder, 0o777)
        path = os.path.join(folder, f"x{suffix}")
        args = (path, "444") if protected == "file" else (folder, "555")
        done = subprocess.run([sys.executable, "-c", PROTECTED, path, *args], capture_output=True,
                              text=True, cwd=ROOT)
        assert "Permission denied" in done.stdout and repr(path) in done.stdout, done.stderr
        assert load(path)["w"] == [1] and os.listdir(folder) == [f"x{suffix}"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs the modes of Unix")
def test_what_replaces_a_private_file_was_never_public(old, monkeypatch):
    old.chmod(0o600)
    modes, fsync = [], os.fsync
    monkeypatch.setattr(files.os, "fsync",
                        lambda file: (modes.append(os.fstat(file).st_mode & 0o777), fsync(file)))
    save(NEW, old)
    assert modes[0] == old.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("suffix", [".pt", ".bin", ".NPZ", ""])
def test_other_suffixes_are_not_written(tmp_path, suffix):
    with pytest.raises(CheckpointError, match="can be written as .safetensors or .npz, not as "):
        save(NEW, tmp_path / f"x{suffix}")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("value", [[object()], ["text"], [None], np.zeros(1, np.longdouble),
                                   np.zeros(1, [("a", float)]), np.zeros(1, "M8[s]")],
                         ids=["object", "text", "none", "longdouble", "record", "time"])
def test_only_numbers_are_saved(old, value):
    content = old.read_bytes()
    with pytest.raises(CheckpointError, match=r"w has the dtype .*, which \.\w+ does not hold"):
        save({"a": np.ones(1), "w": value}, old)
    assert_untouched(old, content)


@pytest.mark.parametrize("state", [nn.Linear(3, 2), [np.ones(1)]], ids=["module", "list"])
def test_only_a_dict_is_saved(old, state):
    content = old.read_bytes()
    with pytest.raises(TypeError, match="state_dict must be a dict of arrays, got (Linear|list)"):
        save(state, old)
    assert_untouched(old, content)


@pytest.mark.parametrize("name", [*BAD_NAMES, 3, None], ids=ascii)
def test_names_that_could_not_be_loaded_are_not_saved(old, name):
    content = old.read_bytes()
    with pytest.raises(CheckpointError, match="name"):
        save({name: np.ones(1)}, old)
    assert_untouched(old, content)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_files_are_replaced_and_read(tmp_path):
    pipe, folder = tmp_path / "pipe.npz", tmp_path / "folder.npz"
    os.mkfifo(pipe)
    folder.mkdir()
    for path in (pipe, folder):
        with pytest.raises(OSError, match="is not a file"):
            save(NEW, path)
        with pytest.raises(OSError, match="is not a file"):
            load(path)
    assert pipe.is_fifo() and sorted(os.listdir(tmp_path)) == ["folder.npz", "pipe.npz"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs links and modes of Unix")
def test_links_and_modes_survive_a_save(old):
    old.chmod(0o640)
    link = old.with_name(f"link{old.suffix}")
    link.symlink_to(old.name)
    save(NEW, link)
    assert link.is_symlink() and old.stat().st_mode & 0o777 == 0o640
    assert load(old).keys() == NEW.keys()


@pytest.mark.skipif(sys.platform == "win32", reason="needs the modes of Unix")
def test_a_new_file_has_the_mode_of_any_new_file(old):
    other = old.with_name("other")
    other.touch()
    assert old.stat().st_mode == other.stat().st_mode


# -- libraries that are not there ----------------------------------------------------------------------

def test_without_pytorch_its_files_get_one_line_that_tells_how_to_convert(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for suffix in (".pt", ".pth", ".bin"):
        path = tmp_path / f"x{suffix}"
        path.write_bytes(b"\x80\x04\x95cos\nsystem\n(S'touch hacked'\ntR.")
        with pytest.raises(ImportError, match="PyTorch alone reads.* weights_only=True") as raised:
            load(path)
        assert "\n" not in str(raised.value) and str(path) in str(raised.value)


def test_without_safetensors_one_line_tells_what_to_install(old, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    path, content = old.with_suffix(".safetensors"), old.read_bytes()
    if old.suffix == ".npz":
        save(NEW, old)
        path.write_bytes(b"")
    for call in (lambda: load(path), lambda: save(NEW, path)):
        with pytest.raises(ImportError, match=r"pip install 'orthonorm\[checkpoints\]'"):
            call()
    assert old.suffix == ".npz" or old.read_bytes() == content
    assert sorted(os.listdir(old.parent)) == sorted({old.name, path.name})


def test_importing_the_package_imports_no_file_library():
    code = ("import sys, orthonorm; orthonorm.checkpoints.load; "
            "print({'safetensors', 'torch'} & {*sys.modules})")
    assert in_child(code).stdout == "set()\n"
