r"""Adapters of orthogonal fine-tuning, as PEFT saves them: OFT, BOFT, PSOFT and HRA.

Each is a rotation R that multiplies a weight W from the right, but each says it in another way:

======  ====================  =====================================  =============================
method  key                   holds                                  R in ``W @ R``
======  ====================  =====================================  =============================
OFT     ``oft_R.weight``      upper triangles of Q, a row a block    :math:`(I-Q)^{-1} (I+Q)`
BOFT    ``boft_R``            square blocks D, Q = (D - D^T) / 2     :math:`(I-Q)^{-1} (I+Q)`
PSOFT   ``psoft_R.weight``    one upper triangle, of Q               none: see below
HRA     ``hra_u``             a vector u a column                    :math:`H_1 H_2 \cdots H_r`
======  ====================  =====================================  =============================

This is :func:`orthonorm.core.cayley` of 2 Q, whose lower triangle it reads. PEFT 0.21.2 computes the
transpose, :math:`(I-Q) (I+Q)^{-1}`, for OFT and BOFT and merges it transposed. With
``use_cayley_neumann`` OFT sums the series :func:`orthonorm.core.cayley_series.neumann_cayley` of the
same Q instead, and merges it transposed too: the *inverse* rotation, nearly. PSOFT turns coordinates
of a subspace of dimension r, by :math:`(I+Q) (I-Q)^{-1}`, which is the R of OFT.
"""
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from ..core import cayley, orthonormalize
from ..core.cayley_series import neumann_cayley, neumann_errors, skew_of_upper
from ..core.matrices import H, mT
from .formats import CheckpointError

KEY = re.compile(r"(?:base_model\.model\.)?(?P<layer>.+)\."
                 r"(?:(?P<method>oft_R|psoft_R)(?:\.\w+)?\.weight|(?P<plain>boft_R|hra_u)(?:\.\w+)?)")
METHODS = {"oft_R": "OFT", "psoft_R": "PSOFT", "boft_R": "BOFT", "hra_u": "HRA"}
DIMENSIONS = {"OFT": 2, "PSOFT": 1, "BOFT": 4, "HRA": 2}


class Adapter(NamedTuple):
    """The tensor that holds an adapter's rotation.

    Attributes
    ----------
    method : str
        "OFT", "BOFT", "PSOFT" or "HRA".
    layer : str
        The name of the layer that it belongs to.
    array : ndarray
    """

    method: str
    layer: str
    array: np.ndarray


def recognized(key: str, array: np.ndarray) -> Adapter | None:
    """Tell whether an entry of a state dict is the rotation of one of PEFT's adapters.

    Parameters
    ----------
    key : str
    array : ndarray

    Returns
    -------
    Adapter or None

    Examples
    --------
    >>> recognized("base_model.model.fc.oft_R.weight", np.zeros((2, 6)))[:2]
    ('OFT', 'fc')
    """
    match = KEY.fullmatch(key)
    if match is None:
        return None
    method = METHODS[match["method"] or match["plain"]]
    if array.ndim != DIMENSIONS[method] or array.dtype.kind != "f" or not array.size:
        return None
    if method == "BOFT" and array.shape[2] != array.shape[3]:
        return None
    return Adapter(method, match["layer"], array)


def skew_blocks(adapter: Adapter) -> np.ndarray:
    """Return the skew matrices Q of an adapter that is not HRA, in double precision.

    Parameters
    ----------
    adapter : Adapter

    Returns
    -------
    ndarray, shape (..., b, b)

    Raises
    ------
    CheckpointError
        If the shape is not that of triangles of square blocks.
    """
    array = adapter.array.astype(np.float64)
    if adapter.method == "BOFT":
        return array / 2 - mT(array) / 2
    try:
        return skew_of_upper(array)
    except ValueError as error:
        raise CheckpointError(f"the {adapter.method} adapter of {adapter.layer}: {error}") from None


def exact_blocks(adapter: Adapter, apply_GS: bool = False) -> np.ndarray:
    r"""Return the exact rotation of each block, as it multiplies a weight from the right.

    Parameters
    ----------
    adapter : Adapter
    apply_GS : bool
        HRA's option: reflect at the orthonormal factor of the vectors.

    Returns
    -------
    ndarray, shape (..., b, b)
        Of HRA the whole product, b being the number of inputs.

    Raises
    ------
    CheckpointError
        As :func:`skew_blocks`; and if a vector of HRA is zero.
    """
    if adapter.method != "HRA":
        return cayley(2 * skew_blocks(adapter))
    u = adapter.array.astype(np.float64)
    if not u.any(axis=0).all():
        raise CheckpointError(f"the HRA adapter of {adapter.layer} has a vector of zeros, which is the "
                              "normal of no mirror")
    identity = np.eye(len(u))
    if apply_GS:
        Q = orthonormalize(u)
        return identity - 2 * Q @ Q.T
    R = identity
    for v in (u / np.linalg.norm(u, axis=0)).T:
        R = R - 2 * np.outer(R @ v, v)
    return R


