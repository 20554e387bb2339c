"""What is wrong gets a named error that tells what came, and changes nothing: one row each."""
import re

import autograd.numpy as anp
import numpy as np
import pytest

from orthonorm import core, gradients, nn, optim
from orthonorm.func import functional_call, value_and_grad
from orthonorm.nn import functional as F
from orthonorm.nn import init
from orthonorm.nn.utils import parametrize
from orthonorm.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from .nn.snapshots import bits, snapshot

EYE = np.eye(3)
NAN, INF = EYE * np.nan, np.full((3, 2), np.inf)
HALF, LONG = EYE.astype(np.float16), EYE.astype(np.longdouble)
for array in (EYE, NAN, INF, HALF, LONG):
    array.flags.writeable = False  # whoever writes into what it was given has another error
NAMED = [("w", nn.Parameter(np.ones(2)))]
FLOATS = "must have dtype float32, float64, complex64 or complex128, got "

# -- functions of arrays: function, arguments, error, message ------------------------------------------

ARRAYS = {
    "matrix_exp: vector": (core.matrix_exp, [np.ones(3)], ValueError,
                           r"^X must be a matrix.* got shape \(3,\)"),
    "matrix_exp: number": (core.matrix_exp, [1.0], ValueError, r"^X must be a matrix.* got shape \(\)"),
    "matrix_exp: int": (core.matrix_exp, [np.eye(3, dtype=int)], TypeError, f"^X {FLOATS}int64"),
    "matrix_exp: bool": (core.matrix_exp, [EYE > 0], TypeError, f"^X {FLOATS}bool"),
    "matrix_exp: half": (core.matrix_exp, [HALF], TypeError, f"^X {FLOATS}float16"),
    "matrix_exp: long double": (core.matrix_exp, [LONG], TypeError, f"^X {FLOATS}{LONG.dtype}"),
    "matrix_exp: objects": (core.matrix_exp, [EYE.astype(object)], TypeError, f"^X {FLOATS}object"),
    "matrix_exp: strings": (core.matrix_exp, [[["a", "b"]]], TypeError, f"^X {FLOATS}<U1"),
    "matrix_exp: None": (core.matrix_exp, [None], TypeError, f"^X {FLOATS}object"),
    "matrix_exp: nan": (core.matrix_exp, [NAN], ValueError,
                        "^X must be finite, got 9 NaN or infinite of 9"),
    "matrix_exp: inf": (core.matrix_exp, [INF], ValueError,
                        "^X must be finite, got 6 NaN or infinite of 6"),
    "matrix_exp: huge": (core.matrix_exp, [np.full((2, 2), 1e20)], ValueError,
                         "^X must stand for.* norm at most"),
    "cayley: vector": (core.cayley, [np.ones(3)], ValueError,
                       r"^X must be a matrix.* got shape \(3,\)"),
    "cayley: int": (core.cayley, [[[1, 2]]], TypeError, f"^X {FLOATS}int64"),
    "cayley: nan": (core.cayley, [NAN], ValueError, "^X must be finite"),
    "householder: complex": (core.householder, [EYE * 1j], ValueError,
                             "^X must be real.* got complex128"),
    "householder: inf": (core.householder, [INF], ValueError, "^X must be finite"),
    "householder: long": (core.householder, [np.full((3, 2), 1e200)], ValueError,
                          "^X must hold reflectors"),
    "householder_inverse: complex": (core.householder_inverse, [EYE * 1j], ValueError,
                                     "^Q must be real"),
    "householder_inverse: nan": (core.householder_inverse, [NAN], ValueError, "^Q must be finite"),
    "cayley_inverse: eigenvalue -1": (core.cayley_inverse, [-EYE], ValueError,
                                      "^Q must not have the eigenvalue -1"),
    "matrix_exp_inverse: reflection": (core.matrix_exp_inverse, [np.diag([1.0, -1.0])], ValueError,
                                       "^Q must have determinant 1, got -1"),
    "orthonormalize: nan": (core.orthonormalize, [NAN], ValueError, "^A must be finite"),
    "orthonormalize: float16": (core.orthonormalize, [HALF], TypeError, f"^A {FLOATS}float16"),
    "expm: not square": (core.expm, [np.ones((3, 2))], ValueError,
                         r"^A must be square, got shape \(3, 2\)"),
    "expm_frechet: shapes": (core.expm_frechet, [EYE, np.eye(2)], ValueError,
                             r"^E must have the shape of A, \(3, 3\), got \(2, 2\)"),
    "complete: wide": (core.complete, [np.eye(2, 3)], ValueError,
                       r"^Q must have orthonormal.* \(2, 3\)"),
    "complete: not orthonormal": (core.complete, [np.ones((3, 2))], ValueError,
                                  "^Q must have orthonormal"),
    "householder_inverse: overflow": (core.householder_inverse, [np.full((3, 3), 3e38, np.float32)],
                                      ValueError, r"^R in Q = H_1 \.\.\. H_k R must be finite"),
    "power_iteration: nan, no rows": (core.power_iteration,
                                      [np.zeros((0, 2)), np.zeros(0), np.array([np.nan, 1])],
                                      ValueError, "^W, u and v must be finite"),
    "power_iteration: inf": (core.power_iteration, [np.eye(2), np.ones(2), np.array([np.inf, 0])],
                             ValueError, "^W, u and v must be finite"),
    "power_iteration: u": (core.power_iteration, [EYE, np.ones(2), np.ones(3)], ValueError,
                           r"u .*\(2,\)"),
    "power_iteration: v": (core.power_iteration, [EYE, np.ones(3), np.ones(4)], ValueError,
                           r"v .*\(4,\)"),
    "power_iteration: negative": (core.power_iteration, [EYE, np.ones(3), np.ones(3), -1], ValueError,
                                  "n_power_iterations.*-1"),
    "spectral_norm_bounds: zero iterations": (core.spectral_norm_bounds, [EYE, 0], ValueError,
                                              "^n_iterations must be positive, got 0"),
    "spectral_norm_bounds: nan": (core.spectral_norm_bounds, [NAN], ValueError, "^W must be finite"),
    "circular: too large a kernel": (core.circular_convolution_singular_values, [np.ones((1, 1, 5)), 4],
                                     ValueError, r"^the dilated kernel.*\(5,\).*input_size \(4,\)"),
    "haar: vector": (core.haar, [(3,)], ValueError, r"^shape must be that of a matrix.* got \(3,\)"),
    "haar: int": (core.haar, [(3, 3), int], TypeError, f"^the start {FLOATS}int64"),
    "torus: not square": (core.torus, [(3, 2)], ValueError, r"square matrices, got shape \(3, 2\)"),
    "gradients: int": (gradients.cayley, [np.eye(3, dtype=int)], TypeError, f"^X {FLOATS}int64"),
    "gradients: nan": (gradients.matrix_exp, [NAN], ValueError, "^X must be finite"),
    "gradients: householder": (gradients.householder, [INF], ValueError, "^X must be finite"),
    "gradients: cayley": (gradients.cayley, [INF], ValueError, "^X must be finite"),
    "gradients: orthonormalize": (gradients.orthonormalize, [NAN], ValueError, "^A must be finite"),
    "gradients: unitary": (gradients.unitary_householder, [NAN], ValueError, "^X must be finite"),
    "gradients: inverse": (gradients.cayley_inverse, [NAN], ValueError, "^Q must be finite"),
    "gradients: unitary inverse": (gradients.unitary_householder_inverse, [NAN], ValueError,
                                   "^Q must be finite"),
    "gradients: logarithm": (gradients.matrix_exp_inverse, [NAN], ValueError, "^Q must be finite"),
    "gradients: expm": (gradients.expm, [np.ones((3, 2))], ValueError, "^A must be square"),
    "linear start: dtype": (lambda: nn.Linear(3, 2, dtype=int), [], TypeError,
                            f"^a parameter {FLOATS}int64"),
    "Parameter: int": (nn.Parameter, [[1, 2]], TypeError, f"^a parameter {FLOATS}int64"),
    "Parameter: string": (nn.Parameter, ["w"], TypeError, f"^a parameter {FLOATS}<U1"),
    "conv2d: channels": (F.conv2d, [np.ones((1, 3, 5, 5)), np.ones((4, 2, 3, 3))], RuntimeError,
                         r"^input must have 2 channels.* got shape \(1, 3, 5, 5\)"),
    "conv2d: stride": (F.conv2d, [np.ones((1, 2, 5, 5)), np.ones((4, 2, 3, 3)), None, 0], RuntimeError,
                       "^stride must be at least 1, got 0"),
    "conv2d: large kernel": (F.conv2d, [np.ones((1, 1, 2, 2)), np.ones((1, 1, 3, 3))], RuntimeError,
                             r"^the kernel of size \(3, 3\).* input, of size \(2, 2\)"),
    "embedding: float": (F.embedding, [np.ones(2), EYE], TypeError,
                         "^input must hold integer indices.*float64"),
    "embedding: range": (F.embedding, [np.array([3]), EYE], IndexError,
                         "^input must hold indices from 0 to 2, got 3 to 3"),
    "layer_norm: shape": (F.layer_norm, [np.ones((2, 3)), (4,)], RuntimeError, r"\(2, 3\).*\(4,\)"),
    "cross_entropy: class": (F.cross_entropy, [EYE, np.array([0, 1, 3])], IndexError,
                             "^target must hold classes from 0 to 2, got 0 to 3"),
    "cross_entropy: reduction": (F.cross_entropy, [EYE, np.arange(3), None, -100, "max"], ValueError,
                                 "^max is not a valid value for reduction"),
    "mse_loss: reduction": (F.mse_loss, [EYE, EYE, "max"], ValueError,
                            "^max is not a valid value for reduction"),
    "init: vector": (init.orthogonal_, [np.ones(3)], ValueError,
                     r"2 or more dimensions are supported, got \(3,\)"),
    "init: int": (init.normal_, [np.ones(3, int)], TypeError, f"^tensor {FLOATS}int64"),
    "init: normal": (init.normal_, [np.ones(3), 0, -1], RuntimeError,
                     "^normal_ needs std >= 0, got -1"),
    "init: uniform": (init.uniform_, [np.ones(3), 1, 0], RuntimeError,
                      "^uniform_ needs a <= b, got a=1"),
    "init: eye": (init.eye_, [np.ones(3)], ValueError, r"2 dimensions are supported, got shape \(3,\)"),
    "init: dirac": (init.dirac_, [np.ones((2, 2))], ValueError, r"3, 4, or 5 dim.*got \(2, 2\)"),
    "init: dirac groups": (init.dirac_, [np.ones((3, 2, 2)), 2], ValueError,
                           "divisible by groups, got 3 and groups=2"),
    "init: xavier": (init.xavier_uniform_, [np.ones(2)], ValueError,
                     r"fewer than 2 dimensions, got \(2,\)"),
    "init: kaiming mode": (init.kaiming_uniform_, [np.ones((2, 2)), 0, "fan"], ValueError,
                           "^Mode fan not supported"),
    "init: nonlinearity": (init.calculate_gain, ["swish"], ValueError,
                           "^Unsupported nonlinearity swish"),
    "init: slope": (init.calculate_gain, ["leaky_relu", "x"], ValueError,
                    "^negative_slope x not a valid"),
    "init: string": (init.orthogonal_, ["x"], TypeError,
                     "^tensor must be an array or a Parameter, got str"),
    "gelu: approximate": (F.gelu, [EYE, "erf"], RuntimeError, "none or tanh, got 'erf'"),
    "layer_norm: number": (F.layer_norm, [EYE, 3], TypeError,
                           "^normalized_shape must be a tuple.*got 3"),
    "layer_norm: weight": (F.layer_norm, [EYE, (3,), np.ones(2)], RuntimeError,
                           r"^weight must have.*\(3,\), got \(2,\)"),
    "layer_norm: bias": (F.layer_norm, [EYE, (3,), np.ones(3), np.ones(4)], RuntimeError,
                         r"^bias must have.*\(3,\), got \(4,\)"),
    "bilinear: shapes": (F.bilinear, [np.ones((2, 3)), np.ones((2, 4)), np.ones((5, 3, 3))],
                         RuntimeError,
                         r"^input1, input2 and weight must.*got \(2, 3\), \(2, 4\) and \(5, 3, 3\)"),
    "conv1d: weight": (F.conv1d, [np.ones((1, 2, 5)), EYE], RuntimeError,
                       r"^weight must have 3 dimensions.*got shape \(3, 3\)"),
    "conv1d: bias": (F.conv1d, [np.ones((1, 2, 5)), np.ones((2, 2, 3)), np.ones(3)], RuntimeError,
                     r"^bias must have shape \(2,\), got \(3,\)"),
    "conv1d: padding": (F.conv1d, [np.ones((1, 2, 5)), np.ones((2, 2, 3)), None, 1, "full"],
                        RuntimeError, '^padding must be.*got "full"'),
    "conv1d: groups": (F.conv1d, [np.ones((1, 2, 5)), np.ones((2, 2, 3)), None, 1, 0, 1, 3],
                       RuntimeError, "^groups=3 must divide the 2 channels"),
    "cross_entropy: samples": (F.cross_entropy, [EYE, np.arange(2)], ValueError,
                               r"as many samples as target, got shapes \(3, 3\) and \(2,\)"),
    "cross_entropy: strings": (F.cross_entropy, [EYE, np.array(["a", "b", "c"])], RuntimeError,
                               "^target must hold integer classes.*got <U1"),
    "cross_entropy: weight": (F.cross_entropy, [EYE, np.arange(3), np.ones(4)], RuntimeError,
                              r"^weight must have shape \(3,\), got \(4,\)"),
    "binary_cross_entropy: shape": (F.binary_cross_entropy_with_logits, [np.ones(2), np.ones(3)],
                                    ValueError,
                                    r"^target must have the shape of input, \(2,\), got \(3,\)"),
    "mse_loss: shape": (F.mse_loss, [np.ones(2), np.ones(3)], RuntimeError,
                        r"^input of shape \(2,\) and target of shape \(3,\)"),
    "relu: complex": (F.relu, [1j * EYE], NotImplementedError, "^input must be real.*complex128"),
    **{f"{function.__name__}: {dtype}": (
        function, [EYE.astype(dtype), *rest], NotImplementedError, f"^input must be real.*{dtype}")
       for dtype in ("complex128", "uint8")  # NumPy orders the former; the latter wraps around
       for function, rest in (
           (F.leaky_relu, []), (F.softplus, []), (F.gelu, []), (F.softmax, [0]), (F.log_softmax, [0]),
           (F.layer_norm, [(3,)]), (F.mse_loss, [EYE.astype(dtype)]), (F.cross_entropy, [np.arange(3)]),
           (F.binary_cross_entropy_with_logits, [EYE.astype(dtype)]))},
    "Parameter: half": (nn.Parameter, [HALF], TypeError, f"^a parameter {FLOATS}float16"),
    "Parameter: None": (nn.Parameter, [None], TypeError, f"^a parameter {FLOATS}object"),
    "Linear: fraction": (nn.Linear, [2.5, 2], TypeError, "^in_features must be an integer, got 2.5"),
    "Linear: string": (nn.Linear, [2, "a"], TypeError, "^out_features must be an integer, got 'a'"),
    "Linear: negative": (nn.Linear, [-1, 2], RuntimeError, "^in_features must not be negative, got -1"),
    "Bilinear: negative": (nn.Bilinear, [2, -1, 2], RuntimeError,
                           "^in2_features must not be negative, got -1"),
    "Embedding: negative": (nn.Embedding, [-3, 2], RuntimeError,
                            "^num_embeddings must not be negative, got -3"),
    "LayerNorm: fraction": (nn.LayerNorm, [3.5], TypeError,
                            "^normalized_shape must be an integer, got 3.5"),
    "LayerNorm: negative": (nn.LayerNorm, [(2, -3)], RuntimeError,
                            "^normalized_shape must not be negative, got -3"),
    "LSTMCell: fraction": (nn.LSTMCell, [2, 2.5], TypeError,
                           "^hidden_size must be an integer, got 2.5"),
    "GRUCell: negative": (nn.GRUCell, [-2, 2], RuntimeError,
                          "^input_size must not be negative, got -2"),
    "RNN: input_size": (nn.RNN, [-1, 2], ValueError, "^input_size must be greater than zero, got -1"),
    "Conv1d: fraction": (nn.Conv1d, [2.5, 3, 1], TypeError, "^in_channels must be an integer, got 2.5"),
    "Conv1d: negative": (nn.Conv1d, [2, -3, 1], RuntimeError,
                         "^out_channels must not be negative, got -3"),
    "linear: input": (F.linear, [np.ones(4), np.ones((2, 3))], RuntimeError,
                      r"^input must have 3 entries.* \(2, 3\) has, got shape \(4,\)"),
    "linear: number": (F.linear, [1.0, np.ones((2, 1))], RuntimeError, r"^input must.* got shape \(\)"),
    "linear: weight": (F.linear, [EYE, np.ones((2, 3, 3))], RuntimeError,
                       r"^weight must have one or two dimensions, got shape \(2, 3, 3\)"),
    "linear: bias": (F.linear, [np.ones((2, 3)), np.ones((2, 3)), np.ones((5, 2, 2))], RuntimeError,
                     r"^bias must have shape \(2,\), got \(5, 2, 2\)"),
    "embedding: weight": (F.embedding, [np.array([0]), np.ones(3)], RuntimeError,
                          r"^weight must have two dimensions, got shape \(3,\)"),
    "Bilinear: empty": (nn.Bilinear, [0, 2, 3], ValueError, "^in1_features must be > 0, but got 0"),
    "Conv1d: groups": (nn.Conv1d, [3, 4, 2, 1, 0, 1, 2], ValueError,
                       "^in_channels must be divisible by groups, got 3 and 2"),
    "Conv2d: groups": (nn.Conv2d, [4, 3, 2, 1, 0, 1, 2], ValueError,
                       "^out_channels must be divisible by groups, got 3 and 2"),
    "Conv2d: no groups": (nn.Conv2d, [4, 3, 2, 1, 0, 1, 0], ValueError,
                          "^groups must be a positive integer, got 0"),
    "Conv2d: padding": (nn.Conv2d, [2, 2, 3, 1, "full"], ValueError, "^padding must be.* got 'full'"),
    "Conv2d: same, strided": (nn.Conv2d, [2, 2, 3, 2, "same"], ValueError,
                              r"not supported for strided.* got stride=\(2, 2\)"),
    "Conv2d: kernel": (nn.Conv2d, [2, 2, -3], RuntimeError, "^kernel_size must be at least 1, got -3"),
    "Conv2d: kernel's name": (nn.Conv2d, [2, 2, "x"], TypeError,
                              "^kernel_size must be an integer, got 'x'"),
    "Conv2d: kernel's dimensions": (nn.Conv2d, [2, 2, (3, 3, 3)], RuntimeError,
                                    r"^kernel_size must be one number or 2, got \(3, 3, 3\)"),
    "Conv2d: dilation": (nn.Conv2d, [2, 2, 3, 1, 0, 0], RuntimeError,
                         "^dilation must be at least 1, got 0"),
    "RNN: nonlinearity": (nn.RNN, [3, 2, 1, "gelu"], ValueError, "^Unknown nonlinearity 'gelu'"),
    "RNN: hidden_size": (nn.RNN, [3, 0], ValueError, "^hidden_size must be greater than zero, got 0"),
    "RNN: num_layers": (nn.RNN, [3, 2, -1], ValueError,
                        "^num_layers must be greater than zero, got -1"),
    "Sequential: number": (nn.Sequential, [3], TypeError, "^int is not a Module subclass"),
    "ModuleList: number": (nn.ModuleList, [[1]], TypeError, "^int is not a Module subclass"),
    "ModuleDict: number": (nn.ModuleDict, [1], TypeError, "^ModuleDict.update should be.* got int"),
    "ModuleDict: no pairs": (nn.ModuleDict, [[1]], TypeError, r"element #0 should be Iterable; is int"),
    "ModuleDict: method": (nn.ModuleDict, [{"keys": nn.ReLU()}], KeyError, "'keys' already exists"),
    "SGD: lr": (optim.SGD, [NAMED, -1.0], ValueError, "^Invalid learning rate: -1.0"),
    "SGD: lr's name": (optim.SGD, [NAMED, "0.1"], TypeError, "^lr must be a number, got '0.1'"),
    "SGD: momentum": (optim.SGD, [NAMED, 1.0, -0.5], ValueError, "^Invalid momentum value: -0.5"),
    "SGD: nesterov": (lambda: optim.SGD(NAMED, lr=1.0, nesterov=True), [], ValueError,
                      "^Nesterov momentum requires"),
    "SGD: arrays": (optim.SGD, [[("w", EYE)], 1.0], TypeError,
                    r"^an optimizer needs pairs of name and Parameter.*\('w', array"),
    "SGD: nothing": (optim.SGD, [[]], ValueError, "^optimizer got an empty parameter list"),
    "SGD: option": (optim.SGD, [[{"params": NAMED, "nope": 1}]], ValueError,
                    r"^unknown option\(s\) \['nope'\]"),
    "Adam: lr": (optim.Adam, [NAMED, np.nan], ValueError, "^Invalid learning rate: nan"),
    "Adam: betas": (optim.Adam, [NAMED, 0.1, (0.9, 1.0)], ValueError,
                    "^Invalid beta parameter at index 1: 1.0"),
    "Adam: one beta": (optim.Adam, [NAMED, 0.1, (0.9,)], ValueError,
                       r"^betas must be a pair of numbers, got \(0.9,\)"),
    "Adam: beta's name": (optim.Adam, [NAMED, 0.1, ("x", 0.9)], TypeError,
                          "^betas must be a number, got 'x'"),
    "Adam: eps": (optim.Adam, [NAMED, 0.1, (0.9, 0.99), -1.0], ValueError,
                  "^Invalid epsilon value: -1.0"),
}


