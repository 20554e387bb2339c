"""A module here against the same one in PyTorch: outputs, gradients and buffers of one call."""
from collections.abc import Callable, Iterator
import copy
from dataclasses import dataclass
from typing import Any

import autograd.numpy as np

from .. import nn
from ..conformance.asking import as_array
from ..func import value_and_grad
from ..gradients import stop_gradient
from .report import TOLERANCES

# Relative to the largest entry. PyTorch's gradient of the exponential is off by up to 1e-10.
SAME = 1e-9
# Where runs in double precision differ by less, what differs in single precision is rounding.
SAME_IN_DOUBLE = 1e-8
ZERO = 1e-12  # of sums that cancel, rounding leaves so much
Arrays = dict[str, np.ndarray]


@dataclass
class Compared:
    """One array of the comparison.

    Attributes
    ----------
    name : str
        "output", "gradient of ..." or "buffer ..."
    difference : float or None
        Between the two, relative to the largest entry; None where there is no saying.
    our_error, their_error : float or None
        In single precision, the distance from the double-precision run of both.
    verdict : str
        "equal", "rounding" (differs, but not in double precision), or what differs.
    """

    name: str
    difference: float | None = None
    our_error: float | None = None
    their_error: float | None = None
    verdict: str = "equal"

    @property
    def differs(self) -> bool:
        """Whether it is more than rounding."""
        return self.verdict not in ("equal", "rounding")


@dataclass
class Comparison:
    """What :func:`compare_modules` found.

    Attributes
    ----------
    against : str
        What with.
    arrays : list of Compared
        Outputs first, then gradients, then buffers.
    """

    against: str
    arrays: list[Compared]

    @property
    def passed(self) -> bool:
        """Whether nothing differs by more than rounding."""
        return self.first_difference is None

    @property
    def first_difference(self) -> Compared | None:
        """The first array that differs, if any does."""
        return next((array for array in self.arrays if array.differs), None)

    def __str__(self) -> str:
        """Format a table, and say what differs first and who is closer."""
        head = ("", "difference", "ours-exact", "PyTorch-exact", "")
        lines = [head] + [(x.name, _shown(x.difference), _shown(x.our_error), _shown(x.their_error),
                           x.verdict) for x in self.arrays]
        widths = [max(map(len, column)) for column in zip(*lines)]
        table = ["  ".join(f"{cell:{'>' if 0 < i < 4 else '<'}{width}}"
                           for i, (cell, width) in enumerate(zip(line, widths))).rstrip()
                 for line in lines]
        return "\n".join([f"ours against {self.against}", *table, *self._closer(), self._conclusion()])

    __repr__ = __str__

    def _closer(self) -> Iterator[str]:
        errors = [(x.our_error, x.their_error) for x in self.arrays
                  if x.our_error is not None and x.their_error is not None]
        if errors and self.passed:
            ours, theirs = (max(column) for column in zip(*errors))
            nearer = sum(ours < theirs for ours, theirs in errors)
            farther = sum(ours > theirs for ours, theirs in errors)
            yield (f"nearer to double precision: ours {nearer} times, PyTorch {farther}; "
                   f"worst error: ours {ours:.1e}, PyTorch's {theirs:.1e}")

    def _conclusion(self) -> str:
        first = self.first_difference
        if first is None:
            return f"{len(self.arrays)} arrays: equal within rounding"
        count = sum(x.differs for x in self.arrays)
        return f"{count} of {len(self.arrays)} arrays differ; the first: {first.name}: {first.verdict}"


