"""Trials in several processes of this machine."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from pipeline.recipe.loader import load_recipe
from pipeline.trials.journal import Journal
from pipeline.trials.parallel import _environment, run_in_parallel
from pipeline.trials.search_state import Search

RECIPE = """\
data: {source: digits, batch_size: 256}
model: {architecture: mlp, hidden: [16]}
training: {epochs: 2}
tuning:
  tuner: random
  trials: 6
  space: {optimizer.learning_rate: {log: [1e-3, 1e-1]}}
"""


def test_processes_share_cpu_threads_and_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    shares = [_environment(index, threads=2) for index in range(3)]
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares] == ["4", "7", "4"]
    assert {share["TF_NUM_INTRAOP_THREADS"] for share in shares} == {"2"}
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "CUDA_VISIBLE_DEVICES" not in _environment(0, threads=2)


class Killer:
    """Kills every process once, after the second trial."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.killed = 0

    def update(self) -> None:
        if len(self.search.done) == 2 and not self.killed:
            for process in multiprocessing.active_children():
                process.kill()
                process.join()
                self.killed += 1


@pytest.mark.slow
def test_a_process_that_is_killed_fails_its_trial_and_no_other(in_empty_folder: Path) -> None:
    Path("recipe.yaml").write_text(RECIPE)
    loaded = load_recipe(Path("recipe.yaml"))
    search = Search(loaded, Journal(in_empty_folder / "search"))
    killer = Killer(search)
    run_in_parallel(search, loaded, killer, workers=2)  # type: ignore[arg-type]
    assert killer.killed == 2
    assert [done.number for done in search.done] == [1, 2, 3, 4, 5, 6]
    (failed,) = [done.outcome for done in search.done if done.outcome.state == "FAILED"]
    assert failed.reason == (
        "The process of the trial was killed, probably because memory ran out."
    )
    assert multiprocessing.active_children() == []
