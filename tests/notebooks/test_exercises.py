"""The checks of the exercises: typical wrong answers are refused, each with the hint for its mistake.

That the solutions are accepted is shown where they are run: ``python -m tests.notebooks.solutions``.
"""
import importlib.util
import re

import numpy as np
import pytest
from scipy.linalg import subspace_angles

from orthonorm import core
from orthonorm.core import definitions

from .lessons import FOLDER, LESSONS, label_of, read, with_tag

spec = importlib.util.spec_from_file_location("lessons_helper", FOLDER / "lessons.py")
helper = importlib.util.module_from_spec(spec)
spec.loader.exec_module(helper)

B = np.array([1, 5, 1, 1, 2, 2]) / 6
COLUMN = np.concatenate([[0.0], np.arccos(B[0]) * B[1:] / np.linalg.norm(B[1:])])[:, None]
SWAP = np.array([[0.0, 1.0], [1.0, 0.0]])

DRAWS = np.random.default_rng(107)
X = DRAWS.standard_normal((3, 8)) * np.array([[2.0], [1.0], [0.05]])
Y = core.cayley(DRAWS.standard_normal((3, 3))) @ X + 0.2 * DRAWS.standard_normal((3, 8))
POLAR = core.polar(Y @ X.T)
KERNEL, A6 = helper.layer_of_lesson_6()
U, _, Vt = np.linalg.svd(A6)
ZERO = np.zeros((4, 3))


def upper(Ta, block, Tb):
    return np.block([[Ta, block], [ZERO, Tb]])


def plain_cayley(X, half=0.5, sign=1):
    A = sign * (np.tril(X) - np.tril(X).T)
    return np.linalg.solve(np.eye(4) - half * A, np.eye(4) + half * A)


C = np.outer([1, -2, 3, 0, 1], [1, 1, 2]) / 4


def gradient(X):
    return definitions.matrix_exp_vjp(X, C)


inverse = np.linalg.inv
NORMS = helper.NORMS_OF_A_MOVING_WEIGHT


def logistic(*exponents):
    return sum(np.mean(np.log(1 + np.exp(x))) for x in exponents)


def turned_coordinate(Q):
    return Q * np.where(np.arange(5) == 0, -np.sign(np.linalg.det(Q)), 1)


