"""Train and judge models of a recipe on folds of the images."""

from __future__ import annotations

import dataclasses
import json
import logging
import shutil
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pipeline.atomic_files import atomic_write
from pipeline.cluster.cluster import Cluster, Lost
from pipeline.console import only_warnings
from pipeline.data.folds import Fold, draw_folds, splits_of_fold
from pipeline.data.splits import Splits
from pipeline.errors import DivergedError, TrainingError
from pipeline.evaluation.cross_validation import CrossValidation, FoldOutcome
from pipeline.features.cached_features import HeadInputs, head_outputs
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import LoadedRecipe, run_parameters, with_overrides
from pipeline.stages.data_checks import images_of_machine
from pipeline.stages.evaluate_splits import metrics_of_images, validation_thresholds
from pipeline.stages.head_trainer import CompiledHeads
from pipeline.stages.train_model import (
    OnEpoch,
    TrainedModel,
    compute_pool_inputs,
    train_model,
    trains_head_alone,
)
from pipeline.tracking.run_logger import RunLogger
from pipeline.tracking.trial_runs import FOLD, TrialRun
from pipeline.training.checkpoints import Checkpoints

logger = logging.getLogger(__name__)


def folds_of(recipe: Recipe, splits: Splits) -> list[Fold]:
    """Return the folds of a recipe.

    Raises:
        DataError: if there are too few images.
    """
    training = recipe.training
    assert training.folds is not None
    return draw_folds(
        splits,
        count=training.folds,
        repeats=training.fold_repeats,
        seed=recipe.data.split_seed,
    )


def train_fold(
    recipe: Recipe,
    splits: Splits,
    fold: Fold,
    *,
    pool_inputs: HeadInputs | None,
    on_epoch: OnEpoch,
    checkpoints: Checkpoints | None = None,
    heads: CompiledHeads | None = None,
    names: Collection[str] = (),
) -> tuple[TrainedModel, dict[str, float]]:
    """Train a model on a fold, and judge it by images that it has not seen.

    Args:
        recipe: of the model.
        splits: the images that the fold divides.
        fold: the division.
        pool_inputs: the features of all these images, of which a fold is a selection of rows; None
            for a model that is more than a head on them.
        on_epoch: as `train_model` takes it.
        checkpoints: where to resume from and to save to.
        heads: as `train_model` takes them.
        names: of metrics of one class to add, such as `val_recall/ants`.

    Returns:
        What was trained, and the metrics of the images that judge.

    Raises:
        DivergedError: if training diverges before there is a model to judge.
    """
    of_fold = splits_of_fold(splits, fold)
    assert of_fold.test is not None
    with only_warnings():
        trained = train_model(
            recipe,
            of_fold,
            on_epoch=on_epoch,
            checkpoints=checkpoints,
            show_progress=False,
            head_inputs=_select(pool_inputs, fold) if pool_inputs else None,
            heads=heads,
        )
        if pool_inputs:
            assert pool_inputs.validation is not None
            judged = pool_inputs.validation.select(fold.test)
            outputs = recipe.task.outputs(head_outputs(trained.model, judged), of_fold.test.images)
        else:
            outputs = trained.trainer.predict(of_fold.test, "fold")
        thresholds = validation_thresholds(of_fold, trained.trainer.predict)
    metrics = metrics_of_images(
        recipe, of_fold.test.labels, outputs, thresholds, splits.class_names, names
    )
    return trained, metrics


@dataclass(frozen=True)
class FoldInputs:
    """What the trainings of all folds of a recipe share in one process.

    Attributes:
        splits: the images.
        pool_inputs: as `train_fold` takes it.
        on_checkpoints: is called with the checkpoints of each fold before it is trained.
    """

    splits: Splits
    pool_inputs: HeadInputs | None
    on_checkpoints: Callable[[Checkpoints], None] = lambda checkpoints: None


@dataclass(frozen=True)
class _InThisProcess:
    """Has the inputs in this process, and has none in another one: they cannot be pickled."""

    inputs: FoldInputs | None = None

    def __reduce__(self) -> tuple[type[_InThisProcess], tuple[()]]:
        return _InThisProcess, ()


def cross_validate(
    loaded: LoadedRecipe,
    inputs: FoldInputs,
    run_logger: RunLogger,
    directory: Path,
    cluster: Cluster,
) -> CrossValidation:
    """Train and judge all folds of a recipe, and log each as a run under the run of the recipe.

    Folds that are finished are kept in a directory, and the others resume from their checkpoints.

    Args:
        loaded: the recipe.
        inputs: what the folds share in this process.
        run_logger: logs to the run of the recipe.
        directory: for the folds of the run.
        cluster: trains the folds.

    Raises:
        DataError: if there are too few images.
        DivergedError: if fewer than two folds have a model to judge.
        TrainingError: if the process of a fold dies twice.
    """
    recipe, splits = loaded.recipe, inputs.splits
    folds = folds_of(recipe, splits)
    kept = {fold.number: _kept_outcome(directory, fold) for fold in folds}
    outcomes = {number: outcome for number, outcome in kept.items() if outcome}

    def report(fold: Fold) -> None:
        outcome = outcomes[fold.number]
        run_logger.log_trial(_fold_run(loaded, fold, outcome, len(folds)))
        first, *_, last = recipe.task.main_metrics(is_imbalanced=False)
        described = _describe(outcome, (first, last), splits.unit)
        logger.info(f"Fold {fold.number}/{len(folds)}  {described}")

    for fold in folds:
        if fold.number in outcomes:
            report(fold)
    left = [fold for fold in folds if fold.number not in outcomes]
    alone = with_overrides(loaded, {"runtime.cluster": "local"})
    make_worker = partial(_make_worker, alone, splits.digest, directory, _InThisProcess(inputs))
    for fold, outcome in cluster.results(make_worker, iter(left), retries=1):
        if isinstance(outcome, Lost):
            raise TrainingError(f"Fold {fold.number} could not be trained. {outcome.explanation}")
        directory.mkdir(parents=True, exist_ok=True)
        content = json.dumps(dataclasses.asdict(outcome)).encode()
        atomic_write(directory / _file_of(fold), content)
        outcomes[fold.number] = outcome
        report(fold)
    images = len(splits.train) + (0 if splits.validation is None else len(splits.validation))
    assert recipe.training.folds is not None
    ordered = [outcomes[fold.number] for fold in folds]
    result = CrossValidation(recipe.training.folds, recipe.training.fold_repeats, images, ordered)
    if len(result.finished) < 2:
        reason = next(outcome.divergence for outcome in ordered if outcome.divergence)
        raise DivergedError(f"training.folds: {result}. {reason}")
    run_logger.log_metrics(result.metrics)
    run_logger.set_tags({"folds": str(result)})
    return result


