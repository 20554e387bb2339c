"""Spectral normalisation."""
import math
from typing import Any

import autograd.numpy as np

from .... import core, gradients
from ....core.spectral import power_of_two, unit_vector
from ....gradients import stop_gradient
from ....gradients.bookkeeping import moveaxis, reshape
from ....gradients.spectral import to_usual_scale
from ...functional.arrays import as_int
from ...module import Module
from ...state import undone_if_it_raises
from ..parametrize import register_parametrization, tensor_named
from .convolution_norm import ConvolutionSpectralNorm
from .singular_vectors import SingularVectors


@undone_if_it_raises
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
        if `input_size` is given for something else than the weight of a convolution, or with `dim`, or
        the layer's kernel meets nothing but padding at that size.
    IndexError
        If `dim` is out of range.
    TypeError
        If `dim` or `n_power_iterations` is not an integer.
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
    becomes NaN). A weight of norm below `eps` gets norm 1 all the same, as it is scaled by a power of
    two before (PyTorch's becomes infinite); a vector is then divided by `eps`, as in PyTorch.

    Where :math:`\sigma` is zero for a weight that is not, as may be after an assignment, u and v are
    found anew, as on registration; PyTorch's weight becomes infinite or NaN, and stays so. So are, in
    evaluation mode, vectors of norms off 1 by more than 0.01, as averages of state dicts have them:
    what they estimate is too small, and PyTorch's weight too large. (In training mode an iteration
    normalises them.)

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
    weight = tensor_named(module, name)
    if input_size is not None:
        return register_parametrization(module, name, ConvolutionSpectralNorm(
            module, name, n_power_iterations, eps, dim, input_size, rng))
    if dim is None:
        dim = 1 if getattr(module, "transposed", False) else 0  # transposed convolutions say so
    parametrization = _SpectralNorm(weight, n_power_iterations, dim, eps, rng=rng)
    return register_parametrization(module, name, parametrization)


class _SpectralNorm(SingularVectors):
    def __init__(self, weight: Any, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12, *,
                 rng: Any = None):
        super().__init__(n_power_iterations, eps)
        ndim = weight.ndim
        if not -ndim <= as_int("dim", dim) < ndim:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got "
                f"{dim})"
            )
        self.dim = dim % ndim
        if ndim > 1:
            u, v = self._found(self._as_matrix(stop_gradient(weight)), rng)
            self.register_buffer("_u", u)
            self.register_buffer("_v", v)

    def forward(self, weight: Any) -> Any:
        if weight.ndim == 1:
            return _normalize(weight, self.eps)
        if weight.ndim == 0 or not self._buffers:
            before = "more dimensions" if self._buffers else "one dimension"
            raise ValueError(f"the tensor had {before} when spectral_norm was registered, got shape "
                             f"{weight.shape}")
        return self._from_matrix(self._normalized(self._as_matrix(weight)), weight.shape)

    def _start(self, W: Any, rng: Any) -> tuple[Any, Any]:
        return unit_vector(W.shape[0], W.dtype, rng), unit_vector(W.shape[1], W.dtype, rng)

    def _iterate(self, W: Any, u: Any, v: Any, n_power_iterations: int) -> tuple[Any, Any]:
        return core.power_iteration(W, u, v, n_power_iterations, self.eps)

    def _divide(self, W: Any, u: Any, v: Any) -> Any:
        return gradients.spectral_normalize(W, u, v)

    def _as_matrix(self, weight: Any) -> Any:
        W = moveaxis(weight, self.dim, 0) if self.dim else weight
        W = W if W.ndim == 2 else reshape(W, (W.shape[0], math.prod(W.shape[1:])))
        # If the first row has a usual size, W is left as it is: this spares a pass over all of it.
        return W if power_of_two(stop_gradient(W)[:1]) is None else to_usual_scale(W)

    def _from_matrix(self, W: Any, shape: tuple[int, ...]) -> Any:
        others = shape[:self.dim] + shape[self.dim + 1:]
        W = W if W.ndim == len(shape) else reshape(W, (shape[self.dim], *others))
        return moveaxis(W, 0, self.dim) if self.dim else W


def _normalize(x: Any, eps: float) -> Any:
    c = power_of_two(stop_gradient(x))
    X = x if c is None else x / c
    norm = np.sqrt(np.sum(np.real(X * np.conj(X))))
    return X / norm if stop_gradient(norm) * float(c or 1) > eps else x / eps
