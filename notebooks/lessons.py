"""What the lessons share: the look of their figures, and the checks of their exercises.

``check("1.1", answer)`` says whether an answer is right, or gives a hint for the typical mistake. Do not read on
before you have tried: the answers are below.
"""
import numpy as np

from orthonorm.core import definitions

# Legible at 800 pixels; Okabe and Ito's colour-blind-safe palette.
style = {
    "figure.figsize": (8, 3.5),
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": "cycler('color', ['0072B2', 'D55E00', '009E73', 'CC79A7', 'E69F00', '56B4E9', '000000'])",
    "grid.alpha": 0.3,
    "image.cmap": "cividis",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "svg.hashsalt": "orthonorm",
}


def check(exercise, answer):
    """Print whether the answer is right, or a hint."""
    print(f"{exercise}: {hint(exercise, answer) or 'right.'}")


def hint(exercise, answer):
    """Return None for a right answer, and else a hint."""
    if answer is ...:
        return "put your answer in place of the dots."
    try:
        return EXERCISES[exercise](answer)
    except Exception as error:
        return f"the check could not use this answer. {type(error).__name__}: {error}"


def number(expected, rtol, mistakes, otherwise="This is not the number. Print what goes into it."):
    """Return a check for a number: `mistakes` holds typical wrong values, each with its hint."""
    def of(answer):
        value = float(answer)
        if abs(value - expected) <= rtol * abs(expected):
            return None
        for wrong, hint in mistakes.items():
            if abs(value - wrong) <= rtol * abs(wrong):
                return hint
        return otherwise
    return of


def same(answer, expected, tolerance=1e-8):
    """Say whether two arrays have one shape and agree, relative to the largest entry or to 1."""
    answer = np.asarray(answer)
    return answer.shape == np.shape(expected) and bool(
        np.abs(answer - expected).max() <= tolerance * max(1, np.abs(expected).max()))


EXERCISES = {}


# Lesson 1

def swap_of_coordinates(X):
    P = np.array([[0.0, 1.0], [1.0, 0.0]])
    X = np.asarray(X, dtype=float)
    if X.shape != (2, 2):
        return "X has the shape of P, 2 x 2."
    if same(X, P):
        return "This is P itself. Give the X that a map takes to P: core.householder(X) has to be P."
    if same(definitions.householder(X), P):
        return None
    if same(np.abs(definitions.householder(X)), P):
        return "The reflector is right and a sign is not: the diagonal of X holds the signs of the columns."
    return "det P = -1: only the reflectors reach it. core.householder_inverse goes back from P."


def unit_vector(X):
    b = np.array([1, 5, 1, 1, 2, 2]) / 6
    X = np.asarray(X, dtype=float)
    if X.shape != (6, 1):
        return f"X has the shape (6, 1), not {X.shape}: a vector is a frame of one column."
    result = definitions.matrix_exp(X)[:, 0]
    if same(result, b):
        return None
    if same(result[1:], -b[1:]):
        return "The other way round: B points along the last entries of b, not against them."
    if same(result[1:] / np.linalg.norm(result[1:]), b[1:] / np.linalg.norm(b[1:]), 1e-6):
        return "The direction of B is right, its length is not: |B| is the angle between e_1 and b, arccos(b[0])."
    return "B has the direction of the last five entries of b and the length arccos(b[0])."


EXERCISES |= {
    "1.1": number(3, 0.05, {
        2: "Look at the terms: I, A and A^2/2 are the same in both series. Which is the first that differs?",
        1: "Both series begin with I + A. Halve the scale: by which factor does the difference fall?",
        4: "The terms of third order differ already: A^3/4 is not A^3/6.",
        8: "That is the factor by which the difference falls when A is halved. Which power of 2 is it?",
        12: "That is the constant: the difference is A^3/12. The power is asked for."}),
    "1.2": swap_of_coordinates,
    "1.3": unit_vector,
}
