"""Tells everybody of trials that have ended: the store, and the person who waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.search.progress import SearchDisplay
from pipeline.search.record import child_of
from pipeline.search.search import Search
from pipeline.search.trial import Outcome

if TYPE_CHECKING:
    from pipeline.search.search import Task
    from pipeline.tracking.children import Children
    from pipeline.tracking.recorder import Recorder

PROGRESS = "search/best_so_far"


class Reporter:
    """Reports every trial once, in this session or in an earlier one that was killed."""

    def __init__(
        self, search: Search, children: Children, recorder: Recorder, display: SearchDisplay
    ) -> None:
        self._search = search
        self._children = children
        self._recorder = recorder
        self._display = display
        self._earlier = {done.number for done in search.done}
        self._reported: set[int] = set()

    def update(self) -> None:
        """Report the trials that have ended since the last time."""
        for done in self._search.done:
            if done.number in self._reported:
                continue
            self._reported.add(done.number)
            best = self._search.best_until(done.number)
            if done.number not in self._children.written:
                self._children.put(
                    child_of(
                        done,
                        self._search.recipe_of(done.number),
                        objective=self._search.tuning.objective,
                        best_so_far=best,
                    )
                )
            if best is not None:
                self._recorder.metrics({PROGRESS: best}, step=done.number)
            if done.number not in self._earlier:
                self._display.show(done)

    def interrupted(self, task: Task) -> None:
        """Report a trial that was interrupted; when it is run again it takes the same run."""
        from pipeline.search.search import Done

        self._children.put(
            child_of(
                Done(task.number, task.values, Outcome("KILLED")),
                task.loaded,
                objective=self._search.tuning.objective,
                best_so_far=None,
            )
        )
