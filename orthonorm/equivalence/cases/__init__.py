"""What is compared with PyTorch: families of cases, each a program with options and inputs."""
from collections.abc import Iterator

from .case import Case
from .functions import function_cases
from .layers import layer_cases
from .optimizers import optimizer_cases
from .parametrizations import parametrization_cases

__all__ = ["Case", "all_cases"]


def all_cases() -> Iterator[Case]:
    """Yield every case of every family."""
    yield from parametrization_cases()
    yield from layer_cases()
    yield from function_cases()
    yield from optimizer_cases()
