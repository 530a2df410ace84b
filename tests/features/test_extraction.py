"""What is kept of a frozen prefix, and what determines it."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.data.augmentation import augmenter
from pipeline.data.splits import ArrayImages, Split
from pipeline.errors import PipelineError
from pipeline.features import feature_cache, splitting
from pipeline.features.extraction import BATCH, FeatureExtractor, Views, feature_batches
from pipeline.features.precision_guard import FrozenNetwork, traced_outputs
from pipeline.models import transfer
from pipeline.models.regularization import RegularizationConfig

COUNT = 40
PLAIN = Views(1, (), None, 0)


def small_model(seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return transfer.TransferConfig(architecture="transfer", base="MobileNetV2", weights=None).build(
        image_shape=(32, 32, 3),
        classes=2,
        output="softmax",
        regularization=RegularizationConfig(),
    )


def extractor(
    model: keras.Model,
    *,
    precision: Any = "float32",
    first: int | None = None,
    sample: str | None = None,
) -> FeatureExtractor:
    cut = (
        splitting.split_before_layer(model, first) if first else splitting.split_before_head(model)
    )
    choice = FrozenNetwork(cut.prefix, traced_outputs(cut.prefix), precision, 0.25)
    return FeatureExtractor(
        cut, lambda: choice, wanted=precision, sample=sample, classes=2, limit=2**30
    )


def flipped(count: int, seed: int = 0) -> Views:
    return Views(count, [keras.layers.RandomFlip("horizontal")], [{"random_flip": {}}], seed)


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return small_model()


@pytest.fixture(scope="module")
def split() -> Split:
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
    unnamed = [""] * COUNT
    return Split(ArrayImages(pixels), np.arange(COUNT) % 2, unnamed, unnamed, "random pixels")


def test_activations_are_those_of_the_model(model: keras.Model, split: Split) -> None:
    found = extractor(model).features(split, PLAIN, name="train")
    features = keras.Model(model.input, model.get_layer(transfer.FEATURES).output)
    expected = np.asarray(features(split.images.read(np.arange(COUNT))))
    (activations,) = found.activations
    assert activations.shape == (COUNT, 1280)
    np.testing.assert_allclose(activations, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found.labels[:, 0].argmax(axis=1), split.labels)


def test_views_differ_and_are_the_same_when_computed_again(
    model: keras.Model, split: Split
) -> None:
    numbers = np.arange(COUNT)
    first = extractor(model).features(split, flipped(3), name="train")
    feature_cache.clear()
    again = extractor(model).features(split, flipped(3), name="train")
    np.testing.assert_array_equal(first.of(numbers, 0), again.of(numbers, 0))
    assert not np.array_equal(first.of(numbers, 0), first.of(numbers, 1))


def test_views_that_are_equal_in_every_pixel_are_computed_once(
    model: keras.Model, split: Split
) -> None:
    found = extractor(model).features(split, flipped(8), name="train")
    assert COUNT < len(found.activations[0]) <= 2 * COUNT
    augment = augmenter(flipped(8).layers, seed=0)
    order = np.random.default_rng(0).permutation(COUNT)
    pixels = split.images.read(order[:BATCH])
    labels = tf.one_hot(split.labels[order[:BATCH]], 2)
    views = np.stack([augment(pixels, labels, view)[0] for view in range(8)])
    is_equal = (views[:, None] == views[None]).all(axis=(3, 4, 5))  # (views, views, images)
    rows = found.rows[order[:BATCH]].T
    np.testing.assert_array_equal(rows[:, None] == rows[None], is_equal)


def test_nothing_is_compiled_where_all_is_kept(model: keras.Model, split: Split) -> None:
    extractor(model).features(split, PLAIN, name="train")
    again = extractor(model)
    found = again.features(split, PLAIN, name="train")
    assert "choice" not in vars(again)
    assert (found.precision, found.relative_error) == ("float32", 0.25)


def test_they_are_computed_once(model: keras.Model, split: Split) -> None:
    speeds = [
        extractor(model).features(split, PLAIN, name="train").images_per_second for _ in range(2)
    ]
    assert speeds[0] > 0
    assert speeds[1] == 0


@pytest.mark.parametrize(
    "what",
    ["images", "weights", "precision", "sample", "place", "views", "augmentation", "seed"],
)
def test_whatever_determines_them_makes_them_be_computed_anew(
    model: keras.Model, split: Split, what: str
) -> None:
    extractor(model).features(split, flipped(2), name="train")
    views, other_split, other = flipped(2), split, extractor(model)
    if what == "images":
        other_split = dataclasses.replace(split, digest="other pixels")
    elif what == "weights":
        other = extractor(small_model(seed=1))
    elif what == "precision":
        other = extractor(model, precision="bfloat16")
    elif what == "sample":
        other = extractor(model, sample="other images")
    elif what == "place":
        other = extractor(model, first=transfer.layer_index(model, "block_16"))
    elif what == "views":
        views = flipped(3)
    elif what == "augmentation":
        views = dataclasses.replace(views, settings=[{"random_flip": {"mode": "vertical"}}])
    else:
        views = flipped(2, seed=1)
    assert other.features(other_split, views, name="train").images_per_second > 0
    assert len(feature_cache.list_entries()) == 2


def test_the_seed_does_not_matter_without_augmentation(model: keras.Model, split: Split) -> None:
    extractor(model).features(split, PLAIN, name="val")
    other = dataclasses.replace(PLAIN, seed=1)
    assert extractor(model).features(split, other, name="val").images_per_second == 0


def test_each_epoch_takes_the_next_view_of_the_images_asked_for(
    model: keras.Model, split: Split
) -> None:
    found = extractor(model).features(split, flipped(3), name="train")
    numbers = np.array([5, 1, 7])
    indices = tf.data.Dataset.from_tensors((tf.constant(4, tf.int64), tf.constant(numbers)))
    ((activations, labels),) = feature_batches(found, indices, lambda x, y: (x, y))
    np.testing.assert_array_equal(activations, *found.of(numbers, 4 % 3))
    np.testing.assert_array_equal(labels, found.labels[numbers, 4 % 3])


def test_what_does_not_fit_on_the_disk_is_an_error_before_the_start(
    model: keras.Model, split: Split, monkeypatch: pytest.MonkeyPatch, cache: Any
) -> None:
    monkeypatch.setattr(feature_cache, "free_bytes", lambda: 1000)
    with pytest.raises(PipelineError) as refused:
        extractor(model).features(split, flipped(10), name="train")
    assert str(refused.value) == (
        f"The features of 40 images in 10 views take 0.0 GiB, and {cache} has 0.0 GiB left. Lower "
        "training.views, free some space (pipeline cache --clear), or name another folder in "
        "PIPELINE_CACHE."
    )


def test_images_sorted_by_class_are_mixed_across_classes(model: keras.Model, split: Split) -> None:
    by_class = dataclasses.replace(split, labels=np.sort(split.labels), digest="sorted")
    views = Views(2, [keras.layers.MixUp(alpha=1.0)], [{"mix_up": {"alpha": 1.0}}], 0)
    labels = extractor(model).features(by_class, views, name="train").labels
    mixed = (labels[..., 0] > 0.05) & (labels[..., 0] < 0.95)
    assert mixed.mean() > 0.25
    likelier = labels.argmax(axis=2) == by_class.labels[:, None]
    assert likelier.mean() > 0.6  # rows still belong to their images


def test_settings_of_a_layer_determine_features_as_weights_do(split: Split) -> None:
    def network(scale: float) -> keras.Model:
        inputs = keras.Input((32, 32, 3))
        x = keras.layers.Rescaling(scale)(inputs)
        return keras.Model(inputs, keras.layers.Conv2D(2, 3, kernel_initializer="ones")(x))

    one, same, other = network(1.0), network(1.0), network(0.5)
    assert splitting.network_digest(one) == splitting.network_digest(same)
    assert splitting.network_digest(one) != splitting.network_digest(other)
