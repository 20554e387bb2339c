"""PyTorch's functions as the judge takes them.

    python -m orthonorm conformance judge tests/live/conformance/in_pytorch.py
"""
import functools

import torch
from torch.nn.utils import parametrizations

torch.set_num_threads(1)
ORTHOGONAL = parametrizations._OrthMaps


def tensors(function):
    """Let a function of tensors take and return arrays; numbers stay."""
    @functools.wraps(function)
    def of_arrays(*arguments):
        given = [torch.from_numpy(x.copy()) if hasattr(x, "dtype") else x for x in arguments]
        result = function(*given)
        many = isinstance(result, tuple)
        results = [x.detach().resolve_conj().numpy() for x in (result if many else [result])]
        return tuple(results) if many else results[0]
    return of_arrays


def orthogonal(name):
    """Return the map as torch.nn.utils.parametrizations.orthogonal computes it, without a base."""
    def value(X):
        # PyTorch's class looks at the shape of a weight, for the base that is not used here
        return parametrizations._Orthogonal(X, ORTHOGONAL[name], use_trivialization=False)(X)
    return value


def with_base(f):
    def value(base, X):
        n, k = X.shape[-2:]
        return base @ f(X) if n >= k else (base @ f(X).mT).mT
    return value


def vjp(f, varied=0):
    """Return the gradient in one of the arguments before G."""
    def gradient(*arguments):
        *point, G = arguments
        x = point[varied].requires_grad_()
        return torch.autograd.grad(f(*point), x, G)[0]
    return gradient


def jvp(f):
    return lambda X, dX: torch.func.jvp(f, (X,), (dX,))[1]


def hvp(f):
    """Return the derivative of the gradient along dX: of <gradient, c>, in c, applied to dX."""
    def derivative(X, G, dX):
        X.requires_grad_()
        gradient = torch.autograd.grad(f(X), X, G, create_graph=True)[0]
        c = torch.zeros_like(gradient, requires_grad=True)
        if not gradient.requires_grad:
            return torch.zeros_like(X)
        adjoint = torch.autograd.grad(gradient, X, c, create_graph=True, allow_unused=True)[0]
        if adjoint is None or not adjoint.requires_grad:
            return torch.zeros_like(X)
        return torch.autograd.grad(adjoint, c, dX)[0]
    return derivative


for name in ("matrix_exp", "cayley", "householder"):
    f = orthogonal(name)
    globals().update({key: tensors(function) for key, function in {
        name: f, f"{name}_vjp": vjp(f), f"{name}_jvp": jvp(f), f"{name}_hvp": hvp(f),
        f"{name}_with_base": with_base(f), f"{name}_with_base_vjp": vjp(with_base(f), varied=1),
    }.items()})

expm = tensors(torch.linalg.matrix_exp)
expm_vjp = tensors(vjp(torch.linalg.matrix_exp))
expm_frechet = tensors(jvp(torch.linalg.matrix_exp))
orthonormalize = tensors(lambda A: parametrizations._make_orthogonal(A) if A.shape[-2] >= A.shape[-1]
                         else parametrizations._make_orthogonal(A.mT).mT)


@tensors
def householder_inverse(Q):
    module = parametrizations._Orthogonal(Q, ORTHOGONAL.householder, use_trivialization=False)
    return module.right_inverse(Q)


def power(W, u, v, n_power_iterations, eps):
    """Iterate as torch.nn.utils.parametrizations.spectral_norm does at each reading."""
    norm = parametrizations._SpectralNorm(W, 1, 0, eps)
    norm._u, norm._v = u, v
    norm._power_method(W, n_power_iterations)
    return norm._u, norm._v


def normalize(W, u, v):
    norm = parametrizations._SpectralNorm(W, 1, 0).eval()
    norm._u, norm._v = u, v
    return norm(W)


def lengths(g, v, dim):
    return parametrizations._WeightNorm(dim).forward(g, v)


power_iteration, spectral_normalize, weight_norm = tensors(power), tensors(normalize), tensors(lengths)
spectral_normalize_vjp = tensors(vjp(normalize))


@tensors
def weight_norm_vjp(g, v, dim, G):
    g.requires_grad_(), v.requires_grad_()
    return torch.autograd.grad(lengths(g, v, dim), (g, v), G)
