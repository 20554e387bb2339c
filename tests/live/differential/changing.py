"""Rules: registering, removing, transferring, assigning, tying, freezing, modes and dtypes."""
import copy

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from .compare import TOLERANCE
from .layers import COMPLEX, LAYERS, normal
from .pair import Pair, booleans, seeds, tensors
from .sides import OURS

own_names = st.sampled_from(sorted(OURS.own))
kinds_of_layers = st.sampled_from(sorted(LAYERS))


class Changing(Pair):

    # -- building --------------------------------------------------------------------------------------

    @initialize(kinds=st.lists(kinds_of_layers, min_size=1, max_size=2),
                dtype=st.sampled_from(["float64", "float64", "float64", "float32", "complex128"]))
    def layers(self, kinds, dtype):
        self.dtype = dtype
        for kind in kinds:
            self.add_if_possible(kind)

    @rule(kind=kinds_of_layers)
    def another_layer(self, kind):
        if len(self.kinds) < 3:
            self.add_if_possible(kind)

    def add_if_possible(self, kind):
        self.add(kind if self.dtype != "complex128" or kind in COMPLEX else "Linear 4x2")

    # -- registering and removing ----------------------------------------------------------------------

    def register(self, what, action):
        self.copied_if(self.both(what, action, drawn=True), what)

    @rule(data=st.data(), name=tensors, unsafe=booleans, own=own_names)
    def register_own(self, data, name, unsafe, own):
        part = self.part(data)
        name = self.tensor(part, name)
        unsafe = unsafe and own != "OtherDtype"  # NumPy promotes, and PyTorch's layers refuse
        if self.recurrent(part) and own in ("FirstRow", "OtherShapeBack"):
            unsafe = False
        if own == "Product" and self.is_shared(part, name):
            return  # PyTorch's first original has the memory of the other weight
        self.register(f"register {own} on {part}.{name}, unsafe={unsafe}", lambda side, model: (
            side.parametrize.register_parametrization(
                self.of(model, part), name, side.own[own]().to(side.dtype(self.dtype)), unsafe=unsafe)))

    @rule(data=st.data(), name=tensors, use_trivialization=booleans,
          orthogonal_map=st.sampled_from([None, "matrix_exp", "cayley", "householder", "other"]))
    def orthogonal(self, data, name, use_trivialization, orthogonal_map):
        part = self.part(data)
        name = self.tensor(part, name)
        # On top of another one PyTorch's has no base, and cannot be read.
        use_trivialization = use_trivialization and not self.on_top(part, name)
        if orthogonal_map is None and self.on_top(part, name):
            orthogonal_map = "matrix_exp"  # our default there; PyTorch's may be householder
        what = f"orthogonal({part}.{name}, {orthogonal_map}, {use_trivialization})"
        self.register(what + self.on_top(part, name), lambda side, model: (
            side.maps.orthogonal(self.of(model, part), name, orthogonal_map,
                                 use_trivialization=use_trivialization)))

    @rule(data=st.data(), name=tensors, n=st.sampled_from([1, 1, 2, 0]),
          eps=st.sampled_from([1e-12, 1e-6]), dim=st.sampled_from([None, None, 0, 1, -1, 5]))
    def spectral_norm(self, data, name, n, eps, dim):
        part = self.part(data)
        n = 1 if dim in (1, 5) or name != "weight" else n  # one wrong argument at a time
        name = self.tensor(part, name)
        self.register(f"spectral_norm({part}.{name}, {n}, {eps}, {dim})", lambda side, model: (
            side.maps.spectral_norm(self.of(model, part), name, n, eps, dim)))

    @rule(data=st.data(), name=tensors, dim=st.sampled_from([0, 0, 1, -1, None, 5]))
    def weight_norm(self, data, name, dim):
        part = self.part(data)
        name = self.tensor(part, name)
        if self.is_shared(part, name):
            return  # PyTorch's direction has the memory of the other weight
        complex_ = "complex " if self.dtype == "complex128" else ""
        what = f"{complex_}weight_norm({part}.{name}, {dim})" + self.on_top(part, name)
        self.register(what, lambda side, model: (
            side.maps.weight_norm(self.of(model, part), name, dim)))

    def frozen_originals(self, part, name):
        if not self.on_top(part, name):
            return False
        chain = self.of(self.models[1], part).parametrizations[name]
        return not chain.is_tensor and not any(p.requires_grad for p in chain.parameters())

    @rule(data=st.data(), leave=booleans)
    def remove(self, data, leave):
        part, name = self.computed(data)
        if self.frozen_originals(part, name):
            return  # ours stays a parameter, PyTorch's becomes a buffer
        if self.on_top(part, name) and self.signs() and self.is_shared(
                f"{part}.parametrizations.{name}".lstrip("."), "original"):
            return  # the weight goes into the other module's reflectors, whose signs it is not made for

        def removing(side, model):
            module = self.of(model, part)
            side.parametrize.remove_parametrizations(module, name, leave)
            if isinstance(module, torch.nn.RNNBase):
                module._init_flat_weights()  # it would go on with the value that was assigned last
        if self.both(f"remove {part}.{name}, leave={leave}", removing):
            self.shapes[part][name] = tuple(getattr(self.of(self.models[1], part), name).shape)

    @rule(data=st.data(), all_=booleans)
    def transfer(self, data, all_):
        (source, name), target = self.computed(data), self.part(data)
        if source == target:
            return
        if self.signs(under=target) or (
                self.signs(under=source) and self.has("ParametrizationList", under=target)):
            return  # PyTorch makes zeros of what is not 1 or -1
        name = None if all_ else name
        other = " of another shape" if self.shapes[source] != self.shapes[target] else ""
        self.register(f"transfer {source}.{name} to {target}{other}", lambda side, model: (
            side.parametrize.transfer_parametrizations_and_params(
                self.of(model, source), self.of(model, target), name)))

    # -- values and flags ------------------------------------------------------------------------------

    @rule(data=st.data(), seed=seeds, kind=st.sampled_from(["values", "values", "orthogonal", "shape"]))
    def assign(self, data, seed, kind):
        """Assign no zeros, which PyTorch's parametrizations make NaN of: a known difference."""
        part, name = self.computed(data)
        shape = self.shapes[part].get(name)
        if shape is None:
            return
        value = normal(np.random.default_rng(seed), shape, self.dtype)
        if kind == "orthogonal" and len(shape) == 2:
            tall = shape[0] >= shape[1]
            value = np.linalg.qr(value if tall else value.T)[0]
            value = np.ascontiguousarray(value if tall else value.T)
        elif kind == "shape":
            value = np.zeros((7, *shape), self.dtype)
        other = ", whose inverse has another shape" if self.has("OtherShapeBack", under=part) else ""
        self.register(f"assign {kind} to {part}.{name}{other}", lambda side, model: (
            setattr(self.of(model, part), name, side.tensor(value))))

    @rule(data=st.data(), mode=booleans)
    def train(self, data, mode):
        part = data.draw(st.sampled_from(["", *self.parts]))
        self.both(f"train({mode}) of {part}", lambda side, model: self.of(model, part).train(mode))

    @rule(data=st.data(), wanted=booleans, whole=booleans)
    def freeze(self, data, wanted, whole):
        names = [name for name, _ in self.models[1].named_parameters()]
        name = data.draw(st.sampled_from(self.parts if whole else names))
        self.both(f"requires_grad_({wanted}) of {name}", lambda side, model: (
            self.of(model, name) if whole else model.get_parameter(name)).requires_grad_(wanted))

    @rule(data=st.data())
    def tie(self, data):
        """Give a layer the Parameter of another one's weight."""
        source, target = self.part(data), self.part(data)
        name = self.tensor(source, "weight")
        if self.shapes[source] != self.shapes[target] or (
                self.on_top(source, name) or self.on_top(target, name)):
            return
        self.both(f"tie {target}.{name} to {source}.{name}", lambda side, model: setattr(
            self.of(model, target), name, self.of(model, source)._parameters[name]))

    @precondition(lambda self: self.optimizers is None and self.dtype != "complex128")
    @rule(dtype=st.sampled_from(["float32", "float64"]))
    def convert(self, dtype):
        if self.has("OtherDtype"):
            return  # NumPy promotes
        if self.has("ParametrizationList") and self.has("RNN", "LSTM", "GRU", "ParametrizedRNN",
                                                        "ParametrizedLSTM", "ParametrizedGRU"):
            return  # PyTorch reads their weights, which moves u and v, or fails
        what = f"to({dtype})"
        done = self.both(what, lambda side, model: model.to(side.dtype(dtype)),
                         looser=TOLERANCE[self.dtype])
        self.dtype = dtype
        self.copied_if(done, what)

    @rule(data=st.data())
    def copy_layer(self, data):
        """A copy, which shares all tensors, takes the place of a layer."""
        name = data.draw(st.sampled_from(sorted(self.kinds)))
        if not self.has("ParametrizationList", under=name):  # which PyTorch cannot copy
            self.both(f"copy {name}", lambda side, model: model.update({name: copy.copy(model[name])}))

    @rule()
    def deepcopy(self):
        self.deepcopies()
        self.check("deepcopy")
