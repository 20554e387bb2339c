"""Orthogonal weights."""
from typing import Any

import autograd.numpy as np
from autograd.extend import Box

from .... import core, gradients
from ....core.completion import completion, is_orthonormal
from ....core.matrices import as_matrices, check_finite, mT
from ....core.polar import nearest_rotation
from ....gradients.base import multiply
from ....gradients.cayley import base_times_cayley
from ....gradients.householder import base_times_householder
from ....gradients import stop_gradient
from ...module import Module
from ...state import fitted, undone_if_it_raises
from ..parametrize import is_parametrized, register_parametrization, tensor_named

ORTHOGONAL_MAPS = {
    "matrix_exp": gradients.matrix_exp,
    "cayley": gradients.cayley,
    "householder": gradients.householder,
    "unitary_householder": gradients.unitary_householder,
}
BASE_TIMES_MAP = {"cayley": base_times_cayley, "householder": base_times_householder}
INVERSES = {
    "matrix_exp": core.matrix_exp_inverse,
    "cayley": core.cayley_inverse,
    "householder": core.householder_inverse,
    "unitary_householder": core.unitary_householder_inverse,
}
STARTS = {"haar": core.haar, "torus": core.torus}  # beside "nearest", which is not drawn

LARGEST_SQUARE_BASE = 4096  # rows: 128 MiB in float64


