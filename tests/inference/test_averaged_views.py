"""Test-time augmentation: means over views of real digits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter
from sklearn.datasets import load_digits

from pipeline.data.augmentation import Augmentation, augmenter, build_augmentation
from pipeline.inference.averaged_views import AveragedViews
from pipeline.inference.classifier import Classifier, load_classifier
from pipeline.inference.image_classifier import BatchOutputs

ENTRIES: list[dict[str, object]] = [{"random_translation": {}}, {"random_rotation": {}}]


@pytest.fixture(scope="module")
def classifier(digits_model: Path) -> Classifier:
    return load_classifier(digits_model)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    images = load_digits().images[:5, :, :, np.newaxis]
    return (images * 255 / 16).round().astype(np.uint8)


def averaged(classifier: Classifier, views: int) -> AveragedViews:
    entries = TypeAdapter(Augmentation).validate_python(ENTRIES)
    return AveragedViews(classifier, build_augmentation(entries, image_size=(8, 8)), views, 7)


def test_outputs_are_the_mean_over_the_image_and_its_views(
    classifier: Classifier, pixels: np.ndarray
) -> None:
    (outputs,) = averaged(classifier, 3).run([pixels])
    entries = TypeAdapter(Augmentation).validate_python(ENTRIES)
    augment = augmenter(build_augmentation(entries, image_size=(8, 8)), seed=7)
    for image, output in zip(pixels, outputs.outputs, strict=True):
        views, _ = augment(np.stack([image] * 2), np.zeros((2, 1), np.float32), 0)
        expected = classifier.predict(np.concatenate([image[np.newaxis], views]))
        assert np.ptp(expected, axis=0).max() > 1e-3
        np.testing.assert_allclose(output, expected.mean(axis=0), atol=1e-6)


def test_the_views_of_an_image_do_not_depend_on_the_others(
    classifier: Classifier, pixels: np.ndarray
) -> None:
    (together,) = averaged(classifier, 40).run([pixels])  # in several parts
    alone = [each.outputs for each in averaged(classifier, 40).run(pixels[:, np.newaxis])]
    np.testing.assert_allclose(together.outputs, np.concatenate(alone), atol=1e-6)


def test_distances_are_those_of_the_image_itself(
    classifier: Classifier, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    def brightness(self: Classifier, batch: np.ndarray) -> BatchOutputs:
        return BatchOutputs(np.zeros((len(batch), 10)), batch.mean(axis=(1, 2, 3)))

    monkeypatch.setattr(Classifier, "batch_outputs", brightness)
    (outputs,) = averaged(classifier, 3).run([pixels])
    assert outputs.distances is not None
    np.testing.assert_allclose(outputs.distances, pixels.mean(axis=(1, 2, 3)), rtol=1e-6)
