"""Promotion, interruptions and hyperband, for wines that a table measures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from sklearn.datasets import load_wine

from pipeline.recipe.loader import load_recipe
from pipeline.stages.register_model import RegisteredModel
from pipeline.workflows.hyperparameter_search import tune
from pipeline.workflows.run_result import RunResult
from pipeline.workflows.single_run import run

pytestmark = pytest.mark.slow

RECIPE = """\
name: wines
data:
  source: table
  path: wines.csv
  features: [flavanoids, color_intensity]
  columns: {label: grower}
  batch_size: 16
  test: 0.3
model: {architecture: mlp, hidden: [8]}
optimizer: {learning_rate: 5e-2}
training: {epochs: 6}
"""


class Runs(NamedTuple):
    """Two runs of the recipe in the working directory, the first of which learns nothing."""

    poor: RunResult
    good: RunResult


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("wines")
    wines = load_wine(as_frame=True)
    measured = wines.data[["flavanoids", "color_intensity"]]
    measured.assign(grower=wines.target).to_csv(folder / "wines.csv", index=False)
    (folder / "recipe.yaml").write_text(RECIPE)
    promoted = {"tracking.register": "wines", "tracking.promote": "better"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        recipe = Path("recipe.yaml")
        poor = run(load_recipe(recipe, {**promoted, "regularization.l2": 10.0}))
        yield Runs(poor, run(load_recipe(recipe, promoted)))


def test_the_better_model_is_the_champion(runs: Runs) -> None:
    assert runs.poor.registered == RegisteredModel("1", True, {})
    better = runs.good.registered
    assert better
    assert (better.version, better.is_champion) == ("2", True)
    assert better.metrics["champion/accuracy_difference_low"] > 0.2


def test_an_interrupted_run_draws_the_boundaries_of_all_its_epochs(
    runs: Runs, resumed: RunResult
) -> None:
    assert resumed.metrics == runs.good.metrics
    drawn, expected = (
        Path(result.artifact_uri.removeprefix("file://"), "figures", "decision_boundary.png")
        for result in (resumed, runs.good)
    )
    assert drawn.read_bytes() == expected.read_bytes()


@pytest.mark.usefixtures("runs")
def test_hyperband_trains_the_better_networks_for_longer() -> None:
    space = "{optimizer.learning_rate: {choice: [1e-6, 2e-6, 5e-6, 5e-2]}}"
    search = f"tuning: {{tuner: hyperband, trials: 5, space: {space}}}\n"
    Path("search.yaml").write_text(f"{RECIPE}{search}")
    result = tune(load_recipe(Path("search.yaml"), {"training.epochs": 3}))
    assert [row["epochs"] for row in result.trials] == [3, 1, 1, 1, 3]
    assert result.final.metrics["val_accuracy"] == result.best["score"] > 0.8
