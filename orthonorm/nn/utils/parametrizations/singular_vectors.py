"""The leading singular vectors that spectral normalisation carries along."""
import operator
from typing import Any

import numpy as np

from ....core.matrices import check_finite
from ....core.spectral import ZeroEstimate
from ....gradients import stop_gradient
from ...functional.arrays import as_int
from ...module import Module
from ...parameter import scope

ITERATIONS_AT_THE_START = 15  # as in PyTorch
BOTH = operator.itemgetter("_u", "_v")
TOLERANCE = 0.01  # of a norm of 1: one of vectors that were kept in bfloat16 is off by 0.004


class SingularVectors(Module):
    """The buffers ``_u`` and ``_v``, and when they move. Their subclasses say of which linear map.

    They move by `n_power_iterations` at each reading in training mode. Where that does not help they
    are found anew, as on registration: in evaluation mode where they are not of norm 1, as averages of
    state dicts are not; in both modes where they estimate the norm of a weight that is not zero as
    zero. What is found in evaluation mode is used, and not kept.

    Parameters
    ----------
    n_power_iterations : int
    eps : float
        Norms smaller than this are replaced by it.
    """

    _u: Any
    _v: Any

    def __init__(self, n_power_iterations: int, eps: float):
        super().__init__()
        if as_int("n_power_iterations", n_power_iterations) <= 0:
            raise ValueError("Expected n_power_iterations to be positive, but got "
                             f"n_power_iterations={n_power_iterations}")
        self.n_power_iterations, self.eps = n_power_iterations, eps

    def _start(self, W: Any, rng: Any) -> tuple[Any, Any]:
        """Draw unit vectors u and v."""
        raise NotImplementedError

    def _iterate(self, W: Any, u: Any, v: Any, n_power_iterations: int) -> tuple[Any, Any]:
        raise NotImplementedError

    def _divide(self, W: Any, u: Any, v: Any) -> Any:
        """Divide by u^H (W v), or raise ZeroEstimate."""
        raise NotImplementedError

    def _found(self, W: Any, rng: Any) -> tuple[Any, Any]:
        """Find u and v from a random start."""
        return self._iterate(W, *self._start(W, np.random.default_rng(rng)), ITERATIONS_AT_THE_START)

    def _normalized(self, W: Any) -> Any:
        """Divide by the estimate, after the iterations of training mode."""
        value, u, v = map(stop_gradient, (W, *self._vectors()))
        if self.training:
            u, v = self._iterate(value, u, v, self.n_power_iterations)
        elif not (is_unit(u) and is_unit(v)):
            u, v = self._found(value, rng=0)
        try:
            weight = self._divide(W, u, v)
        except ZeroEstimate:
            u, v = self._found(value, rng=0)
            weight = self._divide(W, u, v)
        if self.training:
            self._keep(u, v)
        return weight

    def _vectors(self) -> tuple[Any, Any]:
        # Both at once, as they are kept: another thread may move them in between.
        return (self._u, self._v) if self._substituted() else BOTH(self._buffers)

    def _keep(self, u: Any, v: Any) -> None:
        if self._substituted():
            self._u, self._v = u, v
        else:
            self._buffers.update(_u=u, _v=v)

    def _substituted(self) -> bool:
        return (self, "_u") in scope.substitutes or (self, "_v") in scope.substitutes

    def right_inverse(self, value: Any) -> Any:
        return check_finite(value, "the weight")

    def _loaded(self, name: str, key: str, value: Any) -> Any:
        return check_finite(super()._loaded(name, key, value), key)


def is_unit(x: np.ndarray) -> bool:
    """Tell whether the norm is 1, as far as half precision can tell."""
    return not x.size or abs(np.vdot(x, x).real - 1) <= 2 * TOLERANCE
