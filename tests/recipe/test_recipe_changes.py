from __future__ import annotations

from pipeline.recipe.recipe_changes import recipe_changes


def test_changed_added_and_removed_values_are_listed_by_path() -> None:
    before = {"seed": "1", "optimizer.name": "sgd", "optimizer.momentum": "0.9"}
    now = {"seed": "1", "optimizer.name": "adam", "optimizer.beta_1": "0.9"}
    assert recipe_changes(before, now) == [
        "optimizer.beta_1: was absent, is 0.9",
        "optimizer.momentum: was 0.9, is absent",
        "optimizer.name: was sgd, is adam",
    ]


def test_ignored_keys_and_sections_may_change() -> None:
    before = {"tuning.trials": "5", "tracking.uri": "a", "tracking_x": "1", "tuning.tuner": "grid"}
    now = {"tuning.trials": "6", "tracking.uri": "b", "tracking_x": "2", "tuning.tuner": "random"}
    assert recipe_changes(before, now, ignored=("tuning.trials", "tracking")) == [
        "tracking_x: was 1, is 2",
        "tuning.tuner: was grid, is random",
    ]


def test_equal_recipes_have_no_changes() -> None:
    assert recipe_changes({"seed": "1"}, {"seed": "1"}) == []


def test_a_long_list_ends_after_twenty_lines() -> None:
    now = {f"key{number:02}": "1" for number in range(20)}
    assert recipe_changes({}, now)[-1] == "key19: was absent, is 1"
    lines = recipe_changes({}, {**now, "key20": "1"})
    assert len(lines) == 20
    assert lines[-2:] == ["key18: was absent, is 1", "and 2 more"]
