"""Putting a model and its optimiser back as they were before a step that failed."""
import torch


class Kept:
    """The state of a model and its optimiser: cheaper than a copy, and all keeps its identity."""

    def __init__(self, model, optimizer):
        self.parts = [(part, type(part), {name: _copied(value) for name, value in vars(part).items()})
                      for part in model.modules()]
        # PyTorch's parametrized tensors are properties of a class that the module has for itself.
        self.properties = [(type(part), {**_properties(type(part))}) for part in model.modules()]
        tensors = {id(x): x for part in model.modules()
                   for x in (*part._parameters.values(), *part._buffers.values()) if x is not None}
        self.tensors = [(x, _content(x)) for x in tensors.values()]
        self.optimizer = optimizer
        if optimizer is not None:
            self.state = {p: _contents(slots) for p, slots in optimizer.state.items()}
            self.groups = [_options(group) for group in optimizer.param_groups]

    def put_back(self):
        for part, cls, attributes in self.parts:
            part.__class__ = cls
            vars(part).clear()
            vars(part).update(attributes)
        for cls, properties in self.properties:
            for name in _properties(cls).keys() - properties.keys():
                delattr(cls, name)
            for name in properties.keys() - _properties(cls).keys():
                setattr(cls, name, properties[name])
        for x, content in self.tensors:
            _fill(x, content)
        if self.optimizer is not None:
            self.optimizer.state.clear()
            self.optimizer.state.update(self.state)
            self.optimizer.param_groups[:] = self.groups


def _copied(value):
    return value.copy() if isinstance(value, (dict, set, list)) else value


def _properties(cls):
    return {name: value for name, value in vars(cls).items() if isinstance(value, property)}


def _options(group):
    return {name: _copied(value) for name, value in group.items()}


def _contents(slots):
    return {slot: value.clone() if isinstance(value, torch.Tensor) else value
            for slot, value in slots.items()}


def _content(x):
    """Return what is in a tensor, Parameter or array; orthonorm writes into no array."""
    if isinstance(x, torch.Tensor):
        return x.detach().clone(), x.requires_grad
    return (x._data, x.requires_grad) if hasattr(x, "_data") else None


def _fill(x, content):
    if isinstance(x, torch.Tensor):
        x.data, x.grad = content[0], None
        x.requires_grad_(content[1])
    elif content is not None:
        x._hold(content[0])
        x.requires_grad_(content[1])
