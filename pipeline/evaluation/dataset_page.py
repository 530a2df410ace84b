"""The page on a data set: its classes, examples, damaged files, duplicates and augmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.evaluation.captioned_images import CaptionedImage
from pipeline.evaluation.html_pages import render_page


@dataclass(frozen=True)
class DatasetPage:
    """The content of the page; sections without content are left out.

    Attributes:
        title: of the page.
        summary: below the title.
        findings: what is worth a look, in sentences.
        class_names: in the order of the counts.
        counts: images of each class, by split.
        facts: names and values.
        decoding: how the images below were resized.
        samples: images of each class.
        augmentation: what the rows of augmented images show.
        augmented: an image and augmented versions of it in each row.
        unreadable: files that cannot be read, with the reason; None if the data is no files.
        ignored: the number of files that are not images, by suffix.
        duplicates: what the images of a group have in common, and the images.
    """

    title: str
    summary: str
    findings: Sequence[str]
    class_names: Sequence[str]
    counts: Mapping[str, Sequence[int]]
    facts: Sequence[tuple[str, str]]
    decoding: str = ""
    samples: Sequence[CaptionedImage] = ()
    augmentation: str = ""
    augmented: Sequence[Sequence[CaptionedImage]] = ()
    unreadable: Sequence[tuple[str, str]] | None = None
    ignored: Mapping[str, int] = field(default_factory=dict)
    duplicates: Sequence[tuple[str, Sequence[CaptionedImage]]] = ()


def render_dataset_page(page: DatasetPage) -> str:
    """Return the HTML of a page, which needs no network."""
    return render_page("dataset_page.html.jinja", {"page": page})
