"""What a search leaves in the store: its trials, their table, the best recipe, pictures."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.atomic_files import atomic_write
from pipeline.evaluation import search_figures as figures
from pipeline.recipe.loader import LoadedRecipe, dump_recipe, run_parameters, with_overrides
from pipeline.secrets import mask_credentials, mask_secrets
from pipeline.tracking.trial_runs import TrialRun
from pipeline.trials.search_state import FinishedTrial, Search

if TYPE_CHECKING:
    from pipeline.tracking.run_logger import RunLogger

BEST = "best.yaml"


def trial_run(
    done: FinishedTrial, loaded: LoadedRecipe, *, objective: str, best_so_far: float | None
) -> TrialRun:
    """Return a trial as a run of its own.

    Args:
        done: the trial.
        loaded: its recipe.
        objective: the name of the metric that counts.
        best_so_far: the best score of it and of those before it, None if all failed.
    """
    outcome = done.outcome
    end = outcome.times[-1] if outcome.times else time.time()
    metrics = {**outcome.metrics, "seconds": outcome.seconds}
    if outcome.score is not None:
        metrics["objective"] = outcome.score
    if best_so_far is not None:
        metrics["best_so_far"] = best_so_far
    if len(outcome.scores) > 1:
        metrics["objective_spread"] = outcome.spread
    secrets = loaded.secrets
    tags = {"objective": objective}
    if outcome.reason:
        tags["reason"] = outcome.reason
    if outcome.pruned_at:
        tags["pruned_at"] = str(outcome.pruned_at)
    tried = {f"tried.{path}": _text(value, secrets) for path, value in done.values.items()}
    return TrialRun(
        number=done.number,
        name=f"trial {done.number}",
        state=outcome.state,
        start=end - outcome.seconds,
        end=end,
        parameters=run_parameters(loaded.recipe, loaded.secrets),
        tags=tags | tried,
        metrics=metrics,
        rows=outcome.rows,
        times=outcome.times,
        files={"resolved.yaml": dump_recipe(loaded.recipe, loaded.secrets)},
    )


def table_of(search: Search, secrets: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the trials as rows: number, score, state, seconds, and the values tried by path."""
    paths = list(search.tuning.space)
    rows = []
    for done in search.done:
        outcome = done.outcome
        rows.append(
            {
                "trial": done.number,
                "state": outcome.state,
                search.tuning.objective: outcome.score,
                "spread": outcome.spread if len(outcome.scores) > 1 else None,
                "epochs": len(outcome.rows),
                "pruned_at": outcome.pruned_at,
                "seconds": round(outcome.seconds, 3),
                "reason": outcome.reason,
                **{
                    path: _text(done.values[path], secrets) if path in done.values else ""
                    for path in paths
                },
            }
        )
    return rows


def write_best(search: Search, loaded: LoadedRecipe, folder: Path, run_logger: RunLogger) -> Path:
    """Write the best recipe, which runs by itself, to a folder and to the store."""
    best = search.best
    assert best is not None
    values = {path: value for path, value in best.values.items() if path in search.tuning.space}
    recipe = with_overrides(loaded, values).recipe
    tried = ", ".join(f"{path} {_text(value, loaded.secrets)}" for path, value in values.items())
    text = (
        f"# The best of {len(search.done)} trials of {recipe.name}: trial {best.number}, "
        f"{search.tuning.objective} {best.outcome.score:.4f}.\n"
        f"# {tried or 'The recipe as it stood.'}\n"
        f"{dump_recipe(recipe, loaded.secrets)}"
    )
    atomic_write(folder / BEST, text.encode())
    run_logger.artifacts(lambda scratch: _write(scratch / BEST, text))
    return folder / BEST


def record_search(search: Search, loaded: LoadedRecipe, run_logger: RunLogger) -> None:
    """Record what is searched."""
    tuning = search.tuning
    described = tuning.model_dump(mode="json", exclude_none=True)
    run_logger.parameters(
        {
            **run_parameters(loaded.recipe, loaded.secrets),
            **{
                f"tuning.{key}": _text(value, loaded.secrets)
                for key, value in described.items()
                if key != "space"
            },
            **{
                f"space.{path}": _text(keys, loaded.secrets)
                for path, keys in described["space"].items()
            },
        }
    )
    run_logger.tags(
        {
            "search": tuning.tuner,
            "objective": f"{tuning.objective}, {tuning.direction}imum is best",
        }
    )

    def write(folder: Path) -> None:
        (folder / "recipe.yaml").write_text(mask_credentials(loaded.text), "utf-8")
        (folder / "resolved.yaml").write_text(dump_recipe(loaded.recipe, loaded.secrets), "utf-8")
        (folder / "space.json").write_text(_text(described, loaded.secrets), "utf-8")

    run_logger.artifacts(write)


