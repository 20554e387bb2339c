"""Orthogonal weights, spectral normalisation, weight normalisation."""
import functools
from typing import Any

import autograd.numpy as np
from autograd.extend import Box

from ... import core, gradients
from ...core.completion import completion, is_orthonormal
from ...core.matrices import as_matrices, check_finite, mT
from ...core.spectral import unit_vector
from ...gradients.completion import multiply
from ...gradients.householder import base_times_householder
from ...gradients.rules import cast
from ..module import Module, fitted
from .convolution_norm import ConvolutionSpectralNorm, check_iterations
from .parametrize import is_parametrized, register_parametrization

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]

ORTHOGONAL_MAPS = {
    "matrix_exp": gradients.matrix_exp,
    "cayley": gradients.cayley,
    "householder": gradients.householder,
    "unitary_householder": gradients.unitary_householder,
}
INVERSES = {
    "matrix_exp": core.matrix_exp_inverse,
    "cayley": core.cayley_inverse,
    "householder": core.householder_inverse,
    "unitary_householder": core.unitary_householder_inverse,
}
STARTS = {"haar": core.haar, "torus": core.torus}

LARGEST_SQUARE_BASE = 4096  # rows: 128 MiB in float64


# ---------------------------------------------------------------------------------------------------
# Orthogonal weights
# ---------------------------------------------------------------------------------------------------

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
    start : {"haar", "torus"}, optional
        Start from a random matrix instead of the present weight: "haar" is uniform among all
        (:func:`orthonorm.core.haar`), "torus" a block-diagonal rotation by uniform angles
        (:func:`orthonorm.core.torus`), for square matrices.
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
        parametrized already (the diagonal of what it maps must hold signs); if `start` is not one of
        the two, is "torus" for a matrix that is not square, or cannot be reached: on top of another
        parametrization, and with "matrix_exp" or "cayley" without trivialization.

    Notes
    -----
    The weight is :math:`\mathrm{base} \cdot f(X)`, X being ``parametrizations.weight.original`` and
    base the n x n matrix ``parametrizations.weight.0.base``, constant while training. Where the weight
    is tall or wide, base is kept as the first k columns and the k Householder reflectors that complete
    them (:func:`orthonorm.core.complete`): O(n k) memory, O(n k^2) operations.

    State dicts: ``base`` is written n x n, as PyTorch reads it, up to n = 4096. Above that it is
    written as its first k columns, n x k, because a large embedding would fill gigabytes (30000 rows:
    7.2 GB; PyTorch cannot even make them). :func:`orthonorm.core.complete` makes the n x n matrix of
    them. Both are read, whatever n is. An n x n base with another completion, PyTorch's, is used as
    it is, at the cost of an n x n product.

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
    if start not in (None, *STARTS):
        raise ValueError(f'start has to be None, "haar" or "torus". Got: {start}')
    if start is not None and on_top:
        raise ValueError(f"start={start!r} is for the first parametrization of {name}")
    weight = _tensor(module, name)
    if np.ndim(weight) < 2:
        raise ValueError(
            f"Expected a matrix or batch of matrices. Got a tensor of {np.ndim(weight)} dimensions."
        )
    weight = as_matrices(gradients.stop_gradient(weight), name)
    if orthogonal_map is None:
        square = weight.shape[-2] == weight.shape[-1]
        smooth = square or np.iscomplexobj(weight) or on_top
        orthogonal_map = "matrix_exp" if smooth else "householder"
    if orthogonal_map not in ORTHOGONAL_MAPS:
        names = ", ".join(f'"{known}"' for known in ORTHOGONAL_MAPS)
        raise ValueError(f"orthogonal_map has to be one of {names}. Got: {orthogonal_map}")
    parametrization = _Orthogonal(weight, orthogonal_map, use_trivialization=use_trivialization)
    if on_top and orthogonal_map == "householder":
        raise ValueError(f'orthogonal_map "householder" cannot follow another parametrization of '
                         f'{name}: the diagonal must hold signs. Use "matrix_exp" or "cayley"')
    if start is None:
        return register_parametrization(module, name, parametrization, unsafe=True)
    if not use_trivialization and orthogonal_map in ("matrix_exp", "cayley"):
        raise ValueError(f'start={start!r} with orthogonal_map "{orthogonal_map}" needs '
                         "use_trivialization=True: the map alone does not reach every matrix")
    Q = STARTS[start](weight.shape, weight.dtype, rng)
    register_parametrization(module, name, parametrization, unsafe=True)
    setattr(module, name, Q)
    return module


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

    def _stored_base(self) -> Any:
        return super().__getattr__("base")

    def forward(self, X: Any) -> Any:
        orthogonal_map = ORTHOGONAL_MAPS[self.orthogonal_map]
        base = self._stored_base() if self.use_trivialization else None
        # On top of another parametrization there is no base until one is assigned.
        if base is None:
            return orthogonal_map(X)
        n, k = X.shape[-2:]
        if n == k and self.orthogonal_map == "householder" and not isinstance(base, Box):
            return base_times_householder(base, X)
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
        if not self.use_trivialization and self.orthogonal_map in ("matrix_exp", "cayley"):
            return weight
        return self.right_inverse(weight)

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
        frame = base[..., :k]
        if n == k or base.shape == square and not _is_completion(base, frame):
            return _read_only(base)
        if not is_orthonormal(frame, tolerance=1e-3):
            raise ValueError(f"{key} must have orthonormal columns where it is not square")
        return _read_only(frame.copy())


