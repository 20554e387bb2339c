"""What can be judged: objects in this process, programs in a process of their own, files of answers."""
from collections.abc import Iterable
import os
from pathlib import Path
import pickle
import queue
import signal
import subprocess
import sys
import threading
from typing import Any

from .answers import read
from .asking import Reply, ask, functions
from .questions import Question

LOADING, TIME_LIMIT = 120.0, 20.0  # seconds: to import the program, to answer one question
LIVES = 3  # so many times an operation may hang or crash; after that it is not asked


class Here:
    """A module, an object or a dict in this process, so that its hang or crash is the judge's too."""

    def __init__(self, adapter: Any) -> None:
        self.name = getattr(adapter, "__name__", type(adapter).__name__)
        self.functions = functions(adapter)

    def offers(self, question: Question) -> bool:
        """Return whether there is something to ask."""
        return question.operation in self.functions

    def ask(self, question: Question) -> Reply:
        """Put a question."""
        return ask(self.functions[question.operation], question)

    def close(self) -> None:
        """Do nothing."""


class Answers:
    """The answers in a file, see :func:`.answers.read`.

    Asked is all about an operation and dtype of which there is any answer in the file.
    """

    def __init__(self, path: str, questions: Iterable[Question]) -> None:
        self.name = path
        known = {question.id: question for question in questions}
        self.replies = read(Path(path), known)
        self.groups = {(known[id].operation, known[id].dtype) for id in self.replies}

    def offers(self, question: Question) -> bool:
        """Return whether there is something to ask."""
        return (question.operation, question.dtype) in self.groups

    def ask(self, question: Question) -> Reply:
        """Look the answer up."""
        return self.replies.get(question.id, Reply("lost", text="there is no answer to it"))

    def close(self) -> None:
        """Do nothing."""


class Child:
    """A file or a module in a process of its own, which is started anew after a hang or a crash."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.lost: dict[str, int] = {}
        self.offered = self.start()

    def start(self) -> list[str]:
        """Start the process; return the names of the operations."""
        paths = os.pathsep.join(os.path.abspath(path) for path in sys.path)
        self.process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.worker", self.name], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths}, start_new_session=True)
        self.closed = False
        self.replies: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=listen, args=(self.process.stdout, self.replies), daemon=True).start()
        offered = self.next_reply(LOADING)
        if isinstance(offered, Reply):
            raise ImportError(f"{self.name} cannot be loaded: {offered.text}")
        if isinstance(offered, str):
            self.close()
            raise ImportError(f"{self.name} cannot be loaded: {offered}")
        return offered

    def next_reply(self, seconds: float) -> Any:
        """Wait for what the process sends next; kill it if that is nothing."""
        try:
            reply = self.replies.get(timeout=seconds)
        except queue.Empty:
            self.close()
            return Reply("lost", text=f"no answer within {seconds:g} seconds")
        if reply is None:
            try:
                status = self.process.wait(timeout=1)
            except subprocess.TimeoutExpired:
                self.close()
                return Reply("lost", text="the process runs on, and what it sends cannot be read")
            self.close()
            ending = signal.Signals(-status).name if status < 0 else f"exit status {status}"
            return Reply("lost", text=f"the process ended with {ending}")
        return reply

    def offers(self, question: Question) -> bool:
        """Return whether there is something to ask."""
        return question.operation in self.offered

    def ask(self, question: Question) -> Reply:
        """Put a question."""
        if self.lost.get(question.operation, 0) >= LIVES:
            return Reply("lost", text=f"not asked: the operation hung or crashed {LIVES} times before")
        reply = self.exchange(question)
        if reply.kind == "lost":
            self.lost[question.operation] = self.lost.get(question.operation, 0) + 1
        return reply

    def exchange(self, question: Question) -> Reply:
        """Send a question to the process, or to a new one, and wait for the reply."""
        try:
            if self.process.poll() is not None:
                self.close()
                self.start()
            self.send(question)
        except (ImportError, OSError) as error:
            return Reply("lost", text=f"the process has ended: {error}")
        return self.next_reply(TIME_LIMIT)

    def send(self, question: Question) -> None:
        """Write a question to the process."""
        assert self.process.stdin
        pickle.dump(question, self.process.stdin)
        self.process.stdin.flush()

    def close(self) -> None:
        """Kill the process and what it has started, once: later its number may be another's."""
        if self.closed:
            return
        self.closed = True
        if hasattr(os, "killpg"):
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        else:
            self.process.kill()
        self.process.wait()
        try:
            assert self.process.stdin
            self.process.stdin.close()
        except OSError:  # it has not read all
            pass


def listen(stream: Any, replies: queue.Queue[Any]) -> None:
    """Pass on what a process sends and, at its end, None. Runs in a thread."""
    with stream:
        try:
            while True:
                replies.put(pickle.load(stream))
        except Exception:  # it may end in the middle of a message
            replies.put(None)
