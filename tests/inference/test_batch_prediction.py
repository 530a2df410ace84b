"""Predictions for image files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.inference import batch_prediction
from pipeline.inference.batch_prediction import Prediction, predict
from pipeline.inference.classifier import load_classifier
from pipeline.inference.image_classifier import ImageClassifier, load_image_classifier


@pytest.fixture(scope="module", params=["keras", "openvino"])
def classifier(
    request: pytest.FixtureRequest, digits_model: Path, digits_graph_model: Path
) -> ImageClassifier:
    if request.param == "keras":
        return load_classifier(digits_model)
    return load_image_classifier(digits_graph_model)


def test_digits_are_recognized_from_their_files(
    classifier: ImageClassifier, digit_files: Path
) -> None:
    files = sorted(digit_files.iterdir())
    names = classifier.interface.class_names
    predictions = list(predict(classifier, files, classifier.interface.read))
    assert [each.item for each in predictions] == files
    correct = [each.top_classes(names, 1)[0][0] == each.item.stem[-1] for each in predictions]
    assert sum(correct) > 90


def test_a_prediction_does_not_depend_on_the_batch(
    classifier: ImageClassifier, digit_files: Path
) -> None:
    files = sorted(digit_files.iterdir())
    in_batch = list(predict(classifier, files, classifier.interface.read))[70]
    (alone,) = predict(classifier, [files[70]], classifier.interface.read)
    assert in_batch.outputs is not None
    assert alone.outputs is not None
    # Processors may round the rows of a batch differently.
    np.testing.assert_allclose(in_batch.outputs, alone.outputs, atol=1e-5)


def test_an_unreadable_file_does_not_affect_others(
    classifier: ImageClassifier, digit_files: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    files = [*sorted(digit_files.iterdir())[:70], broken, tmp_path / "absent.png"]
    *good, first, second = predict(classifier, files, classifier.interface.read)
    assert all(each.outputs is not None and not each.error for each in good)
    assert (first.outputs, first.error) == (
        None,
        "not an image, or of a format that is not supported",
    )
    assert (second.outputs, second.error) == (None, "No such file or directory")
    assert second.top_classes(classifier.interface.class_names, 3) == []


def test_only_a_few_batches_are_read_ahead(
    classifier: ImageClassifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_prediction, "BATCH_SIZE", 4)
    started: list[int] = []

    def read(number: int) -> np.ndarray:
        started.append(number)
        return np.zeros((8, 8, 1), np.uint8)

    predictions = predict(classifier, range(1000), read)
    next(predictions)
    # A graph takes a batch more before it has computed the first one.
    assert len(started) <= 4 * (batch_prediction._PREFETCHED_BATCHES + 2)


def test_the_most_probable_classes_come_first() -> None:
    prediction = Prediction("image", np.array([0.2, 0.5, 0.3]), "")
    assert prediction.top_classes(["a", "b", "c"], 2) == [("b", 0.5), ("c", 0.3)]
