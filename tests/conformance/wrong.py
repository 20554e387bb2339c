"""The mistakes: pieces of text to replace, and wrappers that spoil any function."""

import numpy as np

CAYLEY = ["cayley"]
CAYLEY_VJP = ["cayley_vjp"]
EXP_VJP = ["matrix_exp_vjp"]
SKEW = ["cayley", "matrix_exp"]
REFLECTORS = ["householder", "unitary_householder"]
REFLECTORS_VJP = ["householder_vjp", "unitary_householder_vjp"]
BASE = ["cayley_with_base", "matrix_exp_with_base"]
BASE_VJP = ["cayley_with_base_vjp", "unitary_householder_with_base_vjp"]
ITERATION = ["power_iteration"]
SPECTRAL, SPECTRAL_VJP = ["spectral_normalize"], ["spectral_normalize_vjp"]
WEIGHT, WEIGHT_VJP = ["weight_norm"], ["weight_norm_vjp"]
FRECHET, EXPM_VJP = ["expm_frechet"], ["expm_vjp"]
FACTOR, FACTOR_POLAR, POLAR_VJP = ["orthonormalize"], ["polar"], ["polar_vjp"]
NEWTON, NEWTON_VJP = ["newton_schulz"], ["newton_schulz_vjp"]

# kind, the operations that are judged, old text, new text
TEXTS_OF_DEFINITIONS = [
    ("sign", SKEW, "return L - H(L)", "return H(L) - L"),
    ("sign", SKEW, "return L - H(L)", "return L + H(L)"),
    ("triangle", SKEW, "np.tril(X)", "np.triu(X)"),
    ("triangle", SKEW, "np.tril(X)", "X"),
    ("off by one", SKEW, "np.tril(X)", "np.tril(X, -1)"),
    ("adjoint", SKEW, "return L - H(L)", "return L - np.swapaxes(L, -1, -2)"),
    ("factor", SKEW, "return L - H(L)", "return (L - H(L)) / 2"),
    (
        "adjoint",
        ["cayley", "matrix_exp", "cayley_vjp", "matrix_exp_vjp"],
        "np.swapaxes(tall(*(np.swapaxes(A, -1, -2) for A in matrices)), -1, -2)",
        "H(tall(*(np.swapaxes(A, -1, -2) for A in matrices)))",
    ),
    (
        "wide",
        ["cayley", "householder", "polar"],
        "return np.swapaxes(tall(*(np.swapaxes(A, -1, -2) for A in matrices)), -1, -2)",
        "return tall(*matrices)",
    ),
    ("triangle", CAYLEY_VJP + EXP_VJP, "return np.tril((Abar", "return ((Abar"),
    ("triangle", CAYLEY_VJP + EXP_VJP, "return np.tril((Abar", "return np.triu((Abar"),
    ("symmetrisation", CAYLEY_VJP + EXP_VJP, "np.tril((Abar - H(Abar))", "np.tril((Abar)"),
    ("sign", CAYLEY_VJP + EXP_VJP, "np.tril((Abar - H(Abar))", "np.tril((Abar + H(Abar))"),
    ("factor", CAYLEY_VJP + EXP_VJP, "(Abar - H(Abar))", "((Abar - H(Abar)) / 2)"),
    ("adjoint", CAYLEY_VJP + EXP_VJP, "(Abar - H(Abar))", "(Abar - np.swapaxes(Abar, -1, -2))"),
    (
        "off by one",
        CAYLEY_VJP + EXP_VJP,
        "np.tril((Abar - H(Abar))[..., :k])",
        "np.tril((Abar - H(Abar))[..., :k], -1)",
    ),
    ("adjoint", EXP_VJP, "expm_frechet(H(A), G @ H(", "expm_frechet(A, G @ H("),
    ("adjoint", EXP_VJP, "expm_frechet(H(A), G @ H(", "expm_frechet(np.conj(A), G @ H("),
    (
        "small norms only",
        EXP_VJP,
        "expm_frechet(H(A), G @ H(identity(X)[:, :X.shape[-1]]))",
        "(G @ H(identity(X)[:, :X.shape[-1]]))",
    ),
    (
        "small norms only",
        ["matrix_exp"],
        "return expm(skew(X))[..., :X.shape[-1]]",
        "A = skew(X)\n    return (identity(A) + A + A @ A / 2 + A @ A @ A / 6)[..., :X.shape[-1]]",
    ),
    (
        "small norms only",
        CAYLEY,
        "np.linalg.solve(I - A / 2, I + A / 2)",
        "((I + A / 2 + A @ A / 4 + A @ A @ A / 8) @ (I + A / 2))",
    ),
    (
        "off by one",
        ["matrix_exp"],
        "return expm(skew(X))[..., :X.shape[-1]]",
        "return expm(skew(X))[..., -X.shape[-1]:]",
    ),
    ("sign", CAYLEY, "np.linalg.solve(I - A / 2, I + A / 2)", "np.linalg.solve(I + A / 2, I - A / 2)"),
    ("factor", CAYLEY, "np.linalg.solve(I - A / 2, I + A / 2)", "np.linalg.solve(I - A, I + A)"),
    (
        "wrong side",
        CAYLEY,
        "np.linalg.solve(I - A / 2, I + A / 2)[..., :X.shape[-1]]",
        "H(np.linalg.solve(I - A / 2, I + A / 2))[..., :X.shape[-1]]",
    ),
    (
        "small norms only",
        CAYLEY,
        "np.linalg.solve(I - A / 2, I + A / 2)",
        "np.linalg.solve(I - A / 2 + A @ A / 12, I + A / 2 + A @ A / 12)",
    ),
    ("adjoint", CAYLEY_VJP, "J = np.linalg.solve(I + A / 2, G)", "J = np.linalg.solve(I - A / 2, G)"),
    (
        "factor",
        CAYLEY_VJP,
        "+ I[:, :X.shape[-1]]) / 2\n    return skew_vjp",
        "+ I[:, :X.shape[-1]])\n    return skew_vjp",
    ),
    ("sign", CAYLEY_VJP, "K = (cayley(X) + I", "K = (cayley(X) - I"),
    (
        "small norms only",
        CAYLEY_VJP,
        "K = (cayley(X) + I[:, :X.shape[-1]]) / 2",
        "K = I[:, :X.shape[-1]]",
    ),
    ("adjoint", CAYLEY_VJP, "J @ H(K)", "J @ np.swapaxes(K, -1, -2)"),
    (
        "conjugate of a gradient",
        CAYLEY_VJP,
        "J = np.linalg.solve(I + A / 2, G)",
        "J = np.linalg.solve(I + A / 2, G.conj())",
    ),
    (
        "off by one",
        REFLECTORS,
        "v[..., j + 1:, 0] = X[..., j + 1:, j]",
        "v[..., j:, 0] = X[..., j:, j]",
    ),
    (
        "off by one",
        REFLECTORS,
        "for j in range(X.shape[-1]):\n        Q = Q @",
        "for j in range(X.shape[-1] - 1):\n        Q = Q @",
    ),
    ("factor", REFLECTORS, "identity(v) - 2 * v", "identity(v) - v"),
    ("sign", REFLECTORS, "identity(v) - 2 * v", "identity(v) + 2 * v"),
    ("normalisation", REFLECTORS, "* v @ H(v) / (H(v) @ v)", "* v @ H(v)"),
    ("normalisation", REFLECTORS, "/ (H(v) @ v)\n", "/ (H(v) @ v + 1e-3)\n"),
    ("adjoint", ["unitary_householder"], "2 * v @ H(v) /", "2 * v @ np.swapaxes(v, -1, -2) /"),
    (
        "wrong side",
        REFLECTORS,
        "Q = Q @ reflector(reflector_vector(X, j))",
        "Q = reflector(reflector_vector(X, j)) @ Q",
    ),
    (
        "diagonal",
        ["householder"],
        "np.copysign(1, diagonal(X))\n\n\n@any_shape\ndef householder_vjp",
        "np.sign(diagonal(X))\n\n\n@any_shape\ndef householder_vjp",
    ),
    (
        "diagonal",
        ["householder"],
        "np.copysign(1, diagonal(X))\n\n\n@any_shape\ndef householder_vjp",
        "np.trunc(diagonal(X))\n\n\n@any_shape\ndef householder_vjp",
    ),
    (
        "diagonal",
        ["householder"],
        " * np.copysign(1, diagonal(X))\n\n\n@any_shape\ndef householder_vjp",
        "\n\n\n@any_shape\ndef householder_vjp",
    ),
    ("diagonal", ["householder_vjp"], "G * np.copysign(1, diagonal(X))", "G"),
    ("diagonal", ["householder_vjp"], "G * np.copysign(1, diagonal(X))", "G * diagonal(X)"),
    (
        "wrong side",
        ["householder"],
        "* np.copysign(1, diagonal(X))\n\n\n@any_shape\ndef householder_vjp",
        "* np.copysign(1, diagonal(X))[..., ::-1]\n\n\n@any_shape\ndef householder_vjp",
    ),
    ("adjoint", REFLECTORS_VJP, "M = H(P) @ G @ H(S)", "M = P @ G @ H(S)"),
    ("adjoint", REFLECTORS_VJP, "a = (M + H(M)) @ v", "a = (M + M) @ v"),
    ("factor", REFLECTORS_VJP, "vbar = -2 / (H(v)", "vbar = -1 / (H(v)"),
    ("sign", REFLECTORS_VJP, "vbar = -2 / (H(v)", "vbar = 2 / (H(v)"),
    ("projection", REFLECTORS_VJP, "(a - v @ (H(v) @ a) / (H(v) @ v))", "a"),
    (
        "off by one",
        REFLECTORS_VJP,
        "vectors[j + 1:]), identity(X))[..., :k]",
        "vectors[j:]), identity(X))[..., :k]",
    ),
    ("off by one", REFLECTORS_VJP, "vectors[:j])", "vectors[:j + 1])"),
    (
        "off by one",
        REFLECTORS_VJP,
        "Xbar[..., j + 1:, j] = vbar[..., j + 1:, 0]",
        "Xbar[..., j:, j] = vbar[..., j:, 0]",
    ),
    (
        "diagonal",
        ["unitary_householder"],
        "(diagonal(X) / np.abs(diagonal(X)))\n\n\n@any_shape\ndef unit",
        "diagonal(X)\n\n\n@any_shape\ndef unit",
    ),
    (
        "conjugate",
        ["unitary_householder"],
        "(diagonal(X) / np.abs(diagonal(X)))\n\n\n@any_shape\ndef unit",
        "(diagonal(X).conj() / np.abs(diagonal(X)))\n\n\n@any_shape\ndef unit",
    ),
    ("projection", ["unitary_householder_vjp"], "(dbar - d * np.real(d.conj() * dbar))", "dbar"),
    ("normalisation", ["unitary_householder_vjp"], "dbar)) / np.abs(x)", "dbar))"),
    ("conjugate of a gradient", ["unitary_householder_vjp"], "G * d.conj()", "G * d"),
    ("second part", ["unitary_householder_vjp"], " + np.eye(*X.shape[-2:], dtype=X.dtype) * xbar", ""),
    ("base transposed", BASE, "np.asarray(base) @ map(X)", "H(np.asarray(base)) @ map(X)"),
    (
        "base on the wrong side",
        BASE,
        "any_shape(lambda X: np.asarray(base) @ map(X))(X)",
        "(np.asarray(base) @ map(X) if X.shape[-2] >= X.shape[-1] else map(X) @ np.asarray(base))",
    ),
    (
        "base transposed",
        BASE,
        "any_shape(lambda X: np.asarray(base) @ map(X))(X)",
        "(np.asarray(base) @ map(X) if X.shape[-2] >= X.shape[-1] else map(X) @ H(np.asarray(base)))",
    ),
    ("base forgotten", BASE, "np.asarray(base) @ map(X)", "map(X)"),
    ("base transposed", BASE_VJP, "H(np.asarray(base)) @ G", "np.asarray(base) @ G"),
    (
        "base transposed",
        BASE_VJP,
        "H(np.asarray(base)) @ G",
        "np.swapaxes(np.asarray(base), -1, -2) @ G",
    ),
    ("base forgotten", BASE_VJP, "H(np.asarray(base)) @ G", "G"),
    ("inverse", ["cayley_inverse"], "B = Q[..., k:, :] @ np.linalg.inv(Y)", "B = Q[..., k:, :]"),
    ("factor", ["cayley_inverse"], "H(B) @ B / 4 - np", "H(B) @ B / 2 - np"),
    (
        "sign",
        ["cayley_inverse"],
        "2 * (np.eye(k, dtype=Q.dtype) + H(B)",
        "2 * (np.eye(k, dtype=Q.dtype) - H(B)",
    ),
    (
        "refusal",
        ["cayley_inverse", "matrix_exp_inverse"],
        "raise ValueError(f\"Q must be a frame that",
        "print(end=f\"\" and f\"Q must be a frame that",
    ),
    (
        "small norms only",
        ["matrix_exp_inverse"],
        "square[..., k:] = square[..., k:] @ expm(-C)",
        "break",
    ),
    (
        "sign",
        ["householder_inverse", "unitary_householder_inverse"],
        "X[..., j, j] = -phase[..., 0, 0]",
        "X[..., j, j] = phase[..., 0, 0]",
    ),
    ("adjoint", EXPM_VJP, "expm_frechet(H(np.asarray(A)), G)", "expm_frechet(np.asarray(A), G)"),
    (
        "adjoint",
        EXPM_VJP,
        "expm_frechet(H(np.asarray(A)), G)",
        "expm_frechet(np.swapaxes(np.asarray(A), -1, -2), G)",
    ),
    (
        "wrong block",
        FRECHET,
        "np.zeros_like(A), A]]))[..., :n, n:]",
        "np.zeros_like(A), A]]))[..., :n, :n]",
    ),
    (
        "symmetrisation",
        FRECHET,
        "return expm(np.block([[A, E], [np.zeros_like(A), A]]))[..., :n, n:]",
        "return (expm(A) @ E + E @ expm(A)) / 2",
    ),
    (
        "small norms only",
        FRECHET,
        "return expm(np.block([[A, E], [np.zeros_like(A), A]]))[..., :n, n:]",
        "return E + (A @ E + E @ A) / 2 + (A @ A @ E + A @ E @ A + E @ A @ A) / 6",
    ),
    ("sign", FACTOR, "Q * (diagonal(R) / np.abs(diagonal(R)))", "Q"),
    (
        "conjugate",
        FACTOR,
        "Q * (diagonal(R) / np.abs(diagonal(R)))",
        "-Q * (diagonal(R) / np.abs(diagonal(R)))",
    ),
    ("zero columns", FACTOR, "Q * (diagonal(R) / np.abs(diagonal(R)))", "Q * np.sign(diagonal(R))"),
    ("wrong side", FACTOR_POLAR, "return U @ Vh\n", "return U\n"),
    ("adjoint", FACTOR_POLAR, "return U @ Vh\n", "return U @ Vh.conj()\n"),
    ("symmetrisation", POLAR_VJP, "((Z - H(Z)) /", "((Z) /"),
    ("sign", POLAR_VJP, "((Z - H(Z)) /", "((Z + H(Z)) /"),
    (
        "second part",
        POLAR_VJP,
        "return Abar + (G @ H(Vh) - U @ Z) / s[..., None, :] @ Vh",
        "return Abar",
    ),
    (
        "off by one",
        NEWTON,
        "return newton_schulz_iterates(np.asarray(A), coefficients, steps)[-1]",
        "return newton_schulz_iterates(np.asarray(A), coefficients, steps + 1)[-1]",
    ),
    (
        "batch mixed up",
        NEWTON,
        "iterates = [A / np.linalg.norm(A, axis=(-2, -1), keepdims=True)]",
        "iterates = [A / np.linalg.norm(A)]",
    ),
    (
        "normalisation",
        NEWTON,
        "iterates = [A / np.linalg.norm(A, axis=(-2, -1), keepdims=True)]",
        "iterates = [A / (np.linalg.norm(A, axis=(-2, -1), keepdims=True) + 1e-7)]",
    ),
    ("normalisation", NEWTON_VJP, "return (G - B * along) / np", "return G / np"),
    ("second part", NEWTON_VJP, "G @ R + X @ H(G) @ X + P @ G\n", "G @ R + P @ G\n"),
    (
        "normalisation",
        ITERATION,
        "u = W @ v / max(np.linalg.norm(W @ v), eps)",
        "u = W @ v / np.linalg.norm(W @ v)",
    ),
    (
        "normalisation",
        ITERATION,
        "u = W @ v / max(np.linalg.norm(W @ v), eps)",
        "u = W @ v / (np.linalg.norm(W @ v) + eps)",
    ),
    ("normalisation", ITERATION, "v = H(W) @ u / max(np.linalg.norm(H(W) @ u), eps)", "v = H(W) @ u"),
    ("normalisation", ITERATION, "np.linalg.norm(W @ v), eps)", "np.linalg.norm(W @ v), 1e-12)"),
    (
        "adjoint",
        ITERATION,
        "v = H(W) @ u / max(np.linalg.norm(H(W) @ u), eps)",
        "v = W.T @ u / max(np.linalg.norm(W.T @ u), eps)",
    ),
    ("order", ITERATION, "        u = W @ v / max(np.linalg.norm(W @ v), eps)\n", ""),
    (
        "off by one",
        ITERATION,
        "range(n_power_iterations):\n        u",
        "range(n_power_iterations + 1):\n        u",
    ),
    (
        "off by one",
        ITERATION,
        "range(n_power_iterations):\n        u",
        "range(max(1, n_power_iterations)):\n        u",
    ),
    ("order", ITERATION, "return u, v\n\n\ndef spectral", "return v, u\n\n\ndef spectral"),
    ("adjoint", SPECTRAL, "W / (np.conj(u) @ W @ v)", "W / (u @ W @ v)"),
    ("absolute value", SPECTRAL, "W / (np.conj(u) @ W @ v)", "W / np.abs(np.conj(u) @ W @ v)"),
    ("normalisation", SPECTRAL, "W / (np.conj(u) @ W @ v)", "W / (np.conj(u) @ W @ v + 1e-4)"),
    (
        "conjugate of a gradient",
        SPECTRAL_VJP,
        "np.sum(np.conj(W / sigma) * G)",
        "np.sum(W / sigma * G)",
    ),
    ("conjugate of a gradient", SPECTRAL_VJP, "/ np.conj(sigma)", "/ sigma"),
    ("adjoint", SPECTRAL_VJP, "np.outer(u, np.conj(v))", "np.outer(u, v)"),
    ("second part", SPECTRAL_VJP, " - np.sum(np.conj(W / sigma) * G) * np.outer(u, np.conj(v))", ""),
    ("sign", SPECTRAL_VJP, "(G - np.sum(np.conj(W / sigma)", "(G + np.sum(np.conj(W / sigma)"),
    ("off by one", WEIGHT, "i != dim % v.ndim), keepdims", "i != (dim + 1) % v.ndim), keepdims"),
    (
        "normalisation",
        WEIGHT,
        "return g * v / np.sqrt(sum_except(v * v, dim))",
        "return g * v / (np.sqrt(sum_except(v * v, dim)) + 1e-4)",
    ),
    (
        "normalisation",
        WEIGHT,
        "return g * v / np.sqrt(sum_except(v * v, dim))",
        "return g * v / sum_except(v * v, dim)",
    ),
    ("dim", WEIGHT, "if dim is None or dim == -1:", "if dim is None:"),
    ("second part", WEIGHT_VJP, "(G - gbar * v / norm)", "G"),
    (
        "normalisation",
        WEIGHT_VJP,
        "gbar = sum_except(G * v / norm, dim)",
        "gbar = sum_except(G * v, dim)",
    ),
    ("order", WEIGHT_VJP, "return gbar, g / norm", "return gbar, g"),
]

