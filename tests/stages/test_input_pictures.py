"""What a model of two numbers computes is drawn, for each task."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipeline.recipe.grammar import Recipe
from pipeline.stages.input_pictures import draw_input_pictures, snapshot_inputs
from pipeline.stages.train_model import train_model


def test_each_of_several_labels_has_a_decision_boundary(tmp_path: Path) -> None:
    points = np.random.default_rng(0).uniform(-1, 1, (40, 2))
    rows = [f"{x:.3f},{y:.3f},{int(x > 0)},{int(y > 0)}" for x, y in points]
    (tmp_path / "weather.csv").write_text("\n".join(["x,y,warm,wet", *rows]))
    recipe = Recipe.model_validate(
        {
            "data": {
                "source": "table",
                "task": "multi_label",
                "path": str(tmp_path / "weather.csv"),
                "features": ["x", "y"],
                "columns": {"labels": ["warm", "wet"]},
            },
            "model": {"architecture": "mlp", "hidden": [4]},
            "training": {"epochs": 1, "loss": "binary_cross_entropy"},
        }
    )
    splits = recipe.data.load()
    trained = train_model(
        recipe,
        splits,
        on_epoch=lambda *_: None,
        show_progress=False,
        snapshot_inputs=snapshot_inputs(splits),
    )
    figures = draw_input_pictures(splits, trained)
    assert list(figures) == [
        "Decision boundary of class 1",
        "Decision boundary of class 2",
        "Hidden units",
    ]
