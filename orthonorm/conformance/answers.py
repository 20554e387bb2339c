"""Files of answers: one line of JSON for each question, from a program in any language."""
from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

from .asking import Reply, checked, layout, one_line, printable
from .questions import ConformanceError, Question, array

LONGEST_LINE = 1_000_000  # bytes; the longest right one has not a tenth of it


def read(path: Path, questions: Mapping[str, Question]) -> dict[str, Reply]:
    """Read the answers in a file.

    Parameters
    ----------
    path : Path
        Of lines ``{"id": ..., "answer": array or list of arrays}`` or ``{"id": ..., "error": text}``.
    questions : dict
        By id. Answers to others are an error, so the file can be no larger than its right answers.

    Returns
    -------
    dict of str to Reply

    Raises
    ------
    ConformanceError
        If a line is no answer to a question; which one, and why.
    """
    replies: dict[str, Reply] = {}
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
            try:
                id, reply = one_answer(line, questions)
                if id in replies:
                    raise ValueError(f"the second answer to {id}")
            except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
                text = error if isinstance(error, ValueError) else one_line(error)
                raise ConformanceError(f"{path}, line {number}: {text}"[:400]) from error
            replies[id] = reply
    if not replies:
        raise ConformanceError(f"{path} has no answers")
    return replies


def one_answer(line: bytes, questions: Mapping[str, Question]) -> tuple[str, Reply]:
    """Read one line: the id of the question, and the reply."""
    if len(line) > LONGEST_LINE:
        raise ValueError(f"longer than {LONGEST_LINE} bytes")
    node = json.loads(line.decode(), parse_constant=no_constant)
    if not (isinstance(node, dict) and isinstance(node.get("id"), str)
            and ("answer" in node or "error" in node)):
        raise ValueError('not of the form {"id": ..., "answer": ...} or {"id": ..., "error": ...}')
    question = questions.get(node["id"])
    if question is None:
        raise ValueError(f"no question has the id {node['id']!r:.80}")
    if "error" in node:
        text = printable(str(node["error"]))
        kind = "not offered" if text.startswith("NotImplemented") else "exception"
        return question.id, Reply(kind, text=text)
    answers = node["answer"] if isinstance(node["answer"], list) else [node["answer"]]
    if question.expect != "refusal":
        found = [(tuple(x["shape"]), x["dtype"]) for x in answers]
        wanted = [(x.shape, question.dtype) for x in question.high]
        if found != wanted:
            text = f"returns {layout(found)}, expected is {layout(wanted)}"
            return question.id, Reply("malformed", text=printable(text))
    return question.id, checked([array(x) for x in answers], question)


def no_constant(name: str) -> Any:
    """Refuse NaN and Infinity where a number stands: JSON has none."""
    raise ValueError(f'{name} is no JSON; write it as the string "{name}"')
