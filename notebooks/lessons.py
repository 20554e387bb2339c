"""What the lessons share: the look of their figures, and the checks of their exercises.

``check("1.1", answer)`` says whether an answer is right, or gives a hint for the typical mistake.
Do not read on before you have tried: the answers are below.
"""
import numpy as np

from orthonorm import core, nn
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


# Lesson 2

def adjoint_of_inverse(adjoint):
    A, E, G = np.random.default_rng(21).standard_normal((3, 4, 4))
    Y = np.linalg.inv(A)
    answer, right = np.asarray(adjoint(A, G), dtype=float), -Y.T @ G @ Y.T
    if same(answer, right):
        return None
    if same(answer, -right):
        return "All but the sign: A A^-1 = I gives E A^-1 + A L(A, E) = 0."
    if same(answer, -Y @ G @ Y):
        return ("That is the derivative along G. Its adjoint has transposes: <G, L(A, E)> = "
                "<adjoint, E>.")
    if same(answer, -G / A**2):
        return "A^-1 is the inverse matrix, not 1 over each entry."
    if same(answer, -Y.T @ Y.T @ G) or same(answer, -G @ Y.T @ Y.T):
        return "Matrices do not commute: one inverse stands on each side of E."
    return "It has to be that <G, -A^-1 E A^-1> = <adjoint(A, G), E> for every E."


def analytic(f):
    X, E = np.random.default_rng(22).standard_normal((2, 4, 4))
    if not same(f(X), definitions.cayley(X)):
        if same(f(X), definitions.cayley(X).T):
            return "For real X this is the transpose of the Cayley map: a sign is exchanged."
        if same(f(X), definitions.cayley(2 * X)):
            return "For real X it has to be core.cayley: halves are missing, (I - A/2)^-1 (I + A/2)."
        return "For real X it has to be the same as core.cayley(X)."
    step, h = f(X + 1e-20j * E).imag / 1e-20, 1e-6
    quotient = (definitions.cayley(X + h * E) - definitions.cayley(X - h * E)) / (2 * h)
    if same(step, quotient, 1e-7):
        return None
    if same(step, 0 * step):
        return "This drops the imaginary part of X, and with it the derivative."
    return "For real X it is right; the complex step still fails. What in it conjugates X?"


def hessian_of_exponential(hessian):
    C = np.outer([1, -2, 3, 0, 1], [1, 1, 2]) / 4
    X, D = np.random.default_rng(23).standard_normal((2, 5, 3))
    h = 1e-5

    def gradient(X):
        return definitions.matrix_exp_vjp(X, C)

    answer, right = np.asarray(hessian(X, D)), (gradient(X + h * D) - gradient(X - h * D)) / (2 * h)
    if answer.shape != X.shape:
        return f"H D is a matrix like X, (5, 3), not {answer.shape}: the gradient's change along D."
    if same(answer, right, 1e-6):
        return None
    if same(answer, gradient(X)):
        return "That is the gradient at X. Differentiate it once more, along D."
    if same(answer, gradient(X + D)) or same(answer, gradient(X + D) - gradient(X)):
        return "The gradient at X + D is not its derivative along D: the step has to be small."
    if same(answer, 2 * right, 1e-6):
        return "Twice too large: a central difference divides by 2 h."
    if same(hessian(X, 2 * D), answer):
        return "H D has to be linear in D: D is not used."
    return ("H D is the derivative of the gradient of <C, matrix_exp(X)> along D: "
            "hessian_vector_product.")


EXERCISES |= {"2.1": adjoint_of_inverse, "2.2": analytic, "2.3": hessian_of_exponential}


# Lesson 4

def reflection(best_reflection):
    rng = np.random.default_rng(41)
    A = rng.standard_normal((20, 5))
    for turned in (definitions.matrix_exp(rng.standard_normal((5, 5))), np.diag([1.0, 1, -1, 1, 1])):
        B = A @ turned + 0.01 * rng.standard_normal(A.shape)
        U, _, Vt = np.linalg.svd(A.T @ B)
        signs = np.diag([1, 1, 1, 1, -np.sign(np.linalg.det(U @ Vt))])
        Q = np.asarray(best_reflection(A, B))
        if Q.shape != (5, 5) or not same(Q.T @ Q, np.eye(5)):
            return "The matrix has to be orthogonal, n x n."
        if np.linalg.det(Q) > 0:
            return ("This has the determinant 1. Training started at -1, and the determinant is "
                    "continuous.")
        if not same(Q, U @ signs @ Vt):
            turn = np.diag([-1.0, 1, 1, 1, 1])
            if same(Q, turn @ U @ Vt) or same(Q, U @ Vt @ turn):
                return "Turn the sign of a singular vector, not that of a coordinate."
            return ("It has determinant -1; another such matrix has a smaller loss. Which "
                    "singular value is lost least?")
    return None


