"""Opening a search: which one is resumed, and what it is checked against."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.errors import DataError, UsageError
from pipeline.recipe.loader import load_recipe
from pipeline.trials.search_session import Session, check_same_images, session

RECIPE = """\
name: digits
data: {source: digits}
model: {architecture: mlp, hidden: [16]}
tuning:
  trials: 3
  space: {optimizer.learning_rate: {log: [1e-3, 1e-1]}}
"""
PATH = Path("recipe.yaml")


@pytest.fixture(autouse=True)
def recipe(in_empty_folder: Path) -> None:
    PATH.write_text(RECIPE)


@contextlib.contextmanager
def opened(
    *overrides: str, resume: str | None = None, start_new: bool = False
) -> Iterator[Session]:
    loaded = load_recipe(PATH, overrides)
    with session(loaded, resume=resume, start_new=start_new) as one:
        yield one


def run_id_of(search: Session) -> str:
    return search.journal.folder.name


def interrupted_search() -> str:
    """Start a search, and return the id of its run."""
    searches = []
    with contextlib.suppress(KeyboardInterrupt), opened() as search:
        searches.append(search)
        raise KeyboardInterrupt
    return run_id_of(searches[0])


def error_of(*overrides: str, resume: str | None = None) -> str:
    with pytest.raises(UsageError) as error, opened(*overrides, resume=resume):
        pass
    return str(error.value)


def test_an_interrupted_search_is_resumed_in_the_same_run(messages: list[str]) -> None:
    run_id = interrupted_search()
    with opened() as search:
        assert run_id_of(search) == search.tracked.logger.run_id == run_id
        assert search.store.client.get_run(run_id).info.status == "RUNNING"
        assert [event["event"] for event in search.journal.events] == ["search"]
    assert f"Resuming search {run_id} after 0 finished trials" in messages


def test_a_new_search_ignores_an_unfinished_one() -> None:
    run_id = interrupted_search()
    with opened(start_new=True) as search:
        assert run_id_of(search) != run_id
        search.journal.append("completed")
    with opened(resume=run_id) as search:
        assert run_id_of(search) == run_id


def test_the_search_of_another_recipe_is_not_resumed() -> None:
    run_id = interrupted_search()
    other = Path("other.yaml")
    other.write_text(RECIPE)
    with session(load_recipe(other), resume=None, start_new=False) as search:
        assert run_id_of(search) != run_id


def test_a_finished_search_cannot_be_resumed() -> None:
    with opened() as search:
        search.journal.append("completed")
    assert error_of(resume=run_id_of(search)) == (
        f"The search {run_id_of(search)} is finished: nothing to resume. Start a new one with "
        "--new."
    )
    with opened() as another:
        assert run_id_of(another) != run_id_of(search)


def test_an_unknown_search_is_an_error_with_those_that_exist() -> None:
    run_id = interrupted_search()
    directory = Path("mlruns/searches").absolute()
    assert error_of(resume="abc") == f"No search abc in {directory}. Available: {run_id}."


def test_a_changed_recipe_is_not_resumed() -> None:
    run_id = interrupted_search()
    message = error_of("model.hidden=[32]")
    assert run_id in message
    assert "\n  model.hidden: was [16], is [32]\n" in message
    assert message.endswith("start a new search with --new.")


def test_the_number_of_trials_and_the_tracking_may_change() -> None:
    run_id = interrupted_search()
    with opened("tuning.trials=9", "tuning.budget=1h", "description=longer") as search:
        assert run_id_of(search) == run_id


def test_a_search_runs_in_one_process_at_a_time() -> None:
    with opened() as search:
        run_id = run_id_of(search)
        assert error_of() == f"The search {run_id} is running in another process."


def test_other_images_are_an_error() -> None:
    with opened() as search:
        check_same_images(search.journal, "first")
        check_same_images(search.journal, "first")
        with pytest.raises(DataError) as error:
            check_same_images(search.journal, "second")
    assert str(error.value) == (
        "The data has changed since the search was started, so its trials cannot be compared "
        "with new ones. Restore it to resume the search, or start a new search with --new."
    )
