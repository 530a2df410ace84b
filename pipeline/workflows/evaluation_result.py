"""What an evaluation on another dataset returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.tasks.tasks import TASKS
from pipeline.workflows.averaged_outputs import describe_views

METRIC_PREFIX = "eval"


@dataclass(frozen=True)
class EvaluationResult:
    """The evaluation of a run's model on another dataset. `print` shows it in two lines.

    Attributes:
        run_id: the id of the evaluation's run in MLflow, a child of the model's.
        model: the name of the run that trained the model.
        data: the path of the dataset.
        task: what is predicted.
        metrics: by name, `eval_*`.
        count: the images, or rows, that were evaluated.
        unit: what they are: `images` or `rows`.
        views: of each image, whose outputs were averaged.
        is_imbalanced: whether the classes are of very different sizes.
        tracking_uri: of the store that has the run.
    """

    run_id: str
    model: str
    data: str
    task: str
    metrics: Mapping[str, float]
    count: int
    unit: str
    views: int
    is_imbalanced: bool
    tracking_uri: str

    def __str__(self) -> str:
        values = {
            name.removeprefix(f"{METRIC_PREFIX}_"): value for name, value in self.metrics.items()
        }
        task, shown = TASKS[self.task], []
        for name in task.main_metrics(is_imbalanced=self.is_imbalanced):
            shown.append(f"{name} {values[name]:.4f}")
            if name in task.headline_metrics(is_imbalanced=self.is_imbalanced):
                shown[-1] += f" ({values[f'{name}_low']:.3f} to {values[f'{name}_high']:.3f})"
        counted = f"on {self.count:,} {self.unit}"
        if self.views > 1:
            counted += f", {describe_views(self.views)}"
        return (
            f"{self.model} on {self.data}: {'  '.join(shown)}  {counted}\n"
            f"  run {self.run_id} in {self.tracking_uri}"
        )
