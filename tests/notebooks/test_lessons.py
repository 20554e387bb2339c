"""What every lesson has to be, as it stands in the repository. Nothing is executed here."""
import ast
import re

import pytest

from .lessons import LESSONS, cells, code_of, read, solutions, source

LARGEST = 1_000_000  # bytes
# Where outputs would show the machine they come from.
ABSOLUTE_PATH = re.compile(r"(?<![\w.])/(home|root|work|tmp|opt|usr|Users|mnt|var)/|\b[A-Z]:\\\\")


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return read(path)


def outputs(notebook):
    return [output for cell in cells(notebook, "code") for output in cell["outputs"]]


def text_of(output):
    """Return all that an output says in words: what was printed, or the plain form of a result."""
    data = output.get("data", {})
    return "".join(output.get("text", "")) + "".join(
        "".join(value) for kind, value in data.items() if kind.startswith("text/"))


def test_there_are_lessons():
    assert LESSONS


def test_numbers_are_unique():
    numbers = [path.name[:2] for path in LESSONS]
    assert len(set(numbers)) == len(numbers)


def test_small_enough(path):
    assert path.stat().st_size < LARGEST


def test_kernel_is_any_python_3(notebook):
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


def test_opens_with_a_title(notebook):
    first = notebook["cells"][0]
    assert first["cell_type"] == "markdown" and source(first).startswith("# ")


def test_executed_from_top_to_bottom(notebook):
    code = cells(notebook, "code")
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))


def test_no_errors_or_warnings(notebook):
    for output in outputs(notebook):
        assert output["output_type"] != "error", output
        assert output.get("name") != "stderr", output["text"]


def test_outputs_name_no_folder_of_the_machine(notebook):
    for output in outputs(notebook):
        assert not ABSOLUTE_PATH.search(text_of(output)), text_of(output)


def test_has_figures(notebook):
    figures = [output for output in outputs(notebook) if "image/png" in output.get("data", {})]
    assert len(figures) >= 4


def test_has_printed_numbers(notebook):
    assert any(re.search(r"\d", text_of(output)) for output in outputs(notebook)
               if output["output_type"] == "stream")


def test_has_formulas(notebook):
    text = "\n".join(map(source, cells(notebook, "markdown")))
    assert re.search(r"\$\$.+?\$\$", text, re.DOTALL), "no displayed formula"
    # Two dollars open and close a display; what remains has to come in pairs.
    prose = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL).replace(r"\$", "")
    assert prose.count("$") % 2 == 0, "a dollar sign without its partner"


def test_code_cells_are_python_without_magics(notebook):
    for cell in cells(notebook, "code"):
        ast.parse(source(cell))


def test_three_exercises_with_folded_solutions(notebook):
    found = solutions(notebook)
    opened = sum(source(cell).count("<details>") for cell in cells(notebook, "markdown"))
    assert len(found) >= 3
    assert len(found) == opened, "a folded part that is not a solution in the agreed form"


def test_solutions_have_code_that_compiles(notebook):
    for solution in solutions(notebook):
        assert code_of(solution).strip(), solution
        ast.parse(code_of(solution))