def adapter_rotations(state_dict: Mapping[str, np.ndarray],
                      config: Mapping[str, Any] | None = None) -> dict[str, np.ndarray]:
    r"""Compute the rotations of a checkpoint of PEFT's OFT, BOFT, PSOFT or HRA.

    Parameters
    ----------
    state_dict : dict of str to ndarray
        What :func:`.load` returns of ``adapter_model.safetensors``.
    config : dict, optional
        What ``adapter_config.json`` holds. With ``use_cayley_neumann`` PEFT's truncated series is
        summed, with its signs; with ``apply_GS`` HRA's vectors are made orthonormal first. Without a
        config the rotations are exact.

    Returns
    -------
    dict of str to ndarray
        From the name of a layer to the matrix R for which ``W @ R`` is its merged weight, in double
        precision; BOFT multiplies the rows by ``boft_s`` besides. Where OFT shares one block
        (``block_share``) this block alone. Of PSOFT the r x r matrix that turns the subspace, without
        its ``vector_a`` and ``vector_b``.

    Raises
    ------
    CheckpointError
        If there is no such adapter, a shape is not that of one, or BOFT has several butterfly factors.

    Examples
    --------
    >>> R = adapter_rotations({"fc.oft_R.weight": np.array([[0.5], [0.0]])})["fc"]
    >>> R[:2, :2]
    array([[ 0.6,  0.8],
           [-0.8,  0.6]])
    """
    options = config or {}
    found = [adapter for key, array in state_dict.items() if (adapter := recognized(key, array))]
    if not found:
        raise CheckpointError("there is no adapter of OFT, BOFT, PSOFT or HRA in this state dict")
    return {adapter.layer: _rotation(adapter, options) for adapter in found}


def with_rotations(state_dict: Mapping[str, np.ndarray], config: Path) -> dict[str, np.ndarray]:
    """Put the rotation of each adapter in the place of the numbers that it is made of.

    Parameters
    ----------
    state_dict : dict of str to ndarray
    config : Path
        Of ``adapter_config.json``; if there is none, the rotations are exact.

    Returns
    -------
    dict of str to ndarray
        As :func:`adapter_rotations` computes them, each under ``<layer>.rotation``; the other entries
        as they are.

    Raises
    ------
    CheckpointError
        As :func:`adapter_rotations`; and if `config` is not JSON with an object.
    """
    adapters = {key: adapter for key, array in state_dict.items()
                if (adapter := recognized(key, array))}
    if not adapters:
        return dict(state_dict)
    try:
        options = json.loads(config.read_text()) if config.exists() else {}
    except ValueError as error:
        raise CheckpointError(f"{config} is not JSON: {error}") from None
    if not isinstance(options, dict):
        raise CheckpointError(f"{config} must hold a JSON object, got {type(options).__name__}")
    return {f"{adapters[key].layer}.rotation" if key in adapters else key:
            _rotation(adapters[key], options) if key in adapters else array
            for key, array in state_dict.items()}


def _rotation(adapter: Adapter, options: Mapping[str, Any]) -> np.ndarray:
    if adapter.method == "BOFT" and len(adapter.array) > 1:
        raise CheckpointError(f"the BOFT adapter of {adapter.layer} has {len(adapter.array)} butterfly "
                              "factors; only one can be merged here")
    if adapter.method in ("OFT", "PSOFT") and options.get("use_cayley_neumann"):
        Q, terms = skew_blocks(adapter), int(options.get("num_cayley_neumann_terms", 5))
        limit = options.get("cayley_neumann_eps")
        if limit is not None:
            Q = Q * min(1.0, limit / max(float(np.linalg.norm(Q)), limit))
        blocks = neumann_cayley(Q, terms)
        blocks = H(blocks) if adapter.method == "OFT" else blocks
    else:
        blocks = exact_blocks(adapter, bool(options.get("apply_GS")))
    return scipy.linalg.block_diag(*blocks.reshape(-1, *blocks.shape[-2:]))


def described(adapter: Adapter) -> tuple[str, list[str]]:
    """Say what an adapter is, and what the truncated series would make of it.

    Parameters
    ----------
    adapter : Adapter

    Returns
    -------
    what : str
    notes : list of str
    """
    if adapter.method == "HRA":
        return f"HRA, {adapter.array.shape[1]} reflectors", []
    Q = skew_blocks(adapter)
    count, size = int(np.prod(Q.shape[:-2])), Q.shape[-1]
    what = f"{adapter.method}, {count} block{'s' * (count > 1)} of {size} x {size}"
    if adapter.method == "BOFT":
        return what, []
    norm = float(np.linalg.norm(Q, 2, axis=(-2, -1)).max())
    if norm >= 1:
        return what, [f"the skew matrix has the norm {norm:.3g}: with use_cayley_neumann PEFT's series "
                      "is no rotation"]
    error, orthogonality = neumann_errors(norm)
    return what, [f"with use_cayley_neumann, 5 terms, PEFT's series is off by {error:.1e}, and its "
                  f"orthogonality error is up to {orthogonality:.1e}"]
