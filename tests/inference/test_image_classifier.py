"""A model answers by its graph, which gives what Keras gives, or else by Keras."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.inference.classifier import Classifier, load_classifier
from pipeline.inference.image_classifier import GraphClassifier, load_image_classifier

DIGITS = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 1), np.uint8)


@pytest.fixture
def copy(digits_graph_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(digits_graph_model, tmp_path / "data")


def test_the_graph_gives_the_probabilities_of_the_keras_model(digits_graph_model: Path) -> None:
    classifier = load_image_classifier(digits_graph_model)
    assert isinstance(classifier, GraphClassifier)
    expected = load_classifier(digits_graph_model).predict(DIGITS)
    (outputs,) = classifier.run([DIGITS])
    np.testing.assert_allclose(outputs.outputs, expected, atol=1e-5)
    assert outputs.distances is None
    assert classifier.graph.facts.images == 5
    assert classifier.graph.facts.max_difference < 1e-5


def test_a_model_without_a_graph_is_answered_by_keras(
    digits_model: Path, messages: list[str]
) -> None:
    assert isinstance(load_image_classifier(digits_model), Classifier)
    assert messages == []


def change_weights(directory: Path) -> None:
    path = directory / "graph.bin"
    path.write_bytes(path.read_bytes()[:-4] + b"1234")


def change_model(directory: Path) -> None:
    model = keras.models.load_model(directory / "model.keras")
    model.layers[-1].bias.assign(model.layers[-1].bias + 1)
    model.save(directory / "model.keras")


def spoil_facts(directory: Path) -> None:
    (directory / "graph.json").write_text('{"digests": 3}')


def remove_graph(directory: Path) -> None:
    (directory / "graph.xml").unlink()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_weights, "graph.bin is not the file that it was written with"),
        (change_model, "model.keras is not the file that it was written with"),
        (spoil_facts, "'int' object is not iterable"),
        (remove_graph, "No such file or directory"),
    ],
)
def test_keras_answers_if_the_graph_is_not_the_one_that_was_written(
    copy: Path, change: Callable[[Path], None], reason: str, messages: list[str]
) -> None:
    change(copy)
    assert isinstance(load_image_classifier(copy), Classifier)
    assert messages == [
        f"WARNING: Using Keras, because {copy / 'graph.xml'} cannot be used: {reason}"
    ]


def test_keras_answers_if_a_graph_is_no_graph(copy: Path, messages: list[str]) -> None:
    (copy / "graph.xml").write_text("<net/>")
    facts = json.loads((copy / "graph.json").read_text())
    facts["digests"]["graph.xml"] = hashlib.sha256(b"<net/>").hexdigest()
    (copy / "graph.json").write_text(json.dumps(facts))
    assert isinstance(load_image_classifier(copy), Classifier)
    (message,) = messages
    assert message.startswith(f"WARNING: Using Keras, because {copy / 'graph.xml'} cannot be used:")


def test_it_answers_without_tensorflow(digits_graph_model: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import numpy as np; "
        "from pipeline.inference.image_classifier import load_image_classifier; "
        "from pipeline.inference.batch_prediction import predict; "
        "classifier = load_image_classifier(Path(sys.argv[1])); "
        "(one,) = predict(classifier, [0], lambda _: np.zeros((8, 8, 1), np.uint8)); "
        "assert one.outputs.shape == (10,); "
        "loaded = {'tensorflow', 'keras', 'mlflow', 'sklearn'} & set(sys.modules); "
        "assert not loaded, loaded"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(digits_graph_model)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
