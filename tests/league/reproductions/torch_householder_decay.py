import torch

layer = torch.nn.utils.parametrizations.orthogonal(torch.nn.Linear(2, 3))
optimizer = torch.optim.AdamW(layer.parameters())
layer(torch.ones(1, 2)).sum().mul(0).backward()
optimizer.step()
print(
    "weight after one step with a zero gradient:",
    layer.weight.tolist(),
    "exact: orthonormal columns",
)