@undone_if_it_raises
def orthogonal(module: Module, name: str = "weight", orthogonal_map: str | None = None, *,
               use_trivialization: bool = True, start: str | None = None,
               rng: Any = None) -> Module:
    r"""Keep a matrix, or each matrix of a stack, orthogonal (unitary where it is complex).

    Parameters
    ----------
    module : Module
        Changed in place.
    name : str
        The parameter or buffer, of shape (..., n, k).
    orthogonal_map : {"matrix_exp", "cayley", "householder", "unitary_householder"}, optional
        How an unconstrained matrix becomes an orthogonal one: :func:`orthonorm.core.matrix_exp`,
        :func:`orthonorm.core.cayley`, :func:`orthonorm.core.householder` or
        :func:`orthonorm.core.unitary_householder`, which is for complex matrices and not in PyTorch.
        Default: "matrix_exp" for square or complex matrices, and on top of another parametrization;
        "householder" otherwise.
    use_trivialization : bool
        Multiply the map by an orthogonal ``base``, so that training starts where the map is best
        behaved, at the identity: the dynamic trivialization of [1]_.
    start : {"haar", "torus", "nearest"}, optional
        Start from a random matrix instead of the present weight: "haar" is uniform among all
        (:func:`orthonorm.core.haar`), "torus" a block-diagonal rotation by uniform angles
        (:func:`orthonorm.core.torus`), for square matrices. Or from the orthogonal matrix that is
        "nearest" to the present weight (:func:`orthonorm.core.polar`). Without trivialization
        "matrix_exp" and "cayley" reach no real square matrix of determinant -1: "haar" is then uniform
        among the rotations, those of determinant 1, and "nearest" the nearest of them.
    rng : None, int or numpy.random.Generator
        Draws the `start`. Without one nothing is drawn. (PyTorch completes its base with random
        columns.)

    Returns
    -------
    Module
        `module`; its weight has orthonormal columns where n >= k, orthonormal rows where n < k.

    Raises
    ------
    ValueError
        If there is no such tensor, it is not a matrix, or it holds NaN or infinity; if
        `orthogonal_map` is not one of the four; if it is "householder" and the tensor complex, or
        parametrized already (the weight would jump where training takes an entry of the diagonal
        through zero); if `start` is not one of the three, is "torus" for a matrix that is not square,
        or is on top of another parametrization.

    Notes
    -----
    The weight is f(X) without trivialization. With it, the weight is

    .. math:: \mathrm{base} \, f(X) \text{ where } n \ge k, \qquad
              f(X) \, \mathrm{base}^T \text{ where } n < k,

    X being ``parametrizations.weight.original`` and base the orthogonal N x N matrix
    ``parametrizations.weight.0.base``, N = max(n, k), which is constant while training. X starts as
    minus the identity (-1 on the diagonal, 0 elsewhere), which all maps take to the identity. So the
    first m = min(n, k) columns of base are the weight at the start, or its plain transpose where n < k.
    Where the weight is not square, base is kept as these columns and the m Householder reflectors that
    complete them (:func:`orthonorm.core.complete`): O(N m) memory, O(N m^2) operations.

    State dicts: ``base`` is written N x N, as PyTorch reads it, up to N = 4096. Above that it is
    written as its first m columns, N x m, because a large embedding would fill gigabytes (30000 rows:
    7.2 GB; PyTorch cannot even make them). :func:`orthonorm.core.complete` makes the N x N matrix of
    them. Both are read, whatever N is. An N x N base with another completion, PyTorch's, is used as
    it is, at the cost of an N x N product.

    On top of another parametrization ``base`` is None until a value is assigned. A state dict that has
    it then loads only into a module to which a value was assigned too.

    Weight decay and averages of state dicts act on X, and the weight stays orthogonal. (Decay to X = 0
    would draw it back to its start.) With "householder" they change the diagonal of X too: here only
    its sign bits are read; by PyTorch its integer part, so that its weight is zero once -1 is -0.99999.

    Tied weights: where another module shares the Parameter, that module's weight becomes ``original``,
    which is not orthogonal (minus the identity at first), as in PyTorch; see
    :func:`.register_parametrization`.

    Default start: with trivialization, or with the products of reflectors, the present weight if it is
    orthogonal, else the Q of its QR factorisation with positive diagonal of R. (From a zero or
    rank-deficient weight this is orthogonal here; PyTorch's has zero columns.) Otherwise f of the
    present weight, as in PyTorch.

    Assigning, ``module.weight = Q``, sets the weight to Q, or to its orthogonal factor. Without
    trivialization ``original`` becomes :func:`orthonorm.core.matrix_exp_inverse`,
    :func:`orthonorm.core.cayley_inverse` (PyTorch raises NotImplementedError for these two) or
    the inverse of the products of reflectors of it. What the map does not reach raises ValueError and
    changes nothing: a real square Q of determinant -1 with "matrix_exp", a square block with the
    eigenvalue -1 with "cayley". With trivialization everything is reached.

    References
    ----------
    .. [1] M. Lezcano-Casado, "Trivializations for gradient-based optimization on manifolds",
       NeurIPS 2019.

    Examples
    --------
    >>> from orthonorm import nn
    >>> layer = orthogonal(nn.Linear(20, 40, rng=0))
    >>> layer
    ParametrizedLinear(
      in_features=20, out_features=40, bias=True
      (parametrizations): ModuleDict(
        (weight): ParametrizationList(
          (0): _Orthogonal()
        )
      )
    )
    >>> Q = layer.weight
    >>> bool(np.linalg.norm(Q.T @ Q - np.eye(20)) < 1e-13)
    True
    """
    on_top = is_parametrized(module, name)
    if start not in (None, *STARTS, "nearest"):
        raise ValueError(f'start has to be None, "haar", "torus" or "nearest". Got: {start}')
    if start is not None and on_top:
        raise ValueError(f"start={start!r} is for the first parametrization of {name}")
    weight = tensor_named(module, name)
    if np.ndim(weight) < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {np.ndim(weight)} dimensions."
        )
    weight = as_matrices(stop_gradient(weight), name)
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        needs_exponential = square or np.iscomplexobj(weight) or on_top
        orthogonal_map = "matrix_exp" if needs_exponential else "householder"
    if orthogonal_map not in ORTHOGONAL_MAPS:
        names = ", ".join(f'"{known}"' for known in ORTHOGONAL_MAPS)
        raise ValueError(f"orthogonal_map has to be one of {names}. Got: {orthogonal_map}")
    parametrization = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    if on_top and orthogonal_map == "householder":
        raise ValueError(f'orthogonal_map "householder" cannot follow another parametrization of '
                         f'{name}: the weight would jump where an entry of the diagonal passes '
                         'through zero. Use "matrix_exp" or "cayley"')
    if start is None:
        return register_parametrization(module, name, parametrization, unsafe=True)
    square_and_real = weight.shape[-2] == weight.shape[-1] and not np.iscomplexobj(weight)
    only_rotations = square_and_real and not _reaches_everything(parametrization)
    if start == "nearest":
        Q = nearest_rotation(weight) if only_rotations else core.polar(weight)
    else:
        Q = STARTS[start](weight.shape, weight.dtype, rng)
        if only_rotations:
            Q[..., 0] *= np.linalg.slogdet(Q)[0][..., None]
    register_parametrization(module, name, parametrization, unsafe=True)
    setattr(module, name, Q)
    return module


def _reaches_everything(parametrization: "_Orthogonal") -> bool:
    """Tell whether every orthogonal matrix can be assigned: two of the maps need a base for that."""
    return (parametrization.use_trivialization
            or parametrization.orthogonal_map not in ("matrix_exp", "cayley"))


