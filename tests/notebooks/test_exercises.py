"""The checks of the exercises: typical wrong answers are refused, each with the hint for its mistake.

That the solutions are accepted is shown where they are run: ``python -m tests.notebooks.solutions``.
"""
import importlib.util
import re

import numpy as np
import pytest

from orthonorm import core

from .lessons import FOLDER, LESSONS, label_of, read, with_tag

spec = importlib.util.spec_from_file_location("lessons_helper", FOLDER / "lessons.py")
helper = importlib.util.module_from_spec(spec)
spec.loader.exec_module(helper)

B = np.array([1, 5, 1, 1, 2, 2]) / 6
COLUMN = np.concatenate([[0.0], np.arccos(B[0]) * B[1:] / np.linalg.norm(B[1:])])[:, None]
SWAP = np.array([[0.0, 1.0], [1.0, 0.0]])

ZERO = np.zeros((4, 3))


def upper(Ta, block, Tb):
    return np.block([[Ta, block], [ZERO, Tb]])


DRAWS = np.random.default_rng(107)
X = DRAWS.standard_normal((3, 8)) * np.array([[2.0], [1.0], [0.05]])
Y = core.cayley(DRAWS.standard_normal((3, 3))) @ X + 0.2 * DRAWS.standard_normal((3, 8))
POLAR = core.polar(Y @ X.T)

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
    ("3.1", lambda x, y: x + y, "to -y"),
    ("3.1", lambda x, y: x, "to -x"),
    ("3.1", lambda x, y: y, "y - x"),
    ("3.1", lambda x, y: np.outer(x, y), "vector like x"),
    ("3.2", lambda Ta, Va, Vb, Tb: upper(Ta, Ta @ Va.T @ Vb @ Tb, Tb), "a sign"),
    ("3.2", lambda Ta, Va, Vb, Tb: upper(Ta, 0 * Tb[:3], Tb), "fourth term"),
    ("3.2", lambda Ta, Va, Vb, Tb: np.block([[Ta, ZERO.T], [-Tb @ Vb.T @ Va @ Ta, Tb]]), "lower left"),
    ("3.2", lambda Ta, Va, Vb, Tb: upper(Ta, -Va.T @ Vb, Tb), "upper right block"),
    ("3.2", lambda Ta, Va, Vb, Tb: Ta, "7 x 7"),
    ("3.3", np.eye(4), "This gives -I"),
    ("3.3", np.zeros((4, 4)), "This gives -I"),
    ("3.3", np.diag([1.0, 1, -1, -1]), "What does H_j do"),
    ("3.3", np.eye(3), "shape (4, 4)"),
    ("5.1", (3, 45), "never finds 3"),
    ("5.1", (2, 91), "Twice too many"),
    ("5.1", (2, 23), "not 1e-8"),
    ("5.1", (2, 1), "which factor"),
    ("5.1", (1, 45), "diag(3, 2, 1)"),
    ("5.2", 1, "third one"),
    ("5.2", 0.25, "rate of the vector"),
    ("5.2", 0.5, "sigma_3"),
    ("5.2", 16, "less than 1"),
    ("5.3", (206, 16), "First the number for 1%"),
    ("5.3", (15, 205), "Count the iteration itself"),
    ("5.3", (206, 206), "below 0.01"),
    ("5.3", (16, 50), "below 1e-6"),
    ("8.1", (0.12, 1.0), "orthogonal network"),
    ("8.1", (1.05, 1.0), "trained weight_hh_l0"),
    ("8.1", (1.05, 1.3), "largest singular value"),
    ("8.1", (3.2, 2.5), "last 20 steps"),
    ("8.2", (0.99, 0.49), "comes first"),
    ("8.2", (0.49, 1.0), "less than 1"),
    ("8.2", (0.95, 0.99), "small inputs"),
    ("8.2", (0.7, 0.99), "largest singular value"),
    ("8.2", (0.49, 0.6), "norm is right"),
    ("8.3", 0.86, "the orthogonal network"),
    ("8.3", 0.747, "old steps"),
    ("8.3", 72.4, "per cent"),
    ("11.1", 13, "Round up"),
    ("11.1", 13.54, "whole steps"),
    ("11.1", 15, "step 0"),
    ("11.1", 8, "Jordan"),
    ("11.2", (1.5, -0.5), "classical"),
    ("11.2", (1.4, -0.4), "p(1) = 1"),
    ("11.2", (2.0, -1.2), "largest distance"),
    ("11.2", 2.0, "could not use"),
    ("11.3", np.eye(3), "not the nearest"),
    ("11.3", np.ones((3, 3)), "has to be orthogonal"),
    ("11.3", np.ones(3), "3 x 3"),
    ("11.3", POLAR, "a reflection"),
    ("11.3", -POLAR, "One is enough"),
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
