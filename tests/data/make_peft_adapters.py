"""Make peft_adapters.safetensors with PEFT 0.21.2: what it saves of adapters, the weights it merges.

Needs peft and PyTorch: ``python tests/data/make_peft_adapters.py``.
"""
import json
from pathlib import Path

import peft
import torch
from safetensors.torch import load_file, save_file

FILE = Path(__file__).with_name("peft_adapters.safetensors")
RANDOM = {"init_weights": False}
EXACT = {"use_cayley_neumann": False}
CASES = {
    "OFT exact": peft.OFTConfig(target_modules=["a", "b"], oft_block_size=4, r=0, **EXACT, **RANDOM),
    "OFT series": peft.OFTConfig(target_modules=["a", "b"], oft_block_size=4, r=0, **RANDOM),
    "OFT series, 3 terms": peft.OFTConfig(target_modules=["a"], oft_block_size=4, r=0,
                                          num_cayley_neumann_terms=3, **RANDOM),
    "OFT series, 4 terms": peft.OFTConfig(target_modules=["a"], oft_block_size=4, r=0,
                                          num_cayley_neumann_terms=4, **RANDOM),
    "OFT series, 8 terms": peft.OFTConfig(target_modules=["a"], oft_block_size=4, r=0,
                                          num_cayley_neumann_terms=8, **RANDOM),
    "BOFT": peft.BOFTConfig(target_modules=["a"], boft_block_size=4, **RANDOM),
    "HRA": peft.HRAConfig(target_modules=["a", "b"], r=4, **RANDOM),
    "HRA GS": peft.HRAConfig(target_modules=["a"], r=4, apply_GS=True, **RANDOM),
    "PSOFT exact": peft.PsoftConfig(target_modules=["a", "b"], r=4, **EXACT, **RANDOM),
    "PSOFT series": peft.PsoftConfig(target_modules=["a"], r=4, use_cayley_neumann=True, **RANDOM),
    "PSOFT series, limited": peft.PsoftConfig(target_modules=["a"], r=4, use_cayley_neumann=True,
                                              cayley_neumann_eps=0.2, **RANDOM),
}


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Linear(12, 8), torch.nn.Linear(8, 6)

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


def main(folder="/tmp/peft_adapters"):
    torch.manual_seed(0)
    tensors, configs = {}, {}
    for case, config in CASES.items():
        model = peft.get_peft_model(Model(), config)
        model.save_pretrained(folder)
        for key, value in load_file(f"{folder}/adapter_model.safetensors").items():
            tensors[f"{case}/adapter/{key}"] = value
        configs[case] = json.loads(Path(folder, "adapter_config.json").read_text())
        for name in config.target_modules:
            layer = getattr(model.base_model.model, name)
            tensors[f"{case}/weight/{name}"] = layer.get_base_layer().weight.data.clone()
            if case.startswith("PSOFT"):  # merges B (R - I) A; R without its scales
                rotation = layer.psoft_R["default"]
                tensors[f"{case}/rotation/{name}"] = rotation.get_matrix().detach().clone()
        merged = model.merge_and_unload()
        for name in config.target_modules:
            tensors[f"{case}/merged/{name}"] = getattr(merged, name).weight.data.clone()
    save_file({key: value.contiguous() for key, value in tensors.items()}, FILE,
              {"configs": json.dumps(configs, default=list), "peft": peft.__version__})


if __name__ == "__main__":
    main()