def usable_maps(names):
    names = set([names] if isinstance(names, str) else names)
    if "householder" in names:
        return "householder is for real matrices: it raises for complex ones."
    if names < {"matrix_exp", "cayley"}:
        return ("One is missing. The determinant is no obstacle: it can be any number on the "
                "unit circle.")
    return None if names == {"matrix_exp", "cayley"} else "Give the names of maps, as in the dict maps."


EXERCISES |= {
    "4.1": reflection,
    "4.2": number(20, 0, {
        1: "That moves it most often. Which is the largest that still gets there?",
        5: "It gets there with that; and with a larger one?",
        100: "With 100 the loss is still above 1e-8 after 100 steps: run it."},
        "One of 1, 5, 20, 100."),
    "4.3": usable_maps,
}


# Lesson 6

def layer_of_lesson_6():
    """Return the kernel of section 2 and the matrix of its layer at 9 x 9."""
    kernel = nn.Conv2d(8, 16, 3, padding=1, bias=False, rng=0).weight
    return kernel, core.convolution_matrix(kernel, (9, 9), padding=1)


def lengthened_most(worst):
    A = layer_of_lesson_6()[1]
    x = np.asarray(worst, dtype=float)
    if x.size == len(A):
        return ("This is an output: the left singular vector, a column of U. An input is a right "
                "one, a row of V^T.")
    if x.size != A.shape[1] or x.shape != (1, 8, 9, 9):
        return f"An input has the shape (1, 8, 9, 9), not {x.shape}."
    factor = np.linalg.norm(A @ x.ravel()) / np.linalg.norm(x)
    largest, smallest = np.linalg.svd(A, compute_uv=False)[[0, -1]]
    if factor > largest * (1 - 1e-6):
        return None
    if factor < smallest * (1 + 1e-6):
        return "This one is lengthened least: singular values come in descending order, take the first."
    return (f"It is lengthened by {factor:.3f} only; {largest:.3f} is possible. A row of V^T, not "
            "a column of it?")


def transposed_norms(norms):
    kernel = nn.ConvTranspose2d(8, 16, 3, bias=False, rng=0).weight
    used, true = norms
    dim_1 = np.linalg.norm(np.moveaxis(kernel, 1, 0).reshape(16, -1), 2)
    dim_0 = np.linalg.norm(kernel.reshape(8, -1), 2)
    layer, forward = (np.linalg.norm(core.convolution_matrix(kernel, (n, n)), 2) for n in (10, 8))
    if abs(used - dim_0) < 1e-3:
        return "That is dim=0. The outputs of a transposed convolution are in the second index: dim=1."
    if abs(used - layer) < 1e-3:
        return "First the norm of the reshaped matrix, then that of the layer."
    if abs(used - dim_1) > 1e-3:
        return ("The matrix of dim=1 has a row for each of the 16 output channels: "
                "np.moveaxis(W, 1, 0), reshaped.")
    if abs(true - forward) < 1e-3:
        return ("The convolution that this layer is the transpose of maps 10 x 10 to 8 x 8, not "
                "8 x 8 to 6 x 6.")
    if abs(true - layer) > 1e-3:
        return "The layer is the transpose of a convolution with the same kernel, and has its norm."
    return None


def pushed_kernel(pushed):
    kernel, A = layer_of_lesson_6()
    pushed = np.asarray(pushed, dtype=float)
    if pushed.shape != kernel.shape:
        return f"The kernel has the shape {kernel.shape}, not {pushed.shape}."
    norm = np.linalg.norm(core.convolution_matrix(pushed, (9, 9), padding=1), 2)
    if norm > 1.005:
        return f"The layer's norm is still {norm:.3f}: more steps, or a longer one."
    change = np.linalg.norm(pushed - kernel) / np.linalg.norm(kernel)
    if change > 0.2:
        return (f"The kernel changes by {change:.0%}, as much as by dividing it. Push only what "
                "is above 1.")
    return None


EXERCISES |= {"6.1": lengthened_most, "6.2": transposed_norms, "6.3": pushed_kernel}


# Lesson 9

def largest_norms(largest):
    expected = np.array(NORMS_OF_A_MOVING_WEIGHT)
    answer = np.array(largest, dtype=float).ravel()
    if answer.size != 3:
        return "Three numbers: for 1, 3 and 10 iterations a reading."
    if np.all(answer < 1):
        return "Power iteration estimates from below, so the weight's norm comes out above 1."
    if np.allclose(answer[::-1], expected, rtol=0.02) or np.any(np.diff(answer) > 0):
        return "In the order 1, 3, 10. More iterations bring the norm nearer to 1."
    if np.all(answer > 1.5 * expected):
        return "These are norms of the original. Read the weight of the layer, layer.weight."
    if not np.allclose(answer, expected, rtol=0.02):
        return ("Close to it? Take both rng=0, add first and read then, once a step, 50 times; "
                "keep the largest.")
    return None


