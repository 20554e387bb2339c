"""A plugin of pytest, ``-p tests.traps``: floating-point traps are on in every test and doctest.

NumPy then raises FloatingPointError where it else warns: on overflow, division by zero, and what is
invalid. Underflow, of which it says nothing, is no error: ``exp(-1000)`` in a softmax is 0. With
``np.errstate(all="raise")`` NumPy's own ``qr`` and autograd's own rules raise it.
"""
import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _traps():
    with np.errstate(over="raise", divide="raise", invalid="raise"):
        yield