def _file_of(fold: Fold) -> str:
    return f"fold-{fold.number}.json"


def _kept_outcome(directory: Path, fold: Fold) -> FoldOutcome | None:
    file = directory / _file_of(fold)
    return FoldOutcome(**json.loads(file.read_bytes())) if file.exists() else None


def _make_worker(
    loaded: LoadedRecipe, images: str, directory: Path, here: _InThisProcess
) -> Callable[[Fold], FoldOutcome]:
    recipe, heads = loaded.recipe, CompiledHeads()
    inputs = here.inputs or _inputs_of(recipe, images)

    def train(fold: Fold) -> FoldOutcome:
        checkpoints = Checkpoints(directory / f"fold-{fold.number}")
        inputs.on_checkpoints(checkpoints)
        outcome = _outcome_of(recipe, inputs, fold, checkpoints, heads)
        shutil.rmtree(checkpoints.directory, ignore_errors=True)
        return outcome

    return train


def _inputs_of(recipe: Recipe, images: str) -> FoldInputs:
    """Return the inputs of a recipe in another process than that of the command."""
    splits = images_of_machine(recipe.data.load, images)
    pool_inputs = compute_pool_inputs(recipe, splits) if trains_head_alone(recipe) else None
    return FoldInputs(splits, pool_inputs)


def _select(inputs: HeadInputs, fold: Fold) -> HeadInputs:
    """Return the features that a fold is trained and validated on."""
    validation = None
    if fold.validation is not None:
        assert inputs.validation is not None
        validation = inputs.validation.select(fold.validation)
    return HeadInputs(inputs.train.select(fold.train), validation)


def _outcome_of(
    recipe: Recipe,
    inputs: FoldInputs,
    fold: Fold,
    checkpoints: Checkpoints,
    heads: CompiledHeads,
) -> FoldOutcome:
    started, divergence = time.time(), ""
    rows: list[dict[str, float]] = []
    times: list[float] = []
    best_epoch: int | None = None
    metrics: dict[str, float] = {}

    def on_epoch(epoch: int, row: dict[str, float], seconds: float) -> None:
        rows.append({**row, "seconds": seconds})
        times.append(time.time())

    try:
        trained, metrics = train_fold(
            recipe,
            inputs.splits,
            fold,
            pool_inputs=inputs.pool_inputs,
            on_epoch=on_epoch,
            checkpoints=checkpoints,
            heads=heads,
        )
        best_epoch = trained.history.best_epoch
    except DivergedError as error:
        divergence = str(error)
        logger.warning(f"Fold {fold.number} diverged and is in no mean: {divergence}")
    seconds = time.time() - started
    return FoldOutcome(
        fold.number,
        len(fold.test),
        best_epoch,
        metrics,
        rows,
        times,
        started,
        seconds,
        divergence,
    )


def _fold_run(loaded: LoadedRecipe, fold: Fold, outcome: FoldOutcome, count: int) -> TrialRun:
    """Return the run of a fold, whose metrics are `cv_*`."""
    counts = {"train": len(fold.train), "cv": len(fold.test)}
    if fold.validation is not None:
        counts["val"] = len(fold.validation)
    metrics = {f"cv_{name}": value for name, value in outcome.metrics.items()}
    if outcome.best_epoch is not None:
        metrics["best_epoch"] = float(outcome.best_epoch)
    return TrialRun(
        number=fold.number,
        name=f"fold {fold.number} of {count}",
        status="FAILED" if outcome.divergence else "FINISHED",
        start=outcome.started,
        end=outcome.started + outcome.seconds,
        params=run_parameters(loaded.recipe, loaded.secrets),
        tags={"reason": outcome.divergence} if outcome.divergence else {},
        metrics=metrics | {f"count/{name}": float(number) for name, number in counts.items()},
        rows=outcome.rows,
        times=outcome.times,
        files={},
        kind=FOLD,
    )


def _describe(outcome: FoldOutcome, names: Sequence[str], unit: str) -> str:
    """Return the metrics with some names, and how many examples they are of."""
    if outcome.divergence:
        return "diverged"
    metrics = "  ".join(f"{name} {outcome.metrics[name]:.4f}" for name in names)
    epoch = f"  best epoch {outcome.best_epoch}" if outcome.best_epoch else ""
    return f"{metrics}  on {outcome.images:,} {unit}{epoch}"
