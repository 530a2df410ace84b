"""Opens a search: a new one, or one that was interrupted and resumes."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import DataError, UsageError
from pipeline.file_locks import try_lock
from pipeline.recipe.loader import LoadedRecipe, flatten, masked_values
from pipeline.recipe.recipe_changes import recipe_changes
from pipeline.stages.tracked_run import TrackedRun, tracked_run
from pipeline.tracking.outbox import upload_leftovers
from pipeline.tracking.store import Store, open_store
from pipeline.trials.journal import FOLDER, Event, Journal, header_of, is_finished

logger = logging.getLogger(__name__)


# The keys that may change when a search is resumed.
_MAY_CHANGE = (
    "tuning.trials",
    "tuning.budget",
    "tuning.patience",
    "tracking",
    "description",
    "runtime.cluster",
    "runtime.storage",
)


@dataclass(frozen=True)
class Session:
    """An open search.

    Attributes:
        journal: the journal of the search.
        store: the tracking store.
        tracked: the run of the search.
    """

    journal: Journal
    store: Store
    tracked: TrackedRun


@contextlib.contextmanager
def session(loaded: LoadedRecipe, *, resume: str | None, start_new: bool) -> Iterator[Session]:
    """Open the unfinished search of a recipe if there is one, otherwise a new one.

    Args:
        loaded: the recipe; its file identifies the unfinished search.
        resume: the run of the search to resume.
        start_new: start a new search, ignoring unfinished ones.

    Raises:
        UsageError: if there is no such search, another process runs it, or the recipe has changed.
        TrackingError: if the tracking store cannot be used.
    """
    recipe = loaded.recipe
    directory = _unfinished_search(loaded.path, resume, start_new)
    store = open_store(recipe.tracking.uri, loaded.secrets)
    with contextlib.ExitStack() as stack:
        if directory:
            stack.enter_context(_one_process(directory))
            journal = Journal(directory, loaded.secrets)
            _check_same_recipe(journal.events[0], loaded, directory.name)
            finished = len(list(journal.of("finished")))
            logger.info(f"Resuming search {directory.name} after {finished} finished trials")
            upload_leftovers(directory.name, store.client)
        tracked = stack.enter_context(
            tracked_run(
                store,
                experiment=recipe.tracking.experiment or recipe.name,
                name=f"{recipe.name} search",
                description=recipe.description,
                resume=directory.name if directory else None,
            )
        )
        if not directory:
            run_id = tracked.logger.run_id
            stack.enter_context(_one_process(FOLDER / run_id))
            journal = Journal(FOLDER / run_id, loaded.secrets)
            journal.append(
                "search",
                run_id=run_id,
                path=str(loaded.path.absolute()),
                recipe=recipe.model_dump(mode="json", by_alias=True),
            )
        yield Session(journal, store, tracked)


def check_same_images(journal: Journal, digest: str) -> None:
    """Check that the images are those that the search was started with.

    Raises:
        DataError: if they are not.
    """
    known = next(journal.of("images"), None)
    if known is None:
        journal.append("images", digest=digest)
    elif known["digest"] != digest:
        raise DataError(
            "The data has changed since the search was started, so its trials cannot be "
            "compared with new ones. Restore it to resume the search, or start a new search with "
            "--new."
        )


def _unfinished_search(path: Path, resume: str | None, start_new: bool) -> Path | None:
    """Return the directory of the search to resume, None for a new one."""
    if resume:
        directory = FOLDER / resume
        if header_of(directory) is None:
            known = ", ".join(sorted(f.name for f in FOLDER.glob("*") if header_of(f))) or "none"
            raise UsageError(f"No search {resume} in {FOLDER.absolute()}. Available: {known}.")
        if is_finished(directory):
            raise UsageError(
                f"The search {resume} is finished: nothing to resume. Start a new one with --new."
            )
        return directory
    if start_new:
        return None
    for directory in sorted(FOLDER.glob("*"), key=lambda f: f.stat().st_mtime, reverse=True):
        header = header_of(directory)
        if header and header["path"] == str(path.absolute()) and not is_finished(directory):
            return directory
    return None


def _check_same_recipe(header: Event, loaded: LoadedRecipe, run_id: str) -> None:
    before = flatten(header["recipe"])
    now = flatten(masked_values(loaded.recipe, loaded.secrets))
    changes = recipe_changes(before, now, ignored=_MAY_CHANGE)
    if changes:
        first = f"The recipe has changed since its unfinished search {run_id} was started:"
        raise UsageError(
            "\n  ".join([first, *changes])
            + "\nUndo the changes to resume it, or start a new search with --new."
        )


def _one_process(directory: Path) -> contextlib.AbstractContextManager[object]:
    """Lock a search until the end of the block."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = try_lock(directory / ".lock")
    if lock is None and os.name != "nt":
        raise UsageError(f"The search {directory.name} is running in another process.")
    return lock or contextlib.nullcontext()