# For the derivatives that definitions.py does not have: the value or the first derivative stays right.
TEXTS_OF_PROGRAMS = [
    (
        "second order",
        ["cayley_hvp"],
        "return skew_vjp(J @ H(K), k)",
        "return skew_vjp(J @ H(1 * plain(K)), k)",
    ),
    (
        "second order",
        ["cayley_hvp"],
        "return skew_vjp(J @ H(K), k)",
        "return skew_vjp((J * 0 + plain(J)) @ H(K), k)",
    ),
    ("second order", ["cayley_hvp"], "K = (rounded(cayley(X)) + eye", "K = (plain(cayley(X)) + eye"),
    (
        "second order",
        ["matrix_exp_hvp"],
        "derivative(expm, H(A), G",
        "derivative(expm, H(A) * 0 + plain(H(A)), G",
    ),
    ("factor", ["cayley_hvp", "cayley_jvp"], "A = skew(X)\n", "A = skew(X) / 2\n"),
    ("adjoint", ["matrix_exp_hvp"], "derivative(expm, H(A), G", "derivative(expm, A, G"),
    ("sign", ["cayley_jvp", "matrix_exp_jvp"], "return L - H(L)", "return H(L) - L"),
    ("adjoint", ["cayley_jvp", "matrix_exp_jvp"], "return L - H(L)", "return L - T(L)"),
    (
        "second order",
        ["unitary_householder_hvp"],
        "square = real(H(v) @ v)\n",
        "square = plain(real(H(v) @ v))\n",
    ),
    (
        "second order",
        ["unitary_householder_hvp"],
        "    d = x / size\n",
        "    d = x / size * 0 + plain(x / size)\n",
    ),
    (
        "second order",
        ["unitary_householder_hvp"],
        "xbar = (dbar - d * real(conj(d) * dbar)) / size",
        "xbar = (dbar - d * real(conj(d) * dbar)) / plain(size)",
    ),
    (
        "second order",
        ["unitary_householder_hvp"],
        "a = left @ (H(S) @ v) + S @ (H(left) @ v)",
        "S = 0 * S + plain(S)\n        a = left @ (H(S) @ v) + S @ (H(left) @ v)",
    ),
    (
        "projection",
        ["unitary_householder_hvp"],
        "vbar = -2 / square * (a - v @ (H(v) @ a) / square)",
        "vbar = -2 / square * a",
    ),
    (
        "second part",
        ["unitary_householder_jvp"],
        "return x / rounded(norm(x, ()))",
        "return x / plain(norm(x, ()))",
    ),
    (
        "normalisation",
        ["unitary_householder_jvp"],
        "return M - 2 * v @ (H(v) @ M / real(H(v) @ v))",
        "return M - 2 * v @ (H(v) @ M / plain(real(H(v) @ v)))",
    ),
]


