"""The page of an inspection: what images look like, as they are and augmented."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from pipeline.config import Config, RangeSetting
from pipeline.data.augmentation import augmenter, build_augmentation
from pipeline.data.dataset_statistics import DatasetStatistics
from pipeline.data.file_source import FileSourceConfig
from pipeline.data.image_decoding import Decoding
from pipeline.data.image_files import ImageFiles
from pipeline.data.image_source import augmentation_of
from pipeline.data.splits import Images
from pipeline.data.value_range import resolve_range
from pipeline.errors import DataError, RecipeError
from pipeline.evaluation import html_pages
from pipeline.evaluation.captioned_images import CaptionedImage
from pipeline.evaluation.dataset_page import DatasetPage, render_dataset_page
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import dump_value
from pipeline.recipe.starter_recipe import check_recipe, render_recipe
from pipeline.tasks.task import Task
from pipeline.workflows.data_inspection import Inspection, describe_statistics
from pipeline.workflows.recipe_init import starter_choices

_MAX_SAMPLES = 24
_SAMPLES_OF_CLASS = 4
_MAX_DUPLICATES, _MAX_COPIES = 20, 4
_AUGMENTED_IMAGES, _VERSIONS = 8, 4
_SEED = 0
_DEFAULT_DECODING = Decoding((224, 224), "pad")
_DEFAULT_RANGE: RangeSetting = "auto"


def write_page(inspection: Inspection, path: Path) -> None:
    """Write the page of an inspection.

    Raises:
        UsageError: if the file cannot be written.
    """
    html_pages.write_output(_render(inspection), path)


@dataclass(frozen=True)
class _Pictures:
    """Images with their names and their labels, as the task has them."""

    images: Images
    names: Sequence[str]
    labels: np.ndarray
    task: Task


def _render(inspection: Inspection) -> str:
    statistics = inspection.statistics
    page = DatasetPage(
        title=str(inspection.path),
        summary=inspection.summary,
        findings=inspection.findings,
        class_names=statistics.class_names,
        counts=statistics.counts,
        facts=list(describe_statistics(statistics)),
    )
    if statistics.features is None:
        page = _with_pictures(page, inspection)
    return render_dataset_page(page)


def _with_pictures(page: DatasetPage, inspection: Inspection) -> DatasetPage:
    statistics = inspection.statistics
    recipe = inspection.recipe or _starter_recipe(inspection)
    pictures = _pictures(inspection, recipe)
    height, width, _ = pictures.images.shape
    entries = augmentation_of(recipe.data) if recipe else ()
    operations = [dump_value(entry.model_dump(mode="json")) for entry in entries]
    chooser = "by the recipe" if inspection.recipe else "by `pipeline init`"
    return replace(
        page,
        decoding=f"Resized to {width}×{height} pixels.",
        samples=list(_samples(statistics.class_names, pictures)),
        augmentation=f"Chosen {chooser}: {', '.join(operations)}.",
        augmented=list(_augmented(entries, pictures)) if entries else [],
        unreadable=[(file.name, file.reason) for file in statistics.unreadable],
        ignored=statistics.ignored,
        duplicates=list(_duplicates(statistics, pictures)),
    )


def _starter_recipe(inspection: Inspection) -> Recipe | None:
    """Return the recipe that `init` would write, None if it would fail."""
    folder = inspection.path.absolute()
    try:
        choices = starter_choices(inspection.statistics, folder)
        text = render_recipe(choices, title=(), directory=folder)
        return check_recipe(text, folder / "recipe.yaml")
    except (DataError, RecipeError):
        return None


def _pictures(inspection: Inspection, recipe: Recipe | None) -> _Pictures:
    """Return the images as the model of a recipe gets them."""
    if inspection.splits:
        split = inspection.splits.train
        return _Pictures(split.images, split.names, split.labels, split.task)
    files = inspection.files
    assert files is not None
    decoding, setting = _DEFAULT_DECODING, _DEFAULT_RANGE
    if recipe and isinstance(recipe.data, FileSourceConfig):
        decoding, setting = recipe.data.decoding, recipe.data.value_range
    if samples := inspection.statistics.sample_range:
        value_range = resolve_range(setting, *np.array(samples)[:, np.newaxis])
        decoding = replace(decoding, value_range=value_range)
    images = ImageFiles(files.root, files.names, decoding)
    return _Pictures(images, files.names, files.labels, files.task)


def _samples(class_names: Sequence[str], pictures: _Pictures) -> Iterator[CaptionedImage]:
    """Yield images of each class, as many as there is room for."""
    count = min(max(_MAX_SAMPLES // max(len(class_names), 1), 1), _SAMPLES_OF_CLASS)
    for label, name in list(enumerate(class_names))[:_MAX_SAMPLES]:
        members = np.flatnonzero(pictures.task.is_of_class(pictures.labels, label))
        for index in members[:count].tolist():
            yield _captioned(pictures, index, name)


def _augmented(entries: Sequence[Config], pictures: _Pictures) -> Iterator[list[CaptionedImage]]:
    """Yield an image and augmented versions of it, for several images of all classes."""
    order = np.random.default_rng(_SEED).permutation(len(pictures.labels))
    indices = np.sort(order[:_AUGMENTED_IMAGES])
    images = pictures.images.read(indices)
    labels = np.eye(len(indices), dtype=np.float32)
    height, width, _ = pictures.images.shape
    layers = build_augmentation(entries, image_size=(height, width))
    augment = augmenter(layers, seed=_SEED)
    versions = [
        keras.ops.convert_to_numpy(augment(images, labels, step)[0]).round().astype(np.uint8)
        for step in range(_VERSIONS)
    ]
    for row, index in enumerate(indices.tolist()):
        original = CaptionedImage(images[row], pictures.names[index], "not augmented")
        yield [original, *(CaptionedImage(v[row], "", "augmented") for v in versions)]


def _duplicates(
    statistics: DatasetStatistics, pictures: _Pictures
) -> Iterator[tuple[str, list[CaptionedImage]]]:
    index_of = {name: index for index, name in enumerate(pictures.names)}
    for copies in statistics.copies[:_MAX_DUPLICATES]:
        members = list(zip(copies.names, copies.splits, copies.classes, strict=True))
        shown = [
            _captioned(pictures, index_of[name], f"{class_name} · {split}")
            for name, split, class_name in members[:_MAX_COPIES]
        ]
        leak = ", in more than one split" if copies.is_leak else ""
        yield f"{copies.kind.capitalize()}{leak}: {len(members)} images", shown


def _captioned(pictures: _Pictures, index: int, caption: str) -> CaptionedImage:
    image = pictures.images.read(np.array([index]))[0]
    return CaptionedImage(image, pictures.names[index], caption)
