"""One stretch of a search: a new one, or one that was interrupted and goes on where it was."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DataError, UsageError
from pipeline.locking import hold
from pipeline.recipe.load import LoadedRecipe, flattened, shown
from pipeline.search.journal import FOLDER, Event, Journal, header_of, is_finished
from pipeline.secrets import masked

if TYPE_CHECKING:
    from pipeline.tracking.recorder import Recorder
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
        recorder: of its run.
        is_new: whether it begins here.
    """

    journal: Journal
    store: Store
    recorder: Recorder
    is_new: bool


@contextlib.contextmanager
def session(
    loaded: LoadedRecipe,
    path: Path,
    *,
    resume: str | None,
    anew: bool,
    say: Callable[[str], None],
) -> Iterator[Session]:
    """Open the search of a recipe: the one that is not finished, if there is one, else a new one.

    Args:
        loaded: the recipe.
        path: its file, by which an unfinished search is found.
        resume: the run of the search to go on with.
        anew: begin another search even so.
        say: tells a person what is going on.

    Raises:
        UsageError: if there is no such search, another process has it, or the recipe has changed.
        TrackingError: if the store cannot be used.
    """
    from pipeline.tracking import recorder as recording
    from pipeline.tracking.store import open_store

    recipe = loaded.recipe
    folder = _folder(path, resume, anew)
    store = open_store(recipe.tracking.uri)
    if folder is None:
        recorder = recording.start(
            store,
            experiment=masked(recipe.tracking.experiment or recipe.name, loaded.secrets),
            name=masked(f"{recipe.name} search", loaded.secrets),
            description=masked(recipe.description, loaded.secrets),
            say=say,
        )
        folder = FOLDER / recorder.run_id
        with _only_here(folder):
            journal = Journal(folder)
            journal.append(
                "search",
                run_id=recorder.run_id,
                path=str(path.absolute()),
                recipe=shown(recipe, loaded.secrets),
            )
            yield Session(journal, store, recorder, is_new=True)
        return
    with _only_here(folder):
        journal = Journal(folder)
        _refuse_changes(journal.events[0], loaded, folder.name)
        say(
            f"Going on with the search {folder.name}: "
            f"{len(list(journal.of('finished')))} trials are done"
        )
        recorder = recording.reopen(store, folder.name, say=say)
        yield Session(journal, store, recorder, is_new=False)


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


def _folder(path: Path, resume: str | None, anew: bool) -> Path | None:
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
    if anew:
        return None
    for folder in sorted(FOLDER.glob("*"), key=lambda f: f.stat().st_mtime, reverse=True):
        header = header_of(folder)
        if header and header["path"] == str(path.absolute()) and not is_finished(folder):
            return folder
    return None


def _refuse_changes(header: Event, loaded: LoadedRecipe, run_id: str) -> None:
    before = flattened(header["recipe"])
    now = flattened(shown(loaded.recipe, loaded.secrets))
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
    lock = hold(folder / ".lock")
    if lock is None and os.name != "nt":
        raise UsageError(f"The search {folder.name} is running in another process.")
    try:
        yield
    finally:
        if lock:
            lock.close()
