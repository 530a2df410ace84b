"""From a recipe to a trained, evaluated, logged model: the story, which the rooms tell in full."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pipeline
from pipeline import engines
from pipeline.data.sources import SOURCES
from pipeline.errors import DataError, PipelineError
from pipeline.models.architectures import ARCHITECTURES
from pipeline.recipe.load import LoadedRecipe, dump, parameters
from pipeline.stopwatch import Stopwatch

if TYPE_CHECKING:
    import keras
    import numpy as np

    from pipeline.data.splits import Splits
    from pipeline.features.compiling import Precision
    from pipeline.features.fitting import TransferFitting
    from pipeline.recipe.schema import Recipe
    from pipeline.tracking.recorder import Recorder
    from pipeline.training.devices import Devices
    from pipeline.training.phases import Batches, History

Say = Callable[[str], None]

EVALUATION_BATCH = 64
MOST_DISAGREEMENTS = 150  # one image in so many may get another label from the kept features
_PACKAGES = ("tensorflow", "keras", "mlflow", "numpy", "pillow", "scikit-learn", "pydantic")


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


@dataclass(frozen=True)
class Trained:
    """A model with the weights of its best epoch, and how it came to them."""

    model: keras.Model
    history: History
    devices: Devices
    fitting: TransferFitting | None


def run(loaded: LoadedRecipe, *, say: Say) -> Result:
    """Train, evaluate and log what a recipe describes.

    Args:
        loaded: the recipe, and what it was read from.
        say: tells a person what is going on.

    Raises:
        PipelineError: if the run fails; in MLflow it is FAILED, with the reason.
        KeyboardInterrupt: if it is interrupted; in MLflow it is KILLED.
    """
    watch = Stopwatch()
    recipe = loaded.recipe
    with watch.stage("import"):
        engines.load()
        from pipeline.tracking import recorder as recording
        from pipeline.tracking.store import open_store
    with watch.stage("store"):
        experiment = recipe.tracking.experiment or recipe.name
        store = open_store(recipe.tracking.uri)
        recorder = recording.start(
            store,
            experiment=experiment,
            name=recipe.name,
            description=recipe.description,
            say=say,
        )
    try:
        _record_recipe(loaded, recorder)
        with watch.stage("data"):
            splits = SOURCES[recipe.data.source].load(recipe.data, say=say)
        _refuse_other_classes(recipe, splits)
        _record_data(recipe, splits, recorder)
        with watch.stage("train"):
            trained = _train(recipe, splits, recorder, say)
        with watch.stage("log"):  # before anything else can fail
            _record_model(splits, trained, recorder)
        with watch.stage("evaluate"):
            metrics = _evaluate(recipe, splits, trained, recorder, say)
            recorder.metrics(metrics)
    except BaseException as error:
        _record_failure(error, recorder)
        raise _explained(error) from None
    with watch.stage("log"):
        recorder.metrics({f"seconds/{stage}": value for stage, value in watch.seconds.items()})
        undelivered = recorder.close("FINISHED")
    return Result(
        run_id=recorder.run_id,
        name=recipe.name,
        status="FINISHED",
        metrics=metrics,
        seconds={stage: round(value, 3) for stage, value in watch.seconds.items()},
        model_uri=f"runs:/{recorder.run_id}/model" if undelivered else recorder.model_uri(),
        tracking_uri=recorder.uri,
        epochs=len(trained.history.rows),
        best_epoch=trained.history.best_epoch,
        images={name: len(split) for name, split in splits.named().items()},
        quarantined={file.name: file.reason for file in splits.quarantined},
        features=trained.fitting.report() if trained.fitting else None,
        undelivered=str(undelivered) if undelivered else None,
    )


def _train(recipe: Recipe, splits: Splits, recorder: Recorder, say: Say) -> Trained:
    import keras

    from pipeline.data import augmentation
    from pipeline.models import transfer
    from pipeline.training import devices
    from pipeline.training.phases import Phase, train

    found = devices.find(recipe.runtime)
    say(found.description)
    keras.utils.set_random_seed(recipe.seed)
    shape = splits.image_shape
    layers = augmentation.build(recipe.data.augmentation, image_size=shape[:2])
    batches = _pixel_batches(recipe, splits, layers)
    fitting = None
    with found.scope():
        model = ARCHITECTURES[recipe.model.architecture].build(
            recipe.model,
            image_shape=shape,
            classes=len(splits.class_names),
            output=recipe.output,
            regularization=recipe.regularization,
        )
        say(f"Built {model.name} with {model.count_params():,} weights for {shape} pixels")
        phases: Iterable[Phase] = [Phase(model, batches, recipe.training.epochs, recipe.optimizer)]
        if isinstance(recipe.model, transfer.Keys):
            fitting = _transfer_fitting(recipe, splits, model, batches, layers, found, say)
            phases = fitting.phases()
        history = train(
            phases,
            training=recipe.training,
            label_smoothing=recipe.regularization.label_smoothing,
            devices=found,
            on_epoch=lambda epoch, row, seconds: recorder.metrics(
                {f"epoch/{name}": value for name, value in {**row, "seconds": seconds}.items()},
                step=epoch,
            ),
        )
    return Trained(model, history, found, fitting)


def _transfer_fitting(
    recipe: Recipe,
    splits: Splits,
    model: keras.Model,
    batches: Batches,
    layers: list[Any],
    devices: Devices,
    say: Say,
) -> TransferFitting:
    from pipeline.features.fitting import Setting, TransferFitting

    setting = Setting(
        splits=splits,
        pixels=batches,
        output=recipe.output,
        batch_size=recipe.data.batch_size,
        augmentation=recipe.data.augmentation,
        layers=layers,
        seed=recipe.seed,
        training=recipe.training,
        optimizer=recipe.optimizer,
        devices=devices,
        precision=_features_precision(recipe, devices),
        cache_gb=recipe.runtime.cache_gb,
    )
    return TransferFitting(model, setting, say)


def _features_precision(recipe: Recipe, devices: Devices) -> Precision:
    """Return what the frozen part of a model should compute in."""
    from pipeline.features.precision import processor_has_bfloat16

    if recipe.runtime.precision != "auto":
        return "bfloat16" if recipe.runtime.precision == "mixed_bfloat16" else "float32"
    if devices.on_gpu:
        return "bfloat16" if devices.precision == "mixed_bfloat16" else "float32"
    return "bfloat16" if processor_has_bfloat16() else "float32"


def _pixel_batches(recipe: Recipe, splits: Splits, layers: list[Any]) -> Batches:
    from pipeline.data.batches import evaluation_batches, steps_per_epoch, training_batches
    from pipeline.training.phases import Batches

    classes = len(splits.class_names)

    def training(first_epoch: int, epochs: int) -> Any:
        return training_batches(
            splits.train,
            classes=classes,
            output=recipe.output,
            batch_size=recipe.data.batch_size,
            augmentation=layers,
            seed=recipe.seed,
            first_epoch=first_epoch,
            epochs=epochs,
        )

    return Batches(
        training=training,
        validation=evaluation_batches(
            splits.validation,
            classes=classes,
            output=recipe.output,
            batch_size=EVALUATION_BATCH,
        ),
        steps_per_epoch=steps_per_epoch(splits.train, recipe.data.batch_size),
    )


def _evaluate(
    recipe: Recipe, splits: Splits, trained: Trained, recorder: Recorder, say: Say
) -> dict[str, float]:
    """Return the metrics of every split that was held out, and record their pictures."""
    from pipeline.data.batches import evaluation_batches
    from pipeline.evaluation import figures
    from pipeline.evaluation.metrics import (
        classification_metrics,
        confusion_matrix,
        probabilities,
    )

    history = trained.history
    drawn = {
        "learning_curves": figures.learning_curves(
            history.rows,
            best_epoch=history.best_epoch,
            fine_tuned_from=history.phases[1] if len(history.phases) > 1 else None,
        )
    }
    metrics: dict[str, float] = {"best_epoch": float(history.best_epoch)}
    for prefix, title, split in (
        ("val", "validation", splits.validation),
        ("test", "test", splits.test),
    ):
        if split is None:
            continue
        batches = evaluation_batches(
            split,
            classes=len(splits.class_names),
            output=recipe.output,
            batch_size=EVALUATION_BATCH,
        )
        predicted = probabilities(trained.model, batches)
        values = classification_metrics(
            split.labels, predicted, class_names=splits.class_names, topk=recipe.training.topk
        )
        metrics |= {f"{prefix}_{name}": value for name, value in values.items()}
        if prefix == "val" and trained.fitting:
            metrics |= _trust(trained.fitting, predicted.argmax(axis=1), say)
        drawn[f"{prefix}_confusion_matrix"] = figures.confusion(
            confusion_matrix(split.labels, predicted),
            splits.class_names,
            title=f"{title}, accuracy {values['accuracy']:.4f} of {len(split):,}",
        )

    def write(folder: Path) -> None:
        (folder / "figures").mkdir()
        for name, figure in drawn.items():
            figure.savefig(folder / "figures" / f"{name}.png", dpi=120)

    recorder.artifacts(write)
    return metrics


def _trust(fitting: TransferFitting, chosen: np.ndarray, say: Say) -> dict[str, float]:
    """Return how far the kept features can be trusted; say so loudly where they can't."""
    report = fitting.report()
    found = {
        "features/relative_error": float(report["relative_error"]),
        "features/images_per_second": float(report["images_per_second"]),
    }
    disagreements = fitting.disagreements(chosen)
    if disagreements is not None:
        found["features/disagreements"] = float(disagreements)
        if disagreements * MOST_DISAGREEMENTS > len(chosen) + MOST_DISAGREEMENTS - 1:
            say(
                f"WARNING: the model trained on features in {report['precision']} gives "
                f"{disagreements} of {len(chosen)} validation images another label than the whole "
                "model does. The metrics are the whole model's. To train on exact features set "
                "runtime.precision: float32."
            )
    return found


