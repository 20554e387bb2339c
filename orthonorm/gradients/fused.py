"""Functions of many operations that are one operation to autograd.

autograd's bookkeeping takes about ten microseconds an operation, forth and back: more than the
arithmetic on small arrays. A function made with :func:`fused` is written twice: as its definition, in
operations that autograd differentiates, and in plain NumPy with its adjoint by hand. The latter is what
``value_and_grad`` and ``grad`` run. Forward mode and derivatives of the gradient follow the definition.
"""
import functools

from autograd import make_jvp
from autograd.differential_operators import make_vjp
from autograd.extend import defjvp_argnums, defvjp_argnums, primitive
from autograd.tracer import isbox

from .rules import cast


def fused(definition):
    """Make one primitive of the decorated function, which `definition` defines.

    Parameters
    ----------
    definition : callable
        ``definition(*args)`` -> value, in operations that autograd differentiates.

    Returns
    -------
    callable
        A decorator, of ``forward(*args)`` -> ``(value, pull)`` for plain arrays, where
        ``pull(g, wanted)`` returns a gradient for each argument, or anything for those whose numbers
        are not in `wanted`. As in all of autograd's rules, nothing is conjugated.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> @fused(lambda x, y: np.sum(np.sin(x) * y))
    ... def weighted_sines(x, y):
    ...     return np.sum(np.sin(x) * y), lambda g, wanted: (g * np.cos(x) * y, g * np.sin(x))
    >>> grad(weighted_sines)(np.array([0.0, np.pi]), np.array([2.0, 3.0]))
    array([ 2., -3.])
    """
    def decorate(forward):
        @primitive
        def run(tape, *args):
            value, pull = forward(*args)
            tape.append(pull)
            return value

        def vjp(argnums, value, args, kwargs):
            (pull, *_), *args = args
            wanted = [i - 1 for i in argnums]

            def apply(g):
                if isbox(g) or any(map(isbox, args)):
                    return make_vjp(definition, wanted)(*args)[0](g)
                found = pull(cast(g, value.dtype), wanted)
                return [found[i] for i in wanted]
            return apply

        def jvp(argnums, tangents, value, args, kwargs):
            wanted = [i - 1 for i in argnums]
            return make_jvp(definition, wanted)(*args[1:])(tuple(tangents))[1]

        defvjp_argnums(run, vjp)
        defjvp_argnums(run, jvp)

        @functools.wraps(forward)
        def call(*args):
            return run([], *args)
        return call
    return decorate