def logistic_losses(pair):
    critic_loss, generator_loss = pair
    real, fake = np.array([[2.0], [-1.0], [0.5]]), np.array([[-3.0], [1.5]])

    def softplus(x):
        return np.log(1 + np.exp(x))

    right = np.mean(softplus(-real)) + np.mean(softplus(fake))
    if abs(critic_loss(real, fake) - (np.mean(fake) - np.mean(real))) < 1e-9:
        return "That is the Wasserstein loss. The logistic one puts every score into log(1 + e^...)."
    if abs(critic_loss(real, fake) - np.mean(softplus(real)) - np.mean(softplus(-fake))) < 1e-9:
        return "Signs: this critic is rewarded for low scores of real points."
    if abs(critic_loss(real, fake) - right) > 1e-9:
        return "The critic's loss is the mean of log(1 + e^-f(x)) plus the mean of log(1 + e^f(y))."
    if abs(generator_loss(fake) + np.mean(softplus(fake))) < 1e-9:
        return ("That is the loss of the game as a zero sum; here the generator has log(1 + "
                "e^-f(y)), which is steeper.")
    if abs(generator_loss(fake) - np.mean(softplus(-fake))) > 1e-9:
        return "The critic's loss is right. The generator's is the mean of log(1 + e^-f(y))."
    return None


def best_critic(best):
    x = np.random.default_rng(93).standard_normal((200, 2))
    values, shifted = (np.asarray(best(y), dtype=float).ravel() for y in (x, x + [1.0, 0.0]))
    if values.size != 200:
        return "best takes an array of points (n, 2) and returns a number for each."
    ways = np.linalg.norm(x[:, None] - x, axis=2) + np.eye(200)
    slope = (np.abs(values[:, None] - values) / ways).max()
    value = np.mean(values) - np.mean(shifted)
    if slope > 1 + 1e-9:
        return (f"A critic must not be steeper than 1; this one is {slope:.3g} between two of the "
                "points.")
    if abs(value + 1) < 1e-9:
        return "The value is E f(x) - E f(y), y the shifted points: it is -1 here. The other way round."
    if value < 1 - 1e-9:
        return f"This critic's value is {value:.3g}, and 1 is possible: go straight along the shift."
    return None


NORMS_OF_A_MOVING_WEIGHT = 1.2222, 1.1097, 1.0276
EXERCISES |= {"9.1": largest_norms, "9.2": logistic_losses, "9.3": best_critic}


# Lesson 7

def measure_of_orthogonality(orthogonality):
    Q = definitions.cayley(np.random.default_rng(71).standard_normal((9, 4))).astype(np.float32)
    exact = np.linalg.norm(Q.astype(float).T @ Q.astype(float) - np.eye(4))
    value = float(orthogonality(Q))
    if abs(value - exact) < 1e-12:
        return None
    if abs(value - np.sqrt(5)) < 1e-5:
        return "That is Q Q^T - I, which is no identity for a tall Q: it has rank 4 of 9."
    if abs(value - exact**2) < 1e-12:
        return "That is its square: take the root."
    if 0 <= value < 1e-5:
        return ("Nearly: Q^T Q is rounded to float32, or another norm is taken. Q.astype(float) "
                "first; Frobenius.")
    return "It is the Frobenius norm of Q^T Q - I, about 1e-7 for a float32 frame."


def port_in_single_precision(single_port):
    rounded = True
    for shape in ((5, 5), (30, 12), (4, 9)):
        X = np.random.default_rng(72).standard_normal(shape).astype(np.float32)
        Q, exact = np.asarray(single_port(X)), definitions.cayley(X.astype(float))
        if Q.dtype != np.float32:
            return f"The answer is {Q.dtype}: np.eye(n) is float64, and makes all that it touches so."
        if not same(Q, exact, 1e-5):
            return f"The value at shape {shape} is wrong by {np.abs(Q - exact).max():.0e}."
        rounded = rounded and np.array_equal(Q, exact.astype(np.float32))
    if rounded:
        return ("This computes in double and rounds the result: so does np.linalg.solve. "
                "scipy.linalg.solve does not.")
    return None


def kinds_that_notice(noticing):
    noticing = set([noticing] if isinstance(noticing, str) else noticing)
    if any(kind.startswith("real") for kind in noticing):
        return "The real ones cannot: L_jj - L_jj = 0, whatever stands on the diagonal."
    if noticing < {"complex square", "complex tall", "complex wide"}:
        return "There are more: on every complex matrix's diagonal 2 i Im L_jj stays."
    if noticing != {"complex square", "complex tall", "complex wide"}:
        return "Give names of kinds."
    return None


