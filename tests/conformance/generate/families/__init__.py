"""The questions, a family of operations a file.

A new family: a file with questions(), and its name here.
"""

from . import (
    bases,
    exponential,
    inverses,
    maps,
    newton_schulz,
    orthonormalize,
    polar,
    power_iteration,
    spectral_normalize,
    weight_norm,
)

FAMILIES = [
    maps,
    bases,
    inverses,
    exponential,
    power_iteration,
    spectral_normalize,
    weight_norm,
    orthonormalize,
    polar,
    newton_schulz,
]


def questions():
    """Yield every question of every family."""
    for family in FAMILIES:
        yield from family.questions()
