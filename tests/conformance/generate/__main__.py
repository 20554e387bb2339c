"""Write orthonorm/conformance/vectors: `python -m tests.conformance.generate [OPERATION ...]`."""

import pathlib
import sys
import time

import orthonorm

from . import families
from .notes import notes_for
from .questions import LIMIT, answered, as_json

VECTORS = pathlib.Path(orthonorm.__file__).parent / "conformance" / "vectors"
SCHEMA = "orthonorm-conformance-1"


def by_operation(questions):
    """Return the questions of each operation."""
    grouped = {}
    for question in questions:
        grouped.setdefault(question.operation, []).append(question)
    return grouped


def file_of(operation, questions):
    """Return the text of an operation's file: one test a line."""
    names = [question.name for question in questions]
    assert len(names) == len(set(names)), "an id must not come twice"
    tests = [test for test in map(answered, questions) if test]
    notes = notes_for({flag for test in tests for flag in test["flags"]})
    head = {"schema": SCHEMA, "operation": operation, "limit": LIMIT, "notes": notes}
    lines = ",\n".join(as_json(test) for test in tests)
    return f'{as_json(head)[:-1]},\n"tests":[\n{lines}\n]}}\n', len(tests)


def main(chosen):
    for operation, questions in by_operation(families.questions()).items():
        if chosen and operation not in chosen:
            continue
        start = time.perf_counter()
        text, number = file_of(operation, questions)
        (VECTORS / f"{operation}.json").write_text(text)
        print(
            f"{operation:32} {number:4} of {len(questions):4} questions {len(text) / 1e3:8.0f} kB "
            f"{time.perf_counter() - start:6.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
