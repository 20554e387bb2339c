"""What a checkpoint holds: the numbers that tell whether its weights are what they should be."""
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from typing import Any, NamedTuple

import numpy as np

from ..core import spectral_norm_bounds
from ..core.matrices import mT
from . import adapters
from .formats import Arrays, CheckpointError, Dtypes
from .parametrized import Step, Unidentified, as_matrix, grouped, maps_of, rebuild, renamed

EPS = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "complex64": 2.0**-23}
LARGEST_ESTIMATE_ERROR = 0.01


class Spectrum(NamedTuple):
    """What the singular values of a matrix, or of a stack of matrices, tell.

    Attributes
    ----------
    largest, smallest : float or None
        Singular values, over the whole stack. All six are None where there are none: NaN or infinity,
        no entries, integers, fewer than two dimensions.
    lower, upper : float or None
        What the largest lies between with certainty: :func:`orthonorm.core.spectral_norm_bounds`.
    condition : float or None
        The largest condition number in the stack.
    orthogonality_error : float or None
        The largest :math:`\\|Q^H Q - I\\|_2 = \\max_i |\\sigma_i^2 - 1|`; of Q^H where Q is wide.
    """

    largest: float | None = None
    lower: float | None = None
    upper: float | None = None
    smallest: float | None = None
    condition: float | None = None
    orthogonality_error: float | None = None


@dataclass
class Row:
    """One tensor of the report.

    Attributes
    ----------
    name : str
        Its name in the model, or, of a part that a parametrized tensor is computed from, its key.
    shape : tuple of int
    dtype : str
        As in the file.
    part_of : str
        Of a part, what its name begins with.
    made_by : list of str
        Of a parametrized tensor, its parametrizations, in order.
    spectrum : Spectrum
    nan, infinite : int
        How many entries are.
    estimates : list of tuple of float
        For each spectral_norm: the estimate that the file holds, and the norm that it estimates.
    warnings : list of str
        What is wrong.
    notes : list of str
        What else is to be known.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    part_of: str = ""
    made_by: list[str] = field(default_factory=list)
    spectrum: Spectrum = Spectrum()
    nan: int = 0
    infinite: int = 0
    estimates: list[tuple[float, float]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def examine(state_dict: Arrays, dtypes: Dtypes,
            orthogonal_map: Mapping[str, str] | None = None) -> Iterator[list[Row]]:
    """Examine every tensor of a state dict.

    Parameters
    ----------
    state_dict : dict of str to ndarray
    dtypes : dict of str to str
        What each entry has in the file.
    orthogonal_map : dict of str to str, optional
        As :func:`.plain_weights` takes it.

    Yields
    ------
    list of Row
        For each tensor in turn: its row; for a parametrized one also those of its parts.

    Raises
    ------
    CheckpointError
        If `orthogonal_map` names a map or a tensor that there is not.
    """
    today = renamed(state_dict)
    keys = {new: key for key, new in today.items()}
    tensors = grouped({new: state_dict[key] for new, key in keys.items()})
    maps = maps_of(tensors, orthogonal_map)
    for name, tensor in tensors.items():
        if isinstance(tensor, dict):
            path, dot, last = name.rpartition(".")
            start = f"{path}{dot}parametrizations.{last}."
            originals_first = sorted(tensor, key=lambda part: (part[0].isdigit(), part))
            in_file = [keys[start + part] for part in originals_first]
            shown = start if in_file[0].startswith(start) else name
            parts = [_part(Row(key, tensor[part].shape, dtypes[key], shown), tensor[part])
                     for key, part in zip(in_file, originals_first)]
            coarsest = max((row.dtype for row in parts), key=lambda dtype: EPS.get(dtype, 0.0))
            yield [_parametrized(Row(name, (), coarsest), tensor, *maps[name]), *parts]
        else:
            yield [_plain(Row(name, tensor.shape, dtypes[name]), tensor)]


def _plain(row: Row, array: np.ndarray) -> Row:
    if adapter := adapters.recognized(row.name, array):
        _adapter(row, adapter)
    elif array.ndim >= 2:
        row.spectrum = _spectrum(as_matrix(array))
        _warn_of_zeros(row, as_matrix(array))
    _count(row, array)
    return row


def _adapter(row: Row, adapter: adapters.Adapter) -> None:
    """Report the rotation that one of PEFT's adapters makes, instead of the numbers behind it."""
    if not np.isfinite(adapter.array).all():
        row.made_by = [adapter.method]
        return
    try:
        what, notes = adapters.described(adapter)
        row.made_by.append(what)
        row.notes += notes
        row.spectrum = _spectrum(adapters.exact_blocks(adapter))
    except CheckpointError as error:
        row.made_by = ["broken"]
        row.warnings.append(str(error))


