"""Gradient descent with momentum."""
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .optimizer import Optimizer, check_not_negative, number


class SGD(Optimizer):
    r"""Gradient descent, with momentum if asked for.

    Parameters
    ----------
    named_parameters : iterable of (str, Parameter), or of dict
        See :class:`Optimizer`.
    lr : float
        The step size :math:`\gamma`.
    momentum : float
        :math:`\mu`: how much of the last step's direction is kept.
    dampening : float
        :math:`\tau`: how much is taken off the gradients that are added to it.
    weight_decay : float
        :math:`\lambda`: adds the gradient of :math:`\lambda \|x\|^2 / 2`.
    nesterov : bool
        Whether to look ahead, as Nesterov's momentum does.
    maximize : bool
        Whether to climb instead.

    Raises
    ------
    TypeError, ValueError
        See :class:`Optimizer`; and if `nesterov` comes without momentum or with dampening.

    Notes
    -----
    With the gradient g, its sign turned to maximise, a step is

    .. math::

        g &\leftarrow g + \lambda x \\
        b &\leftarrow \mu b + (1 - \tau) g \quad (b = g \text{ in the first step}) \\
        x &\leftarrow x - \gamma \, b
            \quad \text{or, with Nesterov's momentum, } x - \gamma \, (g + \mu b).

    References
    ----------
    .. [1] I. Sutskever, J. Martens, G. Dahl, G. Hinton, "On the importance of initialization and
       momentum in deep learning", ICML 2013. (There :math:`\gamma` is inside b.)

    Examples
    --------
    >>> import autograd.numpy as np
    >>> from orthonorm import func, nn
    >>> layer = nn.Linear(1, 1, bias=False)
    >>> optimizer = SGD(layer.named_parameters(), lr=0.1, momentum=0.5)
    >>> step = func.value_and_grad(lambda x: np.sum((layer(x) - 3 * x) ** 2), layer)
    >>> for _ in range(40):
    ...     loss, grads = step(np.array([1.0]))
    ...     optimizer.step(grads)
    >>> print(layer.weight.round(4))
    [[3.]]
    """

    _optional_slots = ("momentum_buffer",)

    def __init__(self, named_parameters: Iterable[Any], lr: float = 1e-3, momentum: float = 0,
                 dampening: float = 0, weight_decay: float = 0, nesterov: bool = False, *,
                 maximize: bool = False):
        super().__init__(named_parameters, {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize})

    def _check_options(self, options: Mapping[str, Any]) -> None:
        check_not_negative(options, lr="learning rate", momentum="momentum value",
                           weight_decay="weight_decay value")
        number("dampening", options["dampening"])
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")

    def _update(self, x: np.ndarray, g: np.ndarray, state: dict[str, Any],
                options: Mapping[str, Any]) -> np.ndarray:
        lr, momentum, dampening, weight_decay = (
            float(options[name]) for name in ("lr", "momentum", "dampening", "weight_decay"))
        if options["maximize"]:
            g = -g
        if weight_decay:
            g = g + weight_decay * x
        if momentum:
            b = state.get("momentum_buffer")
            b = g.copy() if b is None else momentum * b + (1 - dampening) * g
            state["momentum_buffer"] = b
            g = g + momentum * b if options["nesterov"] else b
        return x - lr * g