@pytest.mark.parametrize("function, arguments, error, message", ARRAYS.values(), ids=ARRAYS)
def test_functions_refuse(function, arguments, error, message):
    arrays = [argument for argument in arguments if isinstance(argument, np.ndarray)]
    before = [bits(array) for array in arrays]
    with pytest.raises(error, match=message):
        function(*arguments)
    assert [bits(array) for array in arrays] == before


# -- modules: how it is made, what is done, error, message ---------------------------------------------

def linear():
    return nn.Linear(3, 2, rng=0)


def ortho():
    return orthogonal(nn.Linear(2, 3, rng=0))


def cayley():
    return orthogonal(nn.Linear(3, 3, rng=0), orthogonal_map="cayley", use_trivialization=False)


def spectral():
    return spectral_norm(nn.Linear(3, 2, rng=0), rng=0)


def weighted():
    return weight_norm(nn.Linear(3, 2, rng=0))


def conv():
    return spectral_norm(nn.Conv2d(2, 2, 3, rng=0), rng=0).eval()


def rnn():
    return orthogonal(nn.RNN(3, 2, rng=0), "weight_hh_l0")


def with_weight(weight):
    def make():
        module = nn.Module()
        module.weight = nn.Parameter(np.array(weight))
        return module
    return make


def assign(value):
    return lambda module: setattr(module, "weight", value)