def compare_modules(ours: Any, theirs: Any, *inputs: Any, loss: Callable | None = None,
                    train: bool = False) -> Comparison:
    """Load a PyTorch module's weights into the same module here, call both, and compare.

    Parameters
    ----------
    ours : Module
        Gets ``theirs.state_dict()``, and is otherwise left alone.
    theirs : torch.nn.Module
        In float32 or float64, or their complex kin, on any device. It is left alone: what is called is
        a copy, so that power iterations do not move its vectors.
    *inputs : array_like or Tensor
        What both are called with; floating-point ones are converted to the dtype of `theirs`.
    loss : callable, optional
        Takes the output of either module and returns a real number. By default the sum of all outputs,
        times fixed random numbers.
    train : bool
        Whether to call in training or in evaluation mode.

    Returns
    -------
    Comparison
        Of outputs, of the loss's gradients in all inputs and parameters, and of all buffers after the
        call. ``print`` shows it.

    Raises
    ------
    ImportError
        Without PyTorch.
    TypeError
        If `theirs` is no PyTorch module, or in a precision that NumPy lacks; if an output is neither
        array nor number, or none is real or complex and there is no `loss`.
    RuntimeError, ValueError
        If the state dict does not fit, as ``ours.load_state_dict`` says.

    Notes
    -----
    In double precision arrays are equal that differ by less than 1e-9 of the largest finite entry, and
    have the same infinities and NaN. Modules in single precision are run in double too: what differs
    there, by 1e-8, differs; what differs only in single precision, as ``torch.testing.assert_close``
    sees it, is rounding; and the distances from the double-precision runs say who is closer.

    Examples
    --------
    >>> ours = nn.Linear(3, 2, dtype=np.float32)
    >>> comparison = compare_modules(ours, torch.nn.Linear(3, 2), x)  # doctest: +SKIP
    >>> comparison.passed  # doctest: +SKIP
    True
    """
    import torch
    if not isinstance(theirs, torch.nn.Module):
        raise TypeError(f"theirs must be a torch.nn.Module, got {type(theirs).__name__}")
    dtype = _precision(theirs)
    ours.load_state_dict({key: as_array(value) for key, value in theirs.state_dict().items()})
    arrays = [_cast(as_array(x), dtype) for x in inputs]
    runs = []
    for precision in dict.fromkeys((dtype, "float64")):
        given = [_cast(x, precision) for x in arrays]
        runs.append((_call_ours(_converted(ours, precision), given, loss, train),
                     _call_theirs(theirs, precision, given, loss, train)))
    version, mode = torch.__version__.partition("+")[0], "train" if train else "eval"
    return Comparison(f"PyTorch {version}, {dtype}, {mode}", [
        _compare(name, dtype, [(run[0].get(name), run[1].get(name)) for run in runs])
        for name in runs[0][1] | runs[0][0]])


def _precision(theirs: Any) -> str:
    dtypes = {str(x.dtype).removeprefix("torch.") for x in theirs.state_dict().values()
              if x.is_floating_point() or x.is_complex()}
    if not dtypes <= {"float32", "float64", "complex64", "complex128"}:
        raise TypeError("theirs must be in single or double precision, got "
                        f"{', '.join(sorted(dtypes))}; compare theirs.float()")
    return "float64" if dtypes & {"float64", "complex128"} else "float32"


def _cast(x: np.ndarray, dtype: str) -> np.ndarray:
    """Return real and complex numbers in a precision; integers stay."""
    if x.dtype.kind == "c":
        dtype = np.result_type(dtype, np.complex64)
    return x.astype(dtype, copy=False) if x.dtype.kind in "fc" else x


def _converted(ours: Any, dtype: str) -> Any:
    """Return a copy of our module in a precision."""
    ours = copy.deepcopy(ours)
    for part in ours.modules():
        for parameter in part._parameters.values():
            if parameter is not None:
                parameter.data = _cast(parameter.data, dtype)
    state = {name: _cast(value, dtype) for name, value in ours.state_dict().items()}
    for part in ours.modules():
        for name, buffer in part._buffers.items():
            if buffer is not None:
                part._buffers[name] = _cast(buffer, dtype)
    ours.load_state_dict(state)
    return ours


def _flat(output: Any, name: str = "output") -> Iterator[tuple[str, Any]]:
    """Yield the arrays and numbers in tuples, lists and dicts, each with a name."""
    if isinstance(output, tuple | list):
        output = dict(enumerate(output))
    if isinstance(output, dict):
        for key, part in output.items():
            yield from _flat(part, f"{name} {key}")
    elif isinstance(output, bool | int | float | complex):
        yield name, np.array(output)
    elif hasattr(output, "dtype"):
        yield name, output
    elif output is not None:
        raise TypeError(f"{name} must be an array, a number, or a tuple, list or dict of these, got "
                        f"{type(output).__name__}")


def _continuous(parts: list[tuple[str, Any]]) -> list[Any]:
    """Return the outputs that a loss can be made of."""
    found = [y for _, y in parts if "float" in str(y.dtype) or "complex" in str(y.dtype)]
    if not found:
        raise TypeError("no output is real or complex: give a loss")
    return found


def _cotangent(y: Any) -> np.ndarray:
    """Return fixed random numbers for an output."""
    return np.random.default_rng(0).standard_normal(tuple(y.shape))


