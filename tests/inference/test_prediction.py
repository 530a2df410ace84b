"""What a classifier says of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.inference import classifier as classifiers
from pipeline.inference import prediction
from pipeline.inference.classifier import Classifier
from pipeline.inference.prediction import predict


@pytest.fixture(scope="module")
def classifier(digits_model: Path) -> Classifier:
    return classifiers.load_classifier(digits_model)


def test_digits_are_recognized_from_their_files(classifier: Classifier, digit_files: Path) -> None:
    files = sorted(digit_files.iterdir())
    names = classifier.interface.class_names
    found = list(predict(classifier, files, classifier.interface.read))
    assert [answer.item for answer in found] == files
    right = [answer.ranked(names, 1)[0][0] == answer.item.stem[-1] for answer in found]
    assert sum(right) > 90


def test_an_image_gets_the_same_answer_in_any_company(
    classifier: Classifier, digit_files: Path
) -> None:
    files = sorted(digit_files.iterdir())
    together = [p.probabilities for p in predict(classifier, files, classifier.interface.read)]
    (alone,) = predict(classifier, files[70:71], classifier.interface.read)
    np.testing.assert_allclose(together[70], alone.probabilities, rtol=1e-5)


def test_a_file_that_cannot_be_read_spoils_no_other(
    classifier: Classifier, digit_files: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    files = [*sorted(digit_files.iterdir())[:70], broken, tmp_path / "absent.png"]
    *good, first, second = predict(classifier, files, classifier.interface.read)
    assert all(answer.probabilities is not None and not answer.error for answer in good)
    assert (first.probabilities, first.error) == (None, "not a JPEG, PNG, BMP, GIF or WebP image")
    assert (second.probabilities, second.error) == (None, "No such file or directory")
    assert second.ranked(classifier.interface.class_names, 3) == []


def test_no_more_images_are_held_than_a_few_batches(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prediction, "BATCH", 4)
    begun: list[int] = []

    def read(number: int) -> np.ndarray:
        begun.append(number)
        return np.zeros((8, 8, 1), np.uint8)

    answers = predict(classifier, range(1000), read)
    next(answers)
    assert len(begun) <= 4 * (prediction._BATCHES_AHEAD + 1)


def test_the_most_probable_classes_come_first() -> None:
    found = prediction.Prediction("image", np.array([0.2, 0.5, 0.3]), "")
    assert found.ranked(["a", "b", "c"], 2) == [("b", 0.5), ("c", 0.3)]
