"""Figures: what is drawn, not how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.evaluation import figures

ROWS = [
    {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.2, "val_accuracy": 0.4},
    {"loss": 0.6, "accuracy": 0.7, "val_loss": 0.9, "val_accuracy": 0.6},
    {"loss": 0.3, "accuracy": 0.9, "val_loss": 1.0, "val_accuracy": 0.5},
]


def test_curves_show_every_epoch_and_mark_the_chosen_one() -> None:
    figure = figures.learning_curves(ROWS, best_epoch=2, fine_tuned_from=None)
    loss, accuracy = figure.axes
    assert list(loss.lines[0].get_ydata()) == [1.0, 0.6, 0.3]
    assert list(accuracy.lines[1].get_ydata()) == [0.4, 0.6, 0.5]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == [
        "training",
        "validation",
        "chosen: 2",
    ]


def test_the_confusion_matrix_has_its_counts_and_names_written_in() -> None:
    figure = figures.confusion(np.array([[7, 0], [2, 5]]), ("ants", "bees"), title="validation")
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == ["7", "·", "2", "5"]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ants", "bees"]


def test_a_figure_becomes_a_picture(tmp_path: Path) -> None:
    figures.learning_curves(ROWS, best_epoch=2, fine_tuned_from=1).savefig(tmp_path / "c.png")
    with Image.open(tmp_path / "c.png") as picture:
        assert len(set(picture.convert("L").tobytes())) > 50