def _is_completion(base: Any, frame: Any) -> bool:
    tolerance = base.shape[-1] * np.finfo(base.dtype).eps
    return is_orthonormal(frame) and np.allclose(core.complete(frame), base, rtol=0, atol=tolerance)


def _read_only(array: Any) -> Any:
    array.flags.writeable = False
    return array


# ---------------------------------------------------------------------------------------------------
# Spectral normalisation
# ---------------------------------------------------------------------------------------------------

def spectral_norm(module: Module, name: str = "weight", n_power_iterations: int = 1,
                  eps: float = 1e-12, dim: int | None = None, *, input_size: Any = None,
                  rng: Any = None) -> Module:
    r"""Divide a weight by an estimate of its largest singular value.

    Parameters
    ----------
    module : Module
        Changed in place.
    name : str
        The parameter or buffer. With more than two dimensions it is read as a matrix whose rows are
        `dim`; with one, it is divided by its norm.
    n_power_iterations : int
        Power iterations each time the weight is read in training mode. In evaluation mode there are
        none.
    eps : float
        Norms smaller than this are replaced by it.
    dim : int, optional
        The dimension of the outputs. Default: 0, and 1 for transposed convolutions.
    input_size : int or tuple of int, optional
        Size in space of the inputs of a convolution, such as (32, 32). With it the weight is divided
        by the norm of the layer's linear map, not by that of the reshaped weight.
    rng : None, int or numpy.random.Generator
        Chooses the start of the power iteration.

    Returns
    -------
    Module
        `module`; its weight has a spectral norm near 1.

    Raises
    ------
    ValueError
        If there is no such tensor, it holds NaN or infinity, or `n_power_iterations` is not positive;
        if `input_size` is given for something else than the weight of a convolution, or with `dim`.
    IndexError
        If `dim` is out of range.
    RuntimeError, TypeError
        If `input_size` is not one positive number for each dimension of space, or smaller than the
        kernel.

    Notes
    -----
    The weight is :math:`W / \sigma`, :math:`\sigma = u^H W v`, where W is
    ``parametrizations.weight.original``, and the buffers u and v,
    ``parametrizations.weight.0._u`` and ``_v``, follow its leading singular vectors by
    :func:`orthonorm.core.power_iteration`: 15 times on registration, then `n_power_iterations` at
    each reading. They are constants to every derivative [1]_. A zero weight stays zero (PyTorch's
    becomes NaN).

    Assigning, ``module.weight = W``, sets ``original``.

    *Convolutions.* The norm of the reshaped weight is not that of the layer, which also depends on
    how often an input entry is met: on padding, stride, dilation and the size of the input. For a
    3 x 3 kernel of stride 1 the layer's norm may be up to 3 times as large. With `input_size` the
    iteration runs with the convolution A_W itself and its adjoint [2]_,

    .. math:: u \leftarrow \frac{A_W v}{\|A_W v\|}, \qquad
              v \leftarrow \frac{A_W^H u}{\|A_W^H u\|}, \qquad \sigma = u^H (A_W v),

    ``_u`` and ``_v`` having the shapes of an output and of an input without batch, and the layer
    without its bias has a norm near 1 at that size. Many singular values are close to the largest, so
    that the estimate, always too small, comes near it slowly: give more iterations where that matters,
    and see :func:`orthonorm.core.circular_convolution_norm_bounds` for a bound from above.

    References
    ----------
    .. [1] T. Miyato, T. Kataoka, M. Koyama, Y. Yoshida, "Spectral normalization for generative
       adversarial networks", ICLR 2018.
    .. [2] H. Gouk, E. Frank, B. Pfahringer, M. J. Cree, "Regularisation of neural networks by
       enforcing Lipschitz continuity", Machine Learning 110 (2021); arXiv:1804.04368 (2018).

    Examples
    --------
    >>> from orthonorm import nn
    >>> layer = spectral_norm(nn.Linear(20, 40, rng=0), rng=0)
    >>> layer
    ParametrizedLinear(
      in_features=20, out_features=40, bias=True
      (parametrizations): ModuleDict(
        (weight): ParametrizationList(
          (0): _SpectralNorm()
        )
      )
    )
    >>> bool(abs(np.linalg.norm(layer.weight, 2) - 1) < 0.05)
    True

    A critic's layer whose outputs never differ by more than its inputs do:

    >>> layer = spectral_norm(nn.Conv2d(3, 16, 3, padding=1, rng=0), input_size=(8, 8), rng=0)
    >>> layer.parametrizations.weight[0]._v.shape
    (3, 8, 8)
    """
    weight = _tensor(module, name)
    if input_size is not None:
        return register_parametrization(module, name, ConvolutionSpectralNorm(
            module, name, n_power_iterations, eps, dim, input_size, rng))
    if dim is None:
        dim = 1 if getattr(module, "transposed", False) else 0  # transposed convolutions say so
    parametrization = _SpectralNorm(weight, n_power_iterations, dim, eps, rng=rng)
    return register_parametrization(module, name, parametrization)


