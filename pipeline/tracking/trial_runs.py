"""The trials of a search and the folds of a run, as child runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.tracking.paging import iterate_pages
from pipeline.tracking.store import Store

TRIAL, FOLD = "trial", "fold"  # the tags with their number


@dataclass(frozen=True)
class TrialRun:
    """The run of a trial, or of a fold.

    Attributes:
        number: from 1.
        name: the run's name.
        status: how it ended: FINISHED, FAILED or KILLED.
        start, end: in seconds since 1970.
        params: the parameters of the trial's recipe.
        tags: further tags.
        metrics: the final metrics.
        rows: the metrics of each epoch.
        times: when each epoch ended, in seconds since 1970.
        files: artifacts, the text of each by its name.
        kind: the tag with its number: `trial` or `fold`.
    """

    number: int
    name: str
    status: str
    start: float
    end: float
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]
    rows: Sequence[Mapping[str, float]]
    times: Sequence[float]
    files: Mapping[str, str]
    kind: str = TRIAL


def find_trial_run(client: Any, parent: Any, number: int, kind: str) -> str | None:
    """Return the id of the run of a trial or fold under its parent, None if there is none yet."""
    runs = client.search_runs(
        [parent.info.experiment_id],
        f"tags.`mlflow.parentRunId` = '{parent.info.run_id}' AND tags.{kind} = '{number}'",
        max_results=1,
    )
    return runs[0].info.run_id if runs else None


def logged_trials(store: Store, parent_id: str) -> set[int]:
    """Return the numbers of the trials whose runs are complete."""
    experiment = store.client.get_run(parent_id).info.experiment_id
    condition = f"tags.`mlflow.parentRunId` = '{parent_id}'"
    runs = iterate_pages(
        lambda token: store.client.search_runs([experiment], condition, page_token=token)
    )
    return {
        int(run.data.tags[TRIAL])
        for run in runs
        if TRIAL in run.data.tags and run.info.status in ("FINISHED", "FAILED")
    }
