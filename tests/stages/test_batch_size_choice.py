"""The choice of a batch size, with probes that run out of memory on purpose."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from pipeline.data.splits import Splits
from pipeline.errors import TrainingError
from pipeline.recipe.grammar import Recipe
from pipeline.stages.batch_size_choice import choose_batch_size, largest_batch_size, train_probe
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.devices import Devices, find_devices
from pipeline.training.training_config import RuntimeConfig

RECIPE = Recipe.model_validate(
    {
        "data": {"source": "digits", "batch_size": 48},
        "model": {"architecture": "mlp", "hidden": [8]},
        "runtime": {"batch_size": "auto"},
    }
)


@pytest.fixture(scope="module")
def splits() -> Splits:
    return RECIPE.data.load()


@pytest.fixture
def gpu() -> Devices:
    """A device that is called a GPU."""
    cpu = find_devices(RuntimeConfig(devices="cpu"))
    return dataclasses.replace(cpu, names=("GPU:0",), on_gpu=True)


def with_room_for(images: int, tried: list[int]) -> Callable[[int], None]:
    def probe(size: int) -> None:
        tried.append(size)
        if size > images:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    return probe


@pytest.mark.parametrize(
    ("room", "limit", "chosen", "tried"),
    [
        (200, 10_000, 128, [32, 64, 128, 256]),
        (10_000, 120, 64, [32, 64]),
        (9, 10_000, 8, [32, 16, 8]),
        (1, 10_000, 1, [32, 16, 8, 4, 2, 1]),
    ],
)
def test_sizes_double_until_memory_ends_and_halve_until_it_suffices(
    room: int, limit: int, chosen: int, tried: list[int]
) -> None:
    sizes: list[int] = []
    assert largest_batch_size(with_room_for(room, sizes), start=32, limit=limit) == chosen
    assert sizes == tried


def test_an_image_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(TrainingError) as caught:
        largest_batch_size(with_room_for(0, []), start=32, limit=64)
    assert str(caught.value) == (
        "runtime.batch_size: not even one image fits in memory in training. Reduce "
        "data.image_size, or choose a smaller model."
    )


def test_on_a_gpu_the_size_is_chosen_once_and_the_learning_rate_stays(
    splits: Splits, gpu: Devices, tmp_path: Path, messages: list[str]
) -> None:
    tried: list[int] = []
    saved = Checkpoints(tmp_path)
    for _ in range(2):  # the second time as a resumed run
        chosen = choose_batch_size(RECIPE, splits, gpu, saved, lambda *_: with_room_for(20, tried))
        assert chosen.data.batch_size == 16
        assert chosen.optimizer == RECIPE.optimizer
    assert tried == [32, 16]
    assert messages[0] == (
        "runtime.batch_size: auto chose 16, the largest power of two that fits in the memory of "
        "GPU:0 and leaves at least 10 steps in an epoch. optimizer.learning_rate stays 0.001; a "
        "larger batch often allows a higher one."
    )


def test_on_a_cpu_the_number_of_the_recipe_counts(splits: Splits, messages: list[str]) -> None:
    cpu = find_devices(RuntimeConfig(devices="cpu"))
    assert choose_batch_size(RECIPE, splits, cpu, None).data.batch_size == 48
    assert messages == [
        "runtime.batch_size: auto chooses by the memory of GPUs, and training is on the CPU. Using "
        "data.batch_size, 48."
    ]


def test_the_probe_trains_a_model_of_the_recipe(splits: Splits) -> None:
    probe = train_probe(RECIPE, splits, find_devices(RuntimeConfig(devices="cpu")))
    probe(32)
    probe(2000)  # more than there are images
