"""The lessons as data: what tests and the check of the solutions read them with."""
import json
import re
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "notebooks"
LESSONS = sorted(FOLDER.glob("[0-9][0-9]_*.ipynb"))
SOLUTION = re.compile(r"<details>\s*<summary>Solution</summary>\n\n(.*?)\n</details>", re.DOTALL)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PRINTED = re.compile(r"(^It prints:\n\n```text\n)(.*?)(^```$)", re.DOTALL | re.MULTILINE)
LABEL = re.compile(r'^check\("(\d+\.\d)"', re.MULTILINE)


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def cells(notebook: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Return the cells of a kind, "code" or "markdown"."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def tags(cell: dict[str, Any]) -> list[str]:
    return cell["metadata"].get("tags", [])


def with_tag(notebook: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if tag in tags(cell)]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def label_of(cell: dict[str, Any]) -> str:
    """Return the number of the exercise that a cell checks, such as "3.1"."""
    return LABEL.findall(source(cell))[-1]


def code_of(text: str) -> str:
    """Return the Python of a solution, its blocks one after the other."""
    return "\n".join(PYTHON.findall(text))


def solutions(notebook: dict[str, Any]) -> list[str]:
    """Return what stands in each folded solution."""
    return [match for cell in cells(notebook, "markdown") for match in SOLUTION.findall(source(cell))]
