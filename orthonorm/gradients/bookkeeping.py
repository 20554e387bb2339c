"""autograd with less bookkeeping.

Around small arrays autograd's work takes longer than the arithmetic. There are two remedies:
:func:`quick` makes the common case of a primitive shorter, :func:`fused` makes one primitive of many.
"""
import functools

import autograd.numpy as np
from autograd import make_jvp
from autograd.core import VJPNode
from autograd.differential_operators import make_vjp
from autograd.extend import defjvp_argnums, defvjp_argnums, primitive
from autograd.tracer import isbox, new_box

from .rules import cast


def quick(fun):
    """Make the node of a primitive directly where no more than one gradient is being taken.

    Anywhere else, in forward mode and in nested gradients, autograd's own way is taken. The rules of
    the primitive are used in either.

    Parameters
    ----------
    fun : autograd primitive
        Of positional arguments.

    Returns
    -------
    callable
        With the values and derivatives of `fun`.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from autograd import grad
    >>> sin = quick(np.sin)
    >>> grad(grad(sin))(0.0), grad(sin)(0.0)
    (np.float64(-0.0), np.float64(1.0))
    """
    raw = fun.fun

    @functools.wraps(raw)
    def call(*args):
        traced = [i for i, arg in enumerate(args) if isbox(arg)]
        if not traced:
            return raw(*args)
        boxes = [args[i] for i in traced]
        trace, values = boxes[0]._trace, list(args)
        for i, box in zip(traced, boxes):
            if box._trace != trace or type(box._node) is not VJPNode or isbox(box._value):
                return fun(*args)
            values[i] = box._value
        value = raw(*values)
        parents = tuple([box._node for box in boxes])
        return new_box(value, trace, VJPNode(value, fun, values, {}, tuple(traced), parents))
    return call


reshape, moveaxis = quick(np.reshape), quick(np.moveaxis)


def fused(definition):
    """Make one primitive of the decorated function, which `definition` defines.

    The function is written twice: as its definition, in operations that autograd differentiates, and
    in plain NumPy, with its adjoint by hand. The latter is what ``value_and_grad`` and ``grad`` run.
    Forward mode and derivatives of the gradient follow the definition.

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
        quick_run = quick(run)

        @functools.wraps(forward)
        def call(*args):
            return quick_run([], *args)
        return call
    return decorate
