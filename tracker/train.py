"""A training loop that is all in view: a small network learns handwritten digits, in plain NumPy.

data      scikit-learn's bundled digits: 1,797 images of 8 x 8 pixels, grey values 0 to 16, labels 0 to 9
          (Alpaydin and Kaynak, 1998, UCI "Optical Recognition of Handwritten Digits")
model     pixels (n, 64) -> hidden layer with ReLU (n, hidden) -> scores (n, 10) -> softmax
loss      mean cross-entropy, in nats: 2.30 = ln 10 is guessing
update    mini-batch stochastic gradient descent with momentum: v <- momentum * v - lr * gradient; w <- w + v
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Weights = dict[str, Floats]  # w1 (64, hidden), b1 (hidden,), w2 (hidden, 10), b2 (10,)
Log = Callable[[Mapping[str, float], int], None]


@dataclass(frozen=True)
class Config:
    """What a run is given."""

    lr: float = 0.1
    momentum: float = 0.9
    hidden: int = 32
    batch_size: int = 32
    epochs: int = 30
    seed: int = 0


class Data(NamedTuple):
    """Pixels are scaled to 0..1. The validation images are never trained on."""

    train_x: Floats
    train_y: Labels
    val_x: Floats
    val_y: Labels


def load(val_share: float = 0.2) -> Data:
    """The digits, shuffled once and always in the same way, so that every run is judged by the same images."""
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(pixels))
    pixels, labels = pixels[order] / 16.0, labels[order]
    held_out = round(val_share * len(pixels))
    return Data(pixels[held_out:], labels[held_out:], pixels[:held_out], labels[:held_out])


def start(config: Config, rng: np.random.Generator) -> Weights:
    """Random weights of a size that neither fades nor explodes through a ReLU (He et al., 2015)."""
    return {
        "w1": rng.normal(0.0, np.sqrt(2 / 64), (64, config.hidden)),
        "b1": np.zeros(config.hidden),
        "w2": rng.normal(0.0, np.sqrt(2 / config.hidden), (config.hidden, 10)),
        "b2": np.zeros(10),
    }


def predict(weights: Weights, x: Floats) -> tuple[Floats, Floats]:
    """The hidden layer (n, hidden) and the probability of each digit (n, 10)."""
    hidden = np.maximum(x @ weights["w1"] + weights["b1"], 0.0)
    scores = hidden @ weights["w2"] + weights["b2"]
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))  # shifted: exp of a large score would overflow
    return hidden, odds / odds.sum(axis=1, keepdims=True)


def evaluate(weights: Weights, x: Floats, y: Labels) -> tuple[float, float]:
    """Loss (nats) and accuracy (0..1)."""
    _, p = predict(weights, x)
    return float(-np.log(p[np.arange(len(y)), y]).mean()), float((p.argmax(axis=1) == y).mean())


def gradients(weights: Weights, x: Floats, y: Labels) -> tuple[float, Weights]:
    """The loss of a batch, and its derivative by each weight, by the chain rule from the scores backwards."""
    hidden, p = predict(weights, x)
    rows = np.arange(len(y))
    loss = float(-np.log(p[rows, y]).mean())
    d_scores = p.copy()
    d_scores[rows, y] -= 1.0
    d_scores /= len(y)
    d_hidden = d_scores @ weights["w2"].T * (hidden > 0.0)
    return loss, {
        "w1": x.T @ d_hidden,
        "b1": d_hidden.sum(axis=0),
        "w2": hidden.T @ d_scores,
        "b2": d_scores.sum(axis=0),
    }


def train(config: Config, data: Data, log: Log, progress: Callable[[int, float], None] = lambda *_: None) -> Weights:
    """The trained weights. `log` gets loss, lr and grad_norm at every step, and once an epoch val/loss and
    val/accuracy; `progress` gets the epochs done and the newest accuracy.

    With a learning rate that is far too high the numbers may overflow. That is logged like any other value: a run
    that diverged should look like one.
    """
    rng = np.random.default_rng(config.seed)
    weights = start(config, rng)
    velocity = {name: np.zeros_like(w) for name, w in weights.items()}
    step = 0
    with np.errstate(all="ignore"):
        for epoch in range(config.epochs):
            order = rng.permutation(len(data.train_x))
            for rows in np.split(order, range(config.batch_size, len(order), config.batch_size)):
                loss, grads = gradients(weights, data.train_x[rows], data.train_y[rows])
                for name, grad in grads.items():
                    velocity[name] = config.momentum * velocity[name] - config.lr * grad
                    weights[name] = weights[name] + velocity[name]
                norm = float(np.sqrt(sum(float((grad**2).sum()) for grad in grads.values())))
                log({"loss": loss, "lr": config.lr, "grad_norm": norm}, step)
                step += 1
            val_loss, accuracy = evaluate(weights, data.val_x, data.val_y)
            log({"val/loss": val_loss, "val/accuracy": accuracy}, step - 1)
            progress(epoch + 1, accuracy)
    return weights
