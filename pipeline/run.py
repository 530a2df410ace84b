"""From a recipe to a trained, evaluated, logged model: the story, which the rooms tell in full."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline import engines
from pipeline.data.sources import SOURCES
from pipeline.errors import DataError, DivergedError
from pipeline.interruption import orderly
from pipeline.recipe.load import LoadedRecipe
from pipeline.secrets import masked
from pipeline.stages.explain import explained
from pipeline.stages.judge import judge
from pipeline.stages.learn import learn
from pipeline.stages.record import (
    environment,
    record_data,
    record_failure,
    record_interruption,
    record_judgement,
    record_model,
    record_recipe,
    record_report,
    record_suspects,
)
from pipeline.stages.register import Registered, register
from pipeline.stages.reload import ReloadCheck, reload_check
from pipeline.stages.report import report
from pipeline.stages.resume import (
    begin,
    command,
    refuse_another_recipe,
    refuse_other_images,
)
from pipeline.stages.suspect import suspect
from pipeline.stopwatch import Stopwatch
from pipeline.training.checkpoints import Checkpoints

if TYPE_CHECKING:
    from pipeline.data.splits import Splits
    from pipeline.recipe.schema import Recipe
    from pipeline.tracking.recorder import Recorder
    from pipeline.tracking.store import Store

Say = Callable[[str], None]


@dataclass(frozen=True)
class Result:
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
    registered: Registered | None


def run(
    loaded: LoadedRecipe, *, say: Say, resume: str | None = None, parent: str | None = None
) -> Result:
    """Train, evaluate and log what a recipe describes.

    Args:
        loaded: the recipe, and what it was read from.
        say: tells a person what is going on.
        resume: the id of a run that was interrupted, or `latest`, to go on with it.
        parent: the id of the run that a new one is under, if any.

    Raises:
        PipelineError: if the run fails; in MLflow it is FAILED, with the reason.
        KeyboardInterrupt: if it is interrupted; in MLflow it is KILLED.
    """
    with reload_check(loaded.recipe) as check:
        return _run(loaded, check, say=say, resume=resume, parent=parent)


def _run(
    loaded: LoadedRecipe,
    check: ReloadCheck,
    *,
    say: Say,
    resume: str | None,
    parent: str | None,
) -> Result:
    watch = Stopwatch()
    recipe, say = loaded.recipe, _without_secrets(say, loaded)
    with watch.stage("import"):
        engines.load()
        from pipeline.tracking.store import checkpoints_folder, open_store
    with watch.stage("store"):
        store = open_store(recipe.tracking.uri)
        recorder = _begun(loaded, store, resume, parent, say)
        folder = checkpoints_folder(recorder.run_id)
        checkpoints = Checkpoints(folder, say)

    def leave() -> None:
        checkpoints.flush()
        record_interruption(recorder)
        say(_how_to_go_on(loaded, checkpoints, recorder))

    with orderly(leave):
        try:
            if not resume:
                begin(folder, loaded)
            record_recipe(loaded, recorder)
            with watch.stage("data"):
                splits = SOURCES[recipe.data.source].load(recipe.data, say=say)
            _refuse_other_classes(recipe, splits)
            refuse_other_images(folder, splits.digest)
            record_data(loaded, splits, recorder)
            with watch.stage("train"):
                trained = learn(
                    recipe,
                    splits,
                    on_epoch=_recording_epochs(recorder),
                    say=say,
                    checkpoints=checkpoints,
                )
            with watch.stage("log"):  # before anything else can fail
                check.ask(recipe, splits, record_model(recipe, splits, trained, recorder))
            with watch.stage("evaluate"):
                judgement = judge(recipe, splits, trained, say=say)
                record_judgement(judgement, recorder)
                suspects = suspect(splits, trained, say=say)
                if trained.fitting:
                    record_suspects(suspects, recorder)
            with watch.stage("report"):
                rendered = report(
                    loaded,
                    splits,
                    trained,
                    judgement,
                    suspects,
                    facts={"run": recorder.run_id},
                    environment=environment(),
                    seconds=watch.seconds,
                )
                record_report(rendered, recorder)
            with watch.stage("verify"):
                verified = check.metrics(judgement.predictions["val"], say=say)
                recorder.metrics(verified)
        except Exception as raised:
            error = explained(raised, loaded.secrets)
            checkpoints.flush()
            record_failure(error, recorder)
            if checkpoints.last_epoch() and not isinstance(error, DivergedError):
                say(_how_to_go_on(loaded, checkpoints, recorder))
            raise error from None
        with watch.stage("log"):
            spent = {f"seconds/{stage}": value for stage, value in watch.seconds.items()}
            recorder.metrics(spent)
            undelivered = recorder.close("FINISHED")
            shutil.rmtree(folder, ignore_errors=True)
        registered = None
        if recipe.tracking.register_as and not undelivered:
            with watch.stage("register"):
                registered = register(
                    recipe, recorder.run_id, splits, judgement.predictions, store=store, say=say
                )
    return Result(
        run_id=recorder.run_id,
        name=masked(recipe.name, loaded.secrets),
        status="FINISHED",
        metrics=judgement.metrics | verified,
        seconds={stage: round(value, 3) for stage, value in watch.seconds.items()},
        model_uri=f"runs:/{recorder.run_id}/model" if undelivered else recorder.model_uri(),
        tracking_uri=recorder.uri,
        epochs=len(trained.history.rows),
        best_epoch=trained.history.best_epoch,
        images={name: len(split) for name, split in splits.named().items()},
        quarantined={file.name: file.reason for file in splits.quarantined},
        features=trained.fitting.report() if trained.fitting else None,
        undelivered=str(undelivered) if undelivered else None,
        registered=registered,
    )


def _begun(
    loaded: LoadedRecipe, store: Store, resume: str | None, parent: str | None, say: Say
) -> Recorder:
    """Return the record of a new run, or of the one that goes on."""
    from pipeline.tracking import recorder as recording
    from pipeline.tracking import unfinished
    from pipeline.tracking.store import checkpoints_folder

    recipe = loaded.recipe
    experiment = masked(recipe.tracking.experiment or recipe.name, loaded.secrets)
    if resume:
        run_id = unfinished.find(store, resume, experiment=experiment)
        refuse_another_recipe(checkpoints_folder(run_id), loaded, say=say)
        return recording.reopen(store, run_id, say=say)
    return recording.start(
        store,
        experiment=experiment,
        name=masked(recipe.name, loaded.secrets),
        description=masked(recipe.description, loaded.secrets),
        say=say,
        parent=parent,
    )


def _how_to_go_on(loaded: LoadedRecipe, checkpoints: Checkpoints, recorder: Recorder) -> str:
    epoch = checkpoints.last_epoch()
    kept = f"What was trained up to epoch {epoch} is kept. " if epoch else ""
    return f"{kept}Go on with: {command(loaded, recorder.run_id)}"


def _recording_epochs(recorder: Recorder) -> Callable[[int, dict[str, float], float], None]:
    def on_epoch(epoch: int, row: dict[str, float], seconds: float) -> None:
        values = {**row, "seconds": seconds}
        recorder.metrics({f"epoch/{name}": value for name, value in values.items()}, step=epoch)

    return on_epoch


def _refuse_other_classes(recipe: Recipe, splits: Splits) -> None:
    """Check what the recipe's check could not, because the data was not there yet."""
    count, training = len(splits.class_names), recipe.training
    if recipe.output == "sigmoid" and count != 2:
        raise DataError(
            f"training.loss: binary_cross_entropy needs two classes. The data has {count}."
        )
    if training.topk and training.topk >= count:
        raise DataError(
            f"training.topk: expected less than the {count} classes of the data. "
            f"Received {training.topk}."
        )


def _without_secrets(say: Say, loaded: LoadedRecipe) -> Say:
    return lambda message: say(masked(message, loaded.secrets))
