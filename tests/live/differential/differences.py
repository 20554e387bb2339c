"""Where orthonorm differs from PyTorch on purpose: each with its reason, and a sentence of README.

`ERRORS` are the pairs of errors that the state machine lets pass, by what was done: a pattern of the
step, the error of orthonorm and that of PyTorch (or "" for none). `README` is what "Differences, on
purpose" in README has to say, one entry a difference: a few of its words, and why it is so.
"""
import re

ERRORS = [
    ("register|orthogonal|spectral|weight_norm", "ValueError", "AttributeError",
     "a tensor that is None: PyTorch fails at None.shape"),
    ("weight_norm.* on top", "ValueError", "", "PyTorch registers it, and every reading fails"),
    ("orthogonal.*householder.* on top", "ValueError", "",
     "the signs would jump; PyTorch makes zeros of what is not 1 or -1"),
    ("assign shape", "ValueError", "", "PyTorch takes another shape, and the layer fails when called"),
    ("assign", ".*", "NotImplementedError", "what PyTorch cannot invert: matrix_exp and cayley"),
    ("call|gradients|second|step", ".+", ".+",
     "what a layer makes of a weight that has become text, or of another shape: other words for it"),
]


def is_known(what, ours, theirs):
    """Tell whether two names of errors, or "", may differ in this step."""
    return any(re.match(pattern, what) and re.fullmatch(mine, ours) and re.fullmatch(other, theirs)
               for pattern, mine, other, _ in ERRORS)