OFT = np.array([[0.0, 0, 0], [-2, 0, 0], [-4, -6, 0]])
B0 = np.tri(3, k=-1)

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
    ("2.1", lambda A, G: inverse(A).T @ G @ inverse(A).T, "the sign"),
    ("2.1", lambda A, G: -inverse(A) @ G @ inverse(A), "derivative along G"),
    ("2.1", lambda A, G: -G / A**2, "each entry"),
    ("2.1", lambda A, G: -inverse(A).T @ inverse(A).T @ G, "do not commute"),
    ("2.1", lambda A, G: G, "for every E"),
    ("2.2", definitions.cayley, "What in it conjugates"),
    ("2.2", lambda X: plain_cayley(X, sign=-1), "transpose of the Cayley"),
    ("2.2", lambda X: plain_cayley(X, half=1), "halves are missing"),
    ("2.2", lambda X: plain_cayley(X.real), "imaginary part"),
    ("2.2", lambda X: X, "same as core.cayley"),
    ("2.3", lambda X, D: gradient(X), "gradient at X"),
    ("2.3", lambda X, D: gradient(X + D) - gradient(X), "has to be small"),
    ("2.3", lambda X, D: (gradient(X + 1e-5 * D) - gradient(X - 1e-5 * D)) / 1e-5, "Twice"),
    ("2.3", lambda X, D: np.sum(gradient(X) * D), "matrix like X"),
    ("2.3", lambda X, D: definitions.matrix_exp(X), "linear in D"),
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
    ("4.1", lambda A, B: definitions.polar(A.T @ B), "determinant 1"),
    ("4.1", lambda A, B: turned_coordinate(definitions.polar(A.T @ B)), "of a coordinate"),
    ("4.1", lambda A, B: np.eye(5)[[1, 0, 2, 3, 4]], "smaller loss"),
    ("4.1", lambda A, B: A.T @ B, "has to be orthogonal"),
    ("4.2", 1, "most often"),
    ("4.2", 5, "with a larger one"),
    ("4.2", 100, "still above"),
    ("4.2", 50, "One of"),
    ("4.3", ["matrix_exp", "cayley", "householder"], "for real matrices"),
    ("4.3", ["cayley"], "One is missing"),
    ("4.3", "matrix_exp", "One is missing"),
    ("4.3", ["exp"], "names of maps"),
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
    ("6.1", U[:, 0], "This is an output"),
    ("6.1", Vt[-1].reshape(1, 8, 9, 9), "least"),
    ("6.1", Vt[:, 0].reshape(1, 8, 9, 9), "not a column"),
    ("6.1", Vt[0], "shape (1, 8, 9, 9)"),
    ("6.2", (0.6558, 0.94), "That is dim=0"),
    ("6.2", (0.9409, 0.5676), "First the norm of the reshaped"),
    ("6.2", (1.0, 1.0), "a row for each"),
    ("6.3", KERNEL, "still"),
    ("6.3", KERNEL / 1.32, "as much as by dividing"),
    ("6.3", KERNEL[0], "the shape (16, 8, 3, 3)"),
    ("7.1", lambda Q: np.linalg.norm(Q @ Q.T - np.eye(9)), "rank 4"),
    ("7.1", lambda Q: np.linalg.norm(Q.T @ Q - np.eye(4, dtype=Q.dtype)), "rounded to float32"),
    ("7.1", lambda Q: np.abs(Q.astype(float).T @ Q - np.eye(4)).max(), "another norm"),
    ("7.1", lambda Q: np.linalg.norm(Q), "about 1e-7"),
    ("7.2", lambda X: definitions.cayley(X.astype(float)), "is float64"),
    ("7.2", lambda X: definitions.cayley(X.astype(float)).astype(np.float32), "rounds the result"),
    ("7.2", lambda X: -definitions.cayley(X), "wrong by"),
    ("7.3", ["complex square", "real square"], "cannot"),
    ("7.3", ["complex square"], "There are more"),
    ("7.3", ["complex square", "complex tall", "complex wide", "all"], "names of kinds"),
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
    ("9.1", [0.9, 0.95, 0.99], "from below"),
    ("9.1", NORMS[::-1], "In the order"),
    ("9.1", 2 * np.array(NORMS), "norms of the original"),
    ("9.1", [1.5, 1.0, 1.0], "both rng=0"),
    ("9.1", 1.5, "Three numbers"),
    ("9.2", (lambda x, y: np.mean(y) - np.mean(x), None), "Wasserstein loss"),
    ("9.2", (lambda x, y: logistic(x, -y), None), "low scores"),
    ("9.2", (lambda x, y: logistic(x, y), None), "critic's loss is the mean"),
    ("9.2", (lambda x, y: logistic(-x, y), lambda y: -logistic(y)), "zero sum"),
    ("9.2", (lambda x, y: logistic(-x, y), logistic), "The generator's"),
    ("9.3", lambda x: x[:, 0], "other way round"),
    ("9.3", lambda x: -2 * x[:, 0], "steeper than 1"),
    ("9.3", lambda x: -x[:, 1], "1 is possible"),
    ("9.3", lambda x: 1.0, "a number for each"),
    ("10.1", lambda B, V: np.degrees(subspace_angles(B, V).max()), "radians"),
    ("10.1", lambda B, V: subspace_angles(B, V).min(), "smallest"),
    ("10.1", lambda B, V: np.linalg.norm(B - V), "depends on the basis"),
    ("10.1", lambda B, V: np.linalg.svd(B.T @ V)[1].min(), "depends on the basis"),
    ("10.2", lambda W, x, d: -np.mean((x @ W) ** 2 @ d), "up to a constant"),
    ("10.2", lambda W, x, d: np.mean((x @ W) ** 2 @ d), "grows"),
    ("10.2", lambda W, x, d: np.mean(np.sum((x - x @ W @ W.T) ** 2, axis=1)), "section 1"),
    ("10.2", lambda W, x, d: np.sum(np.sum(x**2) / 9 * 6 - (x @ W) ** 2 @ d), "not their sum"),
    ("10.3", 1.598, "constrained network"),
    ("10.3", 2.791, "usual start"),
    ("10.3", 4.757, "answering with the mean"),
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
    ("12.1", -OFT, "inverse rotation"),
    ("12.1", OFT / 2, "half of A"),
    ("12.1", -OFT / 2, "Half and sign"),
    ("12.1", OFT.T, "lower triangle"),
    ("12.1", np.zeros((3, 3)), "mirrors which"),
    ("12.1", [1, 2, 3], "3 x 3"),
    ("12.2", 0.251, "count from the zeroth"),
    ("12.2", 0.1, "3 or 4 terms"),
    ("12.2", 1e-3, "fourth power"),
    ("12.2", 0.1495, "orthogonality error"),
    ("12.3", lambda f: np.allclose(f(B0) @ f(B0).T, np.eye(3)), "accepts the transposed"),
    ("12.3", lambda f: False, "refuses core.cayley"),
    ("12.3", lambda f: f(B0)[0, 1] < 0, "accepts the one without"),
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
