"""What a run leaves in the store, besides its metrics."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pipeline
from pipeline.errors import PipelineError
from pipeline.evaluation import predictions
from pipeline.inference import pyfunc_model
from pipeline.inference.model_interface import ModelInterface
from pipeline.recipe.loader import LoadedRecipe, dump_recipe, run_parameters
from pipeline.secrets import mask_credentials, mask_secrets
from pipeline.tracking.mlflow_model import DATA, write_model

if TYPE_CHECKING:
    from pipeline.data.splits import Splits
    from pipeline.evaluation.report_page import RenderedReport
    from pipeline.recipe.grammar import Recipe
    from pipeline.stages.evaluate_splits import Evaluation
    from pipeline.stages.find_label_errors import SuspectedLabel
    from pipeline.stages.train_model import TrainedModel
    from pipeline.tracking.run_logger import RunLogger

_SECONDS_TO_SEND = 0.5
_PACKAGES = ("tensorflow", "keras", "mlflow", "numpy", "pillow", "scikit-learn", "pydantic")


def describe_environment() -> dict[str, str]:
    """Return what a run is made with: versions and the machine, by name."""
    return {
        "pipeline": pipeline.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        **{name: version(name) for name in _PACKAGES},
    }


def log_recipe(loaded: LoadedRecipe, run_logger: RunLogger) -> None:
    """Record the recipe, as written and as resolved, and what it is run with."""
    recipe = loaded.recipe
    run_logger.parameters(run_parameters(recipe, loaded.secrets))
    run_logger.tags({"seed": str(recipe.seed), "pipeline.version": pipeline.__version__})

    def write(folder: Path) -> None:
        (folder / "recipe.yaml").write_text(mask_credentials(loaded.text), "utf-8")
        (folder / "resolved.yaml").write_text(dump_recipe(recipe, loaded.secrets), "utf-8")
        (folder / "environment.json").write_text(
            json.dumps(describe_environment(), indent=1), "utf-8"
        )
        if loaded.overrides:
            lines = [f"--set {mask_credentials(argument)}\n" for argument in loaded.overrides]
            (folder / "overrides.txt").write_text("".join(lines), "utf-8")

    run_logger.artifacts(write)


def log_dataset(loaded: LoadedRecipe, splits: Splits, run_logger: RunLogger) -> None:
    """Record the images: their digest, their counts, their classes and what was left out."""
    data = loaded.recipe.data
    source = mask_secrets(str(getattr(data, "path", None) or data.source), loaded.secrets)
    counts = {name: len(split) for name, split in splits.named().items()}
    run_logger.dataset(
        name=Path(source).name,
        digest=splits.digest,
        source_type="local" if os.sep in source else "package",
        source=json.dumps({"uri": source}),
        counts=counts,
    )
    run_logger.metrics({f"images/{name}": float(count) for name, count in counts.items()})
    run_logger.metrics({"images/quarantined": float(len(splits.quarantined))})
    if splits.duplicates is not None:
        run_logger.metrics({"images/duplicates": float(len(splits.duplicates))})

    def write(folder: Path) -> None:
        _write_json(folder / "class_names.json", splits.class_names)
        bad = {file.name: file.reason for file in splits.quarantined}
        if bad:
            _write_json(folder / "quarantined.json", bad)
        if splits.duplicates:
            groups = [
                [{"split": copy.split, "name": copy.name, "sha256": copy.digest} for copy in copies]
                for copies in splits.duplicates
            ]
            _write_json(folder / "duplicates.json", groups)

    run_logger.artifacts(write)


def log_model(recipe: Recipe, splits: Splits, trained: TrainedModel, run_logger: RunLogger) -> Path:
    """Record the model, with what it takes and gives; return the folder of its files."""
    *size, channels = splits.image_shape
    interface = ModelInterface(
        class_names=splits.class_names,
        image_size=(size[0], size[1]),
        channels=channels,
        resize=getattr(recipe.data, "resize", "squash"),  # what arrays are scaled by
    )
    metadata = {**asdict(interface), "data_digest": splits.digest}

    def write(folder: Path) -> None:
        write_model(
            trained.model,
            folder,
            metadata=metadata,
            loader=pyfunc_model.__name__,
            column=pyfunc_model.COLUMN,
            beside=interface.save,
        )

    folder = run_logger.model(write)
    tags = {"devices": ", ".join(trained.devices.names), "precision": trained.devices.precision}
    if facts := trained.trainer.feature_facts():
        tags["features.precision"] = facts["precision"]
    run_logger.tags(tags)
    return folder / DATA


def log_evaluation(judgement: Evaluation, run_logger: RunLogger) -> None:
    """Record the metrics, and the predictions behind them."""
    run_logger.metrics(judgement.metrics)

    def write(folder: Path) -> None:
        (folder / "predictions").mkdir()
        for prefix, given in judgement.predictions.items():
            predictions.write_predictions(given, folder / "predictions" / f"{prefix}.csv")

    run_logger.artifacts(write)


def log_report(rendered: RenderedReport, run_logger: RunLogger) -> None:
    """Record a report, and its pictures as files of their own."""

    def write(folder: Path) -> None:
        (folder / "report.html").write_text(rendered.html, "utf-8", "backslashreplace")
        (folder / "figures").mkdir()
        for name, png in rendered.images.items():
            (folder / "figures" / f"{name}.png").write_bytes(png)

    run_logger.artifacts(write)


def log_failure(error: Exception, run_logger: RunLogger) -> None:
    """Record why a run failed, and end it."""
    is_ours = isinstance(error, PipelineError)
    reason = str(error) if is_ours else f"{type(error).__name__}: {error}"
    reason = mask_credentials(reason)
    run_logger.tags({"reason": reason[:5000]})
    run_logger.close("FAILED")


def log_interruption(run_logger: RunLogger) -> None:
    """Record that a run was interrupted, and end it soon: what is not sent by then is kept."""
    run_logger.tags({"reason": "interrupted"})
    run_logger.close("KILLED", within=_SECONDS_TO_SEND)


def log_label_errors(suspects: Sequence[SuspectedLabel] | None, run_logger: RunLogger) -> None:
    """Record the training images that are probably mislabeled, if they were looked for."""
    if suspects is None:
        return
    run_logger.metrics({"images/suspicious": float(len(suspects))})
    if suspects:
        listed = [asdict(suspect) for suspect in suspects]
        run_logger.artifacts(lambda folder: _write_json(folder / "suspicious_labels.json", listed))


def _write_json(path: Path, value: Any) -> None:
    # A file's name that is not UTF-8 has half of a surrogate pair in it, which JSON can escape.
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), "utf-8", "backslashreplace")
