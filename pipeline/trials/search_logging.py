"""Logs a search: its trials, their table, the best recipe and figures."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.atomic_files import atomic_write
from pipeline.evaluation import search_figures as figures
from pipeline.recipe.loader import LoadedRecipe, dump_recipe, run_parameters, with_overrides
from pipeline.secrets import has_credentials, mask_secrets
from pipeline.tracking.run_logger import RunLogger
from pipeline.tracking.trial_runs import TrialRun
from pipeline.tracking.ui_tables import table_tags, write_table
from pipeline.trials.search_state import FinishedTrial, PendingTrial, Search, value_at
from pipeline.trials.trial import TrialOutcome
from pipeline.tuning.search_space import Dimension

BEST = "best.yaml"


def trial_run(search: Search, trial: PendingTrial, outcome: TrialOutcome) -> TrialRun:
    """Return the run of a trial with its outcome, which is KILLED for one that has not ended."""
    end = outcome.times[-1] if outcome.times else time.time()
    is_killed = outcome.state == "KILLED"
    scores = {
        "objective": outcome.score,
        "objective_spread": outcome.spread,
        "best_so_far": None if is_killed else search.best_until(trial.number),
    }
    known = {name: value for name, value in scores.items() if value is not None}
    tags = {"objective": search.tuning.objective}
    if outcome.reason:
        tags["reason"] = outcome.reason
    if outcome.pruned_at:
        tags["pruned_at"] = str(outcome.pruned_at)
    tried = {f"tried.{path}": _text(value) for path, value in trial.values.items()}
    loaded = trial.loaded
    return TrialRun(
        number=trial.number,
        name=f"trial {trial.number}",
        status=outcome.state,
        start=end - outcome.seconds,
        end=end,
        params=run_parameters(loaded.recipe, loaded.secrets),
        tags=tags | tried,
        metrics={**outcome.metrics, "seconds": outcome.seconds, **known},
        rows=outcome.rows,
        times=outcome.times,
        files={"resolved.yaml": dump_recipe(loaded.recipe, loaded.secrets)},
    )


def trial_rows(search: Search) -> list[dict[str, Any]]:
    """Return a row for each trial: number, state, score, seconds, and the values by path."""
    return [
        {
            "trial": done.number,
            "state": done.outcome.state,
            search.tuning.objective: done.outcome.score,
            "spread": done.outcome.spread,
            "epochs": len(done.outcome.rows),
            "pruned_at": done.outcome.pruned_at,
            "seconds": round(done.outcome.seconds, 3),
            "reason": done.outcome.reason,
            **{
                path: _text(done.values[path]) if path in done.values else ""
                for path in search.tuning.space
            },
        }
        for done in search.done
    ]


def write_best(
    search: Search, loaded: LoadedRecipe, directory: Path, run_logger: RunLogger
) -> Path:
    """Write the best recipe to a directory and log it; `pipeline run` takes it as it is.

    A password or token in a URL of the recipe is in the written file, which its owner alone can
    read then, and nowhere else.
    """
    best = search.best
    assert best is not None
    # Of hyperband, also the epochs that the score is of.
    recipe = with_overrides(loaded, best.values).recipe
    tried = ", ".join(f"{path} {_text(value)}" for path, value in best.values.items())
    comment = (
        f"# The best of {len(search.done)} trials of {recipe.name}: trial {best.number}, "
        f"{search.tuning.objective} {best.outcome.score:.4f}.\n"
        f"# {tried or 'The recipe without changes.'}\n"
    )
    comment = mask_secrets(comment, loaded.secrets)
    text = dump_recipe(recipe, loaded.secrets, keep_credentials=True)
    if has_credentials(text, loaded.secrets):
        private = f"{comment}# It contains a password or token of {loaded.path}: keep it private.\n"
        atomic_write(directory / BEST, f"{private}{text}".encode(), mode=0o600)
    else:
        atomic_write(directory / BEST, f"{comment}{text}".encode())
    with run_logger.log_artifacts() as scratch:
        logged = f"{comment}{dump_recipe(recipe, loaded.secrets)}"
        (scratch / BEST).write_text(logged, "utf-8")
    return directory / BEST


def log_search(search: Search, loaded: LoadedRecipe, run_logger: RunLogger) -> None:
    """Log the recipe and the space of a search."""
    tuning = search.tuning
    described = tuning.model_dump(mode="json", exclude_none=True)
    run_logger.log_params(
        {
            **run_parameters(loaded.recipe, loaded.secrets),
            **{f"tuning.{key}": _text(value) for key, value in described.items() if key != "space"},
            **{f"space.{path}": _text(keys) for path, keys in described["space"].items()},
        }
    )
    run_logger.set_tags(
        {
            "search": tuning.tuner,
            "objective": f"{tuning.objective}, {tuning.direction}imum is best",
        }
    )
    with run_logger.log_artifacts() as directory:
        (directory / "recipe.yaml").write_text(loaded.text, "utf-8")
        resolved = dump_recipe(loaded.recipe, loaded.secrets)
        (directory / "resolved.yaml").write_text(resolved, "utf-8")
        (directory / "space.json").write_text(_text(described), "utf-8")


def log_trial_rows(rows: Sequence[dict[str, Any]], run_logger: RunLogger) -> None:
    """Log the table of trials, as CSV and as the table that MLflow shows."""
    with run_logger.log_artifacts() as directory:
        with (directory / "trials.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        write_table(rows, directory / "trials.json")
    run_logger.set_tags(table_tags(["trials.json"]))


def log_search_figures(search: Search, run_logger: RunLogger) -> None:
    """Log the figures of a search that has more than one trial with a score."""
    scored = search.scored
    if len(scored) < 2:
        return
    tuning = search.tuning
    dimensions = {dimension.path: dimension for dimension in search.space}
    trials = figures.ScoredTrials(
        {path: _column(dimensions[path], scored) for path in tuning.space},
        [done.outcome.score or 0.0 for done in scored],
        logarithmic=[path for path, keys in tuning.space.items() if keys.log],
        objective=tuning.objective,
        direction=tuning.direction,
    )
    drawn = {
        "optimization_history": figures.plot_optimization_history(
            trials,
            [done.ended_at for done in scored],
            pruned=[done.outcome.pruned_at is not None for done in scored],
        ),
        "slices": figures.plot_slices(trials),
        "parameter_importances": figures.plot_parameter_importances(trials),
        "parallel_coordinates": figures.plot_parallel_coordinates(trials),
    }
    with run_logger.log_artifacts() as directory:
        (directory / "figures").mkdir()
        for name, figure in drawn.items():
            if figure:
                figure.savefig(directory / "figures" / f"{name}.png", dpi=120)


def _column(parameter: Dimension, trials: Sequence[FinishedTrial]) -> list[Any]:
    """Return the values of a parameter: numbers of a range, strings of a choice."""
    values = [value_at(trial.loaded, parameter.path) for trial in trials]
    if parameter.config.choice is None:
        return values
    chosen = [parameter.number_of(value) for value in values]
    return [None if index is None else _label(parameter.value_of(index)) for index in chosen]


def _label(value: Any) -> str:
    """Return a value of a choice, a section by its name."""
    named = value.get("name") or value.get("architecture") if isinstance(value, dict) else None
    return _text(named or value)


def log_search_result(
    search: Search, final_run_id: str, metrics: dict[str, float], run_logger: RunLogger
) -> None:
    """Log the result of the search beside the metrics of the final run of the best recipe."""
    best = search.best
    assert best is not None
    outcomes = [done.outcome for done in search.done]
    run_logger.log_metrics(
        {
            "search/best": best.outcome.score or 0.0,
            "search/best_trial": float(best.number),
            "search/trials": float(len(outcomes)),
            "search/failed": float(len(search.failed)),
            "search/contradictory": float(len(search.contradictory)),
            "search/pruned": float(sum(one.pruned_at is not None for one in outcomes)),
            "search/seconds": search.seconds_of_trials,
            **{
                f"final/{name}": value
                for name, value in metrics.items()
                if name.startswith(("val_", "test_"))
            },
        }
    )
    run_logger.set_tags({"final.run_id": final_run_id, "ended": search.ended})


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
