"""Every operation by name: its program, with the check of its truth.

A new family is an entry in PROGRAMS here, and a file in `families`.
"""

import numpy as np

from . import maps, nearest, spectral
from .arithmetic import H, T, derivative, expm, plain
from .truth import (
    Operation,
    by_another_way,
    hvp,
    hvp_by_differences,
    jvp,
    jvp_by_differences,
    vjp_by_differences,
)

MAPS = {
    "matrix_exp": (maps.matrix_exp, maps.matrix_exp, maps.matrix_exp_vjp),
    "cayley": (maps.cayley, maps.cayley_other, maps.cayley_vjp),
    "householder": (maps.reflectors, maps.reflectors_other, maps.reflectors_vjp),
    "unitary_householder": (
        maps.unitary_householder,
        maps.unitary_householder_other,
        maps.unitary_householder_vjp,
    ),
}


def of_map(name, X):
    """Return the value of a map, another way to it, and its gradient; a real X brings its signs."""
    if name != "householder":
        return MAPS[name]
    n, k = X.shape
    x = np.diagonal(X if n >= k else X.T)
    signs = np.copysign(1, x).astype(np.int8)  # integers are exact in every arithmetic
    return tuple(maps.with_signs(program, signs) for program in MAPS[name])


def base_programs(f, vjp):
    def value(base, X):
        n, k = plain(X).shape
        return base @ f(X) if n >= k else T(base @ T(f(X)))

    def gradient(base, X, G):
        n, k = plain(X).shape
        return vjp(X, H(base) @ G if n >= k else T(H(base) @ T(G)))

    return value, gradient


def map_operation(operation, arguments):
    """Return the program of a map, or of a derivative of it, and its check."""
    name = next(m for m in sorted(MAPS, key=len, reverse=True) if operation.startswith(m))
    kind = operation[len(name):]
    X = arguments[1] if "base" in kind else arguments[0]
    f, other, vjp = of_map(name, X)
    if kind == "":
        return f, by_another_way(other)
    if kind == "_vjp":
        return vjp, vjp_by_differences(f)
    if kind == "_jvp":
        return jvp(f), jvp_by_differences(f)
    if kind == "_hvp":
        return hvp(vjp), hvp_by_differences(f)
    value, gradient = base_programs(f, vjp)
    if kind == "_with_base":
        return value, by_another_way(base_programs(other, None)[0])
    return gradient, vjp_by_differences(value, varied=(1,))


def expm_frechet(A, E):
    return derivative(expm, A, E)


def expm_vjp(A, G):
    return derivative(expm, H(A), G)


PROGRAMS = {
    "orthonormalize": (maps.orthonormalize, by_another_way(maps.orthonormalize_other)),
    "orthonormalize_vjp": (maps.orthonormalize_vjp, vjp_by_differences(maps.orthonormalize)),
    "polar": (nearest.polar, by_another_way(nearest.polar_other)),
    "polar_vjp": (nearest.polar_vjp, vjp_by_differences(nearest.polar)),
    "newton_schulz": (nearest.newton_schulz, by_another_way(nearest.newton_schulz_other)),
    "newton_schulz_vjp": (nearest.newton_schulz_vjp, vjp_by_differences(nearest.newton_schulz)),
    "expm": (expm, by_another_way(expm)),
    "expm_frechet": (expm_frechet, jvp_by_differences(expm)),
    "expm_vjp": (expm_vjp, vjp_by_differences(expm)),
    "power_iteration": (spectral.power_iteration, by_another_way(spectral.power_iteration)),
    "spectral_normalize": (spectral.spectral_normalize, by_another_way(spectral.spectral_normalize)),
    "spectral_normalize_vjp": (
        spectral.spectral_normalize_vjp,
        vjp_by_differences(spectral.spectral_normalize),
    ),
    "weight_norm": (spectral.weight_norm, by_another_way(spectral.weight_norm)),
    "weight_norm_vjp": (
        spectral.weight_norm_vjp,
        vjp_by_differences(spectral.weight_norm, varied=(0, 1)),
    ),
}


def lookup(operation, arguments):
    """Return the :class:`.Operation` of a name, for arguments that are one matrix each, no stacks."""
    program, check = PROGRAMS.get(operation) or map_operation(operation, arguments)
    return Operation(program, check)
