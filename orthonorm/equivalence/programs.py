"""What is run for each case, written once for both libraries.

A program gets a library of :mod:`.libraries`, the inputs and the options of its case, and returns what
is to be compared: arrays, and strings where layouts or errors are. Names that start with ``grad``
are gradients.
"""
import json
from typing import Any

import numpy as np

ORIGINAL = "parametrizations.weight.original"
Answers = dict[str, np.ndarray | str]


def orthogonal_map(library: Any, inputs: dict[str, np.ndarray], **options: Any) -> Answers:
    """Value and gradient of the weight, with `original` and base given."""
    module = library.module(weight=inputs["X"])
    library.orthogonal(module, **options)
    state = {ORIGINAL: inputs["X"]}
    if "Q_base" in inputs:
        state["parametrizations.weight.0.base"] = inputs["Q_base"]
    library.load(module, state)
    weight, gradients = library.weight_and_gradients(module, inputs["cotangent"])
    return {"weight": weight, "grad": gradients[ORIGINAL]}


def assignment(library: Any, inputs: dict[str, np.ndarray], **options: Any) -> Answers:
    """Registration on a random and on an orthogonal weight; assignment of either; removal."""
    answers: Answers = {}
    if options["orthogonal_map"] is None and options["use_trivialization"]:
        options = {}  # the defaults
    for start in ("weight", "Q_start"):
        module = library.module(weight=inputs[start])
        library.orthogonal(module, **options)
        answers[f"{start}, registered"] = library.weight(module)
        for assigned in ("Q", "other"):
            error = library.assign(module, inputs[assigned])
            answers[f"{start}, {assigned}, error"] = error
            answers[f"{start}, {assigned}, weight"] = library.weight(module)
            answers[f"{start}, {assigned}, original"] = library.state(module)[ORIGINAL]
        library.remove(module)
        answers[f"{start}, removed"] = library.weight(module)
    return answers


def spectral_norm_sequence(library: Any, inputs: dict[str, np.ndarray], *, modes: tuple[str, ...],
                           n_power_iterations: int, dim: int) -> Answers:
    """Weight, gradient and buffers at each access of a sequence; the weight left by removal."""
    module = library.module(weight=inputs["weight"])
    library.spectral_norm(module, n_power_iterations=n_power_iterations, dim=dim)
    vectors = {f"parametrizations.weight.0._{x}": inputs[x] for x in ("u", "v") if x in inputs}
    library.load(module, {ORIGINAL: inputs["W"], **vectors})
    answers: Answers = {}
    for i, mode in enumerate(modes[:-1]):
        module.train(mode == "train")
        weight, gradients = library.weight_and_gradients(module, inputs[f"cotangent{i}"])
        answers |= {f"{i}, weight": weight, f"grad {i}": gradients[ORIGINAL]}
        state = library.state(module)
        answers |= {f"{i}, {key[-2:]}": state[key] for key in vectors}
    module.train(modes[-1] == "train")
    library.remove(module)
    answers["removed"] = library.weight(module)
    return answers


def weight_norm(library: Any, inputs: dict[str, np.ndarray], **options: Any) -> Answers:
    """Value and gradients, the start of g and v, assignment, removal."""
    module = library.module(weight=inputs["weight"])
    library.weight_norm(module, **options)
    answers: Answers = {key: value for key, value in library.state(module).items()}
    state = library.state(module)
    g = state[f"{ORIGINAL}0"]
    library.load(module, {f"{ORIGINAL}0": 2 * g + g.dtype.type(1)})
    answers["weight"], gradients = library.weight_and_gradients(module, inputs["cotangent"])
    answers |= {f"grad {key}": gradient for key, gradient in gradients.items()}
    answers["error"] = library.assign(module, inputs["other"])
    answers["assigned"] = library.weight(module)
    library.remove(module)
    answers["removed"] = library.weight(module)
    return answers


def chain(library: Any, inputs: dict[str, np.ndarray], *, links: tuple) -> Answers:
    """Value and gradients of a weight with two parametrizations, in training and evaluation mode."""
    module = library.module(weight=inputs["weight"])
    for function, options in links:
        getattr(library, function)(module, **options)
    ours = {"base": "Q_base", "_u": "u", "_v": "v", "original": "W", "original1": "W"}
    state = library.state(module)
    given = {key: inputs[ours[last]] for key in state if (last := key.rpartition(".")[2]) in ours}
    library.load(module, given)
    answers: Answers = {}
    for mode in ("train", "eval"):
        module.train(mode == "train")
        answers[f"{mode}, weight"], gradients = library.weight_and_gradients(
            module, inputs["cotangent"])
        answers |= {f"grad {key}, {mode}": gradient for key, gradient in gradients.items()}
    answers |= {key: value for key, value in library.state(module).items()}
    return answers


