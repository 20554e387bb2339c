"""What "the same" means: of answers, and of whole models."""
import numpy as np
import torch

from .sides import numpy_of

TOLERANCE = {"float64": 1e-7, "complex128": 1e-7, "float32": 2e-3}
# PyTorch completes the base at random, and begins with vectors at random.
RANDOM = ("base", "_u", "_v")


class Differ(AssertionError):
    """The two libraries do not agree."""


def assert_same(what, ours, theirs):
    if ours != theirs:
        raise Differ(f"{what}:\n  ours   {ours}\n  theirs {theirs}")


def assert_close(what, ours, theirs, looser=0.0):
    a, b = numpy_of(ours), numpy_of(theirs)
    if a.shape != b.shape or a.dtype != b.dtype:
        raise Differ(f"{what}: ours {a.dtype} {a.shape}, theirs {b.dtype} {b.shape}")
    if a.size == 0:
        return
    tolerance = max(TOLERANCE.get(str(a.dtype), 0.0), looser) * max(1.0, np.abs(b).max())
    if np.abs(a - b).max() <= tolerance:  # which NaN is not
        return
    if not np.allclose(a, b, rtol=0, atol=tolerance, equal_nan=True):
        raise Differ(f"{what}: ours {a.tolist()}, theirs {b.tolist()}")


def assert_same_answer(what, ours, theirs):
    """Compare what reading or calling gives: arrays, tuples, what a parametrization makes of them."""
    if isinstance(theirs, tuple):
        assert_same(f"{what}: length", len(ours), len(theirs))
        for one, other in zip(ours, theirs):
            assert_same_answer(what, one, other)
    elif isinstance(theirs, torch.Tensor):
        assert_close(what, ours, theirs)
    else:
        assert_same(what, ours, theirs)


def assert_same_gradients(what, ours, theirs):
    """Compare a dict of gradients, or a loss and a dict."""
    if isinstance(ours, tuple):
        assert_close(f"{what}: loss", ours[0], theirs[0])
        ours, theirs = ours[1], theirs[1]
    assert_same(f"{what}: names", [*ours], [*theirs])
    for name in ours:
        assert_close(f"{what}: {name}", ours[name], theirs[name])


def assert_same_models(what, ours, theirs, drawn=False, looser=0.0):
    """Compare all that can be seen, but for the vectors that have just been drawn at random."""
    random = RANDOM if drawn else RANDOM[:1]
    text = _attempt(repr, theirs)
    if "(" in text:  # PyTorch's computes the bias, and fails where its parametrization does
        assert_same(f"{what}: repr", repr(ours), text)
    for kind in ("named_parameters", "named_buffers"):
        ours_named, theirs_named = (list(getattr(model, kind)(remove_duplicate=False))
                                    for model in (ours, theirs))
        assert_same(f"{what}: {kind}", *([str(name) for name, _ in named]
                                         for named in (ours_named, theirs_named)))
        if kind == "named_parameters":
            assert_same(f"{what}: sharing", _sharing(ours_named), _sharing(theirs_named))
        for (name, a), (_, b) in zip(ours_named, theirs_named):
            if kind == "named_parameters":
                assert_same(f"{what}: requires_grad of {name}", a.requires_grad, b.requires_grad)
            if not name.endswith(random):
                assert_close(f"{what}: {name}", a, b, looser)
    assert_same(f"{what}: modules", *(
        [(name, type(module).__name__, module.training) for name, module in model.named_modules()]
        for model in (ours, theirs)))
    assert_same_states(what, ours.state_dict(), theirs.state_dict(), random, looser)


def assert_same_states(what, ours, theirs, random=RANDOM[:1], looser=0.0):
    assert_same(f"{what}: keys", [*ours], [*theirs])
    for key in ours:
        if not key.endswith(random):
            assert_close(f"{what}: state {key}", ours[key], theirs[key], looser)


def assert_same_optimizers(what, ours, theirs):
    """Compare what is remembered of each parameter, and the options of the groups."""
    ours, theirs = ours.state_dict(), theirs.state_dict()
    flat = flat_state(theirs)
    assert_same(f"{what}: state", sorted(key for key in ours if key.startswith("state.")), sorted(flat))
    for key, value in flat.items():
        if key.endswith(".step"):
            assert_same(f"{what}: {key}", float(ours[key]), float(value))
        else:
            assert_close(f"{what}: {key}", ours[key], value)
    for i, group in enumerate(theirs["param_groups"]):
        assert_same(f"{what}: group {i}", *((options["params"], options["lr"]) for options in (
            {name: ours[f"param_groups.{i}.{name}"].tolist() for name in ("params", "lr")}, group)))


def flat_state(state):
    """Return what PyTorch remembers of each parameter under the keys of orthonorm."""
    return {f"state.{i}.{slot}": value for i, slots in state["state"].items()
            for slot, value in slots.items() if value is not None}


def _attempt(function, *args):
    try:
        return function(*args)
    except Exception as error:
        return type(error).__name__


def _sharing(named):
    """Map each name to the first name of the same thing."""
    first = {}
    return {name: first.setdefault(id(x), name) for name, x in named}
