"""Wrong programs: right ones with one mistake each, and which questions notice them.

    python -m tests.conformance.mutants            # all; writes mutants.txt
    python -m tests.conformance.mutants 20         # every twentieth, nothing written

Three right programs are spoilt: the text of `orthonorm.core.definitions` and that of the generator's
`maps` and `spectral`, run in the precision of the question, for what is not in the former; and, by a
wrapper around it, any operation of either.
"""

import pathlib
import sys
import types

import numpy as np

from orthonorm.conformance import judge
from orthonorm.conformance.questions import operations
from orthonorm.core import definitions

from .generate import maps as programs
from .generate import operations as generator
from .wrong import TEXTS_OF_DEFINITIONS, TEXTS_OF_PROGRAMS, WRAPPERS

TABLE = pathlib.Path(__file__).with_name("mutants.txt")
SEED = 16


def spoilt(module, old, new):
    """Return a module again with one piece of its text replaced, which must be there."""
    text = pathlib.Path(module.__file__).read_text()
    assert old in text, f"{old!r} is not in {module.__name__}"
    mutant = types.ModuleType(module.__name__)
    mutant.__package__ = module.__package__
    exec(compile(text.replace(old, new), module.__file__, "exec"), mutant.__dict__)
    return mutant


def of_stacks(program):
    """Extend a program of the generator to stacks, in the precision of the arguments."""

    def function(*arguments):
        arrays = [x for x in arguments if isinstance(x, np.ndarray)]
        shape = arrays[0].shape[:-2]
        if not arrays[0].size:
            return arrays[-1].copy()
        parts = [np.asarray(program(*(x[i] for x in arguments))) for i in np.ndindex(shape)]
        return np.array(parts).reshape(*shape, *parts[0].shape[-2:]).astype(arrays[0].dtype)

    return function


def derivative_program(name, kind, module=programs):
    """Return `<name>_jvp` or `<name>_hvp` as the generator's program of it."""

    def program(X, *others):
        if np.isnan(X).any() or np.isinf(X).any():
            raise ValueError("X must be finite")
        f, vjp = getattr(module, name), getattr(module, f"{name}_vjp")
        return (generator.jvp(f) if kind == "jvp" else generator.hvp(vjp))(X, *others)

    return of_stacks(program)


def right(operation, module=definitions, derived=programs):
    """Return the right program of an operation, or the one with the mistake of a module."""
    if operation.endswith(("_jvp", "_hvp")):
        return derivative_program(operation[:-4], operation[-3:], derived)
    return getattr(module, operation)


def mutants():
    """Yield kind, description, and {operation: wrong function} of each mutant."""
    for kind, names, old, new in TEXTS_OF_DEFINITIONS:
        module = spoilt(definitions, old, new)
        yield kind, f"{old}  ->  {new}", {name: right(name, module) for name in names}
    for kind, names, old, new in TEXTS_OF_PROGRAMS:
        module = spoilt(programs, old, new)
        yield kind, f"{old}  ->  {new}", {name: right(name, derived=module) for name in names}
    rng = np.random.default_rng(SEED)
    for kind, description, wrap, applies in WRAPPERS:
        names = [name for name in operations() if offered(name) and applies(name)]
        for name in rng.permutation(names)[:9].tolist():
            yield kind, f"{description}: {name}", {name: wrap(right(name))}


def offered(name):
    """Tell whether there is a right program; the reflectors of the generator have no signs."""
    derived = name.endswith(("_jvp", "_hvp"))
    return (
        name[:-4] in ("matrix_exp", "cayley", "unitary_householder")
        if derived
        else hasattr(definitions, name)
    )


def notices(functions):
    """Return the ids of the questions that fail, without those at which the textbook form may."""
    failed = [
        verdict.question
        for name, function in functions.items()
        for verdict in judge({name: function}, name).failures
    ]
    return [question.id for question in failed if "unstable" not in question.flags]


def rows(step=1):
    """Yield a line of the table for each mutant, and whether it is noticed."""
    for number, (kind, description, functions) in enumerate(mutants()):
        if number % step:
            continue
        ids = notices(functions)
        what = " ".join(description.split())
        yield bool(ids), f"{number:3}  {kind:24} {len(ids):4}  {what:100}  {', '.join(ids[:3])}"


def main(step=1):
    lines, missed = [], 0
    for noticed, line in rows(step):
        print(line if noticed else f"MISSED {line}", flush=True)
        lines.append(line)
        missed += not noticed
    if step == 1:
        head = f"{len(lines)} wrong programs, {len(lines) - missed} noticed. " + (
            "Number, kind, questions that fail, mistake, first three questions."
        )
        TABLE.write_text("\n".join([head, "", *(line.rstrip() for line in lines)]) + "\n")
    print(f"{len(lines)} mutants, {missed} missed")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
