"""One stretch of a search: a new one, or one that was interrupted and goes on where it was."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError, UsageError
from pipeline.file_locks import try_lock
from pipeline.recipe.loader import LoadedRecipe, flatten, masked_values
from pipeline.secrets import mask_secrets
from pipeline.tracking import run_logger as recording
from pipeline.tracking.store import open_store
from pipeline.trials.journal import FOLDER, Event, Journal, header_of, is_finished

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from pipeline.tracking.run_logger import RunLogger
    from pipeline.tracking.store import Store

# What may change between the sessions of a search: how far it goes, not what it looks for.
_FREE = ("tuning.trials", "tuning.budget", "tuning.patience")
_FREE_SECTIONS = ("tracking", "description")
_MOST_SHOWN = 8


@dataclass(frozen=True)
class Session:
    """An open search.

    Attributes:
        journal: the truth of it.
        store: what it is logged in.
        run_logger: of its run.
        is_new: whether it begins here.
    """

    journal: Journal
    store: Store
    run_logger: RunLogger
    is_new: bool


@contextlib.contextmanager
def session(
    loaded: LoadedRecipe,
    path: Path,
    *,
    resume: str | None,
    start_new: bool,
) -> Iterator[Session]:
    """Open the search of a recipe: the one that is not finished, if there is one, else a new one.

    Args:
        loaded: the recipe.
        path: its file, by which an unfinished search is found.
        resume: the run of the search to go on with.
        start_new: begin another search even so.

    Raises:
        UsageError: if there is no such search, another process has it, or the recipe has changed.
        TrackingError: if the store cannot be used.
    """
    recipe = loaded.recipe
    folder = _folder(path, resume, start_new)
    store = open_store(recipe.tracking.uri)
    if folder is None:
        run_logger = recording.start_run(
            store,
            experiment=mask_secrets(recipe.tracking.experiment or recipe.name, loaded.secrets),
            name=mask_secrets(f"{recipe.name} search", loaded.secrets),
            description=mask_secrets(recipe.description, loaded.secrets),
        )
        folder = FOLDER / run_logger.run_id
        with _only_here(folder):
            journal = Journal(folder)
            journal.append(
                "search",
                run_id=run_logger.run_id,
                path=str(path.absolute()),
                recipe=masked_values(recipe, loaded.secrets),
            )
            yield Session(journal, store, run_logger, is_new=True)
        return
    with _only_here(folder):
        journal = Journal(folder)
        _refuse_changes(journal.events[0], loaded, folder.name)
        logger.info(
            f"Going on with the search {folder.name}: "
            f"{len(list(journal.of('finished')))} trials are done"
        )
        run_logger = recording.reopen_run(store, folder.name)
        yield Session(journal, store, run_logger, is_new=False)


def images_are_the_same(journal: Journal, digest: str) -> None:
    """Check that the images are those that the search began with.

    Raises:
        DataError: if they are not.
    """
    known = journal.first("images")
    if known is None:
        journal.append("images", digest=digest)
    elif known["digest"] != digest:
        raise DataError(
            "The images have changed since the search began, so that its trials cannot be compared "
            "with new ones. Put them back to go on, or begin another search with --new."
        )


def _folder(path: Path, resume: str | None, start_new: bool) -> Path | None:
    """Return the folder of the search to go on with, None for a new one."""
    if resume:
        folder = FOLDER / resume
        if header_of(folder) is None:
            known = ", ".join(sorted(f.name for f in FOLDER.glob("*") if header_of(f))) or "none"
            raise UsageError(
                f"There is no search {resume} in {FOLDER.absolute()}. Searches there: {known}."
            )
        if is_finished(folder):
            raise UsageError(
                f"The search {resume} is finished. Begin another one without --resume."
            )
        return folder
    if start_new:
        return None
    for folder in sorted(FOLDER.glob("*"), key=lambda f: f.stat().st_mtime, reverse=True):
        header = header_of(folder)
        if header and header["path"] == str(path.absolute()) and not is_finished(folder):
            return folder
    return None


def _refuse_changes(header: Event, loaded: LoadedRecipe, run_id: str) -> None:
    before = flatten(header["recipe"])
    now = flatten(masked_values(loaded.recipe, loaded.secrets))
    changes = [
        f"  {path}: was {before.get(path, 'absent')}, is {now.get(path, 'absent')}"
        for path in sorted({*before, *now})
        if before.get(path) != now.get(path)
        and path not in _FREE
        and path.split(".")[0] not in _FREE_SECTIONS
    ]
    if changes:
        more = len(changes) - _MOST_SHOWN
        listed = "\n".join(changes[:_MOST_SHOWN]) + (f"\n  and {more} more" if more > 0 else "")
        raise UsageError(
            f"The search {run_id} of this recipe is not finished, and the recipe has changed "
            f"since:\n{listed}\nChange it back to go on, or begin another search with --new."
        )


@contextlib.contextmanager
def _only_here(folder: Path) -> Iterator[Any]:
    folder.mkdir(parents=True, exist_ok=True)
    lock = try_lock(folder / ".lock")
    if lock is None and os.name != "nt":
        raise UsageError(f"The search {folder.name} is running in another process.")
    try:
        yield
    finally:
        if lock:
            lock.close()
