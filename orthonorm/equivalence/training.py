"""Training runs, written once for both libraries.

A run is a class. ``draw`` chooses its data and batches; making an instance builds models and
optimisers with a library of :mod:`.libraries`; ``step`` makes one step of training and returns its
losses. All that is trained is in ``model``.
"""
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]

# Adam moves an entry whose gradient is a rounding error as far as any other, if its eps is as small as
# the default: a badly conditioned run, which says little about either library.
ADAM = {"eps": 1e-3}


class Autoencoder:
    """Pictures of digits through a bottleneck of three numbers and back.

    The weights are orthogonal, one wide (6 x 64) and one tall (6 x 3). Each serves on the way in and,
    transposed, on the way out: for an orthogonal matrix that is the inverse.
    """

    steps = 100

    @staticmethod
    def draw(rng: np.random.Generator, digits: Arrays) -> Arrays:
        """Draw batches of 16 pictures."""
        return {"batches": rng.integers(len(digits["pixels"]), size=(Autoencoder.steps, 16))}

    def __init__(self, library: Any, dtype: str, digits: Arrays, inputs: Arrays, **options: Any):
        nn, kind = library.nn, library.dtype(dtype)
        self.outer = library.orthogonal(nn.Linear(64, 6, dtype=kind), **options)
        self.inner = library.orthogonal(nn.Linear(3, 6, dtype=kind), **options)
        self.tanh = nn.Tanh()
        self.model = nn.ModuleDict({"outer": self.outer, "inner": self.inner})
        # Smaller steps stay for a while where the norm of the skew matrix is 0.01 to 0.05: there
        # PyTorch's gradient of the exponential is off by up to 1e-10, in double precision.
        self.optimizer = library.optim.Adam(self.model.named_parameters(), lr=0.02, **ADAM)
        self.pictures = library.array(pictures(digits, inputs["batches"], dtype).reshape(-1, 16, 64))
        self.library = library

    def loss(self, x: Any) -> Any:
        """Return the squared error of a picture, in the mean."""
        with self.library.cached():
            code = self.tanh(self.tanh(self.outer(x)) @ self.inner.weight)
            back = self.tanh(self.inner(code)) @ self.outer.weight
        return ((back - x) ** 2).sum(1).mean()

    def step(self, i: int) -> dict[str, Any]:
        """Train on batch i."""
        return {"loss": self.library.minimize(self.optimizer, self.loss, self.model, self.pictures[i])}


class CopyingMemory:
    """A recurrent network that learns to repeat two bits which it saw five steps before.

    It is given two bits, three blanks, a mark and a blank; wanted are five blanks and the two bits. The
    recurrent weight is orthogonal, and computed once a sequence.
    """

    steps = 60
    blank, mark = 2, 3

    @staticmethod
    def draw(rng: np.random.Generator, digits: Arrays) -> Arrays:
        """Draw batches of 16 times two bits."""
        return {"bits": rng.integers(2, size=(CopyingMemory.steps, 2, 16))}

    def __init__(self, library: Any, dtype: str, digits: Arrays, inputs: Arrays):
        nn, kind = library.nn, library.dtype(dtype)
        self.cell = library.orthogonal(nn.RNNCell(4, 12, dtype=kind), "weight_hh")
        self.read = nn.Linear(12, 3, dtype=kind)
        self.model = nn.ModuleDict({"cell": self.cell, "read": self.read})
        self.optimizer = library.optim.SGD(self.model.named_parameters(), lr=0.3, momentum=0.9)
        blanks = np.full((self.steps, 5, 16), self.blank)
        given = np.concatenate((inputs["bits"], blanks), axis=1)
        given[:, 5] = self.mark
        self.given = library.array(np.eye(4)[given].astype(dtype))
        self.wanted = library.array(np.concatenate((blanks, inputs["bits"]), axis=1))
        self.library = library

    def loss(self, given: Any, wanted: Any) -> Any:
        """Return the mean cross-entropy over all times."""
        state, total = None, 0.0
        with self.library.cached():
            for x, answer in zip(given, wanted):
                state = self.cell(x, state)
                total = total + self.library.nn.functional.cross_entropy(self.read(state), answer)
        return total / len(given)

    def step(self, i: int) -> dict[str, Any]:
        """Train on batch i."""
        return {"loss": self.library.minimize(self.optimizer, self.loss, self.model, self.given[i],
                                              self.wanted[i])}


class Classifier:
    """Digits told apart by two convolutions and a linear layer, each weight-normalised."""

    steps = 60

    @staticmethod
    def draw(rng: np.random.Generator, digits: Arrays) -> Arrays:
        """Draw batches of 16 pictures."""
        return {"batches": rng.integers(len(digits["pixels"]), size=(Classifier.steps, 16))}

    def __init__(self, library: Any, dtype: str, digits: Arrays, inputs: Arrays):
        nn, kind = library.nn, library.dtype(dtype)
        self.model = nn.Sequential(
            library.weight_norm(nn.Conv2d(1, 4, 3, stride=2, padding=1, dtype=kind)), nn.ReLU(),
            library.weight_norm(nn.Conv2d(4, 6, 3, stride=2, padding=1, dtype=kind)), nn.ReLU(),
            nn.Flatten(), library.weight_norm(nn.Linear(24, 10, dtype=kind)))
        self.optimizer = library.optim.AdamW(self.model.named_parameters(), lr=0.02, **ADAM)
        self.pictures = library.array(pictures(digits, inputs["batches"], dtype))
        self.labels = library.array(digits["labels"][inputs["batches"]].astype(np.int64))
        self.library = library

    def loss(self, x: Any, labels: Any) -> Any:
        """Return the cross-entropy."""
        return self.library.nn.functional.cross_entropy(self.model(x), labels)

    def step(self, i: int) -> dict[str, Any]:
        """Train on batch i."""
        return {"loss": self.library.minimize(self.optimizer, self.loss, self.model, self.pictures[i],
                                              self.labels[i])}


