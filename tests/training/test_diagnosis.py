"""Short trainings tell a model that learns from one that cannot."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from pipeline.training.diagnosis import Diagnosis, Sample

CLASSES = 10


@pytest.fixture(scope="module")
def sample() -> Sample:
    pixels, labels = load_digits(return_X_y=True)
    targets = keras.utils.to_categorical(labels[:200], CLASSES)
    return Sample((pixels[:200] / 16).astype(np.float32), targets.astype(np.float32))


def equal(targets: np.ndarray) -> np.ndarray:
    return np.full(targets.shape, 1 / CLASSES, np.float32)


def diagnosis(activation: str = "relu", layers: int = 1, rate: float = 1e-2) -> Diagnosis:
    keras.utils.set_random_seed(3)
    hidden = [keras.layers.Dense(32, activation, name=f"hidden_{n}") for n in range(layers)]
    output = keras.layers.Dense(CLASSES, "softmax", name="output")
    model = keras.Sequential([keras.Input((64,)), *hidden, output])
    loss = keras.losses.CategoricalCrossentropy()
    return Diagnosis(model, loss, lambda: keras.optimizers.Adam(rate), equal)


def test_chance_is_the_logarithm_of_the_number_of_classes(sample: Sample) -> None:
    assert diagnosis().chance_loss(sample) == pytest.approx(np.log(CLASSES), rel=1e-5)
    assert diagnosis().initial_loss(sample) == pytest.approx(np.log(CLASSES), abs=0.5)


def test_a_model_that_can_learn_overfits_a_few_images(sample: Sample) -> None:
    found = diagnosis().overfit(sample.at(np.arange(50)), steps=300)
    assert found.is_learnt
    assert found.images == 50
    assert len(found.losses) < 200  # it ends as soon as they are learnt
    assert found.losses[-1] <= 0.1 * np.log(CLASSES) < found.losses[-2]


def test_a_rate_that_is_too_low_does_not(sample: Sample) -> None:
    hopeless = diagnosis(rate=1e-7)
    few = sample.at(np.arange(50))
    assert not hopeless.overfit(few, steps=20).is_learnt
    assert hopeless.overfit(few, steps=300, rate=1e-2).is_learnt


def test_gradients_vanish_through_many_sigmoids(sample: Sample) -> None:
    shallow = diagnosis(layers=1).gradient_norms(sample, steps=2)
    assert list(shallow) == ["hidden_0", "output"]
    assert shallow["hidden_0"] > 0.1 * shallow["output"]
    deep = diagnosis("sigmoid", layers=6).gradient_norms(sample, steps=2)
    assert deep["hidden_0"] < 1e-3 * deep["output"]


def test_the_suggested_rate_is_one_that_learns(sample: Sample) -> None:
    found = diagnosis()
    rates = found.rate_range(sample, batch_size=50, seed=0)
    assert rates.suggestion is not None
    assert 1e-4 < rates.suggestion < 1e-1
    assert found.overfit(sample.at(np.arange(50)), steps=300, rate=rates.suggestion).is_learnt
    assert rates.losses[0] == pytest.approx(found.initial_loss(sample), abs=0.3)


def test_the_rate_with_which_training_diverges_is_found(sample: Sample) -> None:
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((64,)), keras.layers.Dense(CLASSES, "softmax")])
    found = Diagnosis(
        model, keras.losses.CategoricalCrossentropy(), lambda: keras.optimizers.SGD(1e-2), equal
    )
    rates = found.rate_range(Sample(100 * sample.inputs, sample.targets), batch_size=50, seed=0)
    assert rates.highest is not None
    assert rates.highest < 1


def test_a_rate_with_which_outputs_saturate_is_not_suggested(sample: Sample) -> None:
    keras.utils.set_random_seed(3)
    hidden = [keras.layers.Dense(8, "relu") for _ in range(3)]
    model = keras.Sequential([keras.Input((64,)), *hidden, keras.layers.Dense(64, "sigmoid")])
    dark = sample.inputs**4  # black images for all of them are not far off
    found = Diagnosis(
        model, keras.losses.MeanSquaredError(), lambda: keras.optimizers.Adam(1e-3), np.zeros_like
    )
    rates = found.rate_range(Sample(dark, dark), batch_size=50, seed=0)
    assert rates.highest is None  # the loss is as low with a rate of 10
    assert rates.suggestion is not None
    assert rates.suggestion < 0.1


@pytest.mark.parametrize("measure", ["overfit", "gradient_norms", "rate_range"])
def test_each_training_starts_from_the_initial_weights(sample: Sample, measure: str) -> None:
    found = diagnosis()
    before = found.initial_loss(sample)
    arguments: dict[str, Any] = {"steps": 5}
    if measure == "rate_range":
        arguments = {"batch_size": 50, "seed": 0}
    first, second = (getattr(found, measure)(sample, **arguments) for _ in range(2))
    if measure == "rate_range":
        first, second = first.losses, second.losses
    assert first == second
    assert found.initial_loss(sample) == before