def _record_recipe(loaded: LoadedRecipe, recorder: Recorder) -> None:
    recipe = loaded.recipe
    recorder.parameters(parameters(recipe))
    environment = {
        "pipeline": pipeline.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        **{name: version(name) for name in _PACKAGES},
    }
    recorder.tags({"seed": str(recipe.seed), "pipeline.version": pipeline.__version__})

    def write(folder: Path) -> None:
        (folder / "recipe.yaml").write_text(loaded.text, "utf-8")
        (folder / "resolved.yaml").write_text(dump(recipe), "utf-8")
        (folder / "environment.json").write_text(json.dumps(environment, indent=1), "utf-8")
        if loaded.substitutions:
            lines = [f"--set {argument}\n" for argument in loaded.substitutions]
            (folder / "substitutions.txt").write_text("".join(lines), "utf-8")

    recorder.artifacts(write)


def _record_data(recipe: Recipe, splits: Splits, recorder: Recorder) -> None:
    source = str(getattr(recipe.data, "path", None) or recipe.data.source)
    counts = {name: len(split) for name, split in splits.named().items()}
    recorder.dataset(
        name=Path(source).name,
        digest=splits.digest,
        source_type="local" if os.sep in source else "package",
        source=json.dumps({"uri": source}),
        counts=counts,
    )
    recorder.metrics({f"images/{name}": float(count) for name, count in counts.items()})
    recorder.metrics({"images/quarantined": float(len(splits.quarantined))})

    def write(folder: Path) -> None:
        names = json.dumps(splits.class_names, ensure_ascii=False, indent=1)
        (folder / "class_names.json").write_text(names, "utf-8")
        bad = {file.name: file.reason for file in splits.quarantined}
        if bad:
            listed = json.dumps(bad, ensure_ascii=False, indent=1)
            (folder / "quarantined.json").write_text(listed, "utf-8")

    recorder.artifacts(write)


def _record_model(splits: Splits, trained: Trained, recorder: Recorder) -> None:
    from pipeline.tracking.model import write_model

    metadata = {"class_names": list(splits.class_names), "data_digest": splits.digest}
    recorder.model(lambda folder: write_model(trained.model, folder, metadata=metadata))
    tags = {"devices": ", ".join(trained.devices.names), "precision": trained.devices.precision}
    if trained.fitting:
        tags["features.precision"] = str(trained.fitting.report()["precision"])
    recorder.tags(tags)


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


def _explained(error: BaseException) -> BaseException:
    """Return the error of our own that TensorFlow wrapped while it read images, if it did."""
    found = re.search(r"\bDataError: (.*)", str(error))
    if not isinstance(error, PipelineError) and found:
        return DataError(found[1].strip())
    return error


def _record_failure(error: BaseException, recorder: Recorder) -> None:
    if isinstance(error, KeyboardInterrupt):
        reason = "interrupted"
    elif isinstance(error, PipelineError):
        reason = str(error)
    else:
        reason = f"{type(error).__name__}: {error}"
    recorder.tags({"reason": reason[:5000]})
    recorder.close("KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
