"""Checks a recipe by short trainings, before a long one."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.errors import UsageError, escape_unprintable
from pipeline.evaluation import html_pages
from pipeline.evaluation.check_page import CheckPage, render_check_page
from pipeline.html_table import html_table
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import load_recipe
from pipeline.recipe.overrides import Overrides
from pipeline.stages.check_training import TrainingCheck, check_training
from pipeline.stages.data_checks import check_recipe_with_data, warn_of_rare_updates
from pipeline.stopwatch import Stopwatch

_FAR_FROM_CHANCE = 4.0  # times its loss
_VANISHING = 1e-3  # of the largest gradient
_EXPLODING = 1e3
_MUCH_LOWER = 30.0  # times, of the recipe's rate and the suggested one
_SUFFIXES = ((3600, "h"), (60, "min"))


@dataclass(frozen=True)
class RecipeCheck:
    """What is known of a recipe before its training.

    Attributes:
        name: of the recipe.
        learning_rate: of the recipe.
        findings: what is worth a change, in sentences, the most important first.
        seconds: that the check took.
        training: what the short trainings showed.
    """

    name: str
    learning_rate: float
    findings: tuple[str, ...]
    seconds: float
    training: TrainingCheck = field(repr=False)

    def facts(self) -> Iterator[tuple[str, str]]:
        """Yield the name and the value of each fact, for people."""
        found, cost = self.training, self.training.cost
        overfit, rates = found.overfit, found.rates
        yield "initial loss", f"{found.initial_loss:.3f}, by chance {found.chance_loss:.3f}"
        learnt = f"loss {overfit.losses[0]:.3f} to {overfit.losses[-1]:.3f}"
        yield f"{overfit.images} examples alone", f"{learnt} in {len(overfit.losses) - 1} steps"
        yield (
            "learning rate",
            f"{self.learning_rate:g}"
            + (f", suggested {rates.suggestion:.1g}" if rates.suggestion else ""),
        )
        smallest = min(found.gradients, key=lambda name: found.gradients[name])
        largest = max(found.gradients, key=lambda name: found.gradients[name])
        yield (
            "gradients",
            f"{found.gradients[smallest]:.2g} ({smallest}) to "
            f"{found.gradients[largest]:.2g} ({largest})",
        )
        yield "parameters", f"{cost.parameters:,}"
        each, all_epochs = _duration(cost.epoch_seconds), _duration(cost.training_seconds)
        yield "training", f"about {each} an epoch, {all_epochs} in all, without validation"
        if cost.image_seconds is not None:
            yield "features", f"at most {_duration(cost.image_seconds * 1000)} for 1,000 views"
        yield "memory", f"{cost.memory_mib:,.0f} MiB in this check"

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the pictures as JSON values."""
        found = self.training
        return {
            "name": self.name,
            "findings": list(self.findings),
            "initial_loss": found.initial_loss,
            "chance_loss": found.chance_loss,
            "overfit": {
                "images": found.overfit.images,
                "steps": len(found.overfit.losses) - 1,
                "loss": found.overfit.losses[-1],
                "learnt": found.overfit.is_learnt,
            },
            "learning_rate": self.learning_rate,
            "suggested_learning_rate": found.rates.suggestion,
            "gradient_norms": found.gradients,
            "cost": dataclasses.asdict(found.cost),
            "seconds": round(self.seconds, 3),
        }

    def __str__(self) -> str:
        rows = list(self.facts())
        width = max(len(name) for name, _ in rows)
        lines = [f"{self.name}: checked in {self.seconds:.0f} s", ""]
        lines += [f"{name:<{width}}  {value}" for name, value in rows]
        if self.findings:
            lines += ["", "Findings:", *(f"- {finding}" for finding in self.findings)]
        else:
            lines += ["", "Nothing speaks against a training."]
        return "\n".join(map(escape_unprintable, lines))

    def _repr_html_(self) -> str:
        rows = list(self.facts())
        return html_table(f"Check of {self.name}", ("fact", "value"), rows, notes=self.findings)


def check(path: Path, overrides: Overrides = ()) -> RecipeCheck:
    """Check a recipe by short trainings.

    Args:
        path: of the recipe's file.
        overrides: of the recipe.

    Raises:
        RecipeError: if the recipe has errors.
        DataError: if its images cannot be loaded, or it cannot be trained with them.
        ModelError: if its model cannot be built.
        UsageError: if it is not trained by gradient descent.
    """
    watch = Stopwatch()
    with watch.stage("check"):
        recipe = load_recipe(path, overrides).recipe
        if not recipe.model.learns_by_gradient:
            raise UsageError(
                f"{path} cannot be checked by short trainings: its {recipe.model.architecture} "
                "learns by a rule of its own. Run it, which takes seconds."
            )
        splits = recipe.data.load()
        check_recipe_with_data(recipe, splits)
        warn_of_rare_updates(recipe, splits)
        found = check_training(recipe, splits)
    return RecipeCheck(
        name=recipe.name,
        learning_rate=recipe.optimizer.learning_rate,
        findings=tuple(findings_of(recipe, found)),
        seconds=watch.seconds["check"],
        training=found,
    )


