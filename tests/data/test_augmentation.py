"""Augmentation of training images."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter, ValidationError

from pipeline.config import Config
from pipeline.data import augmentation
from pipeline.data.augmentation import AUGMENTATIONS, Augmentation, augmenter
from pipeline.data.image_decoding import Decoding, decode_image

SIZE = (32, 40)
NEEDED: dict[str, dict[str, Any]] = {"random_crop": {"height": 24, "width": 24}}
EVERY_OPERATION = pytest.mark.parametrize("name", AUGMENTATIONS)

Outcome = tuple[np.ndarray, np.ndarray]
Augment = Callable[[np.ndarray, np.ndarray, int], Outcome]


@pytest.fixture(scope="module")
def images(photographs: Path) -> np.ndarray:
    """Eight photographs of ants and bees, alternating."""
    folders = [sorted((photographs / "val" / name).glob("*.jpg"))[:4] for name in ("ants", "bees")]
    paths = [path for pair in zip(*folders, strict=True) for path in pair]
    return np.stack([decode_image(path.read_bytes(), Decoding(SIZE, "crop")) for path in paths])


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.tile(np.eye(2, dtype=np.float32), (4, 1))


def layers_of(*entries: dict[str, dict[str, Any]]) -> list[Any]:
    sections = TypeAdapter(Augmentation).validate_python(entries)
    return augmentation.build_augmentation(sections, image_size=SIZE)


def augment_by(*entries: dict[str, dict[str, Any]], seed: int = 3) -> Augment:
    """Return a batch of a tf.data dataset after the operations of a recipe."""
    function = augmenter(layers_of(*entries), seed=seed)

    def augment(images: np.ndarray, labels: np.ndarray, draw: int) -> Outcome:
        batch = tf.data.Dataset.from_tensors((images, labels, np.int64(draw)))
        return next(batch.map(function).as_numpy_iterator())

    return augment


def by_name(name: str, **arguments: Any) -> dict[str, dict[str, Any]]:
    return {name: {**NEEDED.get(name, {}), **arguments}}


@pytest.fixture(scope="module")
def outcomes(images: np.ndarray, labels: np.ndarray) -> Callable[[str], list[Outcome]]:
    """Return a function from the name of an operation to its outputs in steps 0, 1, 2 and 0."""

    @functools.cache
    def outcomes_of(name: str) -> list[Outcome]:
        function = augmenter(layers_of(by_name(name)), seed=3)
        draws = tf.data.Dataset.from_tensor_slices(np.array([0, 1, 2, 0]))
        batches = tf.data.Dataset.from_tensors((images, labels)).repeat()
        augmented = tf.data.Dataset.zip(batches, draws).map(
            lambda batch, step: function(batch[0], batch[1], step)
        )
        return list(augmented.as_numpy_iterator())

    return outcomes_of


@EVERY_OPERATION
def test_an_operation_keeps_shape_and_range(
    outcomes: Callable[[str], list[Outcome]], name: str
) -> None:
    for changed, _ in outcomes(name):
        assert (changed.shape, changed.dtype) == ((8, *SIZE, 3), np.float32)
        assert 0 <= changed.min() <= changed.max() <= 255


@EVERY_OPERATION
def test_an_operation_changes_images_at_random(
    outcomes: Callable[[str], list[Outcome]], images: np.ndarray, name: str
) -> None:
    (first, _), (second, _), (third, _), _ = outcomes(name)
    assert not np.array_equal(first, images)
    assert not (np.array_equal(first, second) and np.array_equal(first, third))


@EVERY_OPERATION
def test_an_operation_is_repeated_by_its_step(
    outcomes: Callable[[str], list[Outcome]], images: np.ndarray, labels: np.ndarray, name: str
) -> None:
    first, *_, again = outcomes(name)
    for other in (again, augment_by(by_name(name))(images, labels, 0)):
        np.testing.assert_array_equal(other[0], first[0])
        np.testing.assert_array_equal(other[1], first[1])


@EVERY_OPERATION
def test_another_seed_changes_images_differently(
    outcomes: Callable[[str], list[Outcome]], images: np.ndarray, labels: np.ndarray, name: str
) -> None:
    other, _ = augment_by(by_name(name), seed=4)(images, labels, 0)
    assert not np.array_equal(other, outcomes(name)[0][0])


@pytest.mark.parametrize("name", ["random_crop", "rand_augment"])
def test_each_image_of_a_batch_draws_for_itself(images: np.ndarray, name: str) -> None:
    same = np.repeat(images[:1], 8, axis=0)
    labels = np.tile(np.eye(2, dtype=np.float32), (4, 1))
    changed, _ = augment_by(by_name(name))(same, labels, 0)
    assert len({image.tobytes() for image in changed}) > 5


def test_rand_augment_chooses_operations_for_each_image(labels: np.ndarray) -> None:
    # Only operations that move pixels change a gray square on black in its position alone.
    squares = np.zeros((8, *SIZE, 3), np.uint8)
    squares[:, 8:24, 12:28] = 128
    augment = augment_by({"rand_augment": {"num_ops": 1, "factor": 0.3}})
    levels = [len(np.unique(image)) == 2 for image in augment(squares, labels, 0)[0]]
    assert 0 < sum(levels) < 8


def test_two_steps_share_no_random_numbers() -> None:
    height, width = SIZE
    # A window of one pixel says where it was taken: its row is its red, its column its green.
    coordinates = np.stack([*np.mgrid[:height, :width], np.zeros(SIZE)], axis=-1)[np.newaxis]
    function = augmenter(layers_of({"random_crop": {"height": 1, "width": 1}}), seed=0)
    labels = np.ones((1, 1))
    draws = tf.data.Dataset.range(20).map(
        lambda step: function(coordinates, labels, step)[0][0, 0, 0]
    )
    rows, columns, _ = np.stack(list(draws.as_numpy_iterator()), axis=1)
    assert np.abs(columns[:-1] / width - rows[1:] / height).max() > 0.1
    assert len(set(zip(rows, columns, strict=True))) > 15


@EVERY_OPERATION
def test_an_operation_accepts_grayscale_images(
    images: np.ndarray, labels: np.ndarray, name: str
) -> None:
    gray = images[..., :1]
    changed, _ = augment_by(by_name(name))(gray, labels, 0)
    assert changed.shape == gray.shape


@EVERY_OPERATION
def test_an_operation_accepts_a_batch_of_one(
    images: np.ndarray, labels: np.ndarray, name: str
) -> None:
    changed, mixed = augment_by(by_name(name))(images[:1], labels[:1], 0)
    assert (changed.shape, mixed.shape) == ((1, *SIZE, 3), (1, 2))


@EVERY_OPERATION
def test_labels_still_sum_to_one(outcomes: Callable[[str], list[Outcome]], name: str) -> None:
    for _, mixed in outcomes(name):
        assert mixed.dtype == np.float32
        np.testing.assert_allclose(mixed.sum(1), 1, atol=1e-6)
        assert mixed.min() >= 0


@pytest.mark.parametrize("name", ["mix_up", "cut_mix"])
def test_mixing_mixes_labels(outcomes: Callable[[str], list[Outcome]], name: str) -> None:
    mixed = np.concatenate([labels for _, labels in outcomes(name)])
    assert ((mixed > 0) & (mixed < 1)).any()


@pytest.mark.parametrize("name", sorted(AUGMENTATIONS.keys() - {"mix_up", "cut_mix"}))
def test_other_operations_do_not_change_labels(
    outcomes: Callable[[str], list[Outcome]], labels: np.ndarray, name: str
) -> None:
    for _, same in outcomes(name):
        np.testing.assert_array_equal(same, labels)


def test_mix_up_blends_images_as_it_blends_labels(images: np.ndarray, labels: np.ndarray) -> None:
    light_and_dark = np.where(labels[:, :1, None, None] > 0, 255, 0) + np.zeros_like(images)
    mixed, shares = augment_by({"mix_up": {"alpha": 1.0}})(light_and_dark, labels, 0)
    np.testing.assert_allclose(mixed[:, 0, 0, 0], 255 * shares[:, 0], atol=0.01)


def test_a_flip_flips_some_images_only(images: np.ndarray, labels: np.ndarray) -> None:
    changed, _ = augment_by({"random_flip": {"mode": "horizontal"}})(images, labels, 0)
    mirrored = [np.array_equal(c, i[:, ::-1]) for c, i in zip(changed, images, strict=True)]
    same = [np.array_equal(c, i) for c, i in zip(changed, images, strict=True)]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 0 < sum(mirrored) < len(images)


LIGHT = {"random_brightness": {"factor": [1.0, 1.0]}}
DARKER = {"random_brightness": {"factor": [-0.4, -0.4]}}


@pytest.mark.parametrize(
    ("entries", "expected"), [((LIGHT, DARKER), 153), ((DARKER, LIGHT), 255)], ids=str
)
def test_operations_are_applied_in_the_order_of_the_recipe(
    images: np.ndarray, labels: np.ndarray, entries: Any, expected: int
) -> None:
    changed, _ = augment_by(*entries)(images, labels, 0)
    np.testing.assert_allclose(changed, expected, atol=0.01)


def test_layers_are_built_in_the_order_of_the_recipe() -> None:
    layers = layers_of(by_name("random_zoom"), by_name("random_crop"), by_name("random_flip"))
    assert [type(layer).__name__ for layer in layers] == [
        "RandomZoom",
        "RandomCrop",
        "Resizing",
        "RandomFlip",
    ]


def test_the_same_operation_twice_uses_different_random_numbers(
    images: np.ndarray, labels: np.ndarray
) -> None:
    noise = {"random_translation": {"height_factor": 0.0, "width_factor": 0.3}}
    once, _ = augment_by(noise)(images, labels, 0)
    twice, _ = augment_by(noise, noise)(images, labels, 0)
    again, _ = augment_by(noise)(once.astype(np.uint8), labels, 0)
    assert not np.allclose(twice, again, atol=8)


def test_pixels_are_clipped_to_0_255(images: np.ndarray, labels: np.ndarray) -> None:
    changed, _ = augment_by({"random_erasing": {"fill_value": 1000.0}})(images, labels, 0)
    assert changed.max() == 255


def test_without_operations_images_only_become_floats(
    images: np.ndarray, labels: np.ndarray
) -> None:
    changed, same = augment_by()(images, labels, 0)
    np.testing.assert_array_equal(changed, images.astype(np.float32))
    np.testing.assert_array_equal(same, labels)


@pytest.fixture
def half_precision() -> Iterator[None]:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    yield
    keras.config.set_dtype_policy(policy)


@EVERY_OPERATION
@pytest.mark.usefixtures("half_precision")
def test_pixels_and_labels_are_float32_under_mixed_precision(
    images: np.ndarray, labels: np.ndarray, name: str
) -> None:
    changed, mixed = augment_by(by_name(name))(images, labels, 0)
    assert (changed.dtype, mixed.dtype) == (np.float32, np.float32)


@pytest.mark.parametrize("section", AUGMENTATIONS.values())
def test_a_section_has_the_arguments_of_its_keras_layer(section: type[Config]) -> None:
    layer = getattr(keras.layers, section.__name__)
    assert set(section.model_fields) <= set(inspect.signature(layer.__init__).parameters)


@pytest.mark.parametrize(
    ("entry", "wording"),
    [
        (
            {"random_zoom": {"height_factor": -1.0}},
            "a number above -1 up to 1, or [low, high] of two such",
        ),
        ({"random_rotation": {"factor": 1.5}}, "a number from -1 to 1, or [low, high] of two such"),
        ({"random_contrast": {"factor": -0.1}}, "a number from 0 to 1, or [low, high] of two such"),
        ({"random_erasing": {"scale": 0.1}}, "[low, high], two numbers from 0 to 1"),
        ({"cut_mix": {"factor": 1.1}}, "a number above 0 up to 1"),
        ({"cut_mix": {"factor": 0.0}}, "a number above 0 up to 1"),
        ({"mix_up": {"alpha": 0.0}}, "a number above 0"),
        ({"rand_augment": {"num_ops": 0}}, "an integer, 1 or more"),
    ],
    ids=str,
)
def test_what_keras_rejects_is_rejected(entry: Any, wording: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(Augmentation).validate_python((entry,))
    (problem,) = caught.value.errors()
    assert problem["ctx"]["wording"] == wording


RANGES = [
    {"random_rotation": {"factor": [-0.1, 0.2]}},
    {"random_translation": {"height_factor": [0.0, 0.1], "width_factor": [-0.1, 0.1]}},
    {"random_zoom": {"height_factor": [-0.3, -0.1], "width_factor": [-0.2, 0.0]}},
    {"random_contrast": {"factor": [0.1, 0.9]}},
    {"random_brightness": {"factor": [-0.2, 0.1]}},
    {"random_erasing": {"scale": [0.1, 0.2], "fill_value": 0.0}},
    {"random_flip": {"mode": "vertical"}},
    {"random_flip": {"mode": "horizontal_and_vertical"}},
    {"rand_augment": {"num_ops": 3, "factor": 0.9}},
]


@pytest.mark.parametrize("entry", RANGES, ids=str)
def test_every_form_of_the_arguments_builds(
    images: np.ndarray, labels: np.ndarray, entry: dict[str, dict[str, Any]]
) -> None:
    assert augment_by(entry)(images, labels, 0)[0].shape == images.shape


@pytest.mark.parametrize("fill_mode", ["reflect", "wrap", "constant", "nearest"])
@pytest.mark.parametrize("name", ["random_rotation", "random_translation", "random_zoom"])
def test_every_fill_mode_builds(
    images: np.ndarray, labels: np.ndarray, name: str, fill_mode: str
) -> None:
    augment = augment_by({name: {"fill_mode": fill_mode}})
    assert augment(images, labels, 0)[0].shape == images.shape


@pytest.mark.parametrize(
    "entry",
    [
        {"random_zoom": {"height_factor": 1.0}},
        {"random_zoom": {"height_factor": -0.999}},
        {"random_contrast": {"factor": 0.0}},
        {"random_contrast": {"factor": 1.0}},
        {"random_rotation": {"factor": 0.0}},
        {"random_rotation": {"factor": -0.2}},
        {"random_erasing": {"factor": 0.0}},
        {"random_crop": {"height": 32, "width": 40}},
        {"random_crop": {"height": 32, "width": 10}},
        {"mix_up": {"alpha": 0.001}},
        {"mix_up": {"alpha": 100.0}},
        {"cut_mix": {"factor": 0.001}},
        {"cut_mix": {"factor": 1.0}},
        {"rand_augment": {"factor": 0.0}},
        {"rand_augment": {"factor": 1.0}},
    ],
    ids=str,
)
def test_the_limits_of_the_grammar_build(
    images: np.ndarray, labels: np.ndarray, entry: dict[str, dict[str, Any]]
) -> None:
    changed, _ = augment_by(entry)(images, labels, 0)
    assert changed.shape == images.shape
    assert np.isfinite(changed).all()
