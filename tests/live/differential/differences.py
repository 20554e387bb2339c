"""Where orthonorm differs from PyTorch on purpose: each with its reason, and a sentence of README.

`ERRORS` are the pairs of errors that the state machine lets pass, by what was done: a pattern of the
step, the error of orthonorm and that of PyTorch (or "" for none), the reason. `README` is what
"Differences, on purpose" in README says; tests/test_differences.py holds the two equal. What cannot be
let pass as an error, the machine does not do: see the remarks in it.
"""
import re

_FAILURE = "AssertionError|IndexError|RuntimeError|TypeError|ValueError"
ERRORS = [
    ("register|orthogonal|spectral|weight_norm|transfer", "ValueError", "AttributeError",
     "a tensor that is None: PyTorch fails at None.shape"),
    ("complex weight_norm", "ValueError", ".*", "PyTorch's has no complex form, and is wrong"),
    ("weight_norm.* on top", "ValueError", "", "PyTorch registers it, and every reading fails"),
    ("orthogonal.*householder.* on top", "ValueError", "",
     "the signs would jump; PyTorch makes zeros of what is not 1 or -1"),
    ("transfer.* of another shape", "ValueError", ".*", "PyTorch gives both _u and _v another shape"),
    ("transfer", "KeyError", "ValueError|AttributeError",
     "a name that from_module has not: PyTorch first reads to_module's tensor, which fails"),
    ("add_param_group", "ValueError", "", "Muon moves matrices: PyTorch says so in the next step"),
    ("transfer", "TypeError", "RuntimeError|ValueError|AttributeError",
     "a tensor that has become text: other words for it"),
    ("remove", "TypeError", "AttributeError", "a tensor that has become text: other words for it"),
    ("exchange.* of another shape", "ValueError", "", "PyTorch's next step fails"),
    ("assign .*shape", "ValueError", "",
     "PyTorch takes another shape, and the layer fails when called"),
    ("assign", "AttributeError", "TypeError", "a list where a parametrization takes an array"),
    ("assign", "TypeError", "ValueError", "text where a parametrization takes an array"),
    ("assign", "|RuntimeError|ValueError", "NotImplementedError",
     "what PyTorch cannot invert: matrix_exp and cayley"),
    ("call|gradients|second|step", _FAILURE, _FAILURE + "|AttributeError",
     "what a layer makes of a weight that has become text, or of another shape: other words for it"),
]


# A few words of each item of the list in README, and why it is so.
README = {
    "module.weight`` is a NumPy array": "gradients are functions here, and need no tensor that records",
    "computed weight is read-only": "what is written into a temporary is lost, PyTorch issue 180968",
    "Layers are float64": "a numerical reference; no global random state is read or written",
    "zero or rank-deficient weight": "PyTorch multiplies by sign(0) = 0",
    "householder``'s columns have the signs": "one step of weight decay makes PyTorch's weight zero",
    "base`` is far from orthogonal": "no orthogonal weight could come of it",
    "spectral_norm`` of a zero weight": "0 / 0 and 1 / eps are no weights, and stay so in training",
    "read a parametrized weight once a call": "reading twice is an accident of PyTorch's layers",
    "layer_norm`` of large entries": "the squares overflow, the answer does not",
    "complex parameters": "autograd's convention is not PyTorch's",
    "functional_call`` uses the value given": "as PyTorch documents; its code loses the gradient",
    "assigning to what they replace raises": "what is assigned would be lost, or a tracer would stay",
    "replaces one method of autograd": "gradients inside gradients are wrong in several threads else",
    "Optimisers take ``named_parameters()``": "gradients are values here, and come under names",
    "_save_to_state_dict": "loading changes all or nothing; no part loads itself",
    "Refused, where PyTorch goes on": "nothing wrong is ever returned in silence",
    "Done, where PyTorch raises": "there is a right answer",
    "frozen weight that was computed from several":
        "a buffer could not be trained again; what shares memory moves twice a step",
    "Options that mean nothing here": "there are no devices, and arrays are not overwritten",
    "weight_norm`` refuses a complex weight": "PyTorch's has no complex form either, and is wrong",
}


def is_known(what, ours, theirs):
    """Tell whether two names of errors, or "", may differ in this step."""
    return any(re.match(pattern, what) and re.fullmatch(mine, ours) and re.fullmatch(other, theirs)
               for pattern, mine, other, _ in ERRORS)
