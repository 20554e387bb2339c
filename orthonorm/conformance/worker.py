"""A program under judgement, in a process of its own: ``python -m orthonorm.conformance.worker NAME``.

Questions come in through the standard input and replies go out through the standard output, as
pickles. What the program itself prints goes to the standard error.
"""
import importlib
import importlib.util
import os
from pathlib import Path
import pickle
import sys
from typing import Any

from .asking import ask, functions, one_line


def main(name: str) -> None:
    """Load a program, say what it has, and put to it the questions that come in.

    Parameters
    ----------
    name : str
        Of a file or a module.
    """
    incoming, outgoing = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    owner = os.getpid()

    def send(message: Any) -> None:
        if os.getpid() != owner:  # the program has forked, and this is its other half
            os._exit(0)
        pickle.dump(message, outgoing)
        outgoing.flush()

    try:
        offered = functions(load(name))
    except BaseException as error:
        return send(one_line(error))
    send(list(offered))
    while True:
        try:
            question = pickle.load(incoming)
        except EOFError:
            return
        send(ask(offered[question.operation], question))


def load(name: str) -> Any:
    """Import a file, which may import its neighbours, or a module."""
    if not name.endswith(".py"):
        return importlib.import_module(name)
    sys.path.insert(0, str(Path(name).resolve().parent))
    spec = importlib.util.spec_from_file_location(Path(name).stem, name)
    assert spec and spec.loader  # there is a loader for .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main(sys.argv[1])