def of_results(spoil):
    """Return a wrapper that spoils each array of the answer."""

    def wrap(function):
        def wrong(*arguments):
            result = function(*arguments)
            return tuple(map(spoil, result)) if isinstance(result, tuple) else spoil(result)

        return wrong

    return wrap


def of_first(spoil):
    """Return a wrapper that spoils the first array argument."""

    def wrap(function):
        return lambda first, *others: function(spoil(first), *others)

    return wrap


def of_arguments(spoil):
    """Return a wrapper that spoils every array argument."""

    def wrap(function):
        return lambda *arguments: function(
            *(spoil(x) if isinstance(x, np.ndarray) else x for x in arguments)
        )

    return wrap


def double(X):
    return X.astype(np.result_type(X, np.float64))


def in_single(function):
    """Compute in single precision, return the right dtype."""

    def wrong(*arguments):
        dtype = arguments[0].dtype
        single = {"f": np.float32, "c": np.complex64}[dtype.kind]
        result = function(*(x.astype(single) if isinstance(x, np.ndarray) else x for x in arguments))
        results = result if isinstance(result, tuple) else (result,)
        results = tuple(x.astype(dtype) for x in results)
        return results if isinstance(result, tuple) else results[0]

    return wrong


def of_memory(x):
    """Read as many numbers as an array has from where its memory begins, in the order of memory."""
    if not isinstance(x, np.ndarray) or x.flags.c_contiguous or x.base is None:
        return x
    return np.ravel(x.base, order="K")[: x.size].reshape(x.shape)


