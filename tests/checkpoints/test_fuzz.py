"""Files drawn at random: read or refused, in a second, in 500 MB, and nothing in them is run.

``make fuzz`` draws 100 000, other ones each time; ``make test`` 1000, always the same.
"""
import contextlib
import encodings.cp437  # noqa: F401  (what is imported late is imported before the watch begins)
import gc
import io
import os
import signal
import sys
import tracemalloc  # noqa: F401  (pytest reports with it what went wrong elsewhere in the meantime)

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from orthonorm import __main__
from orthonorm.checkpoints import CheckpointError, load

from .mutations import FILES

INPUTS = int(os.environ.get("FUZZ_INPUTS", 1000))
SECONDS, MEGABYTES = 1, 500
RUNS_CODE = ("exec", "pickle.find_class", "os.system", "os.exec", "os.fork", "os.posix_spawn",
             "os.mkdir", "subprocess.Popen", "marshal.loads", "ctypes.dlopen", "socket.connect")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the timers and /proc of Linux")


class Broken(BaseException):
    """Not an Exception, because the reader turns those into its own."""


@contextlib.contextmanager
def watched():
    """Raise Broken when the block runs code, writes, takes too long or too much memory."""
    def too_long(*_):
        raise Broken(f"more than {SECONDS} s")

    def audit(event, args):
        if event.startswith(RUNS_CODE) or event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR):
            raise Broken(f"{event} {args}"[:200])

    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak below counts from here
    before = memory("VmRSS")
    gc.disable()  # after many files Hypothesis holds so much that a collection takes over a second
    signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    HOOKS.append(audit)
    try:
        yield
    finally:
        HOOKS.remove(audit)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        gc.enable()
    if memory("VmHWM") - before > MEGABYTES:
        raise Broken(f"{memory('VmHWM') - before} MB")


HOOKS = []  # an audit hook is for the rest of the process: this one asks those that are here
sys.addaudithook(lambda event, args: [hook(event, args) for hook in HOOKS])


def memory(field):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith(field))


def inspected(path):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        return __main__.main(["inspect", str(path)]), out.getvalue(), err.getvalue()


def check(path):
    """Load a file and inspect it; return what came of it."""
    with watched():
        try:
            arrays, reason = load(path), None
        except (CheckpointError, ImportError) as error:
            arrays, reason = {}, str(error)
        status, out, err = inspected(path)
    assert all(isinstance(array, np.ndarray) for array in arrays.values())
    if reason is not None:
        assert status == 2 and reason.startswith(f"{path}: ") and reason.isprintable()
        assert err.startswith(f"orthonorm: {path}: ")
    if status == 2:
        assert not out and err.endswith("\n") and err[:-1].isprintable()
    else:
        assert status in (0, 1) and out and not err
    return f"status {status}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch", None)
        for suffix in FILES:
            (folder / f"x{suffix}").write_bytes(b"")
            inspected(folder / f"x{suffix}")
        yield folder


@pytest.mark.parametrize("suffix", FILES)
@settings(max_examples=INPUTS // len(FILES) + 1, derandomize="FUZZ_INPUTS" not in os.environ,
          database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_file_is_read_or_refused(folder, suffix, data):
    path = folder / f"x{suffix}"
    content = data.draw(FILES[suffix])
    path.unlink()  # rewriting a file in place makes some file systems wait for the disk
    path.write_bytes(content)
    event(check(path))
    assert len(os.listdir(folder)) == len(FILES)
