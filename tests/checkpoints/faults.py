"""Kill a save at every system call, and fill the disk at many sizes: ``python -m ... FILE [export]``.

Each attempt runs in a copy of this process (fork), which this one follows with ptrace. Linux only.
"""
import contextlib
import ctypes
import io
import os
import resource
import signal
import sys
import traceback
from pathlib import Path

import numpy as np

from orthonorm import __main__
from orthonorm.checkpoints import save

TRACEME, SYSCALL = 0, 24
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
ptrace.restype = ctypes.c_long


@contextlib.contextmanager
def ending():
    """End the process with the block; an error in it must not go on as a second copy of the caller."""
    try:
        yield
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def killed_at(stop, function):
    """Run a function, and kill it where it enters or leaves a system call; return if it came that far.

    Parameters
    ----------
    stop : int
        Counts both: the entry to the first call is 0, its end 1. Killed at the entry, it is not made.
    """
    child = os.fork()
    if child == 0:
        with ending():
            ptrace(TRACEME, 0, None, None)
            os.kill(os.getpid(), signal.SIGSTOP)
            function()
    os.waitpid(child, 0)
    for _ in range(stop + 1):
        if ptrace(SYSCALL, child, None, None):
            raise OSError(ctypes.get_errno(), "ptrace")
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            return False
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def on_a_disk_of(limit, function):
    """Run a function where no file can be longer; return what it prints."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with ending():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            os.write(writer, function().encode())
    os.close(writer)
    with open(reader) as pipe:
        message = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return message


def main(path, export):
    """Put the file at risk in every way; print what came of it."""
    path = Path(path)
    source = path.parent.parent / f"source{path.suffix}"
    new = {"w": np.zeros((3, 2)), "b": np.ones(40)}
    save(new, source)

    def write():
        if not export:
            try:
                save(new, path)
                return ""
            except OSError as error:
                return str(error)
        out = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(out):
            status = __main__.main(["inspect", str(source), "--export", str(path)])
        assert status == (2 if out.getvalue() else 1)
        return out.getvalue()

    old = path.read_bytes()
    write()
    wanted = path.read_bytes()
    assert wanted != old

    stop, finished = 0, []
    while True:
        path.write_bytes(old)
        if not killed_at(stop, write):
            break
        content, others = path.read_bytes(), set(os.listdir(path.parent)) - {path.name}
        assert content in (old, wanted), f"{stop}: {content[:50]}"
        finished.append(content == wanted)
        assert len(others) <= (content == old), others
        for name in others:
            (path.parent / name).unlink()
        stop += 1
    assert path.read_bytes() == wanted and os.listdir(path.parent) == [path.name]
    assert finished == sorted(finished)  # once there, it stays

    path.write_bytes(old)
    limits = range(0, len(wanted), 23)
    for limit in limits:
        message = on_a_disk_of(limit, write)
        assert "File too large" in message and str(path) in message, message
        assert path.read_bytes() == old and os.listdir(path.parent) == [path.name]
    assert on_a_disk_of(len(wanted), write) == "" and path.read_bytes() == wanted
    print(f"killed {stop} times, {sum(finished)} of them with the new file; "
          f"{len(limits)} full disks")


if __name__ == "__main__":
    main(sys.argv[1], export="export" in sys.argv)
