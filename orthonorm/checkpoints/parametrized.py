"""The weights behind the entries of a state dict that parametrizations leave there.

Which parametrization it was is not in the file, but the names of its arrays tell::

    parametrizations.weight.original                      one parameter, or
    parametrizations.weight.original0, original1          weight_norm's length and direction
    parametrizations.weight.0.base                        orthogonal, with trivialization
    parametrizations.weight.0._u, 0._v                    spectral_norm
    parametrizations.weight.1._u, 1._v                    the second of a chain

Orthogonal without trivialization leaves nothing but ``original``, as any parametrization of the
user's own may: then it has to be said. The last ones of a chain, if they keep nothing, cannot be seen.

PyTorch's older functions, ``torch.nn.utils.weight_norm`` and ``spectral_norm``, leave other names for
the same arrays::

    weight_g, weight_v                                    original0, original1
    weight_orig, weight_u, weight_v                       original, 0._u, 0._v
"""
import math
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

import numpy as np

from ..core.matrices import check_finite
from ..core.spectral import estimate_sigma
from ..nn.module import Module
from ..nn.parameter import Parameter
from ..nn.utils import parametrizations
from ..nn.utils.parametrizations.orthogonal import ORTHOGONAL_MAPS
from ..nn.utils.parametrizations.singular_vectors import is_unit
from .formats import Arrays, CheckpointError, check_flat

OLDER = {"_g": {"_g": "original0", "_v": "original1"},  # by the suffix that tells which function it was
         "_orig": {"_orig": "original", "_u": "0._u", "_v": "0._v"}}
POSITIONS = {str(position): position for position in range(20)}  # in a chain; none is longer
PART = re.compile(r"(?P<prefix>(?:.*?\.)??)parametrizations\.(?P<tensor>[^.]+)\."
                  r"(?P<part>original\d*|\d+\..+|parametrizations\..+)")


class Unidentified(CheckpointError):
    """The file does not say which parametrization it was."""


@dataclass
class Step:
    """What one parametrization of a tensor made.

    Attributes
    ----------
    kind : {"orthogonal", "spectral_norm", "weight_norm"}
    setting : str
        What the file left open: the map, or dim.
    weight : ndarray
        The result.
    matrices : ndarray, shape (..., n, k)
        The same, seen as the matrix, or stack of matrices, that the parametrization sees.
    estimate : float or None
        Of spectral_norm, :math:`|u^H W v|`, by which PyTorch divides.
    divisor : float or None
        By what it is divided here: the same, unless `lengths` are not 1.
    lengths : tuple of float
        Of spectral_norm, the norms of u and v where they are not 1.
    zero_slices : int
        Of weight_norm, how many slices have no direction. PyTorch makes NaN of them.
    signs : ndarray or None
        Of the map "householder", the diagonal of ``original``, of which only the signs matter here.
    """

    kind: str
    setting: str
    weight: np.ndarray
    matrices: np.ndarray
    estimate: float | None = None
    divisor: float | None = None
    lengths: tuple[float, ...] = ()
    zero_slices: int = 0
    signs: np.ndarray | None = None


def grouped(state_dict: Mapping[str, np.ndarray]) -> dict[str, np.ndarray | Arrays]:
    """Gather the entries of each parametrized tensor under the name of the tensor.

    Parameters
    ----------
    state_dict : dict of str to ndarray

    Returns
    -------
    dict
        From the name of each tensor to its array, or, for a parametrized one, to a dict of its parts.

    Raises
    ------
    CheckpointError
        If a tensor is there both ways.

    Examples
    --------
    >>> grouped({"0.parametrizations.weight.original": np.ones((2, 2)), "0.bias": np.zeros(2)})
    {'0.weight': {'original': array([[1., 1.],
           [1., 1.]])}, '0.bias': array([0., 0.])}
    """
    tensors: dict[str, np.ndarray | Arrays] = {}
    for key, array in state_dict.items():
        match = PART.fullmatch(key)
        name = match["prefix"] + match["tensor"] if match else key
        if name in tensors and not (match and isinstance(tensors[name], dict)):
            raise CheckpointError(f"{name} is there twice, parametrized and not")
        if match:
            tensors.setdefault(name, {})[match["part"]] = array
        else:
            tensors[name] = array
    return tensors