def load(**entries):
    """Load the module's own state with some entries changed, taken away (None) or added."""
    def do(module):
        state = {**module.state_dict(), **{name.replace("__", "."): x for name, x in entries.items()}}
        module.load_state_dict({name: x for name, x in state.items() if x is not None})
    return do


def differentiate(loss):
    return lambda module: value_and_grad(lambda: loss(module), module)()


BASE = "parametrizations.weight.0.base"
ORIGINAL = "parametrizations__weight__original"
HAS_NO = "no(t have a)? parameter.* with name '{}'"
MODULES = {
    "orthogonal: name": (linear, lambda m: orthogonal(m, "nope"), ValueError, HAS_NO.format("nope")),
    "orthogonal: vector": (linear, lambda m: orthogonal(m, "bias"), ValueError,
                           "tensor of 1 dimensions"),
    "orthogonal: map": (linear, lambda m: orthogonal(m, orthogonal_map="qr"), ValueError,
                        "one of.* Got: qr"),
    "orthogonal: start": (linear, lambda m: orthogonal(m, start="gauss"), ValueError, "Got: gauss"),
    "orthogonal: torus": (linear, lambda m: orthogonal(m, start="torus", rng=0), ValueError,
                          r"shape \(2, 3\)"),
    "orthogonal: complex reflectors": (with_weight(EYE * 1j),
                                       lambda m: orthogonal(m, orthogonal_map="householder"),
                                       ValueError, "householder.* complex"),
    "orthogonal: nan": (with_weight(NAN), orthogonal, ValueError, "^weight must be finite"),
    "orthogonal: householder on top": (spectral, lambda m: orthogonal(m, orthogonal_map="householder"),
                                       ValueError,
                                       "cannot follow another parametrization of weight"),
    "orthogonal: start on top": (spectral, lambda m: orthogonal(m, start="haar"), ValueError,
                                 "first parametrization"),
    "orthogonal: rng": (linear, lambda m: orthogonal(m, start="haar", rng="x"), TypeError,
                        "expects int.* not x"),
    "spectral_norm: name": (linear, lambda m: spectral_norm(m, "nope"), ValueError,
                            HAS_NO.format("nope")),
    "spectral_norm: iterations": (linear, lambda m: spectral_norm(m, n_power_iterations=0), ValueError,
                                  "n_power_iterations to be positive.*=0$"),
    "spectral_norm: negative": (spectral, lambda m: spectral_norm(m, n_power_iterations=-1),
                                ValueError, "n_power_iterations to be positive.*=-1$"),
    "spectral_norm: dim": (linear, lambda m: spectral_norm(m, dim=2), IndexError,
                           r"range of \[-2, 1\] but got 2"),
    "spectral_norm: dim's name": (linear, lambda m: spectral_norm(m, dim="x"), TypeError,
                                  "^dim must be an integer, got 'x'"),
    "spectral_norm: fraction": (linear, lambda m: spectral_norm(m, n_power_iterations=1.5), TypeError,
                                "^n_power_iterations must be an integer, got 1.5"),
    "weight_norm: dim's name": (linear, lambda m: weight_norm(m, dim="x"), TypeError,
                                "^dim must be an integer, got 'x'"),
    "Sequential: place": (lambda: nn.Sequential(nn.ReLU()), lambda m: m["a"], TypeError,
                          "^index must be an integer, got 'a'"),
    "Sequential: insert": (lambda: nn.Sequential(nn.ReLU()), lambda m: m.insert(2, nn.ReLU()),
                           IndexError, "^index 2 is out of range"),
    "ModuleList: insert": (lambda: nn.ModuleList([nn.ReLU()]), lambda m: m.insert(-2, nn.ReLU()),
                           IndexError, "^index -2 is out of range"),
    "Sequential: extend": (lambda: nn.Sequential(nn.ReLU()), lambda m: m.extend([nn.ReLU(), 1]),
                           TypeError, "^int is not a Module subclass"),
    "ModuleDict: update": (lambda: nn.ModuleDict({"a": nn.ReLU()}),
                           lambda m: m.update({"b": nn.ReLU(), "c": 1}), TypeError,
                           "^int is not a Module subclass"),
    "spectral_norm: dim on top": (spectral, lambda m: spectral_norm(m, dim=-3), IndexError,
                                  r"range of \[-2, 1\] but got -3"),
    "spectral_norm: nan": (with_weight(NAN), spectral_norm, ValueError, "^W, u and v must be finite"),
    "spectral_norm: input_size": (linear, lambda m: spectral_norm(m, input_size=(3, 3)), ValueError,
                                  "^input_size is for.*convolution.* got the weight of Linear"),
    "weight_norm: name": (linear, lambda m: weight_norm(m, "nope"), ValueError, HAS_NO.format("nope")),
    "weight_norm: dim": (linear, lambda m: weight_norm(m, dim=2), IndexError, "got 2"),
    "weight_norm: complex": (with_weight(EYE * 1j), weight_norm, ValueError,
                             "real weight, got complex128"),
    "weight_norm: nan": (with_weight(NAN), weight_norm, ValueError, "^the weight must be finite"),
    "weight_norm: on top": (spectral, weight_norm, ValueError,
                            "must be the first parametrization of weight"),
    "register: name": (linear,
                       lambda m: parametrize.register_parametrization(m, "nope", nn.Identity()),
                       ValueError,
                       HAS_NO.format("nope")),
    "register: function": (linear, lambda m: parametrize.register_parametrization(m, "weight", abs),
                           TypeError,
                           "must be a Module.*abs"),
    "register: shape": (linear,
                        lambda m: parametrize.register_parametrization(m, "weight", nn.Flatten(0)),
                        ValueError, r"change the shape.*\(2, 3\) and became \(6,\)"),
    "remove: name": (spectral, lambda m: parametrize.remove_parametrizations(m, "bias"), ValueError,
                     "does not have a parametrization on bias"),
    "remove: plain": (linear, lambda m: parametrize.remove_parametrizations(m, "weight"), ValueError,
                      "does not have a parametrization on weight"),
    "assign: shape": (ortho, assign(EYE), ValueError, r"\(3, 2\).* Got a tensor of shape \(3, 3\)"),
    "assign: nan": (ortho, assign(INF), ValueError, "^the assigned value must be finite"),
    "assign: ints": (ortho, assign([[1, 0], [0, 1], [0, 0]]), ValueError,
                     "int64 to 'weight': expected float32"),
    "assign: string": (ortho, assign("Q"), ValueError,
                       "<U1 to 'weight': expected float32"),
    "assign: eigenvalue -1": (cayley, assign(-EYE), ValueError, "^Q must not have the eigenvalue -1"),
    "assign: spectral shape": (spectral, assign(EYE), ValueError,
                               r"shape \(3, 3\) while `original` has shape \(2, 3\)"),
    "assign: weight_norm nan": (weighted, assign(np.full((2, 3), np.nan)), ValueError,
                                "^the weight must be finite"),
    "assign: plain": (linear, assign(np.ones((2, 3))), TypeError,
                      "cannot assign 'ndarray' as parameter 'weight'"),
    "load: missing": (ortho, load(bias=None), RuntimeError, r'Missing key\(s\).*"bias"'),
    "load: unexpected": (ortho, load(nope=EYE), RuntimeError, r'Unexpected key\(s\).*"nope"'),
    "load: shape": (ortho, load(bias=np.ones(2)), RuntimeError,
                    r"size mismatch for bias.*\(2,\).*\(3,\)"),
    "load: complex": (ortho, load(**{ORIGINAL: np.ones((3, 2)) * 1j}), RuntimeError,
                      "dtype mismatch.*complex128"),
    "load: string": (ortho, load(bias=np.array(["a", "b", "c"])), RuntimeError, "bias.*<U1"),
    "load: base": (ortho, load(**{BASE: np.zeros((3, 3))}), RuntimeError,
                   "base must have orthonormal columns"),
    "load: list": (ortho, lambda m: m.load_state_dict([1]), TypeError,
                   "state_dict to be dict-like, got .*list"),
    "functional_call: strict": (linear, lambda m: functional_call(m, {"nope": EYE}, EYE, strict=True),
                                RuntimeError, r"Unexpected key\(s\): \['nope'\]"),
    "functional_call: list": (linear, lambda m: functional_call(m, [1], EYE), ValueError,
                              r"parameter_and_buffer_dicts to be a dict.* got \[1\]"),
    "value_and_grad: array": (linear, differentiate(lambda m: m.weight * 2), RuntimeError,
                              r"scalar.*\(2, 3\)"),
    "value_and_grad: complex": (linear, differentiate(lambda m: 1j * anp.sum(m.weight)), RuntimeError,
                                "^the loss must be a real scalar, got complex128"),
    "value_and_grad: raises": (ortho, differentiate(lambda m: m.weight @ anp.ones(9)), ValueError,
                               "size 9 is different from 2"),
    "value_and_grad: assigns": (ortho, differentiate(assign(np.eye(3, 2))), RuntimeError,
                                "cannot assign to 'weight'"),
    "parameter: name": (linear, lambda m: m.get_parameter("nope"), AttributeError,
                        "no parameter `nope`"),
    "submodule: name": (linear, lambda m: m.get_submodule("a.b"), AttributeError, "no submodule `a`"),
    "register_buffer: name": (linear, lambda m: m.register_buffer("a.b", EYE), KeyError,
                              "buffer name can.*got .a.b"),
    "register_buffer: taken": (linear, lambda m: m.register_buffer("weight", EYE), KeyError,
                               "attribute .weight. already exists"),
    "register_buffer: list": (linear, lambda m: m.register_buffer("b", [1]), TypeError,
                              "cannot assign 'list' object to buffer 'b'"),
    "attribute": (linear, lambda m: m.nope, AttributeError, "'Linear' object has no attribute 'nope'"),
    "load: objects": (linear, load(weight=np.full((2, 3), "x", object)), RuntimeError,
                      "dtype mismatch for weight: object in the checkpoint"),
    "load: nothing": (ortho, lambda m: m.load_state_dict({}), RuntimeError,
                      'Missing key.*"bias", "parametrizations.weight.original", "parametriz.*base"'),
    "load: PyTorch's old weight_norm": (
        weighted, lambda m: m.load_state_dict({"bias": np.ones(2), "weight_g": np.ones((2, 1)),
                                               "weight_v": EYE}), RuntimeError,
        r"size mismatch for parametrizations.weight.original1.*\(3, 3\).*\(2, 3\)"),
    "remove: two originals": (
        weighted, lambda m: parametrize.remove_parametrizations(m, "weight", leave_parametrized=False),
        ValueError, "Cannot leave unparametrized"),
    "register: class": (linear,
                        lambda m: parametrize.register_parametrization(m, "weight", nn.ReLU), TypeError,
                        "must be a Module.*got <class .*ReLU"),
    "list of none": (linear, lambda m: parametrize.ParametrizationList([], m._parameters["weight"]),
                     ValueError, "requires one or more modules"),
    "list of numbers": (linear, lambda m: parametrize.ParametrizationList([1], m._parameters["weight"]),
                        TypeError, "^int is not a Module subclass"),
    "to: int": (ortho, lambda m: m.to(int), TypeError, "^dtype must be float32.* got int64"),
    "register_parameter: array": (linear, lambda m: m.register_parameter("w", EYE), TypeError,
                                  "cannot assign 'ndarray' object to parameter 'w'"),
    "register_parameter: name": (linear, lambda m: m.register_parameter("a.b", None), KeyError,
                                 "parameter name can.*got .a.b"),
    "add_module: number": (linear, lambda m: m.add_module("a", 1), TypeError,
                           "^int is not a Module subclass"),
    "train: string": (linear, lambda m: m.train("x"), ValueError, "mode is expected to be boolean"),
    "delete: name": (linear, lambda m: delattr(m, "nope"), AttributeError, "no attribute 'nope'"),
    "call: no forward": (nn.Module, lambda m: m(EYE), NotImplementedError, "missing the .forward."),
    "call: RNN ndim": (rnn, lambda m: m(np.ones(5)), ValueError, "2D or 3D, got 1D"),
    "call: RNN entries": (rnn, lambda m: m(np.ones((5, 1, 4))), RuntimeError,
                          r"^input must have 3 entries.* got shape \(5, 1, 4\)"),
    "call: RNN state": (rnn, lambda m: m(np.ones((5, 1, 3)), np.ones((1, 2, 2))), RuntimeError,
                        r"^hx must have shape \(1, 1, 2\), got \(1, 2, 2\)"),
    "call: RNN, no steps": (rnn, lambda m: m(np.ones((0, 1, 3))), RuntimeError,
                            "^input must have at least one time step"),
    "call: LSTMCell pair": (lambda: nn.LSTMCell(3, 2, rng=0), lambda m: m(np.ones(3), np.ones(2)),
                            TypeError, "^hx must be a pair of arrays, got ndarray"),
    "call: GRUCell ndim": (lambda: nn.GRUCell(3, 2, rng=0), lambda m: m(np.ones((1, 1, 3))), ValueError,
                           r"^input must have shape \(N, 3\) or \(3,\), got \(1, 1, 3\)"),
    "call: Embedding": (lambda: nn.Embedding(3, 2, rng=0), lambda m: m(np.array([-1])), IndexError,
                        "^input must hold indices from 0 to 2, got -1"),
    "call: Conv2d ndim": (conv, lambda m: m(EYE), RuntimeError,
                          r"^input must have 4 dimensions.* got shape \(3, 3\)"),
    "call: Conv2d channels": (conv, lambda m: m(np.ones((1, 3, 5, 5))), RuntimeError,
                              r"^input must have 2 channels.* got shape \(1, 3, 5, 5\)"),
    "call: Flatten": (lambda: nn.Flatten(2), lambda m: m(EYE), IndexError,
                      "^start_dim must be from -2 to 1, got 2"),
    "Sequential: index": (lambda: nn.Sequential(nn.ReLU()), lambda m: m[1], IndexError,
                          "^index 1 is out of range"),
    "Sequential: append": (lambda: nn.Sequential(nn.ReLU()), lambda m: m.append(1), TypeError,
                           "^int is not a Module subclass"),
    "ModuleDict: key": (lambda: nn.ModuleDict({"a": nn.ReLU()}), lambda m: m.pop("b"), KeyError, "'b'"),
    "init: computed weight": (ortho, lambda m: init.uniform_(m.weight), ValueError,
                              "(?i)read-only|computed"),
}


@pytest.mark.parametrize("make, do, error, message", MODULES.values(), ids=MODULES)
def test_modules_refuse_and_stay_as_they_were(make, do, error, message):
    module = make()
    before, parameters = snapshot(module), list(module.parameters())
    with pytest.raises(error) as raised:
        do(module)
    assert re.search(message, str(raised.value).replace("\n", " "))
    assert snapshot(module) == before
    assert all(a is b for a, b in zip(module.parameters(), parameters, strict=True))


def test_there_are_enough_rows():
    assert len(ARRAYS) + len(MODULES) >= 180
