"""What "nothing has changed" means: a picture of a module that shows every bit of its state."""


def bits(array):
    return None if array is None else (array.dtype, array.shape, array.tobytes())


def snapshot(module):
    """List the class, identity, mode, parameters, buffers and children of a module and all below."""
    return [(path, id(part), type(part), part.training, list(part._modules),
             {name: p and (id(p), p.requires_grad, bits(p._data))
              for name, p in part._parameters.items()},
             {name: bits(b) for name, b in part._buffers.items()})
            for path, part in module.named_modules(remove_duplicate=False)]