def renamed(state_dict: Mapping[str, np.ndarray]) -> dict[str, str]:
    """Find the names that PyTorch's older weight_norm and spectral_norm gave.

    Parameters
    ----------
    state_dict : dict of str to ndarray

    Returns
    -------
    dict of str to str
        From each key to the name it has today, which is the same for most.

    Examples
    --------
    >>> renamed({"0.weight_g": np.ones((2, 1)), "0.weight_v": np.ones((2, 3)), "0.bias": np.zeros(2)})
    ... # doctest: +NORMALIZE_WHITESPACE
    {'0.weight_g': '0.parametrizations.weight.original0',
     '0.weight_v': '0.parametrizations.weight.original1', '0.bias': '0.bias'}
    """
    names = {key: key for key in state_dict}
    for key in state_dict:
        for suffix, today in OLDER.items():
            stem = key.removesuffix(suffix)
            old = [stem + end for end in today]
            if stem == key or stem in state_dict or not all(name in state_dict for name in old):
                continue
            if suffix == "_orig" or _is_length(state_dict[key], state_dict[f"{stem}_v"]):
                path, dot, tensor = stem.rpartition(".")
                names |= zip(old, (f"{path}{dot}parametrizations.{tensor}.{part}"
                                   for part in today.values()))
    return names


def _is_length(g: np.ndarray, v: np.ndarray) -> bool:
    """Tell whether `g` has the shape of weight_norm's lengths for the direction `v`."""
    return g.ndim in (0, v.ndim) and all(size in (1, of_v) for size, of_v in zip(g.shape, v.shape))


def rebuild(parts: Arrays, orthogonal_map: str | None = None, named: bool = False) -> list[Step]:
    """Compute a parametrized tensor, one step for each parametrization of its chain.

    Parameters
    ----------
    parts : dict of str to ndarray
        From :func:`grouped`.
    orthogonal_map : str, optional
        The map of orthogonal weights; by default PyTorch's default for the shape and dtype. Without
        it, an ``original`` alone is not taken for an orthogonal weight.
    named : bool
        Whether the map was said for this very tensor, so that one of the steps has to be orthogonal.

    Returns
    -------
    list of Step
        The last one's weight is the tensor, in evaluation mode.

    Raises
    ------
    Unidentified
        If the parts leave open which parametrization it was.
    CheckpointError
        If the parts do not fit together, or hold NaN or infinity.
    """
    originals, buffers = _by_position(parts, orthogonal_map)
    steps: list[Step] = []
    for position in range(1 + max(buffers, default=0)):
        kept = buffers.get(position, {})
        try:
            with warnings.catch_warnings(action="ignore"):  # the result tells what went wrong
                if position == 0 and "original" not in originals:
                    steps.append(_weight_norm(originals, kept))
                else:
                    X = steps[-1].weight if steps else originals["original"]
                    steps.append(_step(X, kept, orthogonal_map))
        except CheckpointError:
            raise
        except (ArithmeticError, IndexError, RuntimeError, TypeError, ValueError) as error:
            raise CheckpointError(" ".join(str(error).split())) from error
    if named and all(step.kind != "orthogonal" for step in steps):
        raise Unidentified(f"a map is said for it, and it is {steps[-1].kind}; orthogonal on top, "
                           "without trivialization, would leave nothing in the file")
    return steps


def _by_position(parts: Arrays, orthogonal_map: str | None) -> tuple[Arrays, dict[int, Arrays]]:
    """Sort the parts into the originals and what each parametrization of the chain keeps."""
    originals: Arrays = {}
    buffers: dict[int, Arrays] = {}
    for name, array in grouped(parts).items():
        if isinstance(array, dict):  # an original that is parametrized itself
            array = rebuild(array, orthogonal_map)[-1].weight
        if array.dtype == np.float16:
            array = array.astype(np.float32)
        position, _, buffer = name.partition(".")
        if buffer and position in POSITIONS:
            buffers.setdefault(POSITIONS[position], {})[buffer] = array
        else:
            originals[name] = array
    if "original" in originals and len(originals) > 1:
        raise CheckpointError(f"no chain of parametrizations has the parts {', '.join(parts)}")
    return originals, buffers


def _step(X: np.ndarray, buffers: Arrays, orthogonal_map: str | None) -> Step:
    if buffers.keys() == {"_u", "_v"}:
        return _spectral_norm(X, **buffers)
    if buffers.keys() == {"base"}:
        return _orthogonal(X, orthogonal_map, buffers["base"])
    if not buffers and orthogonal_map and X.ndim > 1:
        return _orthogonal(X, orthogonal_map)
    if buffers:
        raise Unidentified(f"its parametrization is not known here, and has {', '.join(buffers)}")
    if X.ndim < 2:
        raise Unidentified("its parametrization may be spectral_norm of a vector, or one of your own")
    diagonal = np.abs(np.diagonal(X, axis1=-2, axis2=-1))
    hint = " (its diagonal is all 1 and -1, as householder's)" if np.all(diagonal == 1) else ""
    raise Unidentified(f"its parametrization may be orthogonal without trivialization{hint}, or one of "
                       "your own: if it is orthogonal, say so with --orthogonal-map")