def write_page(checked: RecipeCheck, path: Path) -> None:
    """Write the page of a check.

    Raises:
        UsageError: if the file cannot be written.
    """
    found = checked.training
    page = CheckPage(
        title=f"Check of {checked.name}",
        summary=f"Short trainings on training examples, {checked.seconds:.0f} s",
        findings=checked.findings,
        facts=list(checked.facts()),
        examples=found.examples,
        rates=found.rates.rates,
        range_losses=found.rates.losses,
        recipe_rate=checked.learning_rate,
        suggestion=found.rates.suggestion,
        overfit_losses=found.overfit.losses,
        gradients=found.gradients,
    )
    html_pages.write_output(render_check_page(page), path)


def findings_of(recipe: Recipe, found: TrainingCheck) -> Iterator[str]:
    """Yield what is worth a change in a recipe, in sentences, the most important first."""
    rate, rates = recipe.optimizer.learning_rate, found.rates
    if rates.highest is not None and rate >= rates.highest:  # all else follows from that
        better = found.working_rate or rates.suggestion
        yield (
            f"Training diverges with a learning rate of {rates.highest:.1g}, and "
            f"optimizer.learning_rate is {rate:g}. Lower it"
            + (f" to about {better:.1g}." if better else ".")
        )
        return
    yield from _of_overfitting(recipe, found)
    if found.overfit.is_learnt and rates.suggestion and rate * _MUCH_LOWER < rates.suggestion:
        yield (
            f"optimizer.learning_rate is {rate:g}, and the loss still falls with much higher "
            f"rates. Try about {rates.suggestion:.1g}."
        )
    yield from _of_gradients(found)
    # Outputs of zero are a gray image, not the mean one, which chance is where images are drawn.
    starts_at_chance = not recipe.task.DRAWS_IMAGES
    if starts_at_chance and found.initial_loss > _FAR_FROM_CHANCE * found.chance_loss:
        yield (
            f"The loss starts at {found.initial_loss:.2f}, far above the {found.chance_loss:.2f} "
            "of chance: the first outputs are confident and wrong. Set regularization.initializer: "
            "zeros, with which the output layer starts at chance."
        )


def _of_overfitting(recipe: Recipe, found: TrainingCheck) -> Iterator[str]:
    overfit = found.overfit
    if overfit.is_learnt:
        return
    start = (
        f"The model cannot learn {overfit.images} examples by heart: after "
        f"{len(overfit.losses) - 1} steps without regularization, their loss is "
        f"{overfit.losses[-1]:.3g}, and {overfit.chance:.3g} by chance."
    )
    if found.working_rate:
        yield f"{start} It can with optimizer.learning_rate: {found.working_rate:.1g}. Set that."
    else:
        size = "model.hidden" if "hidden" in type(recipe.model).model_fields else "the model"
        yield (
            f"{start} In this order: look at the examples and labels on the page of --html, change "
            f"optimizer.learning_rate, take relu instead of sigmoid or tanh, enlarge {size}, and "
            "set regularization.batch_norm: true."
        )


def _of_gradients(found: TrainingCheck) -> Iterator[str]:
    norms = found.gradients
    broken = [name for name, norm in norms.items() if not math.isfinite(norm)]
    if broken:
        yield (
            f"The gradient of layer '{broken[0]}' is not finite after a few steps. Lower "
            "optimizer.learning_rate, or set optimizer.global_clipnorm: 1.0."
        )
        return
    largest = max(norms.values())
    vanishing = [name for name, norm in norms.items() if norm < _VANISHING * largest]
    if vanishing:
        yield (
            f"The gradient of layer '{vanishing[0]}' is below a thousandth of the largest one, so "
            "that it hardly learns. Take relu instead of sigmoid or tanh, or set "
            "regularization.batch_norm: true."
        )
    if largest > _EXPLODING:
        name = max(norms, key=lambda each: norms[each])
        yield (
            f"The gradient of layer '{name}' has a norm of {largest:.2g}: it explodes. Set "
            "optimizer.global_clipnorm: 1.0, or regularization.batch_norm: true."
        )


def _duration(seconds: float) -> str:
    for size, unit in _SUFFIXES:
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
