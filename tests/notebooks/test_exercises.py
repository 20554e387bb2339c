"""The checks of the exercises: typical wrong answers are refused, each with the hint for its mistake.

That the solutions are accepted is shown where they are run: ``python -m tests.notebooks.solutions``.
"""
import importlib.util
import re

import numpy as np
import pytest

from .lessons import FOLDER, LESSONS, label_of, read, with_tag

spec = importlib.util.spec_from_file_location("lessons_helper", FOLDER / "lessons.py")
helper = importlib.util.module_from_spec(spec)
spec.loader.exec_module(helper)

B = np.array([1, 5, 1, 1, 2, 2]) / 6
COLUMN = np.concatenate([[0.0], np.arccos(B[0]) * B[1:] / np.linalg.norm(B[1:])])[:, None]
SWAP = np.array([[0.0, 1.0], [1.0, 0.0]])

# (exercise, wrong answer, words of the hint)
WRONG = [
    ("1.1", 2, "same in both series"),
    ("1.1", 1.0, "begin with I"),
    ("1.1", 4, "differ already"),
    ("1.1", 8, "factor by which"),
    ("1.1", 12, "constant"),
    ("1.1", 5, "not the number"),
    ("1.2", SWAP, "P itself"),
    ("1.2", np.array([[1.0, 0.0], [1.0, -1.0]]), "sign is not"),
    ("1.2", np.array([[0.0, 0.0], [np.pi / 2, 0.0]]), "only the reflectors"),
    ("1.2", np.zeros(4), "2 x 2"),
    ("1.3", COLUMN[:, 0], "shape (6, 1)"),
    ("1.3", -COLUMN, "other way round"),
    ("1.3", COLUMN / 2, "length is not"),
    ("1.3", np.r_[0, B[1:]][:, None], "length is not"),
    ("1.3", COLUMN[::-1], "last five entries"),
]


@pytest.mark.parametrize("exercise, answer, words", WRONG, ids=[row[0] for row in WRONG])
def test_a_typical_mistake_gets_its_hint(exercise, answer, words):
    hint = helper.hint(exercise, answer)
    assert hint is not None and words in hint, hint


@pytest.mark.parametrize("exercise", helper.EXERCISES)
def test_dots_and_nonsense_are_refused(exercise):
    assert "dots" in helper.hint(exercise, ...)
    assert helper.hint(exercise, object()) is not None


def test_what_check_prints(capsys):
    helper.check("1.1", 3.001)
    helper.check("1.1", 12)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "1.1: right." and re.match(r"1\.1: That is the constant", second)


def test_every_exercise_has_a_check_and_mistakes():
    asked = {label_of(cell) for path in LESSONS for cell in with_tag(read(path), "answer")}
    assert asked == set(helper.EXERCISES)
    for exercise in asked:
        assert sum(row[0] == exercise for row in WRONG) >= 2, exercise
