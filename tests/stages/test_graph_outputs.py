"""A trained model is computed by its graph if that gives what Keras gives."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.data.digits import DigitsConfig
from pipeline.data.splits import Splits
from pipeline.inference.classifier import load_classifier
from pipeline.recipe.grammar import Recipe
from pipeline.stages import graph_outputs
from pipeline.stages.evaluate_splits import evaluate_splits, evaluation_graph
from pipeline.stages.graph_outputs import compare_graph, graph_pays, multiplications
from pipeline.stages.train_model import TrainedModel, train_model

RECIPE = Recipe.model_validate(
    {
        "data": {"source": "digits"},
        "model": {"architecture": "mlp", "hidden": [64]},
        "training": {"epochs": 1},
    }
)


@pytest.fixture(scope="module")
def splits() -> Splits:
    return DigitsConfig(source="digits").load()


@pytest.fixture(scope="module")
def model(digits_model: Path) -> keras.Model:
    return load_classifier(digits_model).model


@pytest.fixture(scope="module")
def trained(splits: Splits, model: keras.Model) -> TrainedModel:
    """A training whose model has the weights of `digits_model`."""
    done = train_model(RECIPE, splits, on_epoch=lambda *_: None, show_progress=False)
    done.model.set_weights(model.get_weights())
    return done


def test_the_graph_computes_what_keras_does(
    digits_graph_model: Path, model: keras.Model, splits: Splits
) -> None:
    graph = compare_graph(digits_graph_model, model, splits)
    assert graph is not None
    assert (graph.parity.images, graph.parity.label_changes) == (32, 0)
    assert graph.parity.max_difference < 1e-5
    split = splits.train
    expected = model.predict(split.images.read(np.arange(len(split))), verbose=0)
    np.testing.assert_allclose(graph.outputs(split), expected, atol=1e-5)


def test_keras_computes_if_the_graph_differs(
    digits_graph_model: Path, digits_model: Path, splits: Splits, messages: list[str]
) -> None:
    model = load_classifier(digits_model).model
    model.layers[-1].bias.assign_add(np.eye(10)[3] * 9)
    assert compare_graph(digits_graph_model, model, splits) is None
    (message,) = messages
    changed, difference = message.split(", ")[2].split()[0], message.split()[-1]
    assert int(changed) > 10
    assert float(difference.rstrip(".")) > 0.9
    assert message == (
        "WARNING: Keras computes the metrics, because OpenVINO's differ: on 32 examples, "
        f"{changed} answers differ from Keras's and outputs by up to {difference}"
    )


def test_keras_computes_if_the_graph_is_none(
    digits_graph_model: Path,
    model: keras.Model,
    splits: Splits,
    tmp_path: Path,
    messages: list[str],
) -> None:
    shutil.copytree(digits_graph_model, tmp_path, dirs_exist_ok=True)
    (tmp_path / "graph.xml").write_text("<net/>")
    assert compare_graph(tmp_path, model, splits) is None
    (message,) = messages
    assert message.startswith("WARNING: Keras computes the metrics, because OpenVINO fails: ")


def test_the_evaluation_tells_what_computed_it(
    trained: TrainedModel,
    digits_graph_model: Path,
    splits: Splits,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    by_keras = evaluate_splits(RECIPE, splits, trained)
    assert (by_keras.engine, by_keras.parity) == ("keras", None)
    assert by_keras.computation == "Keras in float32"
    monkeypatch.setattr(graph_outputs, "_MIN_MULTIPLICATIONS", 0)
    graph = evaluation_graph(trained, splits, lambda: digits_graph_model)
    assert graph is not None
    monkeypatch.setattr(trained.trainer, "graph", graph)
    monkeypatch.setattr(trained.model, "predict", pytest.fail)
    by_graph = evaluate_splits(RECIPE, splits, trained)
    assert by_graph.engine == "openvino"
    assert by_graph.computation == f"OpenVINO in float32: {graph.parity}"
    parity = {"graph/compared": 32, "graph/max_difference": graph.parity.max_difference}
    assert by_graph.metrics == pytest.approx({**by_keras.metrics, **parity}, abs=1e-4)


def test_a_small_model_does_not_wait_for_its_graph(trained: TrainedModel, splits: Splits) -> None:
    assert not graph_pays(trained.model, splits)
    assert evaluation_graph(trained, splits, pytest.fail) is None


def test_multiplications_are_those_of_all_positions() -> None:
    inner = keras.Sequential([keras.Input((9, 9, 2)), keras.layers.DepthwiseConv2D(2)])
    inputs = keras.Input((10, 10, 1))
    x = inner(keras.layers.Conv2D(2, 2)(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    assert multiplications(model) == 81 * (2 * 4 + 2) + 64 * (2 * 4 + 2) + (128 * 3 + 3)