def record_table(rows: Sequence[dict[str, Any]], run_logger: RunLogger) -> None:
    """Record the table of trials, as CSV and as the table that MLflow shows."""

    def write(folder: Path) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        (folder / "trials.csv").write_text(text.getvalue(), "utf-8")
        split = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
        (folder / "trials.json").write_text(json.dumps(split), "utf-8")

    run_logger.artifacts(write)
    described = json.dumps([{"path": "trials.json", "type": "table"}])
    run_logger.tags({"mlflow.loggedArtifacts": described})


def record_figures_of(search: Search, loaded: LoadedRecipe, run_logger: RunLogger) -> None:
    """Record pictures of a search, where there is more than one trial to show."""
    scored = [done for done in search.done if done.outcome.score is not None]
    if len(scored) < 2:
        return
    tuning = search.tuning
    scores = [done.outcome.score or 0.0 for done in scored]
    columns = _columns(search, scored, loaded)
    logarithmic = [path for path, keys in tuning.space.items() if keys.log]
    drawn = {
        "best_so_far": figures.best_so_far(
            scores,
            [search.ended_at(done.number) for done in scored],
            pruned=[done.outcome.pruned_at is not None for done in scored],
            objective=tuning.objective,
            direction=tuning.direction,
        ),
        "each_parameter": figures.each_parameter(
            columns, scores, logarithmic=logarithmic, objective=tuning.objective
        ),
        "importance": figures.importance(columns, scores, objective=tuning.objective),
        "parallel_coordinates": figures.parallel_coordinates(
            columns,
            scores,
            logarithmic=logarithmic,
            objective=tuning.objective,
            direction=tuning.direction,
        ),
    }

    def write(folder: Path) -> None:
        (folder / "figures").mkdir()
        for name, figure in drawn.items():
            if figure:
                figure.savefig(folder / "figures" / f"{name}.png", dpi=120)

    run_logger.artifacts(write)


def _columns(
    search: Search, scored: Sequence[FinishedTrial], loaded: LoadedRecipe
) -> dict[str, list[Any]]:
    """Return the values of each parameter: numbers of a range, texts of a choice."""
    columns: dict[str, list[Any]] = {}
    for path, keys in search.tuning.space.items():
        if keys.choice is None:
            columns[path] = [search.value_at(done.number, path) for done in scored]
        else:
            columns[path] = [search.choice_at(done.number, path) for done in scored]
            columns[path] = [
                None if value is None else _label(value, loaded.secrets) for value in columns[path]
            ]
    return columns


def _label(value: Any, secrets: Mapping[str, str]) -> str:
    """Return a value of a choice, a section by its name."""
    named = value.get("name") or value.get("architecture") if isinstance(value, dict) else None
    return _text(named or value, secrets)


def record_end(
    search: Search, final_run_id: str, metrics: dict[str, float], run_logger: RunLogger
) -> None:
    """Record what the search found, beside what the run of its best recipe gave."""
    best = search.best
    assert best is not None
    done = search.done
    failed = sum(one.outcome.state == "FAILED" for one in done)
    run_logger.metrics(
        {
            "search/best": best.outcome.score or 0.0,
            "search/best_trial": float(best.number),
            "search/trials": float(len(done)),
            "search/failed": float(failed),
            "search/pruned": float(sum(one.outcome.pruned_at is not None for one in done)),
            "search/seconds": search.seconds_of_trials,
            **{
                f"final/{name}": value
                for name, value in metrics.items()
                if name.startswith(("val_", "test_"))
            },
        }
    )
    run_logger.tags({"final.run_id": final_run_id, "ended": search.ended})


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8")


def _text(value: Any, secrets: Mapping[str, str]) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return mask_secrets(text, secrets)