def _computed(register: Callable[[Module], Any], start: np.ndarray, entries: Arrays,
              base: np.ndarray | None = None) -> np.ndarray:
    """Let the package itself compute a weight from the entries of a state dict.

    The base is taken as it is, however far it is from orthogonal: that is to be examined.
    """
    module = Module()
    module.weight = Parameter(start)
    register(module.eval())
    if base is not None:
        buffers = module.parametrizations.weight[0]._buffers
        buffers["base"] = check_finite(base, "base").astype(buffers["base"].dtype)
    module.load_state_dict({f"parametrizations.weight.{key}": x for key, x in entries.items()},
                           strict=base is None)
    return np.array(module.weight)


def _orthogonal(X: np.ndarray, orthogonal_map: str | None, base: np.ndarray | None = None) -> Step:
    if X.ndim < 2:
        raise CheckpointError(f"original has the shape {X.shape}, which is no matrix's")
    *batch, n, k = X.shape
    if base is not None:
        # Of the base, PyTorch stores all columns; the first k, which are enough, are another form.
        if base.shape not in ((*batch, max(n, k), columns) for columns in (max(n, k), min(n, k))):
            raise CheckpointError(f"a base of the shape {base.shape} does not fit {X.shape}")
    orthogonal_map = orthogonal_map or (
        "matrix_exp" if n == k or np.iscomplexobj(X) else "householder")

    def register(module: Module) -> None:
        parametrizations.orthogonal(module, orthogonal_map=orthogonal_map,
                                    use_trivialization=base is not None, rng=0)

    start = np.broadcast_to(np.eye(n, k, dtype=X.dtype), X.shape)
    weight = _computed(register, start, {"original": X}, base)
    signs = np.diagonal(X, axis1=-2, axis2=-1) if orthogonal_map == "householder" else None
    return Step("orthogonal", orthogonal_map, weight, weight, signs=signs)


def _spectral_norm(X: np.ndarray, _u: np.ndarray, _v: np.ndarray) -> Step:
    if X.ndim > 2 and _u.ndim == _v.ndim == X.ndim - 1:
        raise Unidentified("it is spectral_norm of a convolution on inputs of the size "
                           f"{'x'.join(map(str, _v.shape[1:]))}, whose stride and padding are not in "
                           "the file")
    fitting = [dim for dim, size in enumerate(X.shape)
               if (size,) == _u.shape and as_matrix(X, dim).shape[1:] == _v.shape]
    if not fitting:
        raise CheckpointError(f"_u of {_u.shape} and _v of {_v.shape} fit no dimension of {X.shape}")
    estimates = [abs(np.vdot(_u, as_matrix(X, dim) @ _v)) for dim in fitting]
    # Where the lengths fit several, the vectors were made for the one they come near the norm in.
    dim = fitting[int(np.argmax(estimates))]

    def register(module: Module) -> None:
        parametrizations.spectral_norm(module, dim=dim, rng=0)

    weight = _computed(register, X, {"original": X, "0._u": _u, "0._v": _v})
    others = f" of {', '.join(map(str, fitting))} that fit" if len(fitting) > 1 else ""
    estimate = float(abs(estimate_sigma(as_matrix(X, dim), _u, _v)))
    largest = np.max(np.abs(weight), initial=0)
    divisor = float(np.max(np.abs(X)) / largest) if largest else estimate
    lengths = tuple(float(np.linalg.norm(x)) for x in (_u, _v) if not (is_unit(_u) and is_unit(_v)))
    return Step("spectral_norm", f"dim {dim}{others}", weight, as_matrix(weight, dim),
                estimate=estimate, divisor=divisor, lengths=lengths)