class Perceptron:
    """Digits told apart by two linear layers, each weight moved by Muon in its own precision.

    PyTorch rounds Muon's iteration to bfloat16. Its path is near ours, not equal.
    """

    steps = 30

    @staticmethod
    def draw(rng: np.random.Generator, digits: Arrays) -> Arrays:
        """Draw batches of 16 pictures."""
        return {"batches": rng.integers(len(digits["pixels"]), size=(Perceptron.steps, 16))}

    def __init__(self, library: Any, dtype: str, digits: Arrays, inputs: Arrays, **options: Any):
        nn, kind = library.nn, library.dtype(dtype)
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(64, 8, bias=False, dtype=kind), nn.Tanh(),
                                   nn.Linear(8, 10, bias=False, dtype=kind))
        self.optimizer = library.optim.Muon(self.model.named_parameters(), lr=0.05, **options)
        self.pictures = library.array(pictures(digits, inputs["batches"], dtype))
        self.labels = library.array(digits["labels"][inputs["batches"]].astype(np.int64))
        self.library = library

    loss, step = Classifier.loss, Classifier.step


class Adversaries:
    """A generator of digits and a critic, every convolution spectral-normalised; hinge loss.

    A step trains the critic, then the generator. The critic sees real and generated pictures in one
    loss, so its weights are read, and their singular vectors move, several times in one step.
    """

    steps = 40

    @staticmethod
    def draw(rng: np.random.Generator, digits: Arrays) -> Arrays:
        """Draw batches of 8 pictures, noise for critic and generator, and where the penalty looks."""
        return {"batches": rng.integers(len(digits["pixels"]), size=(Adversaries.steps, 8)),
                "noise": rng.standard_normal((Adversaries.steps, 2, 8, 4)),
                "between": rng.uniform(size=(Adversaries.steps, 8, 1, 1, 1))}

    def __init__(self, library: Any, dtype: str, digits: Arrays, inputs: Arrays, penalty: float = 0.0):
        nn, kind = library.nn, library.dtype(dtype)

        def norm(layer: Any) -> Any:
            # One singular value far above the others: where two come near, the singular vectors turn
            # quickly, and rounding errors grow a thousandfold.
            nn.init.uniform_(layer.weight, -0.1, 0.5)
            return library.spectral_norm(layer)

        self.generator = nn.ModuleList([
            nn.Linear(4, 16, dtype=kind),
            norm(nn.ConvTranspose2d(4, 3, 4, stride=2, padding=1, dtype=kind)), nn.GELU(),
            norm(nn.ConvTranspose2d(3, 1, 4, stride=2, padding=1, dtype=kind)), nn.Sigmoid()])
        self.critic = nn.Sequential(
            norm(nn.Conv2d(1, 4, 3, stride=2, padding=1, dtype=kind)), nn.GELU(),
            norm(nn.Conv2d(4, 6, 3, stride=2, padding=1, dtype=kind)), nn.GELU(),
            nn.Flatten(), norm(nn.Linear(24, 1, dtype=kind)))
        self.model = nn.ModuleDict({"generator": self.generator, "critic": self.critic})
        options = {**ADAM, "lr": 0.01, "betas": (0.5, 0.9)}
        self.critics = library.optim.Adam(self.critic.named_parameters(), **options)
        self.generators = library.optim.Adam(self.generator.named_parameters(), **options)
        self.pictures = library.array(pictures(digits, inputs["batches"], dtype))
        self.noise = library.array(inputs["noise"].astype(dtype))
        self.between = library.array(inputs["between"].astype(dtype))
        self.library, self.penalty, self.relu = library, penalty, nn.ReLU()

    def generate(self, noise: Any) -> Any:
        """Turn noise of shape (8, 4) into pictures of shape (8, 1, 8, 8)."""
        first, *others = self.generator
        x = first(noise).reshape(-1, 4, 2, 2)
        for layer in others:
            x = layer(x)
        return x

    def critic_loss(self, real: Any, noise: Any, between: Any) -> Any:
        """Return the hinge loss, and the penalty on gradients whose norm is not 1."""
        fake = self.generate(noise)
        loss = self.relu(1 - self.critic(real)).mean() + self.relu(1 + self.critic(fake)).mean()
        if self.penalty:
            x = between * real + (1 - between) * fake
            slope = (self.library.input_gradients(self.critic, x) ** 2).sum((1, 2, 3)) ** 0.5
            loss = loss + self.penalty * ((slope - 1) ** 2).mean()
        return loss

    def generator_loss(self, noise: Any) -> Any:
        """Return how little the critic likes what is generated."""
        return -self.critic(self.generate(noise)).mean()

    def step(self, i: int) -> dict[str, Any]:
        """Train the critic on batch i, then the generator."""
        minimize, (for_critic, for_generator) = self.library.minimize, self.noise[i]
        return {
            "critic loss": minimize(self.critics, self.critic_loss, self.critic, self.pictures[i],
                                    for_critic, self.between[i]),
            "generator loss": minimize(self.generators, self.generator_loss, self.generator,
                                       for_generator)}


def pictures(digits: Arrays, batches: np.ndarray, dtype: str) -> np.ndarray:
    """Return pictures with one channel, brightness 0 to 1, of the digits of these numbers."""
    return (digits["pixels"][batches][..., np.newaxis, :, :] / 16).astype(dtype)
