"""Several seeds: child runs of one run, and the statistics over them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.cli import main
from pipeline.errors import PipelineError
from pipeline.recipe.loader import load_recipe
from pipeline.tracking.store import newest_run, open_store
from pipeline.workflows.multi_seed import run_seeds

RECIPE = """\
name: few_digits
seed: 5
data: {source: digits, batch_size: 128}
model: {architecture: mlp, hidden: [16]}
optimizer: {learning_rate: 1e-2}
training: {epochs: 1}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Any]]:
    """What `--json` prints, which is one object and nothing else, and the store's client."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.chdir(tmp_path_factory.mktemp("seeds"))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        Path("recipe.yaml").write_text(RECIPE)
        assert main(["run", "recipe.yaml", "--seeds", "2", "--json"]) == 0
        yield json.loads(printed.getvalue()), open_store(None).client


def test_each_seed_is_a_run_under_one_run(done: tuple[dict[str, Any], Any]) -> None:
    result, client = done
    children = [client.get_run(single["run_id"]) for single in result["runs"]]
    assert [child.data.params["seed"] for child in children] == ["5", "6"]
    parents = {child.data.tags["mlflow.parentRunId"] for child in children}
    assert parents == {result["parent_run_id"]}
    parent = client.get_run(result["parent_run_id"])
    assert (parent.info.run_name, parent.info.status) == ("few_digits, 2 seeds", "FINISHED")
    assert parent.data.params["seed"] == "5 to 6"


def test_another_seed_gives_another_run_on_the_same_images(
    done: tuple[dict[str, Any], Any],
) -> None:
    result, client = done
    losses = [single["metrics"]["val_log_loss"] for single in result["runs"]]
    assert losses[0] != losses[1]
    first, second = (
        client.get_run(single["run_id"]).inputs.dataset_inputs[0].dataset.digest
        for single in result["runs"]
    )
    assert first == second


def test_the_metrics_of_all_are_the_mean_and_the_spread_of_each(
    done: tuple[dict[str, Any], Any],
) -> None:
    result, client = done
    values = np.array([single["metrics"]["val_accuracy"] for single in result["runs"]])
    assert values[0] != values[1]
    spread = result["metrics"]["val_accuracy"]
    assert spread["mean"] == pytest.approx(values.mean())
    assert spread["std"] == pytest.approx(values.std(ddof=1))
    # Student's t of one degree of freedom, for 95 %.
    reach = 12.706 * spread["std"] / 2**0.5
    assert spread["high"] - spread["mean"] == pytest.approx(reach, rel=1e-3)
    logged = client.get_run(result["parent_run_id"]).data.metrics
    assert logged["val_accuracy"] == spread["mean"]
    assert logged["val_accuracy_low"] == spread["low"]
    assert logged["val_accuracy_std"] == spread["std"]


def test_a_seed_that_fails_fails_them_all(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    changes = ("optimizer={name: sgd, learning_rate: 1e30}",)
    with pytest.raises(PipelineError, match="The loss became"):
        run_seeds(load_recipe(Path("recipe.yaml"), changes), 2)
    store = open_store(None)
    child = newest_run(store)
    parent = store.client.get_run(child.data.tags["mlflow.parentRunId"])
    assert (child.info.status, parent.info.status) == ("FAILED", "FAILED")
    assert parent.data.tags["reason"].startswith("The loss became ")


def test_runs_of_seeds_are_not_resumed_together(
    in_empty_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "recipe.yaml", "--seeds", "2", "--resume", "latest"]) == 2
    assert capsys.readouterr().err == (
        "Error: --seeds and --resume exclude each other. To resume one run of several seeds, use "
        "--set seed=SEED --resume RUN.\n"
    )
