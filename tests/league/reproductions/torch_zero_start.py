import torch

layer = torch.nn.Linear(2, 3)
torch.nn.init.zeros_(layer.weight)
torch.nn.utils.parametrizations.orthogonal(layer)
print("W^T W:", (layer.weight.T @ layer.weight).tolist(), "exact: the identity")
