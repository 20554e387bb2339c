"""What the adapters of PyTorch packages share: arrays in and out, and autograd's derivatives."""

import torch


def tensors(*arrays):
    return [torch.tensor(A) for A in arrays]


def array(X):
    return X.detach().resolve_conj().numpy()


def vjp(f, X, G):
    X, G = tensors(X, G)
    return array(torch.autograd.grad(f(X.requires_grad_()), X, G)[0])


def jvp(f, X, dX):
    return array(torch.func.jvp(f, tuple(tensors(X)), tuple(tensors(dX)))[1])


def hvp(f, X, G, dX):
    """Differentiate the vjp along dX: the gradient of its inner product with dX."""
    X, G, dX = tensors(X, G, dX)
    (gradient,) = torch.autograd.grad(f(X.requires_grad_()), X, G, create_graph=True)
    return array(torch.autograd.grad(torch.sum(gradient * dX.conj()).real, X)[0])


def map_operations(name, f):
    """Return the operations of a map f(X) of a tensor: the value and three derivatives."""
    return {
        name: lambda X: array(f(*tensors(X))),
        f"{name}_vjp": lambda X, G: vjp(f, X, G),
        f"{name}_jvp": lambda X, dX: jvp(f, X, dX),
        f"{name}_hvp": lambda X, G, dX: hvp(f, X, G, dX),
    }


def base_operations(name, f):
    """Return the operations of a map f(base, X) with a base."""
    return {
        f"{name}_with_base": lambda base, X: array(f(*tensors(base, X))),
        f"{name}_with_base_vjp": lambda base, X, G: vjp(lambda X: f(*tensors(base), X), X, G),
    }
