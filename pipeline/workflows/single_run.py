"""From a recipe to a trained, evaluated, logged model: the story, which the rooms tell in full."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.console import hide_secrets
from pipeline.data.sources import SOURCES
from pipeline.errors import DataError, DivergedError
from pipeline.recipe.loader import LoadedRecipe
from pipeline.secrets import mask_secrets
from pipeline.shutdown import graceful_shutdown
from pipeline.stages.error_explanation import explain_error
from pipeline.stages.evaluate_splits import evaluate_splits
from pipeline.stages.find_label_errors import find_label_errors
from pipeline.stages.log_run import (
    describe_environment,
    log_dataset,
    log_evaluation,
    log_failure,
    log_interruption,
    log_label_errors,
    log_model,
    log_recipe,
    log_report,
)
from pipeline.stages.register_model import RegisteredModel, register_model
from pipeline.stages.resume_checks import (
    check_same_images,
    check_same_recipe,
    resume_command,
    save_origin,
)
from pipeline.stages.run_report import build_report
from pipeline.stages.train_model import train_model
from pipeline.stages.verify_model import ModelVerification, model_verification
from pipeline.stopwatch import Stopwatch
from pipeline.tracking import resumable_runs
from pipeline.tracking import run_logger as recording
from pipeline.tracking.store import checkpoint_directory, open_store
from pipeline.training.checkpoints import Checkpoints

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.data.splits import Splits
    from pipeline.recipe.grammar import Recipe
    from pipeline.tracking.run_logger import RunLogger
    from pipeline.tracking.store import Store


@dataclass(frozen=True)
class RunResult:
    """What came of a run.

    Attributes:
        run_id: the run in MLflow.
        name: the recipe's name.
        status: FINISHED; a run that did not finish raises instead.
        metrics: the final metrics by name, `val_*` of the split that chose the epoch, `test_*` of
            the one that was looked at once.
        seconds: the time each stage took.
        model_uri: the model, as MLflow's loaders take it.
        tracking_uri: the store that the run is in.
        epochs: how many epochs were trained.
        best_epoch: the one whose weights the model has, counted from 1.
        images: how many images each split has.
        quarantined: the files that were left out, with the reason.
        features: precision, error and speed of the frozen base's features, None without a base.
        undelivered: the folder of what the store did not take, None where it took everything.
        registered: the model's version in the registry, None where it was not registered.
    """

    run_id: str
    name: str
    status: str
    metrics: dict[str, float]
    seconds: dict[str, float]
    model_uri: str
    tracking_uri: str
    epochs: int
    best_epoch: int
    images: dict[str, int]
    quarantined: dict[str, str]
    features: dict[str, Any] | None
    undelivered: str | None
    registered: RegisteredModel | None


def run(
    loaded: LoadedRecipe,
    *,
    resume: str | None = None,
    parent: str | None = None,
    stopwatch: Stopwatch | None = None,
) -> RunResult:
    """Train, evaluate and log what a recipe describes.

    Args:
        loaded: the recipe, and what it was read from.
        resume: the id of a run that was interrupted, or `latest`, to go on with it.
        parent: the id of the run that a new one is under, if any.
        stopwatch: has the seconds of stages before this one, such as imports.

    Raises:
        PipelineError: if the run fails; in MLflow it is FAILED, with the reason.
        KeyboardInterrupt: if it is interrupted; in MLflow it is KILLED.
    """
    with model_verification(loaded.recipe) as check:
        return _run(loaded, check, stopwatch or Stopwatch(), resume=resume, parent=parent)


def _run(
    loaded: LoadedRecipe,
    check: ModelVerification,
    watch: Stopwatch,
    *,
    resume: str | None,
    parent: str | None,
) -> RunResult:
    recipe = loaded.recipe
    hide_secrets(loaded.secrets)
    with watch.stage("store"):
        store = open_store(recipe.tracking.uri)
        run_logger = _begun(loaded, store, resume, parent)
        folder = checkpoint_directory(run_logger.run_id)
        checkpoints = Checkpoints(folder)

    def leave() -> None:
        checkpoints.flush()
        log_interruption(run_logger)
        logger.info(_how_to_go_on(loaded, checkpoints, run_logger))

    with graceful_shutdown(leave):
        try:
            if not resume:
                save_origin(folder, loaded)
            log_recipe(loaded, run_logger)
            with watch.stage("data"):
                splits = SOURCES[recipe.data.source].load(recipe.data)
            _refuse_other_classes(recipe, splits)
            check_same_images(folder, splits.digest)
            log_dataset(loaded, splits, run_logger)
            with watch.stage("train"):
                trained = train_model(
                    recipe,
                    splits,
                    on_epoch=_recording_epochs(run_logger),
                    checkpoints=checkpoints,
                )
            with watch.stage("log"):  # before anything else can fail
                check.ask(recipe, splits, log_model(recipe, splits, trained, run_logger))
            with watch.stage("evaluate"):
                judgement = evaluate_splits(recipe, splits, trained)
                log_evaluation(judgement, run_logger)
                suspects = find_label_errors(splits, trained)
                log_label_errors(suspects, run_logger)
            with watch.stage("report"):
                rendered = build_report(
                    loaded,
                    splits,
                    trained,
                    judgement,
                    suspects,
                    facts={"run": run_logger.run_id},
                    environment=describe_environment(),
                    seconds=watch.seconds,
                )
                log_report(rendered, run_logger)
            with watch.stage("verify"):
                verified = check.metrics(judgement.predictions["val"])
                run_logger.metrics(verified)
        except Exception as raised:
            error = explain_error(raised, loaded.secrets)
            checkpoints.flush()
            log_failure(error, run_logger)
            if checkpoints.last_epoch() and not isinstance(error, DivergedError):
                logger.info(_how_to_go_on(loaded, checkpoints, run_logger))
            raise error from None
        with watch.stage("log"):
            spent = {f"seconds/{stage}": value for stage, value in watch.seconds.items()}
            run_logger.metrics(spent)
            undelivered = run_logger.close("FINISHED")
            shutil.rmtree(folder, ignore_errors=True)
        registered = None
        if recipe.tracking.register_as and not undelivered:
            with watch.stage("register"):
                registered = register_model(
                    recipe, run_logger.run_id, splits, judgement.predictions, store=store
                )
    return RunResult(
        run_id=run_logger.run_id,
        name=mask_secrets(recipe.name, loaded.secrets),
        status="FINISHED",
        metrics=judgement.metrics | verified,
        seconds={stage: round(value, 3) for stage, value in watch.seconds.items()},
        model_uri=f"runs:/{run_logger.run_id}/model" if undelivered else run_logger.model_uri(),
        tracking_uri=run_logger.uri,
        epochs=len(trained.history.rows),
        best_epoch=trained.history.best_epoch,
        images={name: len(split) for name, split in splits.named().items()},
        quarantined={file.name: file.reason for file in splits.quarantined},
        features=trained.trainer.feature_facts() or None,
        undelivered=str(undelivered) if undelivered else None,
        registered=registered,
    )


def _begun(loaded: LoadedRecipe, store: Store, resume: str | None, parent: str | None) -> RunLogger:
    """Return the record of a new run, or of the one that goes on."""
    recipe = loaded.recipe
    hide_secrets(loaded.secrets)
    experiment = mask_secrets(recipe.tracking.experiment or recipe.name, loaded.secrets)
    if resume:
        run_id = resumable_runs.find_resumable_run(store, resume, experiment=experiment)
        check_same_recipe(checkpoint_directory(run_id), loaded)
        return recording.reopen_run(store, run_id)
    return recording.start_run(
        store,
        experiment=experiment,
        name=mask_secrets(recipe.name, loaded.secrets),
        description=mask_secrets(recipe.description, loaded.secrets),
        parent=parent,
    )


def _how_to_go_on(loaded: LoadedRecipe, checkpoints: Checkpoints, run_logger: RunLogger) -> str:
    epoch = checkpoints.last_epoch()
    kept = f"What was trained up to epoch {epoch} is kept. " if epoch else ""
    return f"{kept}Go on with: {resume_command(loaded, run_logger.run_id)}"


def _recording_epochs(run_logger: RunLogger) -> Callable[[int, dict[str, float], float], None]:
    def on_epoch(epoch: int, row: dict[str, float], seconds: float) -> None:
        values = {**row, "seconds": seconds}
        run_logger.metrics({f"epoch/{name}": value for name, value in values.items()}, step=epoch)

    return on_epoch


def _refuse_other_classes(recipe: Recipe, splits: Splits) -> None:
    """Check what the recipe's check could not, because the data was not there yet."""
    count, training = len(splits.class_names), recipe.training
    if recipe.output == "sigmoid" and count != 2:
        raise DataError(
            f"training.loss: binary_cross_entropy needs two classes. The data has {count}."
        )
    if training.top_k and training.top_k >= count:
        raise DataError(
            f"training.top_k: expected less than the {count} classes of the data. "
            f"Received {training.top_k}."
        )
