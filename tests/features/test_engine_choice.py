"""The fastest engine is chosen whose features are as good, and the choice is kept."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np
import pytest

from pipeline.data.splits import ArrayImages, Split
from pipeline.engines.engine import KERAS, Variant
from pipeline.engines.frozen_graph import FrozenGraph
from pipeline.features import engine_choice
from pipeline.features.engine_choice import EngineOptions, EngineSelector, relative_error
from pipeline.features.known_views import KnownViews, view_digest

COUNT = 80
OPENVINO, TENSORFLOW = Variant("openvino", "float32"), Variant("tensorflow", "float32")
REDUCED = Variant("openvino", "bfloat16")


class Answers:
    """A compiled graph that returns the mean of each channel, with an error."""

    def __init__(self, error: float) -> None:
        self._error = error

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        for images in batches:
            means = images.mean(axis=(1, 2))
            yield [means + self._error * np.random.default_rng(0).normal(0, 99, means.shape)]


@pytest.fixture(scope="module")
def train() -> Split:
    """Pictures of two colours, with noise."""
    generator, labels = np.random.default_rng(0), np.arange(COUNT) % 2
    pixels = generator.integers(0, 100, (COUNT, 8, 8, 3))
    pixels[..., 0] += 100 * labels[:, np.newaxis, np.newaxis]
    digests = np.zeros((COUNT, 32), np.uint8)
    return Split(ArrayImages(pixels.astype(np.uint8)), labels, [""] * COUNT, digests, "colours")


def graph() -> FrozenGraph:
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.ReLU()(keras.layers.Conv2D(4, 3, kernel_initializer="ones")(inputs))
    return FrozenGraph(
        keras.Model(inputs, keras.layers.Rescaling(1 / 255)(inputs)),
        keras.Model(inputs, x, name="net"),
        pool=True,
    )


def selector(train: Split, *, precision: Any = None, rows: int = COUNT) -> EngineSelector:
    options = EngineOptions(("openvino", "tensorflow"), precision)
    return EngineSelector(graph(), train, options=options, rows=rows)


@pytest.fixture
def raced(monkeypatch: pytest.MonkeyPatch) -> dict[Variant, float]:
    """The speeds of a race that is not run; an engine that is not in it cannot run."""
    speeds: dict[Variant, float] = {}

    def race(self: Any, precisions: Any) -> dict[Variant, float]:
        return {each: speed for each, speed in speeds.items() if each.precision in precisions}

    monkeypatch.setattr(EngineSelector, "_race", race)
    monkeypatch.setattr(engine_choice, "has_bfloat16", lambda: True)
    return speeds


@pytest.fixture
def errors(monkeypatch: pytest.MonkeyPatch) -> dict[Variant, float]:
    """The errors of the features of variants, 0 for those that are not in it."""
    found: dict[Variant, float] = {}
    monkeypatch.setattr(
        EngineSelector, "compiled", lambda self, variant: Answers(found.get(variant, 0.0))
    )
    return found


def test_a_real_race_has_a_winner_that_computes_the_same(train: Split) -> None:
    chosen = selector(train, precision="float32", rows=10**9)
    choice = chosen.choice
    assert choice.exact == OPENVINO
    assert choice.training in (OPENVINO, TENSORFLOW)
    assert set(choice.speeds) == {"OpenVINO in float32", "TensorFlow in float32"}
    images = train.images.read(np.arange(8)).astype(np.float32)
    features = [
        np.concatenate([array for (array,) in chosen.compiled(variant).run([images])])
        for variant in (KERAS, choice.exact, choice.training)
    ]
    np.testing.assert_allclose(features[1], features[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(features[2], features[0], rtol=1e-4, atol=1e-5)


def test_a_second_engine_is_not_raced_for_a_few_views(train: Split) -> None:
    assert set(selector(train, precision="float32").choice.speeds) == {"OpenVINO in float32"}


def test_what_lost_the_race_does_not_stay_in_memory(train: Split) -> None:
    chosen = selector(train, precision="float32")
    lost, won = weakref.ref(chosen.compiled(KERAS)), weakref.ref(chosen.compiled(OPENVINO))
    assert chosen.choice.training == OPENVINO
    gc.collect()
    assert lost() is None
    assert won() is chosen.compiled(OPENVINO)


@pytest.mark.usefixtures("errors")
def test_the_fastest_wins(train: Split, raced: dict[Variant, float]) -> None:
    raced |= {REDUCED: 50.0, Variant("tensorflow", "bfloat16"): 60.0}
    choice = selector(train).choice
    assert choice.training == Variant("tensorflow", "bfloat16")
    assert choice.exact == OPENVINO
    assert (choice.disagreements, choice.compared) == (0, 64)


def test_the_next_wins_if_heads_predict_differently(
    train: Split, raced: dict[Variant, float], errors: dict[Variant, float], messages: list[str]
) -> None:
    raced |= {REDUCED: 50.0, OPENVINO: 20.0, TENSORFLOW: 30.0}
    errors[REDUCED] = 10.0
    assert selector(train).choice.training == TENSORFLOW
    (message,) = messages
    assert message.startswith(
        "Not running net with OpenVINO in bfloat16: heads trained on its features predict another "
        "label for "
    )
    assert message.endswith(" of 64 training images")


def test_an_inexact_float32_is_refused(
    train: Split, raced: dict[Variant, float], errors: dict[Variant, float], messages: list[str]
) -> None:
    raced |= {OPENVINO: 20.0, TENSORFLOW: 10.0}
    errors |= {OPENVINO: 1.0}
    choice = selector(train, precision="float32").choice
    assert (choice.exact, choice.training) == (KERAS, TENSORFLOW)
    assert messages[0].startswith(
        "Not running net with OpenVINO in float32: its features differ from Keras's by "
    )


def test_keras_computes_if_nothing_else_can(
    train: Split, raced: dict[Variant, float], errors: dict[Variant, float], messages: list[str]
) -> None:
    errors |= {OPENVINO: 1.0, TENSORFLOW: 1.0}
    choice = selector(train, precision="bfloat16").choice
    assert (choice.exact, choice.training) == (KERAS, KERAS)
    assert messages[-1] == ("WARNING: net runs in float32: no engine passed the guard in bfloat16")


@pytest.mark.usefixtures("errors")
def test_what_was_computed_to_choose_is_known(train: Split, raced: dict[Variant, float]) -> None:
    raced |= {REDUCED: 50.0}
    chosen = selector(train)
    assert chosen.compared.known(OPENVINO) == []
    assert chosen.choice.exact == OPENVINO
    pixels = train.images.read(np.arange(COUNT)).astype(np.float32)
    known = KnownViews(chosen.compared.known(OPENVINO))
    positions = [known.find(view_digest(image)) for image in pixels]
    assert positions.count(None) == COUNT - 64
    (features,) = known.activations(np.array([i for i in positions if i is not None]))
    are_known = [position is not None for position in positions]
    np.testing.assert_allclose(features, pixels[are_known].mean(axis=(1, 2)), rtol=1e-5)


@pytest.mark.usefixtures("errors")
@pytest.mark.parametrize(("rows", "precision"), [(1749, "bfloat16"), (1750, "int8")])
def test_int8_is_raced_where_the_others_take_long(
    train: Split, raced: dict[Variant, float], rows: int, precision: str
) -> None:
    raced |= {REDUCED: 50.0, Variant("openvino", "int8"): 99.0}
    assert selector(train, rows=rows).choice.training.precision == precision


@pytest.mark.usefixtures("errors")
def test_a_choice_is_kept(train: Split, raced: dict[Variant, float]) -> None:
    raced |= {REDUCED: 50.0}
    first = selector(train).choice
    raced |= {Variant("tensorflow", "bfloat16"): 60.0}
    assert selector(train).choice == first
    assert selector(train, precision="float32").choice != first


def test_the_guard_is_the_error_if_classes_are_too_small_to_compare_heads(
    train: Split, raced: dict[Variant, float], errors: dict[Variant, float]
) -> None:
    raced |= {REDUCED: 50.0, OPENVINO: 20.0}
    alone = Split(train.images, np.arange(COUNT), train.names, train.image_digests, "alone")
    assert selector(alone).choice.training == REDUCED
    errors[REDUCED] = 1.0
    other = Split(train.images, np.arange(COUNT), train.names, train.image_digests, "other")
    assert selector(other).choice.training == OPENVINO


def test_the_calibration_images_are_part_of_what_int8_depends_on(train: Split) -> None:
    facts = selector(train).facts
    assert facts(Variant("openvino", "int8"))["calibration"] == "colours"
    assert "calibration" not in facts(OPENVINO)


def test_the_error_is_infinite_if_features_are_not_finite() -> None:
    assert relative_error(np.array([1.0, np.nan]), np.array([1.0, 1.0])) == float("inf")


def test_the_error_is_relative_to_the_norm() -> None:
    assert relative_error(np.array([3.0, 4.5]), np.array([3.0, 4.0])) == pytest.approx(0.1)
