"""The result of a run, as text for a terminal and as a table for a notebook."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pipeline.data.splits import describe_ignored
from pipeline.errors import escape_unprintable
from pipeline.html_table import html_table
from pipeline.stages.register_model import RegisteredModel
from pipeline.tasks.tasks import TASKS


@dataclass(frozen=True)
class RunResult:
    """The result of a run.

    Attributes:
        run_id: the id of the MLflow run.
        name: the recipe's name.
        task: what is predicted, a name in `TASKS`.
        status: FINISHED; a run that does not finish raises an error instead.
        metrics: the final metrics by name. `val_*` are of the validation images, which chose the
            epoch; `test_*` are of the test images, which are evaluated once, at the end. Without
            such images there are no such metrics.
        seconds: the time of each stage.
        model_uri: the URI of the model, as MLflow's loaders take it.
        tracking_uri: the tracking store of the run, without secrets.
        artifact_uri: where the files of the run are, such as `report.html`.
        epochs: the number of epochs trained.
        batch_size: the number of images or examples in a training step, or `all`.
        best_epoch: the epoch whose weights the model has, counted from 1; None without validation
            images: it has those of the last epoch.
        divergence: how the training diverged after the best epoch, None if it did not.
        budget: how `training.budget` ended the training, None if it did not.
        folds: how many folds were judged, None without cross-validation; `cv_*_mean` in the metrics
            are means over them.
        is_imbalanced: whether a class has about ten times as many training images as another.
        images: the number of images in each split.
        unit: what is counted: `images` or `examples`.
        quarantined: the files that could not be used, with the reason.
        ignored: the number of files that are not images, by suffix.
        features: engines, precision and speed of the frozen base's features, None without a base.
        evaluation_engine: what computed the predictions of the final metrics, in float32:
            `openvino` or `keras`.
        outbox: the directory with logs that could not be sent, None if all were.
        registered: the model's version in the registry, or why it has none; None if the recipe
            registers no model.
    """

    run_id: str
    name: str
    task: str
    status: str
    metrics: dict[str, float]
    seconds: dict[str, float]
    model_uri: str
    tracking_uri: str
    artifact_uri: str
    epochs: int
    batch_size: int | str
    best_epoch: int | None
    divergence: str | None
    budget: str | None
    folds: str | None
    is_imbalanced: bool
    images: dict[str, int]
    unit: str
    quarantined: dict[str, str]
    ignored: dict[str, int]
    features: dict[str, Any] | None
    evaluation_engine: str
    outbox: str | None
    registered: RegisteredModel | None

    @property
    def exit_code(self) -> int:
        """1 if the model could not be registered or promoted as the recipe asks, otherwise 0."""
        return int(self.registered is not None and self.registered.error != "")

    @property
    def main_metrics(self) -> tuple[str, ...]:
        """The metrics that are shown."""
        return TASKS[self.task].main_metrics(is_imbalanced=self.is_imbalanced)

    @property
    def report(self) -> Path | None:
        """The file of the report, None where the run's files are on a server."""
        address = urlsplit(self.artifact_uri)
        if address.scheme not in ("", "file"):
            return None
        return Path(unquote(address.path), "report.html")

    def format_metric(self, name: str) -> str:
        """Return a metric with its 95 % interval, if it has one."""
        if name not in self.metrics:
            return ""
        text = f"{self.metrics[name]:.4f}"
        if f"{name}_low" in self.metrics:
            text += f" ({self.metrics[f'{name}_low']:.3f} to {self.metrics[f'{name}_high']:.3f})"
        return text

    def format_mean(self, name: str) -> str:
        """Return the mean of a metric over folds with its 95 % interval and standard deviation."""
        mean, std, low, high = (
            self.metrics[f"{name}_{each}"] for each in ("mean", "std", "mean_low", "mean_high")
        )
        return f"{mean:.4f} ± {std:.4f} ({low:.3f} to {high:.3f})"

    def __str__(self) -> str:
        lines = [f"{self.name}: {self._kept_epoch()}"]
        for split, images in self._evaluated().items():
            metrics = "  ".join(
                f"{name} {self.format_metric(f'{split}_{name}')}" for name in self.main_metrics
            )
            role = "chose the epoch" if split == "val" else "evaluated once, at the end"
            lines.append(f"  {split:<5} {metrics}  on {images:,} {self.unit}  ({role})")
        if self.budget:
            lines.append(f"  {self.budget}")
        if self.folds:
            metrics = "  ".join(
                f"{name} {self.format_mean(f'cv_{name}')}" for name in self.main_metrics
            )
            lines.append(f"  cv    {metrics}  over {self.folds}")
        if self.quarantined:
            names = escape_unprintable(", ".join(self.quarantined))
            lines.append(f"  {len(self.quarantined)} files left out: {names}")
        if self.ignored:
            described = escape_unprintable(describe_ignored(self.ignored))
            lines.append(f"  files ignored, which are not images: {described}")
        spent = "  ".join(f"{stage} {seconds:.1f}" for stage, seconds in self.seconds.items())
        lines.append(f"  {sum(self.seconds.values()):.1f} seconds: {spent}")
        lines.append(f"  run {self.run_id} in {self.tracking_uri}")
        lines.append(f"  model {self.model_uri}")
        lines.append("View it with: pipeline ui")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = [
            (
                split,
                f"{images:,}",
                *(self.format_metric(f"{split}_{name}") for name in self.main_metrics),
            )
            for split, images in self._evaluated().items()
        ]
        if self.folds:
            shown = (self.format_mean(f"cv_{name}") for name in self.main_metrics)
            rows.append(("cv", self.folds, *shown))
        notes = [f"run {self.run_id} in {self.tracking_uri}", f"model {self.model_uri}"]
        if self.budget:
            notes.insert(0, self.budget)
        title = f"{self.name}: {self._kept_epoch()}"
        return html_table(title, ("split", self.unit, *self.main_metrics), rows, notes=notes)

    def _kept_epoch(self) -> str:
        """Return which epoch's weights the model has."""
        if self.best_epoch is None:
            return f"last epoch of {self.epochs}, without validation"
        near = int(self.metrics.get("near_best_epochs", 0))
        others = "1 other is" if near == 1 else f"{near} others are"
        noise = f" ({others} as good within noise)" if near else ""
        diverged = ", after which training diverged" if self.divergence else ""
        return f"best epoch {self.best_epoch} of {self.epochs}{diverged}{noise}"

    def _evaluated(self) -> dict[str, int]:
        """Return the number of images in each split that has metrics."""
        return {
            split: images
            for split, images in self.images.items()
            if f"{split}_{self.main_metrics[0]}" in self.metrics
        }
