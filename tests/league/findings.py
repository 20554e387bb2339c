"""What is known of each failure: a convention, a documented limit, something missing, or a fault.

The first entry that fits a question's id says it. What none fits is "unsettled".
"""

from dataclasses import dataclass
import fnmatch

KINDS = ("convention", "documented limit", "missing", "fault", "unsettled")


@dataclass(frozen=True)
class Finding:
    """What a group of failures of one adapter is.

    Attributes
    ----------
    adapter, question : str
        Patterns of `fnmatch` for the adapter and the id of the question.
    kind : str
        One of `KINDS`.
    text : str
        The effect in words, and where it is documented.
    """

    adapter: str
    question: str
    kind: str
    text: str


FINDINGS: list[Finding] = []


def settle(adapter: str, question: str) -> Finding:
    """Return what is known of a failure."""
    for finding in FINDINGS:
        if fnmatch.fnmatch(adapter, finding.adapter) and fnmatch.fnmatch(question, finding.question):
            return finding
    return Finding(adapter, question, "unsettled", "")
