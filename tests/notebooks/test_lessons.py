"""What every lesson has to be, as it stands in the repository. Nothing is executed here."""
import ast
import re

import pytest

from .lessons import LESSONS, PRINTED, SOLUTION, cells, code_of, label_of, read, source, tags, with_tag

LARGEST = 1_000_000  # bytes
# Where outputs would show the machine they come from.
ABSOLUTE_PATH = re.compile(r"(?<![\w.])/(home|root|work|tmp|opt|usr|Users|mnt|var)/|\b[A-Z]:\\\\")


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def path(request):
    return request.param


@pytest.fixture
def notebook(path):
    return read(path)


DRAWS = re.compile(r"\bplt\.|\bax(es|is)?(\[\d\])?\.")
COMPUTES = re.compile(
    r"\b(core|definitions|gradients|nn|optim|conformance)\.|\blinalg\.(svd|eig|solve|qr|det|inv)"
    r"|\bprint\(")


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


def test_opens_with_number_and_title(path, notebook):
    first = notebook["cells"][0]
    assert first["cell_type"] == "markdown"
    assert source(first).startswith(f"# {int(path.name[:2])}. ")
    assert re.search(r"^\*Prerequisites: .*\*$", source(first), re.MULTILINE | re.DOTALL)


def test_sections_end_alike(notebook):
    titles = re.findall(r"^## (.*)$", "\n".join(map(source, cells(notebook, "markdown"))), re.MULTILINE)
    ends = titles[titles.index("What to remember"):]
    assert ends in (["What to remember", "Exercises"], ["What to remember", "Exercises", "References"])


def test_runs_without_files_beside_it(notebook):
    setup = source(with_tag(notebook, "setup")[0])
    assert "except ModuleNotFoundError" in setup
    assert not re.search(r"open\(|\.mplstyle|\.\./", "\n".join(map(source, cells(notebook, "code"))))


def test_plots_and_computations_are_in_cells_of_their_own(notebook):
    for cell in cells(notebook, "code"):
        if "plot" in tags(cell):
            assert not COMPUTES.search(source(cell)), source(cell)
            assert source(cell).rstrip().endswith("plt.show()")
        elif "setup" not in tags(cell):
            assert not DRAWS.search(source(cell)), source(cell)


def test_cells_are_small(notebook):
    for cell in cells(notebook, "code"):
        lines = source(cell).splitlines()
        assert len(lines) <= 25, source(cell)
        assert max(map(len, lines)) <= 100, max(lines, key=len)
    for cell in cells(notebook, "markdown"):
        text = source(cell)
        assert max(map(len, text.splitlines())) <= 160, max(text.splitlines(), key=len)
        assert max(map(len, code_of(text).splitlines()), default=0) <= 100, code_of(text)


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


def test_three_exercises_each_with_an_empty_cell_and_a_solution(path, notebook):
    number = int(path.name[:2])
    labels = [f"{number}.{i}" for i in (1, 2, 3)]
    assert [label_of(cell) for cell in with_tag(notebook, "answer")] == labels
    assert [label_of(cell) for cell in with_tag(notebook, "solution")] == labels
    everything = notebook["cells"]
    for label, cell in zip(labels, with_tag(notebook, "answer")):
        at = everything.index(cell)
        assert f"**Exercise {label}.**" in source(everything[at - 1])
        assert "solution" in tags(everything[at + 1])
        name = re.search(r"^(\w+) = \.\.\.$", source(cell), re.MULTILINE)[1]
        assert source(cell).endswith(f'check("{label}", {name})')


def test_solutions_are_folded_and_show_their_numbers(notebook):
    for cell in with_tag(notebook, "solution"):
        solution, = SOLUTION.findall(source(cell))
        ast.parse(code_of(solution))
        printed = PRINTED.search(solution)[2]
        assert printed.endswith(f"{label_of(cell)}: right.\n") and printed.count("\n") >= 2, printed