EXERCISES |= {
    "7.1": measure_of_orthogonality, "7.2": port_in_single_precision, "7.3": kinds_that_notice}


# Lesson 10

def largest_angle(angle):
    rng = np.random.default_rng(101)
    B, V = rng.standard_normal((2, 12, 3))
    cosines = np.linalg.svd(np.linalg.qr(B)[0].T @ np.linalg.qr(V)[0], compute_uv=False)
    value, exact = float(angle(B, V)), np.arccos(cosines.min())
    if abs(value - exact) < 1e-9:
        return None
    if abs(value - np.degrees(exact)) < 1e-6:
        return "In radians, as subspace_angles gives it."
    if abs(value - np.arccos(cosines.max())) < 1e-9:
        return "That is the smallest one. The largest says how far the subspaces are apart."
    if abs(angle(B @ rng.standard_normal((3, 3)), V) - value) > 1e-9:
        return "It depends on the basis. Only the column space counts: make orthonormal bases first."
    return "It is the largest of scipy.linalg.subspace_angles(B, V)."


def brocketts_function(brockett):
    rng = np.random.default_rng(102)
    W, x = definitions.orthonormalize(rng.standard_normal((6, 3))), rng.standard_normal((9, 6))
    d = [3.0, 2.0, 1.0]
    kept = (x @ W) ** 2 @ d
    exact, value = np.mean(np.sum(x**2) / 9 * 6 - kept), float(brockett(W, x, np.array(d)))
    if abs(value - exact) < 1e-9:
        return None
    if abs(value - 9 * exact) < 1e-9:
        return "The mean over the rows of x, not their sum."
    if abs(value + np.mean(kept)) < 1e-9:
        return ("That is right up to a constant, the weights times |x|^2. Here the whole loss is "
                "asked for.")
    if abs(value - np.mean(kept)) < 1e-9:
        return "This grows when the columns find the components: it is what the loss lacks."
    if abs(value - np.mean(np.sum((x - x @ W @ W.T) ** 2, axis=1))) < 1e-9:
        return ("That is the loss of section 1, which knows the subspace only. Each column needs "
                "its own weight d_j.")
    return "Sum over j of d_j |x - w_j (w_j^T x)|^2, for each row x, and then the mean."


EXERCISES |= {
    "10.1": largest_angle,
    "10.2": brocketts_function,
    "10.3": number(1.432, 0.01, {
        1.598: "That is the constrained network. Take deep_autoencoder(False) and change its start.",
        2.791: "That is the twin with its usual start. Give its layers orthogonal weights before "
               "training.",
        4.757: "That is the error of always answering with the mean: train first."}),
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


# Lesson 12

def merged_by_oft(X):
    X = np.asarray(X, dtype=float)
    right = np.array([[0.0, 0, 0], [-2, 0, 0], [-4, -6, 0]])
    if X.shape != (3, 3):
        return f"X is 3 x 3, not of shape {X.shape}."
    if same(X, right):
        return None
    if np.abs(np.triu(X, 1)).max() > 0:
        return "Nothing above the diagonal: the maps here read the lower triangle."
    if same(X, -right):
        return ("This is the inverse rotation. The lower triangle of a skew-symmetric matrix holds the "
                "negative numbers of the upper one.")
    if same(X, right / 2):
        return "core.cayley takes half of A: A = 2 Q."
    if same(X, -right / 2):
        return "Half and sign: A = 2 Q, and the lower triangle of Q holds the negative numbers."
    return "Which entry of the lower triangle mirrors which of the upper? (1, 2, 3) go row by row."


def tells_cayley_apart(passes):
    cayley = definitions.cayley
    if not passes(cayley):
        return "Your test refuses core.cayley itself."
    wrong = {
        "the transposed one: it looks at what a transpose does not change, such as orthogonality":
            lambda X: cayley(X).T,
        "the one without the factor 1/2": lambda X: cayley(2 * np.asarray(X)),
        "the one that reads the upper triangle": lambda X: cayley(np.asarray(X).T),
    }
    for name, f in wrong.items():
        try:
            accepted = passes(f)
        except Exception:
            accepted = False
        if accepted:
            return f"Your test accepts {name}."
    return None


EXERCISES |= {
    "12.1": merged_by_oft,
    "12.2": number(1e-3**0.25, 0.01, {
        1e-3**0.2: "Five terms, but the highest power is the fourth: count from the zeroth.",
        0.1: "That is for 3 or 4 terms, whose highest power is the third.",
        1e-3: "The distance is the fourth power of the norm.",
        5e-4**0.25: "The distance from the rotation is asked for, not the orthogonality error."}),
    "12.3": tells_cayley_apart,
}