def _part(row: Row, array: np.ndarray) -> Row:
    is_base = row.name.endswith(".base")
    if array.ndim >= 2:
        row.spectrum = _spectrum(array if is_base else as_matrix(array))
    if is_base:
        _warn_of_orthogonality(row, "base")
    _count(row, array)
    return row


def _parametrized(row: Row, parts: Arrays, orthogonal_map: str | None, named: bool) -> Row:
    row.shape = next(iter(parts.values())).shape
    try:
        steps = rebuild(parts, orthogonal_map, named)
    except Unidentified as error:
        row.made_by = ["unknown"]
        row.notes.append(f"not computed: {error}")
        return row
    except CheckpointError as error:
        row.made_by = ["broken"]
        row.warnings.append(f"cannot be computed: {error}")
        return row
    for step in steps:
        row.made_by.append(f"{step.kind} ({step.setting})")
        row.shape, row.spectrum = step.weight.shape, _spectrum(step.matrices)
        _check_step(row, step)
    last = steps[-1]
    wide = last.matrices.shape[-2] < last.matrices.shape[-1]
    # The rows of a wide orthogonal weight are of norm 1; a column may well be zero.
    _warn_of_zeros(row, mT(last.matrices) if last.kind == "orthogonal" and wide else last.matrices)
    _count(row, last.weight)
    return row


def _check_step(row: Row, step: Step) -> None:
    if step.kind == "orthogonal":
        _warn_of_orthogonality(row, "the weight")
    if step.signs is not None:
        _warn_of_signs(row, step.signs)
    if step.zero_slices:
        row.warnings.append(f"{step.zero_slices} slices of original1 are zero and have no direction: "
                            "PyTorch's weight is NaN there")
    largest = row.spectrum.largest
    if step.estimate is None or step.divisor is None or largest is None:
        return
    # The weight is W over the divisor, so that the weight's norm is W's over the divisor.
    estimate, norm = step.estimate, step.divisor * largest
    row.estimates.append((estimate, norm))
    row.made_by[-1] += f", estimate {estimate:.5g}, norm {norm:.5g}"
    if largest == 0:
        row.warnings.append("spectral_norm of a zero weight: PyTorch's is NaN")
    elif abs(estimate / norm - 1) > LARGEST_ESTIMATE_ERROR:
        warning = (f"the estimate of the norm is off by {abs(estimate / norm - 1):.1%}: it is "
                   f"{estimate:.5g}, the norm {norm:.5g}")
        if step.lengths:
            u, v = step.lengths
            warning += (f". _u and _v have the norms {u:.5g} and {v:.5g}, as in an average of state "
                        "dicts: they are found anew here, PyTorch divides by that estimate")
        row.warnings.append(warning)


def _warn_of_signs(row: Row, signs: np.ndarray) -> None:
    changed = np.count_nonzero(np.abs(signs) != 1)
    if not changed:
        return
    line = "rows" if row.shape[-2] < row.shape[-1] else "columns"
    warning = (f"{changed} of the {signs.size} signs on the diagonal of original are not 1 or -1, as "
               "after weight decay or averaging: the weight is orthogonal here, where only the sign of "
               f"each is read, but PyTorch multiplies the {line} by their integer parts")
    zero = np.count_nonzero(np.abs(signs) < 1)
    row.warnings.append(f"{warning}, and makes {zero} {line} zero" if zero else warning)


def _spectrum(matrices: np.ndarray) -> Spectrum:
    if matrices.dtype.kind not in "fc" or not matrices.size or not np.isfinite(matrices).all():
        return Spectrum()
    matrices = matrices.astype(np.result_type(matrices, np.float64))
    s = np.linalg.svd(matrices, compute_uv=False)
    bounds = spectral_norm_bounds(matrices)
    with np.errstate(all="ignore"):
        condition = np.where(s[..., -1] > 0, s[..., 0] / s[..., -1], math.inf)
        return Spectrum(float(s.max()), float(np.max(bounds.lower)), float(np.max(bounds.upper)),
                        float(s.min()), float(condition.max()), float(np.abs(s**2 - 1).max()))


def _count(row: Row, array: np.ndarray) -> None:
    if array.dtype.kind in "fc":
        row.nan = int(np.count_nonzero(np.isnan(array)))
        row.infinite = int(np.count_nonzero(np.isinf(array)))
    if row.nan or row.infinite:
        row.warnings.append(f"{row.nan} entries are NaN and {row.infinite} infinite, of {array.size}")


