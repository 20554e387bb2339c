"""What is handed out: nothing missing, no solution where none must be, each notebook alone."""
import importlib.util
import json
import re
import subprocess
import sys

import pytest

from .lessons import FOLDER, LESSONS, code_of, label_of, read, source, tags, with_tag

spec = importlib.util.spec_from_file_location("handouts", FOLDER / "handouts.py")
handouts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(handouts)


@pytest.fixture(params=LESSONS, ids=lambda path: path.stem)
def lesson(request):
    return read(request.param)


def test_a_students_lesson_has_no_solution_and_no_output(lesson):
    made = handouts.student(lesson)
    assert "Solution" not in json.dumps(made)
    assert not any(cell.get("outputs") for cell in made["cells"])
    kept = [source(cell) for cell in made["cells"] if "helper" not in tags(cell)]
    assert kept == [source(cell) for cell in lesson["cells"] if "solution" not in tags(cell)]


def test_a_lesson_with_solutions_has_each_as_code_with_what_it_prints(lesson):
    made = handouts.solutions(lesson)
    code = [cell for cell in with_tag(made, "solution") if cell["cell_type"] == "code"]
    assert not with_tag(made, "answer") and "<details>" not in json.dumps(made)
    for cell, solution, empty in zip(code, with_tag(lesson, "solution"), with_tag(lesson, "answer"),
                                     strict=True):
        assert code_of(source(solution)).rstrip() in source(cell)
        given = source(empty).split("\n\n")[0].splitlines()[:-1]
        assert source(cell).splitlines()[:len(given)] == given
        assert cell["outputs"][0]["text"].endswith(f"{label_of(solution)}: right.\n")


def test_slides_are_cut_at_headings(lesson):
    made = handouts.slides(lesson)
    for cell in made["cells"]:
        words = cell["cell_type"] == "markdown"
        headings = len(re.findall(r"^##? ", source(cell), re.MULTILINE)) if words else 0
        starts = cell["metadata"]["slideshow"]["slide_type"] == "slide"
        assert headings == starts, source(cell)
    assert not with_tag(made, "solution")


def test_cells_are_numbered(lesson):
    for make in (handouts.student, handouts.solutions):
        ids = [cell["id"] for cell in make(lesson)["cells"]]
        assert ids == [f"cell-{i:02d}" for i in range(len(ids))]


def test_the_helper_works_where_no_file_is(tmp_path):
    cell = handouts.helper()
    assert max(map(len, source(cell).splitlines())) <= 104
    code = source(cell) + 'from lessons import check, style\ncheck("1.1", 3.0)\nprint(len(style) > 5)'
    printed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                             env={"PYTHONPATH": str(FOLDER.parent)})
    assert printed.stdout == "1.1: right.\nTrue\n", printed.stderr