class _Orthogonal(Module):
    """The map, and the base it is multiplied by.

    The buffer ``base`` holds the base of a tall weight by its first k columns, the others being those
    of :func:`orthonorm.core.complete`, or, where another base was loaded, all n of them.
    """

    def __init__(self, weight: Any, orthogonal_map: str, *, use_trivialization: bool = True):
        super().__init__()
        if orthogonal_map == "householder" and np.iscomplexobj(weight):
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape = weight.shape
        self.orthogonal_map = orthogonal_map
        self.use_trivialization = use_trivialization
        self._factored: tuple[Any, Any] = None, None
        if use_trivialization:
            self.register_buffer("base", None)

    def __getstate__(self) -> Any:
        # What is found again from the base need not be pickled.
        return {**super().__getstate__(), "_factored": (None, None)}  # type: ignore[dict-item]

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state)
        if self._buffers.get("base") is not None:
            _read_only(self._buffers["base"])  # an array's copy is writable

    @property
    def base(self) -> Any:
        """The n x n base, completed where only a part is stored; None if there is none."""
        base = self._stored_base()
        if base is None or base.shape[-2] == base.shape[-1]:
            return base
        base = core.complete(base)
        base.flags.writeable = False
        return base

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "base":
            raise AttributeError("base is read-only: assign to the weight, or load a state dict")
        super().__setattr__(name, value)

    def _stored_base(self) -> Any:
        return super().__getattr__("base")

    def forward(self, X: Any) -> Any:
        orthogonal_map = ORTHOGONAL_MAPS[self.orthogonal_map]
        if X.ndim < 2:
            raise ValueError(f"Expected a matrix or batch of matrices, got shape {X.shape}")
        base = self._stored_base() if self.use_trivialization else None
        # On top of another parametrization there is no base until one is assigned.
        if base is None:
            return orthogonal_map(X)
        n, k = X.shape[-2:]
        if n == k and self.orthogonal_map in BASE_TIMES_MAP and not isinstance(base, Box):
            return BASE_TIMES_MAP[self.orthogonal_map](base, X)
        if n < k:
            return np.swapaxes(self._multiply(base, np.swapaxes(orthogonal_map(X), -1, -2)), -1, -2)
        return self._multiply(base, orthogonal_map(X))

    def _multiply(self, base: Any, Q: Any) -> Any:
        if base.shape[-2] == base.shape[-1]:
            return base @ Q if isinstance(base, Box) else multiply(base, Q)
        if isinstance(base, Box):
            raise TypeError("only an n x n base can be differentiated, got one of shape "
                            f"{base.shape}: orthonorm.core.complete makes it n x n")
        factored = self._factored
        if factored[0] is not base:
            self._factored = factored = base, completion(base)
        return multiply(factored[1], Q)

    def right_inverse(self, Q: Any) -> Any:
        if Q.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape}. "
                f"Got a tensor of shape {Q.shape}."
            )
        Q = as_matrices(Q, "the assigned value")
        if self.use_trivialization:
            tall = mT(Q) if Q.shape[-2] < Q.shape[-1] else Q
            frame = tall.copy() if is_orthonormal(tall) else core.orthonormalize(tall)
            super().__setattr__("base", _read_only(frame))
            # Minus the identity is mapped to the identity by all maps.
            return np.zeros_like(Q) - np.eye(*Q.shape[-2:], dtype=Q.dtype)
        return INVERSES[self.orthogonal_map](Q)

    def right_inverse_at_registration(self, weight: Any) -> Any:
        """Return the start of `original`: PyTorch's, which cannot invert two of the maps."""
        return self.right_inverse(weight) if _reaches_everything(self) else weight

    def _saved(self, name: str) -> Any:
        if name == "base" and max(self.shape[-2:]) <= LARGEST_SQUARE_BASE:
            return np.array(self.base)
        return super()._saved(name)

    def _loaded(self, name: str, key: str, value: Any) -> Any:
        if name != "base":
            return super()._loaded(name, key, value)
        k, n = sorted(self.shape[-2:])
        part, square = (*self.shape[:-2], n, k), (*self.shape[:-2], n, n)
        base = fitted(key, value, part if np.shape(value) == part else square,
                      self._buffers[name].dtype)
        check_finite(base, key)
        # A square base is used as it is, like PyTorch's: one that was kept in bfloat16 is off by 0.004.
        if not is_orthonormal(base, tolerance=0.05 if base.shape == square else 1e-3):
            raise ValueError(f"{key} must have orthonormal columns; an average of different bases has "
                             "none: average the weights, and assign the average")
        frame = base[..., :k]
        if n == k or base.shape == square and not _is_completion(base, frame):
            return _read_only(base)
        return _read_only(frame.copy())


def _is_completion(base: Any, frame: Any) -> bool:
    tolerance = base.shape[-1] * np.finfo(base.dtype).eps
    return is_orthonormal(frame) and np.allclose(core.complete(frame), base, rtol=0, atol=tolerance)


def _read_only(array: Any) -> Any:
    array.flags.writeable = False
    return array
