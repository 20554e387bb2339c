"""What the judge says: a table, and each failure."""
from collections.abc import Iterator
from dataclasses import dataclass
import itertools
import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .judge import Verdict

SHOWN = 5  # failures, of each operation and dtype
EXACT = 1e-3  # a smaller ratio counts as this in the mean
HEAD = ("operation", "dtype", "asked", "passed", "refused", "failed", "not offered", "worst", "mean",
        "worst question")


@dataclass
class Row:
    """One line of the table.

    Attributes
    ----------
    asked, passed, refused, failed, not_offered : int
        The first is the sum of the others; "refused" are those that had to be.
    worst, mean : float or None
        The largest ratio and the geometric mean of all that are finite; None if there is none.
    worst_question : str
    """

    operation: str
    dtype: str
    asked: int
    passed: int
    refused: int
    failed: int
    not_offered: int
    worst: float | None
    mean: float | None
    worst_question: str


@dataclass(repr=False)
class Report:
    """The verdicts on one implementation.

    Attributes
    ----------
    name : str
        Of the implementation.
    verdicts : list of Verdict
    """

    name: str
    verdicts: "list[Verdict]"

    @property
    def failures(self) -> "list[Verdict]":
        """The verdicts on what is wrong."""
        return [verdict for verdict in self.verdicts if verdict.outcome in ("failed", "error")]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.failures

    def rows(self) -> list[Row]:
        """Return the lines of the table: one for each operation and dtype."""
        return [row(operation, dtype, list(group)) for (operation, dtype), group in self.groups()]

    def groups(self) -> "Iterator[tuple[tuple[str, str], Iterator[Verdict]]]":
        """Yield the verdicts on each operation in each dtype."""
        def group(verdict: "Verdict") -> tuple[str, str]:
            return verdict.question.operation, verdict.question.dtype
        return itertools.groupby(sorted(self.verdicts, key=group), group)

    def __str__(self) -> str:
        """Format the table and the failures."""
        head = f"{self.name}: how far from the exact answers, in units of the effect of rounding"
        return "\n".join([head, "", *table(self.rows()), "", *self.failure_lines(), self.summary()])

    def __repr__(self) -> str:
        """Say it in a line, for where ``assert judge(mine).passed`` fails."""
        return f"<{' '.join([self.summary() + '.', *self.failure_lines()][:2])}>"

    def failure_lines(self) -> Iterator[str]:
        """Yield a line for each failure, up to five of an operation and dtype."""
        for (operation, dtype), group in self.groups():
            failed = [verdict for verdict in group if verdict.outcome in ("failed", "error")]
            for verdict in failed[:SHOWN]:
                effects = verdict.question.notes.items() if verdict.outcome == "failed" else ()
                notes = "; ".join(f"{flag}: {text}" for flag, text in effects)
                notes = f" ({notes})" if notes else ""
                yield f"FAIL {verdict.question.id}: {verdict.message}{notes}"
            if len(failed) > SHOWN:
                yield f"... and {len(failed) - SHOWN} more of {operation} {dtype}"

    def summary(self) -> str:
        """Return the last line of the report."""
        count = {outcome: 0 for outcome in ("passed", "refused", "not offered")}
        for verdict in self.verdicts:
            count[verdict.outcome] = count.get(verdict.outcome, 0) + 1
        said = f"{len(self.verdicts)} questions: {count['passed'] + count['refused']} right"
        if count["not offered"]:
            said += f", {count['not offered']} not offered"
        return said + f", {len(self.failures)} wrong"

    def as_json(self) -> str:
        """Return the report for machines: the rows, and the outcome of every question."""
        return json.dumps({
            "adapter": self.name, "passed": self.passed, "summary": self.summary(),
            "operations": [{key: finite(value) for key, value in vars(row).items()}
                           for row in self.rows()],
            "questions": [{
                "id": verdict.question.id, "operation": verdict.question.operation,
                "dtype": verdict.question.dtype, "flags": list(verdict.question.flags),
                "outcome": verdict.outcome, "ratio": finite(verdict.ratio), "message": verdict.message,
            } for verdict in self.verdicts]}, indent=1, allow_nan=False)


def row(operation: str, dtype: str, verdicts: "list[Verdict]") -> Row:
    """Count the verdicts on one operation in one dtype."""
    outcomes = [verdict.outcome for verdict in verdicts]
    ratios = [(verdict.ratio, verdict.question.id) for verdict in verdicts if verdict.ratio is not None]
    worst, worst_question = max(ratios, default=(None, ""))
    logarithms = [math.log(max(ratio, EXACT)) for ratio, _ in ratios if ratio < math.inf]
    mean = math.exp(math.fsum(logarithms) / len(logarithms)) if logarithms else None
    return Row(operation, dtype, len(verdicts), outcomes.count("passed"), outcomes.count("refused"),
               outcomes.count("failed") + outcomes.count("error"), outcomes.count("not offered"),
               worst, mean, worst_question)


def table(rows: list[Row]) -> list[str]:
    """Format the rows, with their head."""
    lines = [HEAD] + [
        (row.operation, row.dtype, str(row.asked), str(row.passed), str(row.refused), str(row.failed),
         str(row.not_offered), shown(row.worst), shown(row.mean), row.worst_question) for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return ["  ".join(cell.ljust(width) if i in (0, 1, 9) else cell.rjust(width)
                      for i, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in lines]


def shown(ratio: float | None) -> str:
    """Return a ratio in three digits."""
    return "" if ratio is None else f"{ratio:.3g}"


def finite(value: Any) -> Any:
    """Return None for infinity, which JSON lacks."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
