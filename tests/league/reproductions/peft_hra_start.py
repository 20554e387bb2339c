import torch
from peft import HRAConfig, get_peft_model

layer = torch.nn.Sequential(torch.nn.Linear(8, 8))
x = torch.ones(1, 8)
before = layer(x)
for gram_schmidt in False, True:
    torch.manual_seed(0)
    model = get_peft_model(
        torch.nn.Sequential(layer[0]), HRAConfig(r=4, apply_GS=gram_schmidt, target_modules=["0"])
    )
    change = (model(x) - before).abs().max().item()
    print(f"apply_GS={gram_schmidt}: change of the output {change:.2g}, exact 0")