class _SpectralNorm(Module):
    _u: Any
    _v: Any

    def __init__(self, weight: Any, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12, *,
                 rng: Any = None):
        super().__init__()
        ndim = weight.ndim
        if not -ndim <= dim < ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got "
                f"{dim})"
            )
        check_iterations(n_power_iterations)
        self.dim = dim % ndim
        self.eps = eps
        self.n_power_iterations = n_power_iterations
        if ndim > 1:
            rng = np.random.default_rng(rng)
            W = gradients.stop_gradient(self._as_matrix(weight))
            u, v = (unit_vector(size, W.dtype, rng) for size in W.shape)
            u, v = core.power_iteration(W, u, v, n_power_iterations=15, eps=eps)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)

    def forward(self, weight: Any) -> Any:
        if weight.ndim == 1:
            return _normalize(weight, self.eps)
        W = self._as_matrix(weight)
        if self.training:
            self._u, self._v = gradients.power_iteration(
                W, self._u, self._v, self.n_power_iterations, self.eps)
        return self._from_matrix(gradients.spectral_normalize(W, self._u, self._v), weight.shape)

    def right_inverse(self, value: Any) -> Any:
        return check_finite(value, "the weight")

    def _as_matrix(self, weight: Any) -> Any:
        W = np.moveaxis(weight, self.dim, 0) if self.dim else weight
        return W if W.ndim == 2 else np.reshape(W, (W.shape[0], -1))

    def _from_matrix(self, W: Any, shape: tuple[int, ...]) -> Any:
        others = shape[:self.dim] + shape[self.dim + 1:]
        W = W if W.ndim == len(shape) else np.reshape(W, (shape[self.dim], *others))
        return np.moveaxis(W, 0, self.dim) if self.dim else W


