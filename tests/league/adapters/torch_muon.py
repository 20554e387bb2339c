"""torch.optim.Muon: its orthogonalised update is read off one step from zero, in bfloat16."""

import torch

from tests.league.with_torch import array, tensors


def newton_schulz(A, coefficients, steps, eps=1e-7):
    (A,) = tensors(A)
    coefficients = torch.tensor(coefficients).reshape(-1, 3)
    if A.is_complex() or A.ndim != 2 or len(set(map(tuple, coefficients.tolist()))) != 1:
        raise NotImplementedError("real matrices, one at a time; one triple for all steps")
    weight = torch.nn.Parameter(torch.zeros_like(A))
    weight.grad = A
    torch.optim.Muon(
        [weight],
        lr=1,
        weight_decay=0,
        momentum=0,
        nesterov=False,
        eps=eps,
        ns_steps=steps,
        ns_coefficients=tuple(coefficients[0].tolist()),
    ).step()
    return array(-weight / max(1, A.shape[0] / A.shape[1]) ** 0.5)