def _weight_norm(originals: Arrays, buffers: Arrays) -> Step:
    if originals.keys() != {"original0", "original1"} or buffers:
        raise Unidentified("its parametrization is not known here, and has "
                           f"{', '.join([*originals, *buffers])}")
    g, v = originals["original0"], originals["original1"]
    lengths = [(dim, tuple(size if i == dim else 1 for i in range(v.ndim)))
               for dim, size in enumerate(v.shape)]
    dims: list[int | None] = [dim for dim, shape in lengths if shape == g.shape]
    dims += [None] if g.shape == () else []
    if not dims:
        raise Unidentified(f"its parametrization is not known here, and has original0 of {g.shape} and "
                           f"original1 of {v.shape}")
    dim = dims[0]  # where several fit, they are all of length 1, and the norm is the same

    def register(module: Module) -> None:
        parametrizations.weight_norm(module, dim=dim)

    weight = _computed(register, v, {"original0": g, "original1": v})
    slices = v.reshape(1, -1) if dim is None else as_matrix(v, dim)
    return Step("weight_norm", f"dim {dim}", weight, as_matrix(weight),
                zero_slices=int(np.count_nonzero(~slices.any(axis=1))))


def as_matrix(weight: np.ndarray, dim: int = 0) -> np.ndarray:
    """See a tensor as the matrix whose rows are `dim`, as spectral_norm does.

    Parameters
    ----------
    weight : ndarray, of one dimension or more
    dim : int

    Returns
    -------
    ndarray, shape (weight.shape[dim], the product of the others)
    """
    rows_first = np.moveaxis(weight, dim, 0)
    return rows_first.reshape(len(rows_first), math.prod(rows_first.shape[1:]))


def plain_weights(state_dict: Mapping[str, Any],
                  orthogonal_map: str | Mapping[str, str] | None = None) -> Arrays:
    """Compute every parametrized weight of a state dict, for a model without parametrizations.

    Parameters
    ----------
    state_dict : dict of str to array_like
        With PyTorch's keys; those of its older weight_norm and spectral_norm too, ``weight_g`` and
        ``weight_orig`` and their like.
    orthogonal_map : str, or dict of str to str, optional
        The map of the orthogonal weights: one name for all, or a dict from the names of tensors, such
        as ``0.weight``, the name ``""`` standing for all others. By default PyTorch's default for the
        shape and dtype.

    Returns
    -------
    dict of str to ndarray
        The entries that are not parametrized as they are; each other tensor under its own name, with
        the value it has in evaluation mode. From float16 a computed weight is float32.

    Raises
    ------
    CheckpointError
        If a tensor cannot be computed.

    Examples
    --------
    >>> from orthonorm import nn
    >>> from orthonorm.nn.utils.parametrizations import spectral_norm
    >>> layer = spectral_norm(nn.Linear(3, 2, rng=0), rng=0).eval()
    >>> weights = plain_weights(layer.state_dict())
    >>> sorted(weights)
    ['bias', 'weight']
    >>> np.array_equal(weights["weight"], layer.weight)
    True
    """
    check_flat(state_dict)
    arrays = {key: np.asarray(x) for key, x in state_dict.items()}
    today = renamed(arrays)
    tensors = grouped({today[key]: x for key, x in arrays.items()})
    maps = maps_of(tensors, orthogonal_map)
    weights = {}
    for name, tensor in tensors.items():
        try:
            weights[name] = (rebuild(tensor, *maps[name])[-1].weight if isinstance(tensor, dict)
                             else tensor)
        except CheckpointError as error:
            raise CheckpointError(f"{name} cannot be computed: {error}") from error
    return weights


def maps_of(tensors: Mapping[str, np.ndarray | Arrays],
            orthogonal_map: str | Mapping[str, str] | None) -> dict[str, tuple[str | None, bool]]:
    """Return the map that was said for each parametrized tensor, or None, and whether for it alone.

    Parameters
    ----------
    tensors : dict
        From :func:`grouped`.
    orthogonal_map : str, dict of str to str, or None
        As :func:`plain_weights` takes it.

    Returns
    -------
    dict of str to (str or None, bool)

    Raises
    ------
    CheckpointError
        If there is no such map, or no such parametrized tensor.
    """
    said = {"": orthogonal_map} if isinstance(orthogonal_map, str) else dict(orthogonal_map or {})
    parametrized = [name for name, tensor in tensors.items() if isinstance(tensor, dict)]
    for name, wanted in said.items():
        if wanted not in ORTHOGONAL_MAPS:
            raise CheckpointError(f"orthogonal_map has to be one of "
                                  f"{', '.join(ORTHOGONAL_MAPS)}, got {wanted}")
        if name and name not in parametrized:
            raise CheckpointError(f"orthogonal_map is said for {name}, which is not parametrized here")
    return {name: (said.get(name, said.get("")), name in said) for name in parametrized}