def state_dict_layout(library: Any, inputs: dict[str, np.ndarray], *, function: str,
                      options: dict[str, Any]) -> Answers:
    """Keys and shapes of the state dict of a parametrized module inside another."""
    inner = library.module(weight=inputs["weight"], bias=inputs["bias"])
    getattr(library, function)(inner, **options)
    outer = library.module(scale=inputs["bias"])
    outer.inner = inner
    layout = {key: list(value.shape) for key, value in library.state(outer).items()}
    return {"layout": json.dumps(layout)}


def layer(library: Any, inputs: dict[str, np.ndarray], *, layer: str, arguments: tuple,
          options: dict[str, Any]) -> Answers:
    """Outputs of a layer, and gradients of all its parameters and inputs."""
    module = library.layer(layer, inputs["x"].dtype.name, *arguments, **options)
    library.load(module, {key: inputs[key] for key in library.state(module)})
    return _called(library, module, inputs)


def _called(library: Any, module: Any, inputs: dict[str, np.ndarray]) -> Answers:
    holder = library.module(**{name: inputs[name] for name in ("x", "x2", "h", "c") if name in inputs})
    holder.layer = module

    def call() -> tuple:
        given = [getattr(holder, name) for name in ("x", "x2") if name in inputs]
        if "c" in inputs:
            given.append((holder.h, holder.c))
        elif "h" in inputs:
            given.append(holder.h)
        return _flat(module(*given))

    outputs, gradients = library.outputs_and_gradients(holder, call, inputs["cotangent"])
    return {**{f"output {i}": output for i, output in enumerate(outputs)},
            **{f"grad {name}": gradient for name, gradient in gradients.items()}}


def _flat(outputs: Any) -> tuple:
    return sum(map(_flat, outputs), ()) if isinstance(outputs, tuple) else (outputs,)


def orthogonal_rnn(library: Any, inputs: dict[str, np.ndarray], *, layer: str,
                   arguments: tuple, orthogonal_map: str | None = None) -> Answers:
    """A layer whose recurrent weight is orthogonal; its other parameters are constant."""
    module = library.layer(layer, inputs["x"].dtype.name, *arguments)
    library.orthogonal(module, "weight_hh_l0", orthogonal_map)
    given = {"parametrizations.weight_hh_l0.original": inputs["original"],
             "parametrizations.weight_hh_l0.0.base": inputs["Q_base"]}
    others = {key: np.full(value.shape, 0.5, value.dtype)
              for key, value in library.state(module).items() if key not in given}
    library.load(module, {**others, **given})
    return _called(library, module, inputs)


def spectral_norm_of_layer(library: Any, inputs: dict[str, np.ndarray], *, layer: str,
                           arguments: tuple) -> Answers:
    """spectral_norm of a layer with every default: weight, gradient and buffers of two accesses."""
    module = library.layer(layer, inputs["W"].dtype.name, *arguments, bias=False)
    library.spectral_norm(module)
    vectors = {f"parametrizations.weight.0._{x}": inputs[x] for x in ("u", "v")}
    library.load(module, {ORIGINAL: inputs["W"], **vectors})
    answers: Answers = {}
    for i in range(2):
        weight, gradients = library.weight_and_gradients(module, inputs["cotangent"])
        answers |= {f"{i}, weight": weight, f"grad {i}": gradients[ORIGINAL]}
    return answers | {key[-2:]: library.state(module)[key] for key in vectors}


def loss(library: Any, inputs: dict[str, np.ndarray], *, name: str,
         options: dict[str, Any]) -> Answers:
    """A loss, and gradients of its input and of a target that is not a class."""
    given = {key: inputs[key] for key in ("input", "target", "probabilities", "chances")
             if key in inputs}
    holder = library.module(**given)
    classes = [library.array(inputs["classes"].astype(np.int64))] if "classes" in inputs else []
    drawn = {"weight": "factor", "pos_weight": "pos_factor"}
    factors = {key: library.array(inputs[source]) for key, source in drawn.items() if source in inputs}

    def call() -> tuple:
        arguments = [getattr(holder, key) for key in given] + classes
        return (getattr(library.nn.functional, name)(*arguments, **factors, **options),)

    outputs, gradients = library.outputs_and_gradients(holder, call, inputs["cotangent"])
    return {"loss": outputs[0], **{f"grad {key}": gradient for key, gradient in gradients.items()}}


def optimizer_steps(library: Any, inputs: dict[str, np.ndarray], *, optimizer: str,
                    options: dict[str, Any]) -> Answers:
    """Where each step with a given gradient leads; a scalar sits out every other one."""
    module = library.module(matrix=inputs["matrix"], scalar=inputs["scalar"])
    optimizer = getattr(library.optim, optimizer)(module.named_parameters(), **options)
    answers: Answers = {}
    for i, gradient in enumerate(inputs["gradients"]):
        gradients = {"matrix": gradient}
        if i % 2 == 0:
            gradients["scalar"] = inputs["scalar gradients"][i]
        library.step(optimizer, module, gradients)
        answers |= {f"step {i + 1}, {name}": value for name, value in library.state(module).items()}
    return answers
