"""Adam and AdamW."""
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .optimizer import Optimizer, check_not_negative, number, towards


class Adam(Optimizer):
    r"""Adam: steps of even length in every coordinate, by averages of the gradient and its square.

    Parameters
    ----------
    named_parameters : iterable of (str, Parameter), or of dict
        See :class:`Optimizer`.
    lr : float
        The step size :math:`\gamma`.
    betas : pair of float
        :math:`\beta_1, \beta_2`: how much of the averages is kept at each step.
    eps : float
        :math:`\epsilon`: keeps the division from zero.
    weight_decay : float
        :math:`\lambda`: adds the gradient of :math:`\lambda \|x\|^2 / 2`.
    amsgrad : bool
        Whether to divide by the largest average of squares so far [2]_.
    maximize : bool
        Whether to climb instead.
    decoupled_weight_decay : bool
        Whether to shrink x by the factor :math:`1 - \gamma \lambda` instead, which keeps the decay out
        of the averages: this is :class:`AdamW`.

    Raises
    ------
    TypeError, ValueError
        See :class:`Optimizer`.

    Notes
    -----
    In step t, with the gradient g, its sign turned to maximise,

    .. math::

        g &\leftarrow g + \lambda x \\
        m &\leftarrow \beta_1 m + (1 - \beta_1) g \\
        v &\leftarrow \beta_2 v + (1 - \beta_2) g^2 \\
        x &\leftarrow x - \frac{\gamma}{1 - \beta_1^t} \,
            \frac{m}{\sqrt{v} / \sqrt{1 - \beta_2^t} + \epsilon}.

    Of a complex parameter, real and imaginary part have averages of their own, as in PyTorch.

    References
    ----------
    .. [1] D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    .. [2] S. J. Reddi, S. Kale, S. Kumar, "On the convergence of Adam and beyond", ICLR 2018.

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from orthonorm import func, nn
    >>> layer = nn.Linear(1, 1, bias=False)
    >>> optimizer = Adam(layer.named_parameters(), lr=0.1)
    >>> step = func.value_and_grad(lambda x: np.sum((layer(x) - 3 * x) ** 2), layer)
    >>> for _ in range(500):
    ...     loss, grads = step(np.array([1.0]))
    ...     optimizer.step(grads)
    >>> print(layer.weight.round(4))
    [[3.]]
    """

    _slots = ("step", "exp_avg", "exp_avg_sq")
    _optional_slots = ("max_exp_avg_sq",)

    def __init__(self, named_parameters: Iterable[Any], lr: float = 1e-3,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 0, amsgrad: bool = False, *, maximize: bool = False,
                 decoupled_weight_decay: bool = False):
        super().__init__(named_parameters, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay})

    def _check_options(self, options: Mapping[str, Any]) -> None:
        check_not_negative(options, lr="learning rate", eps="epsilon value",
                           weight_decay="weight_decay value")
        if np.shape(options["betas"]) != (2,):
            raise ValueError(f"betas must be a pair of numbers, got {options['betas']!r}")
        for i, beta in enumerate(options["betas"]):
            if not 0 <= number("betas", beta) < 1:
                raise ValueError(f"Invalid beta parameter at index {i}: {beta}")

    def _update(self, x: np.ndarray, g: np.ndarray, state: dict[str, Any],
                options: Mapping[str, Any]) -> np.ndarray:
        lr, eps, weight_decay = (float(options[name]) for name in ("lr", "eps", "weight_decay"))
        beta1, beta2 = map(float, options["betas"])
        if options["maximize"]:
            g = -g
        if weight_decay and options["decoupled_weight_decay"]:
            x = x * (1 - lr * weight_decay)
        elif weight_decay:
            g = g + weight_decay * x
        if not state:
            state |= {"step": 0, "exp_avg": np.zeros_like(x), "exp_avg_sq": np.zeros_like(x)}
        t = state["step"] = state["step"] + 1
        m = state["exp_avg"] = towards(g, state["exp_avg"], 1 - beta1)
        v = state["exp_avg_sq"] = beta2 * state["exp_avg_sq"] + (1 - beta2) * g * g
        if options["amsgrad"]:
            v = state["max_exp_avg_sq"] = np.maximum(state.get("max_exp_avg_sq", v), v)
        root = np.sqrt(v) / (1 - beta2 ** t) ** 0.5
        return x - lr / (1 - beta1 ** t) * m / (root + eps)


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters themselves, apart from the gradient.

    Parameters
    ----------
    named_parameters, lr, betas, eps, weight_decay, amsgrad, maximize
        Those of :class:`Adam`, where the formula is too.

    References
    ----------
    .. [1] I. Loshchilov, F. Hutter, "Decoupled weight decay regularization", ICLR 2019.

    Examples
    --------
    >>> from orthonorm import nn
    >>> parameter = nn.Parameter(np.array([1.0, 2.0]))
    >>> AdamW([("x", parameter)], lr=0.1, weight_decay=0.5).step({"x": np.zeros(2)})
    >>> parameter.data
    array([0.95, 1.9 ])
    """

    def __init__(self, named_parameters: Iterable[Any], lr: float = 1e-3,
                 betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8,
                 weight_decay: float = 1e-2, amsgrad: bool = False, *, maximize: bool = False):
        super().__init__(named_parameters, lr, betas, eps, weight_decay, amsgrad, maximize=maximize,
                         decoupled_weight_decay=True)
