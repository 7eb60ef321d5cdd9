import math

import numpy as np
import pytest

from tracker import train
from tracker.train import Config


@pytest.fixture(scope="module")
def data() -> train.Data:
    return train.load()


def test_validation_images_are_not_trained_on(data: train.Data) -> None:
    assert data.train_x.shape == (1438, 64)
    assert data.val_x.shape == (359, 64)
    trained = {row.tobytes() for row in data.train_x}
    assert sum(row.tobytes() in trained for row in data.val_x) == 0


def test_loading_twice_gives_the_same_split(data: train.Data) -> None:
    again = train.load()
    assert all(np.array_equal(a, b) for a, b in zip(data, again, strict=True))


def test_probabilities_are_probabilities(data: train.Data) -> None:
    weights = train.start(Config(), np.random.default_rng(1))
    _, p = train.predict(weights, data.val_x)
    assert p.shape == (359, 10)
    assert np.allclose(p.sum(axis=1), 1.0)
    assert (p >= 0).all()


def test_an_untrained_network_guesses(data: train.Data) -> None:
    weights = {name: np.zeros_like(w) for name, w in train.start(Config(), np.random.default_rng(0)).items()}
    loss, _ = train.evaluate(weights, data.val_x, data.val_y)
    assert loss == pytest.approx(math.log(10))


def test_gradients_are_the_slopes_of_the_loss(data: train.Data) -> None:
    """The oracle: move one weight a little, and see how far the loss moves."""
    rng = np.random.default_rng(3)
    weights = train.start(Config(hidden=8), rng)
    x, y = data.train_x[:16], data.train_y[:16]
    _, grads = train.gradients(weights, x, y)
    tiny = 1e-6
    for name, w in weights.items():
        for index in rng.choice(w.size, size=5, replace=False):
            place = np.unravel_index(index, w.shape)
            moved = {n: v.copy() for n, v in weights.items()}
            moved[name][place] += tiny
            up, _ = train.gradients(moved, x, y)
            moved[name][place] -= 2 * tiny
            down, _ = train.gradients(moved, x, y)
            assert grads[name][place] == pytest.approx((up - down) / (2 * tiny), abs=1e-6), name


def test_training_learns_and_logs_every_step(data: train.Data) -> None:
    logged: list[tuple[dict[str, float], int]] = []
    seen: list[tuple[int, float]] = []
    weights = train.train(
        Config(epochs=5), data, lambda m, step: logged.append((dict(m), step)), lambda *e: seen.append(e)
    )
    steps = [step for metrics, step in logged if "loss" in metrics]
    assert steps == list(range(5 * 45))
    assert {key for metrics, _ in logged for key in metrics} == {"loss", "lr", "grad_norm", "val/loss", "val/accuracy"}
    assert [epoch for epoch, _ in seen] == [1, 2, 3, 4, 5]
    loss, accuracy = train.evaluate(weights, data.val_x, data.val_y)
    assert accuracy > 0.9
    assert logged[-1] == ({"val/loss": loss, "val/accuracy": accuracy}, 5 * 45 - 1)


def test_the_same_seed_trains_the_same_network(data: train.Data) -> None:
    first, second, other = (train.train(Config(epochs=1, seed=seed), data, lambda *_: None)["w1"] for seed in (7, 7, 8))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_momentum_carries_on_from_the_last_step(data: train.Data) -> None:
    """One batch, twice: the second step adds `momentum` times the first."""
    one = train.Data(data.train_x[:8], data.train_y[:8], data.val_x, data.val_y)
    config = Config(batch_size=8, epochs=2, lr=0.1, momentum=0.5)
    start = train.start(config, np.random.default_rng(config.seed))
    _, g1 = train.gradients(start, one.train_x, one.train_y)
    after_one = {n: w - 0.1 * g1[n] for n, w in start.items()}
    _, g2 = train.gradients(after_one, one.train_x, one.train_y)
    expected = after_one["w2"] - 0.5 * 0.1 * g1["w2"] - 0.1 * g2["w2"]
    assert np.allclose(train.train(config, one, lambda *_: None)["w2"], expected)
