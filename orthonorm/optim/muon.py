"""Muon: momentum, orthogonalised."""
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .. import core
from ..core.coefficients import as_triples
from ..nn.functional.arrays import as_int
from ..nn.parameter import Parameter
from .optimizer import Optimizer, check_not_negative, towards


class Muon(Optimizer):
    r"""Gradient descent with momentum, each step brought near an orthogonal matrix.

    For the matrices inside a network; biases, embeddings and last layers have another optimiser.

    Parameters
    ----------
    named_parameters : iterable of (str, Parameter), or of dict
        See :class:`Optimizer`. All of them real matrices.
    lr : float
        The step size :math:`\gamma`.
    weight_decay : float
        :math:`\lambda`: shrinks the matrix by the factor :math:`1 - \gamma \lambda`.
    momentum : float
        :math:`\mu`: how much of the average of gradients is kept at each step.
    nesterov : bool
        Whether to look ahead, as Nesterov's momentum does.
    ns_coefficients : triple of float, or sequence of triples
        The polynomial of the Newton-Schulz iteration, or one for each step, which PyTorch 2.13 does not
        take: see :func:`orthonorm.core.newton_schulz_coefficients`. Default: Jordan's.
    eps : float
        What is divided by is at least this.
    ns_steps : int
        How many steps the iteration takes.
    adjust_lr_fn : {None, "original", "match_rms_adamw"}
        How the step size depends on the shape. None is "original".
    precision : {None, "bfloat16"}
        In what the iteration is computed: the parameter's own precision, or as PyTorch does on a CPU,
        each product rounded to bfloat16. This needs the package ml_dtypes.

    Raises
    ------
    TypeError, ValueError
        See :class:`Optimizer`; and if a parameter is not a matrix, an option is unknown, or
        `ns_coefficients` are not a triple or one for each of `ns_steps`.
    RuntimeError
        In a step, if a parameter is complex.
    ImportError
        If `precision` is "bfloat16", and ml_dtypes is not installed.

    Notes
    -----
    With the gradient g of an n x k matrix x, a step is

    .. math::

        b &\leftarrow \mu b + (1 - \mu) g \quad (b = 0 \text{ before the first step}) \\
        u &= \operatorname{NS}((1 - \mu) g + \mu b) \quad \text{or, without Nesterov's momentum, }
            \operatorname{NS}(b) \\
        x &\leftarrow (1 - \gamma \lambda)\, x - \gamma \alpha\, u,
            \qquad \alpha = \sqrt{\max(1, n / k)} \text{ or } 0.2 \sqrt{\max(n, k)},

    NS being :func:`orthonorm.core.newton_schulz`. PyTorch computes it in bfloat16 whatever the dtype
    of x: its steps differ from these by one to a few hundredths. Jordan's coefficients leave the
    singular values of u between 0.68 and 1.13 if those of its argument, divided by its norm, are at
    least 0.01.

    A stack of matrices, such as the kernel of a convolution, is not a matrix: PyTorch refuses it, and
    so does this. Give each matrix a parameter of its own. A kernel of shape (out, in, h, w) is usually
    taken as the matrix (out, in h w). The projections of all heads of an attention layer, of shape
    (heads d, n), are one matrix here; each head alone would take other steps, those of
    ``core.newton_schulz(G.reshape(heads, d, n), ...)``: it treats the matrices of a stack apart.

    References
    ----------
    .. [1] K. Jordan, Y. Jin, V. Boza, J. You, F. Cesista, L. Newhouse, J. Bernstein, "Muon: an
       optimizer for hidden layers in neural networks", 2024, kellerjordan.github.io/posts/muon.
    .. [2] J. Liu et al., "Muon is scalable for LLM training", 2025, arXiv:2502.16982:
       "match_rms_adamw".

    Examples
    --------
    The first step has the length `lr` in all directions:

    >>> from orthonorm import nn
    >>> parameter = nn.Parameter(np.zeros((2, 2)))
    >>> optimizer = Muon([("x", parameter)], lr=0.1, ns_coefficients=(15 / 8, -10 / 8, 3 / 8))
    >>> optimizer.step({"x": np.array([[300.0, -80.0], [400.0, 60.0]])})
    >>> print(parameter.data.round(3))
    [[-0.06  0.08]
     [-0.08 -0.06]]
    """

    _slots = ("momentum_buffer",)

    def __init__(self, named_parameters: Iterable[Any], lr: float = 1e-3, weight_decay: float = 0.1,
                 momentum: float = 0.95, nesterov: bool = True,
                 ns_coefficients: Any = (3.4445, -4.7750, 2.0315), eps: float = 1e-7,
                 ns_steps: int = 5, adjust_lr_fn: str | None = None, *, precision: str | None = None):
        super().__init__(named_parameters, {
            "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov,
            "ns_coefficients": ns_coefficients, "eps": eps, "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn, "precision": precision})

    def _check_parameter(self, name: str, parameter: Parameter) -> None:
        if len(parameter.shape) != 2:
            raise ValueError("Muon only supports 2D parameters whereas we found a parameter with size: "
                             f"{parameter.shape} ({name!r})")

    def _check_options(self, options: Mapping[str, Any]) -> None:
        check_not_negative(options, lr="learning rate", weight_decay="weight_decay value",
                           momentum="momentum value", eps="epsilon value")
        as_triples(options["ns_coefficients"], as_int("ns_steps", options["ns_steps"]))
        if options["adjust_lr_fn"] not in (None, "original", "match_rms_adamw"):
            raise ValueError(
                f"Adjust learning rate function {options['adjust_lr_fn']} is not supported")
        if options["precision"] == "bfloat16":
            _bfloat16()
        elif options["precision"] is not None:
            raise ValueError(f'precision must be None or "bfloat16", got {options["precision"]!r}')

    def _update(self, x: np.ndarray, g: np.ndarray, state: dict[str, Any],
                options: Mapping[str, Any]) -> np.ndarray:
        if x.ndim > 2:
            raise RuntimeError("Muon does not support complex parameters")
        lr, weight_decay, momentum, eps = (
            float(options[name]) for name in ("lr", "weight_decay", "momentum", "eps"))
        b = state["momentum_buffer"] = towards(
            g, state.get("momentum_buffer", np.zeros_like(x)), 1 - momentum)
        u = towards(b, g, momentum) if options["nesterov"] else b
        rounded = options["precision"] == "bfloat16"
        newton_schulz = _newton_schulz_bfloat16 if rounded else core.newton_schulz
        u = newton_schulz(u, options["ns_coefficients"], options["ns_steps"], eps)
        n, k = x.shape
        if options["adjust_lr_fn"] == "match_rms_adamw":
            alpha = 0.2 * math.sqrt(max(n, k))
        else:
            alpha = math.sqrt(max(1, n / max(k, 1)))
        return x * (1 - lr * weight_decay) - lr * alpha * u.astype(x.dtype)


def _bfloat16() -> Any:
    try:
        import ml_dtypes
    except ImportError:
        raise ImportError('precision="bfloat16" needs the package ml_dtypes: '
                          "pip install orthonorm[muon]") from None
    return ml_dtypes.bfloat16


def _newton_schulz_bfloat16(A: np.ndarray, coefficients: Any, steps: int, eps: float) -> np.ndarray:
    """Iterate as PyTorch does: sums in single precision, every array rounded to bfloat16."""
    def rounded(X: Any) -> np.ndarray:
        return np.asarray(X).astype(_bfloat16()).astype(np.float32)

    n, k = A.shape
    X = rounded(A.T if n > k else A)
    X = rounded(X / np.maximum(rounded(np.linalg.norm(X)), rounded(eps)))
    for a, b, c in as_triples(coefficients, steps):
        G = rounded(X @ X.T)
        M = rounded(b * G + c * (G @ G))
        X = rounded(a * X + M @ X)
    return X.T if n > k else X