def contiguous_only(function):
    return lambda *arguments: function(*map(of_memory, arguments))


def writing(function):
    """Work in the memory of the first argument."""

    def wrong(first, *others):
        result = function(first, *others)
        first *= 2
        return result

    return wrong


def first_of_stack(X):
    return np.broadcast_to(X[:1], X.shape) if X.ndim > 2 and len(X) else X


def turned_stack(X):
    return X[::-1] if X.ndim > 2 else X


def only_2d(function):
    """Take the stacks of more than one axis in the wrong order."""

    def wrong(*arguments):
        shape = arguments[0].shape
        if len(shape) < 3 or not arguments[0].size:
            return function(*arguments)
        rolled = [x[(np.arange(len(x)) + 1) % len(x)] if i else x for i, x in enumerate(arguments)]
        return function(*rolled)

    return wrong


def short(X):
    """Scale down what is longer than 1."""
    norm = np.linalg.norm(X)
    return (X / norm).astype(X.dtype) if norm > 1 else X


def finite(X):
    return np.nan_to_num(X, posinf=1.0, neginf=-1.0)


def flushed(X):
    return np.where(np.abs(X) < 1e-10, 0, X).astype(X.dtype)


def inaccurate(X):
    """Lose half of the digits."""
    return (X * (1 + np.sqrt(np.finfo(X.dtype).eps))).astype(X.dtype)