def _warn_of_zeros(row: Row, matrices: np.ndarray) -> None:
    if row.spectrum.largest is None:
        return
    zero = np.count_nonzero(~matrices.any(axis=-2))
    if zero:
        row.warnings.append(f"{zero} of {matrices.size // matrices.shape[-2]} columns are zero")


def _warn_of_orthogonality(row: Row, what: str) -> None:
    error = row.spectrum.orthogonality_error
    # The tolerance by which `orthogonal` itself tells whether a weight is.
    if error is not None and error > 10 * max(row.shape[-2:]) * EPS.get(row.dtype, 2.0**-52):
        row.warnings.append(f"{what} should be orthogonal, and its orthogonality error is {error:.1e}")


# ---------------------------------------------------------------------------------------------------
# The command line's options and report
# ---------------------------------------------------------------------------------------------------

def as_maps(options: list[str]) -> dict[str, str]:
    """Read the values of ``--orthogonal-map``: ``NAME``, or ``TENSOR=NAME``.

    Parameters
    ----------
    options : list of str

    Returns
    -------
    dict of str to str
        As :func:`.plain_weights` takes it.

    Examples
    --------
    >>> as_maps(["cayley", "0.weight=householder"])
    {'': 'cayley', '0.weight': 'householder'}
    """
    said = (option.rpartition("=") for option in options)
    return {tensor: name for tensor, _, name in said}


def warnings(rows: list[Row]) -> list[str]:
    """List what is wrong, each with the tensor's name.

    Parameters
    ----------
    rows : list of Row

    Returns
    -------
    list of str
    """
    return [f"{row.name}: {warning}" for row in rows for warning in row.warnings]


def table(rows: list[Row], title: str) -> str:
    """Format the report.

    Parameters
    ----------
    rows : list of Row
    title : str

    Returns
    -------
    str
    """
    head = ("tensor", "shape", "dtype", "largest s.v.", "at least", "at most", "smallest", "condition",
            "orth. error", "NaN", "inf", "made by")
    lines = [head] + [
        ("  " + row.name.removeprefix(row.part_of) if row.part_of else row.name,
         "x".join(map(str, row.shape)) or "-", row.dtype,
         *map(_number, row.spectrum, (".5g", ROUND_FLOOR, ROUND_CEILING, ".5g", ".3g", ".1e")),
         str(row.nan), str(row.infinite),
         "; ".join(row.made_by))
        for row in rows if len(row.shape) >= 2 or row.made_by or row.warnings]
    widths = [max(map(len, column)) for column in zip(*lines)]
    text = [title, ""]
    for line in lines:
        cells = [cell.rjust(width) if 3 <= i <= 10 else cell.ljust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        text.append("  ".join(cells).rstrip())
    text.append("")
    notes: dict[str, list[str]] = {}
    for row in rows:
        for note in row.notes:
            notes.setdefault(note, []).append(row.name)
    text += [f"note: {', '.join(names)}: {note}" for note, names in notes.items()]
    text += [f"warning: {warning}" for warning in warnings(rows)]
    half = sorted({row.dtype for row in rows if row.dtype in ("float16", "bfloat16")})
    if half:
        text.append(f"note: {' and '.join(half)} entries were examined as float32")
    return "\n".join([*text, summary(rows)])


def _number(value: float | None, spec: str) -> str:
    if value is None:
        return "-"
    if spec in (ROUND_FLOOR, ROUND_CEILING):  # what is printed of a bound must be one too
        return f"{float(Context(prec=6, rounding=spec).create_decimal_from_float(value)):.6g}"
    return format(value, spec)


def summary(rows: list[Row]) -> str:
    """Return the last line of the report."""
    matrices = sum(len(row.shape) >= 2 for row in rows)
    parametrized = sum(bool(row.made_by) for row in rows)
    found = len(warnings(rows))
    return (f"{len(rows)} tensors, {matrices} of them matrices, {parametrized} parametrized: "
            f"{found or 'no'} warning{'' if found == 1 else 's'}")


def as_json(rows: list[Row], path: str) -> str:
    """Format the report for machines. Infinity, which JSON lacks, becomes null.

    Parameters
    ----------
    rows : list of Row
    path : str

    Returns
    -------
    str
    """
    def finite(value: Any) -> Any:
        if isinstance(value, float):
            return value if math.isfinite(value) else None
        return [finite(x) for x in value] if isinstance(value, (list, tuple)) else value

    tensors = []
    for row in rows:
        flat = {**vars(row), **row.spectrum._asdict()}
        tensors.append({key: finite(value) for key, value in flat.items() if key != "spectrum"})
    return json.dumps({"file": path, "warnings": warnings(rows), "tensors": tensors}, indent=1,
                      allow_nan=False)