def _normalize(x: Any, eps: float) -> Any:
    norm = np.sqrt(np.sum(np.real(x * np.conj(x))))
    return x / norm if norm > eps else x / eps


# ---------------------------------------------------------------------------------------------------
# Weight normalisation
# ---------------------------------------------------------------------------------------------------

def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    r"""Train the length of a weight apart from its direction.

    Parameters
    ----------
    module : Module
        Changed in place.
    name : str
        The parameter or buffer.
    dim : int or None
        The weight has one length for each index of this dimension; None, or -1 as in PyTorch, gives
        the whole tensor a single length.

    Returns
    -------
    Module
        `module`; its weight is :math:`g \, v / \|v\|` with g ``parametrizations.weight.original0``
        and v ``parametrizations.weight.original1``.

    Raises
    ------
    ValueError
        If there is no such tensor, it is parametrized already (weight_norm starts from two arrays, so
        it comes first in a chain), or it is complex (PyTorch's has no complex form either).
    IndexError
        If `dim` is out of range.

    Notes
    -----
    A slice of v that is zero has no direction: the weight there is zero, and PyTorch's NaN. State
    dicts with the older keys ``weight_g`` and ``weight_v`` are understood.

    References
    ----------
    .. [1] T. Salimans, D. P. Kingma, "Weight normalization: a simple reparameterization to accelerate
       training of deep neural networks", NeurIPS 2016.

    Examples
    --------
    >>> from orthonorm import nn
    >>> layer = weight_norm(nn.Linear(20, 40))
    >>> layer.parametrizations.weight.original0.shape
    (40, 1)
    >>> layer.parametrizations.weight.original1.shape
    (40, 20)
    """
    if is_parametrized(module, name):
        raise ValueError(f"weight_norm must be the first parametrization of {name}")
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)
    module._register_load_state_dict_pre_hook(functools.partial(_rename_old_keys, name))
    return module


def _rename_old_keys(name: str, state_dict: dict, prefix: str) -> None:
    old = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
    if all(key in state_dict for key in old):
        for i, key in enumerate(old):
            state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0):
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        norm = self._norm(weight_v)
        return weight_v * (weight_g / (norm + cast(norm == 0, norm.dtype)))

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        if np.iscomplexobj(weight):
            raise ValueError(f"weight_norm needs a real weight, got {weight.dtype}")
        return self._norm(weight), check_finite(weight, "the weight")

    def _norm(self, v: Any) -> Any:
        if self.dim == -1:
            squares = np.sum(v * v)
        else:
            if not -v.ndim <= self.dim < v.ndim:
                raise IndexError(
                    f"Dimension out of range (expected to be in range of [-{v.ndim}, {v.ndim - 1}] "
                    f"but got {self.dim})"
                )
            others = tuple(i for i in range(v.ndim) if i != self.dim % v.ndim)
            squares = np.sum(v * v, axis=others, keepdims=True)
        # The root has no derivative at zero, where the direction of v does not matter anyway.
        zero = cast(squares == 0, squares.dtype)
        return np.sqrt(squares + zero) * (1 - zero)


def _tensor(module: Module, name: str) -> Any:
    weight = getattr(module, name, None)
    if not hasattr(weight, "ndim"):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    return weight
