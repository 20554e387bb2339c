"""What the lessons share: the look of their figures, and the checks of their exercises.

``check("1.1", answer)`` says whether an answer is right, or gives a hint for the typical mistake. Do not
read on before you have tried: the answers are below.
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
    "axes.prop_cycle":
        "cycler('color', ['0072B2', 'D55E00', '009E73', 'CC79A7', 'E69F00', '56B4E9', '000000'])",
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
        return ("The reflector is right and a sign is not: the diagonal of X holds the signs of "
                "the columns.")
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
        return ("The direction of B is right, its length is not: |B| is the angle between e_1 "
                "and b, arccos(b[0]).")
    return "B has the direction of the last five entries of b and the length arccos(b[0])."


EXERCISES |= {
    "1.1": number(3, 0.05, {
        2: "Look at the terms: I, A and A^2/2 are the same in both series. Which is the first "
           "that differs?",
        1: "Both series begin with I + A. Halve the scale: by which factor does the difference fall?",
        4: "The terms of third order differ already: A^3/4 is not A^3/6.",
        8: "That is the factor by which the difference falls when A is halved. Which power of 2 is it?",
        12: "That is the constant: the difference is A^3/12. The power is asked for."}),
    "1.2": swap_of_coordinates,
    "1.3": unit_vector,
}


# Lesson 3

def sends_x_to_y(mirror):
    x, y = np.random.default_rng(31).standard_normal((2, 7))
    y *= np.linalg.norm(x) / np.linalg.norm(y)
    v = np.asarray(mirror(x.copy(), y.copy()), dtype=float)
    if v.shape != x.shape:
        return f"v is a vector like x and y, of shape {x.shape}; yours has the shape {v.shape}."
    image = x - 2 * v * (v @ x) / (v @ v)
    if same(image, y):
        return None
    if same(image, -y):
        return "This reflector sends x to -y. The mirror has to lie halfway between x and y."
    if same(v / np.linalg.norm(v), x / np.linalg.norm(x)):
        return "With v = x the reflector sends x to -x."
    return ("H x = x - tau v (v^T x) differs from x by a multiple of v, and that difference has "
            "to be y - x.")


def merged_triangle(merge):
    V = np.tril(np.random.default_rng(32).standard_normal((12, 7)), -1) + np.eye(12, 7)
    Ta, Tb, right = (np.linalg.inv(np.triu(W.T @ W, 1) + np.diag(np.diag(W.T @ W)) / 2)
                     for W in (V[:, :3], V[:, 3:], V))
    T = np.asarray(merge(Ta, V[:, :3], V[:, 3:], Tb), dtype=float)
    if T.shape != (7, 7):
        return f"Of 3 and 4 reflectors the triangle is 7 x 7; yours has the shape {T.shape}."
    if same(T, right):
        return None
    if same(np.abs(T), np.abs(right)):
        return "All but a sign: the product is I - V T V^T, with a minus before V T V^T."
    if np.abs(T[3:, :3]).max() > 0:
        return ("T is upper triangular: the lower left block is zero. Which of V_a, V_b comes "
                "first in the product?")
    if same(T[:3, 3:], 0 * T[:3, 3:]):
        return ("The product of the two has a fourth term, V_a (...) V_b^T: it fills the upper "
                "right block.")
    return "Look at the upper right block: T_a, then V_a^T V_b, then T_b, and a sign."


def identity_by_reflectors(X):
    X = np.asarray(X, dtype=float)
    if X.shape != (4, 4):
        return "X has the shape (4, 4)."
    if same(definitions.householder(X), np.eye(4)):
        return None
    if same(definitions.householder(X), -np.eye(4)):
        return "This gives -I: each H_j turns the sign of coordinate j. What turns them back?"
    return "With nothing below the diagonal v_j = e_j. What does H_j do then, and what do the signs do?"


EXERCISES |= {"3.1": sends_x_to_y, "3.2": merged_triangle, "3.3": identity_by_reflectors}


# Lesson 5

def perpendicular_start(found):
    value, iterations = found
    predicted = np.log(1e16) / np.log(9 / 4)
    if abs(value - 3) < 1e-3:
        return "The diagonal matrix keeps the zero along v_1 a zero: it never finds 3. Run it."
    if abs(value - 2) > 1e-3:
        return "The first number is the estimate for diag(3, 2, 1) from v = e_2."
    if abs(iterations - 2 * predicted) <= 6:
        return "Twice too many: one iteration multiplies by W^T W, so the component grows by (3/2)^2."
    if abs(iterations - predicted / 2) <= 6:
        return "A component of 1e-16 has to become 1, not 1e-8."
    if abs(iterations - predicted) > 10:
        return "Rounding puts 1e-16 along v_1. By which factor does it grow in each iteration?"
    return None


def iterations_needed(counts):
    one_percent, millionth = counts
    if one_percent > millionth:
        return "First the number for 1%, then that for 1e-6."
    if one_percent in (0, 15):
        return "Count the iteration itself: index 0 of a list of errors is after 1 iteration."
    if abs(one_percent - 16) > 2:
        return "For 1%: count the iterations until 1 - sigma / |W| is below 0.01."
    if abs(millionth - 206) > 4:
        return ("For 1e-6: go on until 1 - sigma / |W| is below 1e-6. The error is relative to "
                "the norm, s[0].")
    return None


EXERCISES |= {
    "5.1": perpendicular_start,
    "5.2": number(1 / 16, 0.03, {
        1: "The first two values are equal, but both give the right sigma. The third one is what "
           "dies out.",
        1 / 4: "That is the rate of the vector. The estimate errs by the square of the vector's error.",
        1 / 2: "That is sigma_3 / sigma_1. One iteration multiplies by W^T W, and sigma errs by "
               "the square.",
        16: "The error falls: give the factor from one iteration to the next, less than 1."}),
    "5.3": iterations_needed,
}


# Lesson 8

def identity_start(outcome):
    loss, largest = outcome
    if loss < 0.5:
        return ("That is a loss of the orthogonal network, or not divided by the baseline. Start "
                "W_h at np.eye(64).")
    if abs(largest - 1) < 1e-6:
        return ("After training the matrix is not orthogonal. Take the singular values of the "
                "trained weight_hh_l0.")
    if largest < 1.5:
        return ("The second number is the largest singular value of W_h after training, not of "
                "an eigenvalue.")
    if not 0.9 < loss < 1.4:
        return ("The first number is a mean of three: the loss of the last 20 steps, divided by "
                "the baseline.")
    return None


def bound_and_norm(norms):
    true, bound = norms
    if true > bound:
        return "The true norm comes first, then the bound, which is larger."
    if abs(bound - 1) < 1e-9:
        return "The bound is the product over s of the largest 1 - h_s^2 of each step: less than 1."
    if true > 0.9:
        return "That is the norm with small inputs: take signal[:50], not 0.01 times it."
    if abs(true - 0.49) > 0.02:
        return ("The norm is the largest singular value of "
                "state_jacobian(networks['orthogonal'], signal[:50]).")
    if abs(bound - 0.991) > 0.002:
        return ("The norm is right. The bound is the product over s of the largest entry of D_s, "
                "1 - h_s^2.")
    return None


EXERCISES |= {
    "8.1": identity_start,
    "8.2": bound_and_norm,
    "8.3": number(0.724, 0.03, {
        0.860: "That is the orthogonal network. Train the vanilla one: reader(False, seed, "
               "recurrent_lr=0.002).",
        0.747: "That is the vanilla network with the old steps, 0.01. Give recurrent_lr=0.002.",
        72.4: "Give the accuracy as a part of 1, not in per cent."}),
}


# Lesson 11

def best_cubic(pair):
    a, b = (float(x) for x in pair)
    s = np.linspace(0.5, 1, 2001)
    p = a * s + b * s**3
    best = -7 / 4, 1.0
    scale = 2 / (best[0] * 0.5 + 0.125 + best[0] * (7 / 12)**0.5 + (7 / 12)**1.5)
    right = scale * best[0], scale * best[1]
    if np.allclose([a, b], right, rtol=1e-3):
        return None
    if np.allclose([a, b], [1.5, -0.5]):
        return "This is the classical cubic: flat at 1, but far from 1 at 0.5. Give some of that away."
    if abs(a + b - 1) < 1e-3:
        return "Yours has p(1) = 1. The best one does not hit 1 at the end: p(1) = 1 - E."
    return (f"The largest distance of yours from 1 is {np.abs(p - 1).max():.4f}; the best one has "
            f"{1 - right[0] - right[1]:.4f}.")


def nearest_rotation(R):
    draws = np.random.default_rng(107)
    X = draws.standard_normal((3, 8)) * np.array([[2.0], [1.0], [0.05]])
    Y = definitions.cayley(draws.standard_normal((3, 3))) @ X + 0.2 * draws.standard_normal((3, 8))
    U, _, VT = np.linalg.svd(Y @ X.T)
    d = np.linalg.det(U @ VT)
    right = U @ np.diag([1, 1, d]) @ VT
    R = np.asarray(R, dtype=float)
    if R.shape != (3, 3):
        return f"R is 3 x 3, not of shape {R.shape}."
    if same(R, right):
        return None
    if same(R, U @ VT):
        return "This is the polar factor, of determinant -1: a reflection. Which rotation is nearest?"
    if same(R, -U @ VT):
        return "-P is a rotation, but it turns all three directions around. One is enough: which?"
    if same(R, right.T):
        return "R takes Y to X. Start with Y X^T, not with X Y^T."
    if same(R.T @ R, np.eye(3)) and np.linalg.det(R) > 0:
        return "A rotation, but not the nearest: give up the smallest singular value of Y X^T."
    return "R has to be orthogonal, with determinant 1."


EXERCISES |= {
    "11.1": number(14, 0.01, {
        13: "Round up: after 13 steps not even growth by 15/8 a step has reached 0.5.",
        13.54: "This is the prediction. How many whole steps is that?",
        15: "Count the steps, not the iterates: the start is step 0.",
        7: "That is for Jordan's slope. The classical polynomial has 15/8.",
        8: "That is for Jordan's slope. The classical polynomial has 15/8."}),
    "11.2": best_cubic,
    "11.3": nearest_rotation,
}
