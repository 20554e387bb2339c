"""The pages of the league from recorded results: the table, a page for each package, the picture."""

import collections
import json
import math
import pathlib

from .findings import KINDS, settle
from .packages import PACKAGES

FEW = 10
WHY = (
    "``numpy.linalg.solve``, which the definitions and autograd's rule call, computes in double\n"
    "precision for single-precision arguments; the fast Cayley map does not, and is faster. For the\n"
    "polar factor JAX iterates (QDWH) where this package takes a singular value decomposition, which\n"
    "also completes frames of deficient rank. The other cells are other orders of the same products."
    "\n\n"
)


def write_pages(results: pathlib.Path) -> None:
    """Write league.rst, PACKAGE.rst and league.png from the results that are there."""
    known = {}
    for package in PACKAGES:
        file = results / f"{package.adapter}.json"
        if file.exists():
            known[package] = json.loads(file.read_text())
    (results / "league.rst").write_text(league_page(known))
    for package, result in known.items():
        (results / f"{package.adapter}.rst").write_text(package_page(package, result))
    draw(known, results / "league.png")


def by_operation(result):
    """Add the dtypes of each operation: counts, the worst and the mean ratio."""
    sums = {}
    for row in result.get("operations", []):
        cell = sums.setdefault(row["operation"], collections.Counter(worst=0, logs=0, judged=0))
        for key in ("asked", "passed", "refused", "failed", "not_offered"):
            cell[key] += row[key]
        if row["mean"] is not None:
            judged = row["passed"] + row["failed"]
            cell["logs"] += judged * math.log(row["mean"])
            cell["judged"] += judged
        cell["worst"] = max(
            cell["worst"], math.inf if row["worst"] is None and row["failed"] else row["worst"] or 0
        )
    return sums


def mean(cell):
    return math.exp(cell["logs"] / cell["judged"]) if cell["judged"] else None


def short(x):
    return "" if x is None else "inf" if math.isinf(x) else f"{x:.2g}"


def version(result):
    versions = result.get("versions", {})
    return ", ".join(f"{name} {number}" for name, number in list(versions.items())[:1])


def heading(text, line="="):
    return f"{text}\n{line * len(text)}\n\n"


def grid(head, rows):
    """Format a simple table of reStructuredText."""
    cells = [[cell or "\\" for cell in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells)]
    rule = "  ".join("=" * width for width in widths) + "\n"
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() + "\n"
        for row in cells
    ]
    return rule + lines[0] + rule + "".join(lines[1:]) + rule + "\n"


def league_page(known):
    """Return the page with the table: one row for each adapter and operation, then the conventions."""
    text = heading("The league") + (
        "Every package answers the questions of ``orthonorm/conformance/vectors`` that it has a\n"
        "function for. A ratio is the error of an answer over the effect that rounding its arguments\n"
        "has on the exact answer. *right*: within the limit, or refused where that is right.\n"
        "*worst* and *mean* are ratios. What the failures are stands on each package's page.\n\n"
        ".. image:: league.png\n   :alt: digits lost to rounding, by package and operation\n\n"
    )
    rows, conventions = [], []
    for package, result in known.items():
        name = f"`{package.adapter} <{package.adapter}.rst>`__"
        conventions.append([package.adapter, package.convention])
        if "error" in result:
            rows.append([name, "", "", "", "", "", result["error"][:60]])
        for operation, cell in sorted(by_operation(result).items()):
            offered = cell["asked"] - cell["not_offered"]
            if offered:
                rows.append(
                    [
                        name,
                        operation,
                        f"{cell['passed'] + cell['refused']}/{offered}",
                        short(cell["worst"]),
                        short(mean(cell)),
                        version(result),
                        "",
                    ]
                )
                name = ""
    text += grid(["package", "operation", "right", "worst", "mean", "version", "remark"], rows)
    text += nearer(known)
    text += heading("One map, so many conventions", "-") + grid(["package", "convention"], conventions)
    dates = sorted({result["date"] for result in known.values()})
    return text + f"Judged {' to '.join(sorted({dates[0], dates[-1]}))}.\n"


def nearer(known):
    """List where the mean ratio of another package is less than 2/3 of this one's."""
    rows = []
    for package, result in known.items():
        for row in result.get("operations", []):
            if row.get("both", 0) >= FEW and row["ours"] > 1.5 * row["theirs"]:
                rows.append(
                    [package.adapter, row["operation"], row["dtype"], str(row["both"])]
                    + [short(row["theirs"]), short(row["ours"])]
                )
    text = heading("Where another is nearer than this package", "-") + (
        f"The mean ratios on the questions that both answer rightly, if these are {FEW} or more and\n"
        "ours is more than 1.5 times theirs. All are far below the limit of 10: a ratio of 0.1 is a\n"
        "tenth of what rounding the arguments does.\n\n")
    if not rows:
        return text + "Nowhere.\n\n"
    return text + grid(["package", "operation", "dtype", "questions", "theirs", "ours"], rows) + WHY


def package_page(package, result):
    """Return the page of a package: what failed, by kind, with the effect in words."""
    text = heading(package.adapter) + f"{package.convention}\n\n"
    versions = ", ".join(f"{name} {number}" for name, number in result.get("versions", {}).items())
    text += f"{versions}; judged {result['date']}.\n\n"
    if "error" in result:
        return text + result["error"] + "\n"
    rows = [
        [
            row["operation"],
            row["dtype"],
            *(str(row[key]) for key in ("asked", "passed", "refused", "failed", "not_offered")),
            short(row["worst"]),
            short(row["mean"]),
        ]
        for row in result["operations"]
    ]
    text += grid(
        ["operation", "dtype", "asked", "passed", "refused", "failed", "not offered", "worst", "mean"],
        rows,
    )
    groups = collections.defaultdict(list)
    for question in result["wrong"]:
        finding = settle(package.adapter, question["id"])
        groups[KINDS.index(finding.kind), finding.text].append(question)
    for (kind, effect), questions in sorted(groups.items()):
        text += heading(f"{KINDS[kind]}: {len(questions)}", "-") + (f"{effect}\n\n" if effect else "")
        for question in questions[:8]:
            flags = f" ({', '.join(question['flags'])})" if question["flags"] else ""
            message = question["message"].splitlines()[0][:120]
            text += f"* ``{question['id']}``{flags}: {message}\n"
        if len(questions) > 8:
            text += f"* and {len(questions) - 8} more\n"
        text += "\n"
    return text


def draw(known, file):
    """Draw the mean digits lost: log10 of the mean ratio, one dot a package and operation."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    tables = {package.adapter: by_operation(result) for package, result in known.items()}
    operations = sorted({operation for table in tables.values() for operation in table})
    digits = np.full((len(tables), len(operations)), np.nan)
    for i, table in enumerate(tables.values()):
        for operation, cell in table.items():
            if cell["judged"]:
                digits[i, operations.index(operation)] = np.log10(mean(cell))
    figure, axes = plt.subplots(
        figsize=(2 + 0.32 * len(operations), 1.5 + 0.26 * len(tables)), layout="constrained"
    )
    image = axes.imshow(digits, cmap="cividis", vmin=-2, vmax=3, aspect="auto")
    axes.set_xticks(range(len(operations)), operations, rotation=90, fontsize=7)
    axes.set_yticks(range(len(tables)), tables, fontsize=7)
    axes.set_facecolor("0.93")
    figure.colorbar(image, label="digits lost beyond rounding (mean)", shrink=0.6)
    figure.savefig(file, dpi=110, metadata={"Software": None})
    plt.close(figure)