def anything(name):
    return True


def is_map(name):
    return any(name.startswith(m) for m in ("matrix_exp", "cayley", "householder", "unitary"))


def is_complex(name):
    return not name.startswith(("householder", "weight")) and "inverse" not in name


def stacks(name):
    return not name.startswith(("power", "spectral", "weight"))


def several(name):
    """Operations of two arrays, and stacks: a gradient, say."""
    return stacks(name) and name.endswith(("_vjp", "_jvp", "_hvp", "frechet", "base"))


def no_inverse(name):
    return "inverse" not in name


def gradient(name):
    return name.endswith("_vjp")


def scaled(name):
    """Operations whose answer changes with the length of the first argument."""
    return (
        is_map(name)
        and "base" not in name
        and "householder" not in name
        and no_inverse(name)
        or (name.startswith(("expm", "weight_norm")))
    )


# kind, description, wrapper, whether it makes a difference to an operation
WRAPPERS = [
    ("sign", "minus the answer", of_results(lambda x: -x), no_inverse),
    ("factor", "twice the answer", of_results(lambda x: 2 * x), no_inverse),
    (
        "conjugate of a gradient",
        "conjugate",
        of_results(np.conj),
        lambda name: gradient(name) and is_complex(name),
    ),
    (
        "conjugate",
        "conjugate",
        of_results(np.conj),
        lambda name: is_complex(name) and not gradient(name),
    ),
    ("dtype lost", "double precision from single", of_results(double), anything),
    ("dtype lost", "single precision inside", in_single, anything),
    ("batch mixed up", "the first of a stack, for all", of_first(first_of_stack), stacks),
    ("batch mixed up", "a stack from behind", of_results(turned_stack), stacks),
    ("batch mixed up", "others of a stack", only_2d, several),
    ("contiguous only", "memory in its own order", contiguous_only, anything),
    ("writes to its input", "doubles the first argument", writing, anything),
    ("small norms only", "the first argument cut to length 1", of_first(short), scaled),
    ("NaN", "NaN and infinity are made numbers", of_arguments(finite), anything),
    (
        "flush to zero",
        "numbers below 1e-10 are zero",
        of_results(flushed),
        lambda name: name.startswith(
            ("power_iteration", "spectral_normalize_vjp", "weight_norm_vjp", "cayley_jvp")
        ),
    ),
    ("inaccurate", "half of the digits", of_results(inaccurate), no_inverse),
]
