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
from pipeline.recipe.load import LoadedRecipe, dump, parameters
from pipeline.secrets import masked, without_credentials

if TYPE_CHECKING:
    from pipeline.data.splits import Splits
    from pipeline.evaluation.report import Rendered
    from pipeline.recipe.schema import Recipe
    from pipeline.stages.judge import Judgement
    from pipeline.stages.learn import Trained
    from pipeline.stages.suspect import Suspect
    from pipeline.tracking.recorder import Recorder

_SECONDS_TO_SEND = 0.5
_PACKAGES = ("tensorflow", "keras", "mlflow", "numpy", "pillow", "scikit-learn", "pydantic")


def environment() -> dict[str, str]:
    """Return what a run is made with: versions and the machine, by name."""
    return {
        "pipeline": pipeline.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors",
        **{name: version(name) for name in _PACKAGES},
    }


def record_recipe(loaded: LoadedRecipe, recorder: Recorder) -> None:
    """Record the recipe, as written and as resolved, and what it is run with."""
    recipe = loaded.recipe
    recorder.parameters(parameters(recipe, loaded.secrets))
    recorder.tags({"seed": str(recipe.seed), "pipeline.version": pipeline.__version__})

    def write(folder: Path) -> None:
        (folder / "recipe.yaml").write_text(without_credentials(loaded.text), "utf-8")
        (folder / "resolved.yaml").write_text(dump(recipe, loaded.secrets), "utf-8")
        (folder / "environment.json").write_text(json.dumps(environment(), indent=1), "utf-8")
        if loaded.substitutions:
            lines = [
                f"--set {without_credentials(argument)}\n" for argument in loaded.substitutions
            ]
            (folder / "substitutions.txt").write_text("".join(lines), "utf-8")

    recorder.artifacts(write)


def record_data(loaded: LoadedRecipe, splits: Splits, recorder: Recorder) -> None:
    """Record the images: their digest, their counts, their classes and what was left out."""
    data = loaded.recipe.data
    source = masked(str(getattr(data, "path", None) or data.source), loaded.secrets)
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
    if splits.duplicates is not None:
        recorder.metrics({"images/duplicates": float(len(splits.duplicates))})

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

    recorder.artifacts(write)


def record_model(recipe: Recipe, splits: Splits, trained: Trained, recorder: Recorder) -> Path:
    """Record the model, with what it takes and gives; return the folder of its files."""
    from pipeline.inference import served
    from pipeline.inference.interface import Interface
    from pipeline.tracking.model import DATA, write_model

    *size, channels = splits.image_shape
    interface = Interface(
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
            loader=served.__name__,
            column=served.COLUMN,
            beside=interface.save,
        )

    folder = recorder.model(write)
    tags = {"devices": ", ".join(trained.devices.names), "precision": trained.devices.precision}
    if trained.fitting:
        tags["features.precision"] = str(trained.fitting.report()["precision"])
    recorder.tags(tags)
    return folder / DATA


def record_judgement(judgement: Judgement, recorder: Recorder) -> None:
    """Record the metrics, and the predictions behind them."""
    from pipeline.evaluation import predictions

    recorder.metrics(judgement.metrics)

    def write(folder: Path) -> None:
        (folder / "predictions").mkdir()
        for prefix, given in judgement.predictions.items():
            predictions.write(given, folder / "predictions" / f"{prefix}.csv")

    recorder.artifacts(write)


def record_report(rendered: Rendered, recorder: Recorder) -> None:
    """Record a report, and its pictures as files of their own."""

    def write(folder: Path) -> None:
        (folder / "report.html").write_text(rendered.html, "utf-8", "backslashreplace")
        (folder / "figures").mkdir()
        for name, png in rendered.images.items():
            (folder / "figures" / f"{name}.png").write_bytes(png)

    recorder.artifacts(write)


def record_failure(error: Exception, recorder: Recorder) -> None:
    """Record why a run failed, and end it."""
    is_ours = isinstance(error, PipelineError)
    reason = str(error) if is_ours else f"{type(error).__name__}: {error}"
    reason = without_credentials(reason)
    recorder.tags({"reason": reason[:5000]})
    recorder.close("FAILED")


def record_interruption(recorder: Recorder) -> None:
    """Record that a run was interrupted, and end it soon: what is not sent by then is kept."""
    recorder.tags({"reason": "interrupted"})
    recorder.close("KILLED", within=_SECONDS_TO_SEND)


def record_suspects(suspects: Sequence[Suspect], recorder: Recorder) -> None:
    """Record the training images whose labels are doubtful."""
    recorder.metrics({"images/suspicious": float(len(suspects))})
    if suspects:
        listed = [asdict(suspect) for suspect in suspects]
        recorder.artifacts(lambda folder: _write_json(folder / "suspicious_labels.json", listed))


def _write_json(path: Path, value: Any) -> None:
    # A file's name that is not UTF-8 has half of a surrogate pair in it, which JSON can escape.
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1), "utf-8", "backslashreplace")
