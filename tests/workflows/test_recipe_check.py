"""A recipe is checked before its training: what is wrong, and what to change."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import UsageError
from pipeline.recipe.loader import load_recipe
from pipeline.workflows import recipe_check
from pipeline.workflows.recipe_check import RecipeCheck, findings_of

RECIPE = """\
name: digits
data: {source: digits, batch_size: 64}
model: {architecture: mlp, hidden: [32]}
"""


def checked(*changes: str) -> RecipeCheck:
    Path("recipe.yaml").write_text(RECIPE)
    return recipe_check.check(Path("recipe.yaml"), changes)


@pytest.mark.usefixtures("in_empty_folder")
def test_a_recipe_that_learns_has_no_findings() -> None:
    found = checked()
    assert found.findings == ()
    assert str(found).endswith("Nothing speaks against a training.")
    assert found.training.overfit.is_learnt
    assert found.training.cost.parameters == 64 * 32 + 32 + 32 * 10 + 10
    assert [example.caption for example in found.training.examples[:2]] != ["", ""]
    known = json.loads(json.dumps(found.to_dict()))
    assert known["overfit"]["learnt"] is True
    assert list(known["gradient_norms"]) == list(found.training.gradients)
    assert known["suggested_learning_rate"] == found.training.rates.suggestion

    recipe_check.write_page(found, Path("check.html"))
    page = Path("check.html").read_text()
    assert page.count("<svg") == 3
    assert page.count("<figure>") == 8
    with pytest.raises(UsageError) as caught:
        recipe_check.write_page(found, Path("nowhere/check.html"))
    assert str(caught.value) == "nowhere/check.html cannot be written: No such file or directory."
    assert not Path("mlruns").exists()

    def findings(**changes: Any) -> list[str]:
        recipe = load_recipe(Path("recipe.yaml")).recipe
        return list(findings_of(recipe, replace(found.training, **changes)))

    assert findings(gradients={"first": 1e-5, "output": 1.0}) == [
        "The gradient of layer 'first' is below a thousandth of the largest one, so that it hardly "
        "learns. Take relu instead of sigmoid or tanh, or set regularization.batch_norm: true."
    ]
    assert findings(gradients={"first": 2e4, "output": 50.0}) == [
        "The gradient of layer 'first' has a norm of 2e+04: it explodes. Set "
        "optimizer.global_clipnorm: 1.0, or regularization.batch_norm: true."
    ]
    assert findings(gradients={"first": math.nan, "output": 1.0}) == [
        "The gradient of layer 'first' is not finite after a few steps. Lower "
        "optimizer.learning_rate, or set optimizer.global_clipnorm: 1.0."
    ]
    assert findings(initial_loss=12.0) == [
        "The loss starts at 12.00, far above the 2.30 of chance: the first outputs are confident "
        "and wrong. Set regularization.initializer: zeros, with which the output layer starts at "
        "chance."
    ]
    hopeless = replace(found.training.overfit, losses=(2.4, 2.3))
    assert findings(overfit=hopeless) == [
        "The model cannot learn 50 examples by heart: after 1 steps without regularization, their "
        "loss is 2.3, and 2.3 by chance. In this order: look at the examples and labels on the "
        "page of --html, change optimizer.learning_rate, take relu instead of sigmoid or tanh, "
        "enlarge model.hidden, and set regularization.batch_norm: true."
    ]


@pytest.mark.usefixtures("in_empty_folder")
def test_the_rate_of_a_recipe_that_learns_too_slowly_is_named() -> None:
    (finding,) = checked("optimizer.learning_rate=1e-7").findings
    assert finding.startswith("The model cannot learn 50 examples by heart: after 300 steps")
    assert finding.endswith("Set that.")
    assert "It can with optimizer.learning_rate: 0." in finding


@pytest.mark.usefixtures("in_empty_folder")
def test_a_rate_with_which_training_diverges_is_the_only_finding() -> None:
    (finding,) = checked("optimizer={name: sgd, learning_rate: 50}").findings
    assert finding.startswith("Training diverges with a learning rate of ")
    assert ", and optimizer.learning_rate is 50. Lower it to about 0." in finding
