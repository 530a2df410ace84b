"""The page on a recipe that was checked before its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from pipeline.evaluation.captioned_images import CaptionedImage
from pipeline.evaluation.figures import plot_gradient_norms, plot_rate_range, plot_steps, svg
from pipeline.evaluation.html_pages import render_page


@dataclass(frozen=True)
class CheckPage:
    """The content of the page.

    Attributes:
        title: of the page.
        summary: below the title.
        findings: what is worth a change, in sentences.
        facts: names and values.
        examples: images as the model takes them; empty if the examples are none.
        rates: learning rates of a range test.
        range_losses: the loss with each of them.
        recipe_rate: the learning rate of the recipe.
        suggestion: a learning rate to try; None without one.
        overfit_losses: of a few images, step by step.
        gradients: the norm of the gradient by layer.
    """

    title: str
    summary: str
    findings: Sequence[str]
    facts: Sequence[tuple[str, str]]
    examples: Sequence[CaptionedImage]
    rates: Sequence[float]
    range_losses: Sequence[float]
    recipe_rate: float
    suggestion: float | None
    overfit_losses: Sequence[float]
    gradients: Mapping[str, float]


def render_check_page(page: CheckPage) -> str:
    """Return the HTML of a page, which needs no network."""
    figures: dict[str, Figure] = {
        "Learning rate range test": plot_rate_range(
            page.rates, page.range_losses, recipe=page.recipe_rate, suggestion=page.suggestion
        ),
        "Training on a few examples": plot_steps(page.overfit_losses),
        "Gradients by layer": plot_gradient_norms(page.gradients),
    }
    charts = {title: svg(figure) for title, figure in figures.items()}
    return render_page("check_page.html.jinja", {"page": page, "charts": charts})