def _call_ours(module: Any, inputs: list[np.ndarray], loss: Callable | None, train: bool) -> Arrays:
    holder = nn.Module()
    holder.module = module.train(train)
    for i, x in enumerate(inputs):
        if x.dtype.kind in "fc":
            holder.register_parameter(f"input {i}", nn.Parameter(x))
    found: Arrays = {}

    def objective() -> Any:
        output = holder.module(*(getattr(holder, f"input {i}") if x.dtype.kind in "fc" else x
                                 for i, x in enumerate(inputs)))
        parts = list(_flat(output))
        found.update((name, np.array(stop_gradient(y))) for name, y in parts)
        return loss(output) if loss else sum(
            np.sum(np.real(y) * _cotangent(y).astype(np.real(y).dtype)) for y in _continuous(parts))

    _, gradients = value_and_grad(objective, holder)()
    found.update((f"gradient of {name.removeprefix('module.')}", gradient)
                 for name, gradient in gradients.items())
    return found | _buffers(module)


def _call_theirs(module: Any, dtype: str, inputs: list[np.ndarray], loss: Callable | None,
                 train: bool) -> Arrays:
    import torch
    kinds = {"float32": (torch.float32, torch.complex64), "float64": (torch.float64, torch.complex128)}
    real, complex_ = kinds[dtype]
    module = copy.deepcopy(module, remembered(module))._apply(
        lambda x: x.to(real) if x.is_floating_point() else x.to(complex_) if x.is_complex() else x)
    device = next((x.device for x in module.state_dict().values()), "cpu")
    tensors = [torch.tensor(x, device=device) for x in inputs]
    sources = {f"input {i}": x for i, x in enumerate(tensors)
               if x.is_floating_point() or x.is_complex()}
    sources |= {name: x for name, x in module.named_parameters() if x.requires_grad}
    for x in sources.values():
        x.requires_grad_()
    output = module.train(train)(*tensors)
    parts = list(_flat(output))
    value = loss(output) if loss else sum(
        (y.real * torch.tensor(_cotangent(y), device=device).to(y.real.dtype)).sum()
        for y in map(torch.as_tensor, _continuous(parts)))
    gradients = (torch.autograd.grad(value, list(sources.values()), materialize_grads=True)
                 if sources else ())
    return ({name: as_array(y) for name, y in parts}
            | {f"gradient of {name}": as_array(x) for name, x in zip(sources, gradients)}
            | _buffers(module))


def remembered(module: Any) -> dict[int, Any]:
    """Return a memo for deepcopy, which refuses the tensors that PyTorch's layers keep from a call."""
    kept = [x for part in module.modules() for value in vars(part).values()
            for x in (value if isinstance(value, list) else [value]) if getattr(x, "grad_fn", None)]
    return {id(x): x.detach() for x in kept}


def _buffers(module: Any) -> Arrays:
    """Return what is in the state dict and is no parameter."""
    parameters = {name for name, _ in module.named_parameters()}
    return {f"buffer {name}": as_array(value) for name, value in module.state_dict().items()
            if name not in parameters}


def _compare(name: str, dtype: str, runs: list[tuple[Any, ...]]) -> Compared:
    """Compare one array of ours with theirs, in the precision of the models and, last, in double."""
    (ours, theirs), exact = runs[0], runs[-1]
    if ours is None or theirs is None:
        return Compared(name, verdict="is missing here" if ours is None else "PyTorch has none")
    if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
        return Compared(name, verdict=f"is {ours.dtype}{list(ours.shape)}, and "
                                      f"{theirs.dtype}{list(theirs.shape)} in PyTorch")
    compared = Compared(name, _distance(ours, theirs))
    if dtype == "float64":
        if not _same(ours, theirs, SAME):
            compared.verdict = f"differs by {compared.difference:.1e}"
    elif not _same(exact[0], exact[1], SAME_IN_DOUBLE):
        compared.verdict = f"differs by {_distance(*exact):.1e}, and not by rounding"
    else:
        truth = (exact[0] + exact[1]) / 2
        compared.our_error, compared.their_error = _distance(ours, truth), _distance(theirs, truth)
        if not np.allclose(ours, theirs, *TOLERANCES["float32"], equal_nan=True):
            compared.verdict = "rounding"
    return compared


def _differences(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return |x - y|, zero where both are the same infinity or NaN."""
    with np.errstate(invalid="ignore"):
        return np.where((x == y) | (x != x) & (y != y), 0, np.abs(x - y))


def _largest(y: np.ndarray) -> Any:
    """Return the size of the largest entry that is finite."""
    return np.abs(y[np.isfinite(y)]).max(initial=0)


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    """Return the largest difference of entries as a fraction of the largest entry of y."""
    return float(_differences(x, y).max(initial=0) / (_largest(y) or 1))


def _same(x: np.ndarray, y: np.ndarray, tolerance: float) -> bool:
    """Return whether no entries differ by more than a fraction of the largest, or than ZERO."""
    return bool(_differences(x, y).max(initial=0) <= tolerance * _largest(y) + ZERO)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}"
