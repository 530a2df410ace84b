"""Features that are cached, and what their cache keys depend on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline import array_cache
from pipeline.array_cache import CachedArrays
from pipeline.data.augmentation import augmenter
from pipeline.data.splits import ArrayImages, Split
from pipeline.engines.engine import KERAS, Variant
from pipeline.engines.frozen_graph import CompiledGraph, TracedGraph
from pipeline.errors import PipelineError
from pipeline.features import splitting, view_labels
from pipeline.features.extraction import FeatureExtractor, Features
from pipeline.features.feature_batches import feature_batches
from pipeline.features.known_views import view_digest
from pipeline.features.shards import Machines
from pipeline.features.view_stream import BATCH_SIZE, AugmentedViews
from pipeline.models import transfer
from pipeline.models.layers import OutputLayer
from pipeline.models.regularization import RegularizationConfig
from pipeline.tasks.classification import label_encoding

COUNT = 40
PLAIN = AugmentedViews(1, (), None, 0)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], keras.Model]:
    """A function of a seed that builds a model with a small base."""

    def build(seed: int) -> keras.Model:
        keras.utils.set_random_seed(seed)
        path = tmp_path_factory.mktemp("base") / "base.keras"
        keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Conv2D(8, 5, strides=4, name="first"),
                keras.layers.BatchNormalization(),
                keras.layers.ReLU(),
                keras.layers.Conv2D(16, 3, strides=2, activation="relu", name="last"),
            ]
        ).save(path)
        return transfer.TransferConfig(architecture="transfer", base=path).build(
            input_shape=(32, 32, 3),
            output=OutputLayer(2, "softmax"),
            regularization=RegularizationConfig(),
            standardize=keras.layers.Rescaling(1 / 255),
        )

    return build


def extractor(
    model: keras.Model,
    *,
    variant: Variant = KERAS,
    engine: str = "as it is",
    classes: int = 2,
    first: int | None = None,
    batches: list[int] | None = None,
) -> FeatureExtractor:
    """Return an extractor; the sizes of the batches that it computes are appended to `batches`."""
    model_split = (
        splitting.split_before_layer(model, first) if first else splitting.split_before_head(model)
    )
    graph = model_split.frozen

    def compiled() -> CompiledGraph:
        return Counting(
            TracedGraph(graph, graph.network, pool=graph.pool), [] if batches is None else batches
        )

    encoding = label_encoding(classes, OutputLayer(classes, "softmax"))
    here = Machines("local", "")
    return FeatureExtractor(
        model_split, encoding, 2**30, variant, {"engine": engine}, compiled, list, here
    )


class Counting:
    """A compiled graph that notes the size of each batch."""

    def __init__(self, graph: CompiledGraph, sizes: list[int]) -> None:
        self._graph, self._sizes = graph, sizes

    def run(self, batches: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        for batch in batches:
            self._sizes.append(len(batch))
            yield from self._graph.run([batch])


def dense_labels(features: Features, view: int) -> np.ndarray:
    labels, indices = features.labels, np.arange(len(features))
    return np.asarray(view_labels.dense_labels(labels.tensors(), labels.classes, view, indices))


def flipped(count: int, seed: int = 0) -> AugmentedViews:
    return AugmentedViews(
        count, [keras.layers.RandomFlip("horizontal")], [{"random_flip": {}}], seed
    )


@pytest.fixture(scope="module")
def model(build: Callable[[int], keras.Model]) -> keras.Model:
    return build(0)


@pytest.fixture(scope="module")
def split() -> Split:
    pixels = np.random.default_rng(0).integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
    unnamed, digests = [""] * COUNT, np.zeros((COUNT, 32), np.uint8)
    return Split(ArrayImages(pixels), np.arange(COUNT) % 2, unnamed, digests, "random pixels")


def test_flips_alone_have_few_different_views() -> None:
    def distinct(*layers: Any, count: int = 10) -> int:
        return AugmentedViews(count, layers, None, 0).distinct

    left_right, both = (
        keras.layers.RandomFlip(mode) for mode in ("horizontal", "horizontal_and_vertical")
    )
    assert distinct(left_right) == 2
    assert distinct(left_right, count=1) == 1
    assert distinct(both) == 4
    assert distinct(left_right, both) == 8
    assert distinct(left_right, keras.layers.RandomRotation(0.1)) == 10


def test_activations_are_those_of_the_model(model: keras.Model, split: Split) -> None:
    features = extractor(model).extract(split, PLAIN, name="train")
    until_features = keras.Model(model.input, model.get_layer(transfer.FEATURES).output)
    expected = np.asarray(until_features(split.images.read(np.arange(COUNT))))
    (activations,) = features.activations
    assert activations.shape == (COUNT, 16)
    np.testing.assert_allclose(activations, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(dense_labels(features, 0).argmax(axis=1), split.labels)


def test_views_differ_and_are_reproducible(model: keras.Model, split: Split) -> None:
    indices = np.arange(COUNT)
    first = extractor(model).extract(split, flipped(3), name="train")
    array_cache.clear()
    again = extractor(model).extract(split, flipped(3), name="train")
    np.testing.assert_array_equal(first.batch(indices, 0), again.batch(indices, 0))
    assert not np.array_equal(first.batch(indices, 0), first.batch(indices, 1))


def test_views_with_equal_pixels_are_computed_once(model: keras.Model, split: Split) -> None:
    features = extractor(model).extract(split, flipped(8), name="train")
    assert COUNT < len(features.activations[0]) <= 2 * COUNT
    augment = augmenter(flipped(8).layers, seed=0)
    order = np.random.default_rng(0).permutation(COUNT)
    pixels = split.images.read(order[:BATCH_SIZE])
    labels = tf.one_hot(split.labels[order[:BATCH_SIZE]], 2)
    views = np.stack([augment(pixels, labels, view)[0] for view in range(8)])
    is_equal = (views[:, None] == views[None]).all(axis=(3, 4, 5))  # (views, views, images)
    rows = features.rows[order[:BATCH_SIZE]].T
    np.testing.assert_array_equal(rows[:, None] == rows[None], is_equal)


def test_nothing_is_compiled_if_features_are_cached(model: keras.Model, split: Split) -> None:
    def fail() -> CompiledGraph:
        raise AssertionError

    first = extractor(model).extract(split, PLAIN, name="train")
    again = dataclasses.replace(extractor(model), compiled=fail)
    features = again.extract(split, PLAIN, name="train")
    np.testing.assert_array_equal(features.activations[0], first.activations[0])


def test_only_views_that_no_entry_shows_are_computed(model: keras.Model, split: Split) -> None:
    """A mirrored picture is the same whatever the seed, and whichever view it is."""
    first: list[int] = []
    second: list[int] = []
    third: list[int] = []
    extractor(model, batches=first).extract(split, flipped(2), name="train")
    features = extractor(model, batches=second).extract(split, flipped(30, seed=1), name="train")
    assert sum(first) + sum(second) == len(features.activations[0]) == 2 * COUNT
    extractor(model, batches=third).extract(split, flipped(9, seed=2), name="train")
    assert third == []
    array_cache.clear()
    expected = extractor(model).extract(split, flipped(30, seed=1), name="train")
    for view in range(30):
        np.testing.assert_array_equal(
            features.batch(np.arange(COUNT), view), expected.batch(np.arange(COUNT), view)
        )


def test_views_known_to_the_engine_are_not_computed(model: keras.Model, split: Split) -> None:
    expected = extractor(model).extract(split, PLAIN, name="train").batch(np.arange(COUNT), 0)[0]
    array_cache.clear()
    digests = b"".join(
        view_digest(image) for image in split.images.read(np.arange(9)).astype(np.float32)
    )
    arrays = {"digests": np.frombuffer(digests, np.uint8).reshape(9, -1)}
    known = CachedArrays(arrays | {"activations_0": expected[:9]}, {}, was_cached=False)
    batches: list[int] = []
    few = dataclasses.replace(extractor(model, batches=batches), known=lambda: [known])
    features = few.extract(split, PLAIN, name="train")
    assert sum(batches) == COUNT - 9
    np.testing.assert_allclose(features.batch(np.arange(COUNT), 0)[0], expected, rtol=1e-5)


def test_a_subset_of_known_images_is_not_computed(model: keras.Model, split: Split) -> None:
    extractor(model).extract(split, PLAIN, name="train")
    batches: list[int] = []
    chosen = np.array([7, 3, 39])
    features = extractor(model, batches=batches).extract(split.subset(chosen), PLAIN, name="some")
    expected = extractor(model).extract(split, PLAIN, name="train")
    np.testing.assert_array_equal(features.batch(np.arange(3), 0), expected.batch(chosen, 0))
    assert batches == []


def test_features_are_computed_once(model: keras.Model, split: Split) -> None:
    speeds = [
        extractor(model).extract(split, PLAIN, name="train").images_per_second for _ in range(2)
    ]
    assert speeds[0] > 0
    assert speeds[1] == 0


@pytest.mark.parametrize(
    "changed",
    ["pixels", "weights", "precision", "engine", "split"],
)
def test_features_are_computed_again_if_anything_they_depend_on_changes(
    model: keras.Model, build: Callable[[int], keras.Model], split: Split, changed: str
) -> None:
    extractor(model).extract(split, flipped(2), name="train")
    other_split = split
    batches: list[int] = []
    other = extractor(model, batches=batches)
    if changed == "pixels":
        images = ArrayImages(255 - split.images.read(np.arange(COUNT)))
        other_split = dataclasses.replace(split, images=images, digest="other pixels")
    elif changed == "weights":
        other = extractor(build(1), batches=batches)
    elif changed == "precision":
        variant, engine = Variant("tensorflow", "bfloat16"), "in bfloat16"
        other = extractor(model, variant=variant, engine=engine, batches=batches)
    elif changed == "engine":
        other = extractor(model, engine="another version", batches=batches)
    else:
        first = transfer.layer_index(model, "last")
        other = extractor(model, first=first, batches=batches)
    computed = len(other.extract(other_split, flipped(2), name="train").activations[0])
    assert sum(batches) == computed > 0
    assert len(array_cache.list_entries()) == 2


def test_the_seed_is_irrelevant_without_augmentation(model: keras.Model, split: Split) -> None:
    extractor(model).extract(split, PLAIN, name="val")
    other = dataclasses.replace(PLAIN, seed=1)
    assert extractor(model).extract(split, other, name="val").images_per_second == 0


def test_each_pass_over_an_image_reads_its_next_view(model: keras.Model, split: Split) -> None:
    features = extractor(model).extract(split, flipped(3), name="train")
    indices = np.array([5, 1, 7])
    passes = np.array([4, 3, 2])
    batch = tf.data.Dataset.from_tensors((tf.constant(passes), tf.constant(indices)))
    ((activations, labels),) = feature_batches(features, batch, lambda x, y: (x, y))
    for position, view in enumerate((1, 0, 2)):
        (expected,) = features.batch(indices[[position]], view)
        np.testing.assert_array_equal(activations[position : position + 1], expected)
    np.testing.assert_array_equal(labels, np.eye(2)[split.labels[indices]])


def test_features_that_do_not_fit_on_disk_are_an_error(
    model: keras.Model, split: Split, monkeypatch: pytest.MonkeyPatch, cache: Any
) -> None:
    monkeypatch.setattr(array_cache, "free_bytes", lambda: 1000)
    with pytest.raises(PipelineError) as refused:
        extractor(model).extract(split, flipped(10), name="train")
    assert str(refused.value) == (
        f"The features of 40 images in 10 views need 0.0 GiB. {cache} has 0.0 GiB left. Lower "
        "training.views, free disk space (pipeline cache --clear), or set PIPELINE_CACHE to "
        "another directory."
    )


@pytest.mark.parametrize("layer", [keras.layers.RandomFlip, keras.layers.MixUp])
def test_the_bytes_kept_do_not_depend_on_the_number_of_classes(
    model: keras.Model, split: Split, layer: Any
) -> None:
    views = AugmentedViews(3, [layer()], [layer.__name__], 0)
    few, many = extractor(model), extractor(model, classes=1000)
    few.extract(split, views, name="train")
    (entry,) = array_cache.list_entries()
    array_cache.clear()
    features = many.extract(split, views, name="train")
    assert dense_labels(features, 2).shape == (COUNT, 1000)
    (again,) = array_cache.list_entries()
    assert again.size == entry.size
    assert many.max_bytes(COUNT, 3) == few.max_bytes(COUNT, 3) >= entry.size - 5 * 128


def test_mixed_labels_are_those_of_the_augmentation(model: keras.Model, split: Split) -> None:
    layers = [keras.layers.MixUp(alpha=1.0), keras.layers.CutMix()]
    views = AugmentedViews(2, layers, [{"mix_up": {}}, {"cut_mix": {}}], 0)
    features = extractor(model).extract(split, views, name="train")
    first = np.random.default_rng(0).permutation(COUNT)[:BATCH_SIZE]
    augment = augmenter(layers, seed=0)
    for view in range(2):
        _, labels = augment(split.images.read(first), tf.one_hot(split.labels[first], 2), view)
        np.testing.assert_array_equal(dense_labels(features, view)[first], labels)


def test_images_sorted_by_class_are_mixed_across_classes(model: keras.Model, split: Split) -> None:
    by_class = dataclasses.replace(split, labels=np.sort(split.labels), digest="sorted")
    views = AugmentedViews(2, [keras.layers.MixUp(alpha=1.0)], [{"mix_up": {"alpha": 1.0}}], 0)
    features = extractor(model).extract(by_class, views, name="train")
    labels = np.stack([dense_labels(features, view) for view in range(2)])
    mixed = (labels[..., 0] > 0.05) & (labels[..., 0] < 0.95)
    assert mixed.mean() > 0.25
    likelier = labels.argmax(axis=2) == by_class.labels
    assert likelier.mean() > 0.6  # rows still belong to their images
