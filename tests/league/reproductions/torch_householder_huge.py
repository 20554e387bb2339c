import torch

layer = torch.nn.Module()
layer.weight = torch.nn.Parameter(torch.eye(3, 2))
torch.nn.utils.parametrizations.orthogonal(layer, use_trivialization=False)
with torch.no_grad():
    layer.parametrizations.weight.original.mul_(1e20)
print("W^T W:", (layer.weight.T @ layer.weight).tolist(), "exact: the identity")
