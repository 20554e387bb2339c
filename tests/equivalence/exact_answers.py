"""Write the exact answers beside the recording: ``python -m tests.equivalence.exact_answers``.

Of the double-precision cases of the maps, of spectral_norm with one iteration, and of weight_norm: from
the recorded inputs, by the truth of the conformance questions, in 60 digits. It takes some minutes.
"""
import mpmath
import numpy as np

from orthonorm.equivalence import recording
from orthonorm.equivalence.cases import all_cases
from orthonorm.equivalence.sources import EXACT
from tests.conformance.generate.arithmetic import exactly, norm
from tests.conformance.generate.operations import lookup
from tests.conformance.generate.spectral import other_axes

ORIGINAL = "parametrizations.weight.original"


def ask(operation, *arguments):
    """Return the truth about arguments that are arrays of doubles or of mpmath's numbers."""
    exact = [x if getattr(x, "dtype", None) == object else exactly(x) for x in arguments]
    return lookup(operation, arguments).program(*exact)


def orthogonal_map(inputs, *, orthogonal_map, use_trivialization):
    X, G = inputs["X"], inputs["cotangent"]
    answers = {"weight": np.empty(X.shape, object), "grad": np.empty(X.shape, object)}
    for i in np.ndindex(X.shape[:-2]):
        base = [inputs["Q_base"][i]] if use_trivialization else []
        name = orthogonal_map + ("_with_base" if use_trivialization else "")
        answers["weight"][i] = ask(name, *base, X[i])
        answers["grad"][i] = ask(f"{name}_vjp", *base, X[i], G[i])
    return answers


def spectral_norm_sequence(inputs, *, modes, n_power_iterations, dim):
    W, u, v = inputs["W"], exactly(inputs["u"]), exactly(inputs["v"])

    def as_matrix(A):
        return np.moveaxis(A, dim, 0).reshape(A.shape[dim], -1)

    def as_weight(A):
        front = np.moveaxis(W, dim, 0).shape
        return np.moveaxis(A.reshape(front), 0, dim)

    answers, M = {}, exactly(as_matrix(W))
    for i, mode in enumerate(modes):
        if mode == "train":
            u, v = ask("power_iteration", M, u, v, n_power_iterations, 1e-12)
        weight = as_weight(ask("spectral_normalize", M, u, v))
        if i == len(modes) - 1:
            return answers | {"removed": weight}
        G = exactly(as_matrix(inputs[f"cotangent{i}"]))
        gradient = as_weight(ask("spectral_normalize_vjp", M, u, v, G))
        answers |= {f"{i}, weight": weight, f"grad {i}": gradient, f"{i}, _u": u, f"{i}, _v": v}


def weight_norm(inputs, *, dim):
    v, G = exactly(inputs["weight"]), exactly(inputs["cotangent"])
    g = norm(v, other_axes(v, dim))
    g = g.reshape(()) if dim in (None, -1) else g
    trained = np.asarray(2 * g + 1, object)
    gbar, vbar = ask("weight_norm_vjp", trained, v, dim, G)
    other = exactly(inputs["other"])
    return {f"{ORIGINAL}0": g, f"{ORIGINAL}1": v, "weight": ask("weight_norm", trained, v, dim),
            f"grad {ORIGINAL}0": np.asarray(gbar, object), f"grad {ORIGINAL}1": vbar,
            "assigned": other, "removed": other}


PROGRAMS = {program.__name__: program for program in (
    orthogonal_map, spectral_norm_sequence, weight_norm)}


def is_asked(case):
    """Tell whether the exact answer of a case is written."""
    single_iteration = case.options.get("n_power_iterations", 1) == 1
    return (case.dtype in ("float64", "complex128") and case.program in PROGRAMS and single_iteration
            and (case.program != "spectral_norm_sequence" or "u" in case.shapes))


def in_two_parts(x, dtype):
    """Return the nearest numbers of a dtype, and what they leave in single precision."""
    number = complex if dtype == "complex128" else float
    high = np.array([number(y) for y in x.ravel()], dtype).reshape(x.shape)
    low = [number(y - h) for y, h in zip(x.ravel(), high.ravel().tolist())]
    single = "complex64" if dtype == "complex128" else "float32"
    return {"high": high, "low": np.array(low, single).reshape(x.shape)}


def main():
    answers, exact = recording.load()[1], {}
    with mpmath.workdps(60):
        for case in filter(is_asked, all_cases()):
            truth = PROGRAMS[case.program](answers[case.id]["inputs"], **case.options)
            exact[case.id] = {
                name: in_two_parts(np.asarray(x), case.dtype) for name, x in truth.items()}
            for name, parts in exact[case.id].items():
                assert parts["high"].shape == answers[case.id]["answers"][name].shape, (case.id, name)
    recording.save(EXACT, {"digits": 60}, exact)
    print(f"{len(exact)} cases in {EXACT}, {EXACT.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
