"""The Python API: what `import pipeline` offers, and what the command line calls.

Importing it loads neither TensorFlow nor MLflow: each function loads them when it is called.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.backend import quiet_imports
from pipeline.console import PACKAGE_LOGGER, console_logging
from pipeline.inference.input_files import check_existence
from pipeline.stopwatch import Stopwatch
from pipeline.tracking import early_store
from pipeline.workflows import early_processes
from pipeline.workflows.loaded_model import Model

if TYPE_CHECKING:
    from pipeline.errors import RecipeProblem
    from pipeline.recipe.loader import LoadedRecipe
    from pipeline.recipe.overrides import Overrides
    from pipeline.workflows.data_inspection import Inspection
    from pipeline.workflows.hyperparameter_search import TuneResult
    from pipeline.workflows.multi_seed import SeedsResult
    from pipeline.workflows.recipe_check import RecipeCheck
    from pipeline.workflows.recipe_init import CreatedRecipe
    from pipeline.workflows.run_result import RunResult
    from pipeline.workflows.sharded_prediction import PredictionResult

StrPath = str | os.PathLike[str]

logger = logging.getLogger(__name__)


def run(
    recipe: StrPath, overrides: Overrides = (), *, workers: int = 1, resume: str | None = None
) -> RunResult:
    """Train, evaluate and log a recipe.

    >>> result = pipeline.run("recipe.yaml", {"training.epochs": 3})
    >>> result.metrics["val_accuracy"]

    Args:
        recipe: the recipe's file.
        overrides: values that replace the recipe's, by dotted path. A relative path in them starts
            from the working directory.
        workers: the number of folds at a time on each machine of `runtime.cluster`.
        resume: the run to resume: its id, its name, or `latest`.

    Raises:
        RecipeError: if the recipe has errors; it names all of them.
        PipelineError: if the run fails. Its status in MLflow is FAILED, with the reason.
        KeyboardInterrupt: if it is interrupted. Its status in MLflow is KILLED.
    """
    with _messages_shown():
        loaded = read_recipe(recipe, overrides)
        process = early_processes.start(loaded.recipe.tracking)
        stopwatch = Stopwatch()
        with stopwatch.stage("import"), quiet_imports():
            from pipeline.workflows.single_run import run
        return run(loaded, workers=workers, resume=resume, stopwatch=stopwatch, process=process)


def run_seeds(
    recipe: StrPath,
    overrides: Overrides = (),
    *,
    seeds: int,
    workers: int = 1,
    resume: str | None = None,
) -> SeedsResult:
    """Run a recipe with several seeds: its own and those that follow it.

    >>> result = pipeline.run_seeds("recipe.yaml", seeds=5)
    >>> result.metrics["val_accuracy"].mean

    Args:
        recipe: the recipe's file.
        overrides: as `run` takes them.
        seeds: how many, 2 or more.
        workers: the number of seeds at a time on each machine of `runtime.cluster`.
        resume: the run that they are under, to resume: its id, its name, or `latest`.

    Raises:
        RecipeError: if the recipe has errors; it names all of them.
        PipelineError: if a run fails, or fewer than two finish because the others diverge.
        KeyboardInterrupt: if it is interrupted.
    """
    with _messages_shown():
        loaded = read_recipe(recipe, overrides)
        with quiet_imports():
            from pipeline.workflows.multi_seed import run_seeds
        return run_seeds(loaded, seeds, workers=workers, resume=resume)


def tune(
    recipe: StrPath,
    overrides: Overrides = (),
    *,
    workers: int = 1,
    resume: str | None = None,
    start_new: bool = False,
) -> TuneResult:
    """Search a recipe's hyperparameters and train the best configuration.

    >>> result = pipeline.tune("recipe.yaml", {"tuning.trials": 20})
    >>> result.best["values"], result.final.metrics["val_accuracy"]

    Args:
        recipe: the recipe's file; its section `tuning` has the search space.
        overrides: as `run` takes them.
        workers: the number of trials at a time on each machine of `runtime.cluster`.
        resume: the run of the search to resume. By default, the last unfinished search of this
            recipe is resumed.
        start_new: start a new search, ignoring unfinished ones.

    Raises:
        RecipeError: if the recipe has errors; it names all of them.
        PipelineError: if the search fails.
        KeyboardInterrupt: if it is interrupted. Finished trials are kept.
    """
    with _messages_shown():
        loaded = read_recipe(recipe, overrides)
        early_store.create_early(loaded.recipe.tracking.uri)
        with quiet_imports():
            from pipeline.workflows.hyperparameter_search import tune
        return tune(loaded, workers=workers, resume=resume, start_new=start_new)


def validate(recipe: StrPath, overrides: Overrides = ()) -> tuple[RecipeProblem, ...]:
    """Check a recipe without training it; return its warnings.

    Args:
        recipe: the recipe's file.
        overrides: as `run` takes them.

    Raises:
        RecipeError: if the recipe has errors; it names all of them.
    """
    from pipeline.recipe.loader import load_recipe

    return load_recipe(Path(recipe), overrides).warnings


def inspect(path: StrPath, overrides: Overrides = (), *, page: StrPath | None = None) -> Inspection:
    """Inspect a directory of images, or the data of a recipe.

    >>> inspection = pipeline.inspect("photographs", page="photographs.html")
    >>> inspection.statistics.class_counts, inspection.findings

    Args:
        path: the directory or the recipe's file.
        overrides: of the recipe, as `run` takes them.
        page: the file of an HTML page to write, with pictures. It needs Keras, the rest does not.

    Raises:
        UsageError: if there is nothing at the path, or the page cannot be written.
        RecipeError: if the recipe has errors; it names all of them.
        DataError: if the data of the recipe cannot be read.
    """
    from pipeline.workflows import data_inspection

    with _messages_shown():
        inspection = data_inspection.inspect(Path(path), overrides)
        if page is not None:
            with quiet_imports():
                from pipeline.workflows.inspection_page import write_page
            write_page(inspection, Path(page))
    return inspection


def check(
    recipe: StrPath, overrides: Overrides = (), *, page: StrPath | None = None
) -> RecipeCheck:
    """Find out whether a recipe can learn, by a few training steps in several ways.

    >>> checked = pipeline.check("recipe.yaml", page="check.html")
    >>> checked.findings, checked.training.rates.suggestion

    Args:
        recipe: the path of its file.
        overrides: of the recipe, as `run` takes them.
        page: the file of an HTML page to write, with images and charts.

    Raises:
        RecipeError: if the recipe has errors; it names all of them.
        DataError: if the data of the recipe cannot be read, or not be trained on.
        ModelError: if the model cannot be built.
        UsageError: if the page cannot be written.
    """
    with _messages_shown():
        with quiet_imports():
            from pipeline.workflows import recipe_check
        checked = recipe_check.check(Path(recipe), overrides)
        if page is not None:
            recipe_check.write_page(checked, Path(page))
    return checked


def init(
    folder: StrPath,
    output: StrPath = "recipe.yaml",
    *,
    base: str | None = None,
    weights: StrPath | None = None,
    force: bool = False,
) -> CreatedRecipe:
    """Write a recipe that fits a directory of images, with the reason for each value.

    >>> pipeline.run(pipeline.init("photographs", "flowers.yaml").path)

    Args:
        folder: the directory.
        output: the file of the recipe.
        base: the pretrained network, a name in keras.applications or the path of a .keras file.
            By default, it is chosen by the data.
        weights: the file of its weights. By default, Keras downloads those of ImageNet.
        force: replace the file if it exists.

    Raises:
        UsageError: if the file exists, or an argument is invalid.
        DataError: if the directory is no data set, or a class has too few images.
    """
    from pipeline.workflows import recipe_init

    with _messages_shown():
        return recipe_init.init(
            Path(folder),
            Path(output),
            base=base,
            weights=None if weights is None else Path(weights),
            force=force,
        )


def load(run: str, *, tracking_uri: str | None = None) -> Model:
    """Load the model of a run.

    >>> model = pipeline.load("latest")
    >>> model.predict(["photographs/", "another.jpg"])

    Args:
        run: a run's id or name, `latest`, or a registered model, `models:/NAME@ALIAS`.
        tracking_uri: the MLflow tracking server. By default MLFLOW_TRACKING_URI, else `mlruns/` in
            the working directory.

    Raises:
        UsageError: if there is no such run, or it has no model.
        ModelError: if the model's files cannot be loaded.
    """
    with _messages_shown():
        with quiet_imports():
            from pipeline.inference.image_classifier import load_image_classifier
            from pipeline.tracking import lookup_cache
            from pipeline.tracking.stored_model import DATA
            from pipeline.tracking.tracking_uri import resolve_uri
        address = resolve_uri(tracking_uri)
        stored = lookup_cache.recall(address, run)
        if stored is not None and stored.directory is not None and stored.directory.is_dir():
            classifier = load_image_classifier(stored.directory / DATA)
        else:
            with quiet_imports():
                from pipeline.tracking.lookup import files_of, find_model
                from pipeline.tracking.store import open_store
            store = open_store(address)
            stored = find_model(store, run)
            with files_of(store, stored) as directory:
                classifier = load_image_classifier(directory / DATA)
    return Model(
        name=stored.run_name,
        run_id=stored.run_id,
        uri=stored.uri,
        class_names=classifier.interface.class_names,
        image_size=classifier.interface.image_size,
        classifier=classifier,
        stored=stored,
        address=address,
    )


def predict(
    run: str,
    paths: StrPath | Sequence[StrPath],
    output: StrPath,
    *,
    top: int = 3,
    confidence_level: float | None = None,
    views: int = 1,
    column: str | None = None,
    cluster: str = "local",
    workers: int = 1,
    tracking_uri: str | None = None,
) -> PredictionResult:
    """Predict images, or rows of tables, to a directory of Parquet files, one for each shard.

    Files that an earlier call with the same arguments wrote are kept.

    >>> pipeline.predict("latest", "shards-{000..099}.tar", "predictions").counts.rows

    Args:
        run: as `load` takes it.
        paths: images, directories of images, tar files, tables and patterns, on this machine or at
            an address such as `s3://bucket/shards/*.tar`. One or several.
        output: the directory, or its address.
        top: the number of classes for each image.
        confidence_level: as `Model.predict` takes it.
        views: likewise.
        column: of the images in tables. By default, the one with a usual name.
        cluster: where: `local`, `auto` or `ray://HOST:PORT`.
        workers: the number of processes on each machine.
        tracking_uri: as `load` takes it.

    Raises:
        UsageError: if a path names nothing, or the directory has other predictions.
        PipelineError: if an input cannot be read, or a part could not be predicted.
        KeyboardInterrupt: if it is interrupted. Finished files are kept.
    """
    with _messages_shown():
        given = [paths] if isinstance(paths, str | os.PathLike) else paths
        arguments = [os.fspath(path) for path in given]
        check_existence(arguments)
        with quiet_imports():
            from pipeline.tracking.tracking_uri import resolve_uri
            from pipeline.workflows.sharded_prediction import (
                PredictionOptions,
                predict_to_directory,
            )
        average = None
        if views > 1:
            with quiet_imports():
                from pipeline.workflows.view_averaging import view_averaging
            average = view_averaging
        return predict_to_directory(
            run,
            arguments,
            os.fspath(output),
            PredictionOptions(top, confidence_level, views, column),
            address=resolve_uri(tracking_uri),
            average=average,
            cluster=cluster,
            workers=workers,
        )


def read_recipe(recipe: StrPath, overrides: Overrides) -> LoadedRecipe:
    """Read a recipe and log its warnings."""
    from pipeline.recipe.loader import load_recipe

    loaded = load_recipe(Path(recipe), overrides)
    for warning in loaded.warnings:
        logger.warning(str(warning))
    return loaded


def _messages_shown() -> contextlib.AbstractContextManager[object]:
    """Show log messages on standard error, unless the caller has set up logging."""
    is_set_up = logging.getLogger(PACKAGE_LOGGER).hasHandlers()
    return contextlib.nullcontext() if is_set_up else console_logging()
