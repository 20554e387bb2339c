"""Gradients inside gradients in several threads; and that autograd alone is as it was."""
import subprocess
import sys
import threading

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import grad
from autograd.tracer import trace_stack
from numpy.testing import assert_allclose

from orthonorm import nn
from orthonorm.func import functional_call, value_and_grad

X = np.ones(2)

NUMBERS = """
from autograd import grad
from autograd.tracer import trace_stack
if {imported}:
    import orthonorm
seen = []
def note(x):
    seen.append((x._trace, trace_stack.top))
    return x * x
def nested(x):
    y = note(x)
    z = grad(lambda x: note(x) + grad(note)(x))(x)
    seen.append(trace_stack.top)
    return y + z
grad(nested)(2.0)
grad(grad(note))(3.0)
print(seen, trace_stack.top)
"""


def test_in_one_thread_the_numbers_are_autograds():
    with_us, alone = (subprocess.run(
        [sys.executable, "-c", NUMBERS.format(imported=imported)], check=True, capture_output=True,
        text=True).stdout for imported in (True, False))
    assert with_us == alone and "(2, 2)" in alone


def penalty_by_value_and_grad(layer):
    """The gradient of |dy/dx|^2, y = |W x|^2, with respect to W."""
    def loss():
        return anp.sum(grad(lambda x: anp.sum(layer(x) ** 2))(X))
    return value_and_grad(loss, layer)()[1]["weight"]


def penalty_by_autograd(layer):
    def loss(P):
        return anp.sum(grad(lambda x: anp.sum(functional_call(layer, P, x) ** 2))(X))
    return grad(loss)({"weight": layer.weight})["weight"]


def penalty_inside_out(layer):
    """The derivative with respect to x of the sum of dy/dW."""
    def loss(x):
        return anp.sum(value_and_grad(lambda: anp.sum(layer(x) ** 2), layer)()[1]["weight"])
    return grad(loss)(X)


WAYS = {"value_and_grad outside": penalty_by_value_and_grad, "autograd alone": penalty_by_autograd,
        "value_and_grad inside": penalty_inside_out}


@pytest.mark.parametrize("way", WAYS)
def test_another_thread_ends_its_gradient_in_the_middle_of_ours(way):
    """autograd's count of running gradients gave the inner one the number of the outer one here."""
    layer, begun, end = nn.Linear(2, 2, bias=False, rng=0), threading.Event(), threading.Event()
    expected = WAYS[way](layer)

    def other(x):
        begun.set()
        end.wait(20)
        return x * x

    thread = threading.Thread(target=grad(other), args=(1.0,))
    thread.start()
    begun.wait(20)
    new_trace, calls = trace_stack.new_trace, []

    def ending():
        calls.append(None)
        if len(calls) == 2:  # before our inner one
            end.set()
            thread.join()
        return new_trace()

    trace_stack.new_trace = ending
    try:
        result = WAYS[way](layer)
    finally:
        trace_stack.new_trace = new_trace
    assert len(calls) == 2
    assert_allclose(result, expected, rtol=1e-14)


def test_a_gradient_in_a_worker_of_what_is_differentiated():
    """The worker's gradient has the larger number, as it is inside, whatever thread it is in."""
    def outer(w):
        results = []
        thread = threading.Thread(target=lambda: results.append(grad(lambda x: w * x * x)(3.0)))
        thread.start()
        thread.join()
        return results[0]
    assert grad(outer)(2.0) == 6.0


def test_an_exception_ends_a_number():
    top = trace_stack.top
    with pytest.raises(ZeroDivisionError):
        grad(lambda x: x / 0 if isinstance(x, float) else 1 / 0)(1.0)
    assert trace_stack.top == top
