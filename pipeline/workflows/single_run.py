"""From a recipe to a trained, evaluated and logged model."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial

from pipeline.cluster.opening import open_cluster
from pipeline.data.sampling import is_imbalanced
from pipeline.errors import DivergedError, UsageError
from pipeline.inference.fresh_process import FreshProcess
from pipeline.recipe.loader import LoadedRecipe
from pipeline.stages import log_run, resume_checks
from pipeline.stages.calibrate_model import calibrate_model
from pipeline.stages.class_balance import warn_of_imbalance
from pipeline.stages.cross_validate import FoldInputs, cross_validate
from pipeline.stages.data_checks import check_recipe_with_data, warn_of_rare_updates
from pipeline.stages.evaluate_splits import evaluate_splits, evaluation_graph
from pipeline.stages.find_label_errors import find_label_errors
from pipeline.stages.input_pictures import snapshot_inputs
from pipeline.stages.register_model import register_model
from pipeline.stages.run_report import build_report
from pipeline.stages.tracked_run import tracked_run
from pipeline.stages.train_model import TrainedModel, train_model
from pipeline.stages.verify_model import model_verification
from pipeline.stopwatch import Stopwatch
from pipeline.tracking.lookup import remember_model
from pipeline.tracking.resumable_runs import find_resumable_run
from pipeline.tracking.run_logger import RunLogger
from pipeline.tracking.store import checkpoint_directory, open_store
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.phases import History
from pipeline.workflows.run_result import RunResult

logger = logging.getLogger(__name__)


def run(
    loaded: LoadedRecipe,
    *,
    workers: int = 1,
    resume: str | None = None,
    parent: str | None = None,
    stopwatch: Stopwatch | None = None,
    process: Future[FreshProcess] | None = None,
) -> RunResult:
    """Train, evaluate and log the model of a recipe.

    Args:
        loaded: the recipe.
        workers: the number of folds that are trained at the same time on each machine of the
            recipe's `runtime.cluster`. On this machine alone, 1 trains them in this process.
        resume: the id of an interrupted run to resume, or `latest`.
        parent: the id of the run that this one is under, if any. It says how to resume both, and
            all runs under it have the same images.
        stopwatch: contains the seconds of earlier stages, such as imports.
        process: verifies the model, if it was started already.

    Raises:
        UsageError: if there are several workers and no folds.
        PipelineError: if the run fails. In MLflow it is FAILED, with the reason.
        KeyboardInterrupt: if it is interrupted. In MLflow it is KILLED.
    """
    recipe, watch = loaded.recipe, stopwatch or Stopwatch()
    if workers > 1 and recipe.training.folds is None:
        raise UsageError(
            "--workers is for several seeds or folds. Use it together with --seeds N or "
            "training.folds."
        )
    machines = recipe.runtime.cluster if recipe.training.folds else "local"
    with (
        open_cluster(machines, workers=workers) as cluster,
        model_verification(recipe, process) as verification,
    ):
        with watch.stage("store"):
            store = open_store(recipe.tracking.uri, loaded.secrets)
            experiment = recipe.tracking.experiment or recipe.name
            if resume:
                resume = find_resumable_run(store, resume, experiment=store.mask(experiment))
                resume_checks.check_same_recipe(checkpoint_directory(resume), loaded)
        with tracked_run(
            store,
            experiment=experiment,
            name=recipe.name,
            description=recipe.description,
            parent=parent,
            resume=resume,
        ) as tracked:
            run_logger = tracked.logger
            directory = checkpoint_directory(run_logger.run_id)
            checkpoints = Checkpoints(directory)
            opened = [checkpoints]
            command = (
                ""
                if parent
                else resume_checks.resume_command(loaded, run_logger.run_id, workers=workers)
            )
            tracked.on_stop = partial(_save_checkpoints, opened, command)
            if not resume:
                resume_checks.save_origin(directory, loaded)
            log_run.log_recipe(loaded, run_logger)
            with watch.stage("data"):
                splits = recipe.data.load()
            check_recipe_with_data(recipe, splits)
            warn_of_rare_updates(recipe, splits)
            warn_of_imbalance(recipe, splits)
            for each in (directory, checkpoint_directory(parent)) if parent else (directory,):
                resume_checks.check_same_images(each, splits.digest)
            log_run.log_dataset(loaded, splits, run_logger)
            on_epoch = partial(_log_epoch, run_logger)
            with watch.stage("train"):
                trained = train_model(
                    recipe,
                    splits,
                    on_epoch=on_epoch,
                    checkpoints=checkpoints,
                    snapshot_inputs=snapshot_inputs(splits),
                )
            history = trained.history
            if history.divergence:
                _report_divergence(history, run_logger)
            if history.budget:
                logger.info(history.budget)
                run_logger.set_tags({"budget": history.budget})
            conclusion = _conclude(trained, run_logger)
            with watch.stage("log"):  # before anything else can fail
                model_directory = log_run.log_model(recipe, splits, trained, run_logger)
                verification.ask(recipe, splits, model_directory, trained.trainer.frozen_digest())
            with watch.stage("evaluate"):
                graph = evaluation_graph(trained, splits, lambda: verification.graph)
                trained.trainer.graph = graph
                evaluation = evaluate_splits(recipe, splits, trained)
                log_run.log_evaluation(recipe.task, evaluation, run_logger)
                calibration = calibrate_model(
                    splits, trained.trainer.base_features, evaluation.predictions
                )
                log_run.log_calibration(
                    calibration, evaluation.thresholds, model_directory, run_logger
                )
                label_errors = find_label_errors(splits, trained)
                log_run.log_label_errors(label_errors, run_logger)
            folds = None
            if recipe.training.folds:
                with watch.stage("folds"):
                    inputs = FoldInputs(splits, trained.trainer.pool_inputs(), opened.append)
                    folds = cross_validate(loaded, inputs, run_logger, directory / "folds", cluster)
            details = {"run": run_logger.run_id, "evaluated by": evaluation.computation}
            if history.divergence:
                details["divergence"] = history.divergence
            if history.budget:
                details["budget"] = history.budget
            if conclusion:
                details["training"] = conclusion
            with watch.stage("report"):
                report = build_report(
                    loaded,
                    splits,
                    trained,
                    evaluation,
                    label_errors,
                    calibration=calibration,
                    folds=folds,
                    details=details,
                    environment=log_run.describe_environment(),
                    seconds=watch.seconds,
                )
                log_run.log_report(report, run_logger)
            with watch.stage("verify"):
                verified = verification.metrics(
                    recipe.task, splits, evaluation.predictions, trained.trainer
                )
                log_run.log_graph(verification.graph, run_logger)
                run_logger.log_metrics(verified)
            with watch.stage("log"):
                spent = {f"seconds/{stage}": value for stage, value in watch.seconds.items()}
                run_logger.log_metrics(spent)
                run_logger.end("FINISHED")
                shutil.rmtree(directory, ignore_errors=True)
    registered = None
    if recipe.tracking.register_as:
        with watch.stage("register"):
            registered = register_model(
                recipe,
                run_logger.run_id,
                splits,
                evaluation.predictions,
                store=store,
                outbox=run_logger.outbox,
            )
    if not parent:
        remember_model(store, run_logger.run_id, store.mask(recipe.name))
    return RunResult(
        run_id=run_logger.run_id,
        name=store.mask(recipe.name),
        task=recipe.data.task,
        status="FINISHED",
        metrics=evaluation.metrics | (folds.metrics if folds else {}) | verified,
        seconds={stage: round(value, 3) for stage, value in watch.seconds.items()},
        model_uri=run_logger.model_uri(),
        tracking_uri=run_logger.uri,
        artifact_uri=run_logger.artifact_uri,
        epochs=len(history.rows),
        batch_size=trained.batch_size,
        best_epoch=history.best_epoch,
        divergence=history.divergence or None,
        budget=history.budget or None,
        folds=str(folds) if folds else None,
        is_imbalanced=is_imbalanced(splits.class_counts("train")),
        images={name: len(split) for name, split in splits.named().items()},
        unit=splits.unit,
        quarantined={file.name: file.reason for file in splits.quarantined},
        ignored=dict(splits.ignored),
        features=trained.trainer.feature_facts() or None,
        evaluation_engine=evaluation.engine,
        outbox=str(run_logger.outbox) if run_logger.outbox else None,
        registered=registered,
    )


def _save_checkpoints(opened: Sequence[Checkpoints], command: str, error: Exception | None) -> None:
    """Save what was trained, and say how to resume it, if with a command, where that can help.

    Args:
        opened: the checkpoints of the run, and of its folds so far.
        command: that resumes it.
        error: which ended it, None for an interruption.
    """
    for checkpoints in opened:
        checkpoints.flush()
    epoch = opened[0].last_epoch()
    if error is None or (epoch and not isinstance(error, DivergedError)):
        saved = f"Training is saved up to epoch {epoch}." if epoch else ""
        if message := f"{saved} Resume with: {command}".strip() if command else saved:
            logger.info(message)


def _report_divergence(history: History, run_logger: RunLogger) -> None:
    logger.warning(
        f"Training diverged. {history.divergence} The model has the weights of epoch "
        f"{history.best_epoch}, the best one before."
    )
    run_logger.set_tags({"divergence": history.divergence})


def _conclude(trained: TrainedModel, run_logger: RunLogger) -> str:
    """Tell what the training showed, if that is worth a sentence, and return it."""
    conclusion, is_good = trained.trainer.conclusion(trained.history)
    if conclusion:
        logger.log(logging.INFO if is_good else logging.WARNING, conclusion)
        run_logger.set_tags({"conclusion": conclusion})
    return conclusion


def _log_epoch(
    run_logger: RunLogger, epoch: int, metrics: dict[str, float], seconds: float
) -> None:
    values = {**metrics, "seconds": seconds}
    run_logger.log_metrics({f"epoch/{name}": value for name, value in values.items()}, step=epoch)
