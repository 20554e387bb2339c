"""One question put to one function: the call, and what may be wrong with what comes back."""
from collections.abc import Callable, Mapping
import copy
from dataclasses import dataclass, field
import itertools
from typing import Any
import warnings

import numpy as np

from .questions import Question, operations

MOST = 9  # results are taken, more than any operation has


@dataclass
class Reply:
    """What came back.

    Attributes
    ----------
    kind : str
        "arrays"; "exception"; "malformed", which says that something other than the numbers is wrong;
        "not offered"; or "lost", where the program hung or crashed.
    arrays : list of ndarray
        Of the shapes and the dtype that the question wants.
    text : str
        What happened instead.
    """

    kind: str
    arrays: list[np.ndarray] = field(default_factory=list)
    text: str = ""


def functions(adapter: Any) -> dict[str, Callable]:
    """Return the operations that a module, an object or a dict has, by name.

    Parameters
    ----------
    adapter : object

    Returns
    -------
    dict of str to callable
    """
    def named(name: str) -> Any:
        return adapter.get(name) if isinstance(adapter, Mapping) else getattr(adapter, name, None)

    return {name: function for name in operations() if callable(function := named(name))}


def ask(function: Callable, question: Question) -> Reply:
    """Call a function with copies of a question's arguments.

    Parameters
    ----------
    function : callable
    question : Question

    Returns
    -------
    Reply
    """
    arguments = {name: fresh(value, "non-contiguous" in question.flags)
                 for name, value in question.arguments.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = function(*arguments.values())
            reply = checked(as_arrays(result, question.several), question)
            reply.arrays = [np.array(x) for x in reply.arrays]  # which it may write to later
    except KeyboardInterrupt:
        raise
    except NotImplementedError as error:
        return Reply("not offered", text=one_line(error))
    except BaseException as error:  # SystemExit, or the panic of a program in Rust, is no Exception
        reply = Reply("exception", text=one_line(error))
    changed = [name for name, value in arguments.items() if not same(value, question.arguments[name])]
    if changed:
        return Reply("malformed", text=f"writes to its argument {', '.join(changed)}")
    return reply


def fresh(value: Any, strided: bool) -> Any:
    """Return a copy of an argument that may be written to.

    A strided one is every other row and column of an array that has NaN in between.
    """
    if not isinstance(value, np.ndarray) or not strided:
        return copy.deepcopy(value)
    larger = np.full([2 * side for side in value.shape], np.nan, value.dtype)
    view = larger[(slice(None, None, 2),) * value.ndim]
    view[...] = value
    return view


def same(x: Any, y: Any) -> bool:
    """Return whether two arguments have the same bits, and the same shape."""
    if isinstance(y, np.ndarray):
        return x.shape == y.shape and x.dtype == y.dtype and x.tobytes() == y.tobytes()
    return x == y


def as_arrays(result: Any, several: bool) -> list[np.ndarray]:
    """Return a result, or each of several, as an array: of whatever ``numpy.asarray`` takes.

    Tensors of PyTorch are taken off their graph and device before. Of what never ends the first few are
    taken: too many.
    """
    return [as_array(x) for x in (itertools.islice(result, MOST) if several else [result])]


def as_array(x: Any) -> np.ndarray:
    """Return one result as an array, which is not copied: its shape may be huge, and its strides 0."""
    if hasattr(x, "detach"):  # a tensor of PyTorch
        x = x.numpy(force=True)
    return np.asarray(x)


def checked(arrays: list[np.ndarray], question: Question) -> Reply:
    """Return arrays as a reply, if number, shapes and dtype are those that the question wants.

    Where a refusal is expected, arrays of any shape are a reply.
    """
    if question.expect == "refusal":
        small = [x for x in arrays if x.dtype.kind in "fc" and x.size < 1e6]
        return Reply("arrays", [x.astype(np.complex128) for x in small])
    found = [(x.shape, x.dtype.name) for x in arrays]
    wanted = [(x.shape, question.dtype) for x in question.high]
    if found != wanted:
        return Reply("malformed", text=f"returns {layout(found)}, expected is {layout(wanted)}")
    return Reply("arrays", arrays)


def layout(arrays: list[tuple[tuple[int, ...], str]]) -> str:
    """Return shapes and dtypes in words."""
    return ", ".join(f"{dtype}{list(shape)}" for shape, dtype in arrays[:4]) or "nothing"


def one_line(error: BaseException) -> str:
    """Return the name and the text of an exception, the first 200 characters."""
    try:
        text = str(error)
    except Exception:
        text = "its text cannot be had"
    return printable(f"{type(error).__name__}: {text}")


def printable(text: str) -> str:
    """Return the first 200 characters on one line, with escapes for what a terminal would obey."""
    line = " ".join(text.split())[:200]
    return "".join(x if x.isprintable() else ascii(x)[1:-1] for x in line)
