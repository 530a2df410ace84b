"""The state of a search: finished trials, the next trial, and when to stop."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.errors import RecipeError
from pipeline.recipe.loader import LoadedRecipe, with_overrides
from pipeline.trials.journal import Event, Journal, outcome_as_json, outcome_from_json
from pipeline.trials.pruning import StoppingRule
from pipeline.trials.trial import BY_EPOCH, TrialOutcome
from pipeline.tuning import search_space as spaces
from pipeline.tuning.oracles import EPOCHS, ORACLES, ProposalResult
from pipeline.tuning.search_space import Numbers, SearchSpace, Values
from pipeline.tuning.tuning_config import TuningConfig

_MAX_SAME_FAILURES = 3  # in a row, after which a search stops
_MAX_DRAWS = 20  # duplicate proposals in a row, after which the space counts as exhausted


@dataclass(frozen=True)
class PendingTrial:
    """A trial to run.

    Attributes:
        number: of the trial, from 1, which is the recipe without changes.
        proposal: the oracle's numbers, None for the recipe without changes.
        values: the values that replace those of the recipe, by dotted path.
        loaded: the recipe of the trial.
    """

    number: int
    proposal: Numbers | None
    values: Values
    loaded: LoadedRecipe


@dataclass(frozen=True)
class FinishedTrial:
    """A finished trial."""

    number: int
    values: Values
    outcome: TrialOutcome


def values_of(space: SearchSpace, proposal: Numbers | None) -> Values:
    """Return the values of a recipe for a proposal of an oracle, none for None."""
    if proposal is None:
        return {}
    epochs = {"training.epochs": proposal[EPOCHS]} if EPOCHS in proposal else {}
    return spaces.decode(space, proposal) | epochs


class Search:
    """Hands out trials and takes their outcomes, and writes both to the journal first."""

    def __init__(self, loaded: LoadedRecipe, journal: Journal) -> None:
        """Start a search, or resume the one in a journal.

        Args:
            loaded: a recipe with a `tuning` section.
            journal: its first event is `search`.
        """
        assert loaded.recipe.tuning is not None
        self.tuning: TuningConfig = loaded.recipe.tuning
        self.ended = ""
        self._loaded = loaded
        self._journal = journal
        self._space, _ = spaces.resolve(self.tuning.space)
        self._oracle = ORACLES[self.tuning.tuner](
            self._space,
            direction=self.tuning.direction,
            seed=loaded.recipe.seed,
            max_epochs=loaded.recipe.training.epochs,
        )
        self._tasks: dict[int, PendingTrial] = {}
        self._done: dict[int, FinishedTrial] = {}
        self._ended_at: dict[int, float] = {}
        self._before = 0.0  # seconds of earlier sessions
        self._until_last = 0.0
        self._started = time.monotonic()
        # Each proposal in order, and the number of the trial that tells its result.
        self._proposals: list[tuple[Numbers, int]] = []
        numbers = self._numbers_of_recipe()
        if numbers is not None:
            self._proposals.append((numbers, 1))
        for event in list(journal.events):
            self._replay(event)
        self._requeued = [number for number in self._tasks if number not in self._done]

    @property
    def done(self) -> list[FinishedTrial]:
        """The finished trials, by number."""
        return [self._done[number] for number in sorted(self._done)]

    @property
    def best(self) -> FinishedTrial | None:
        """The best trial, the first of equals; None where all failed."""
        sign = 1 if self.tuning.direction == "min" else -1
        scored = [done for done in self.done if done.outcome.score is not None]
        complete = [done for done in scored if done.outcome.pruned_at is None] or scored
        return min(complete, key=lambda done: sign * (done.outcome.score or 0.0), default=None)

    def best_until(self, number: int) -> float | None:
        """Return the best score of the trials up to one, None where all failed."""
        scores = [
            done.outcome.score
            for done in self.done
            if done.number <= number and done.outcome.score is not None
        ]
        return (min if self.tuning.direction == "min" else max)(scores, default=None)

    def recipe_of(self, number: int) -> LoadedRecipe:
        """Return the recipe of a trial."""
        return self._tasks[number].loaded

    def ended_at(self, number: int) -> float:
        """Return the second of the search at which a trial ended."""
        return self._ended_at[number]

    def value_at(self, number: int, path: str) -> Any:
        """Return the value of a trial's recipe at a path, None where it has none."""
        tree = self.recipe_of(number).recipe.model_dump(mode="json", by_alias=True)
        return _at(tree, path)

    def choice_at(self, number: int, path: str) -> Any:
        """Return which value of a choice a trial has, None where it has none of them."""
        dimension = next(one for one in self._space if one.path == path)
        index = dimension.number_of(self.value_at(number, path))
        return None if index is None else dimension.value_of(index)

    @property
    def seconds_of_trials(self) -> float:
        """The seconds until the last trial ended, in all sessions."""
        return self._until_last

    @property
    def seconds(self) -> float:
        """The seconds that the search has taken, in all sessions."""
        return self._before + time.monotonic() - self._started

    def next(self) -> PendingTrial | Literal["wait"] | None:
        """Return the next trial to run.

        Returns:
            "wait" if running trials have to end first; None if the search has ended, for the reason
            in `ended`.
        """
        if self._requeued:
            return self._tasks[self._requeued.pop(0)]
        while not self._has_ended():
            number = len(self._tasks) + 1
            if number == 1:
                return self._start(number, None)
            if not self._done:
                return "wait"  # the recipe without changes is the first result
            proposal = self._propose(number)
            if proposal is None:
                if len(self._done) < len(self._tasks):
                    return "wait"
                self.ended = "the search space is exhausted"
                break
            task = self._start(number, proposal)
            if task:
                return task
        return None

    def finish(self, task: PendingTrial, outcome: TrialOutcome) -> FinishedTrial:
        """Take the outcome of a trial."""
        self._until_last = round(self.seconds, 3)
        self._journal.append(
            "finished",
            trial=task.number,
            seconds=self._until_last,
            outcome=outcome_as_json(outcome),
        )
        return self._add_finished(task, outcome)

    def requeue(self, task: PendingTrial) -> None:
        """Take a trial back that was not run; it is the next one to be handed out."""
        self._requeued.append(task.number)

    def stopping_rule(self) -> StoppingRule:
        """Return the rule that stops trials that are behind those finished so far."""
        objective, tuning = self.tuning.objective, self.tuning
        applies = tuning.prune and tuning.tuner != "hyperband" and objective in BY_EPOCH
        others = tuple(done.outcome.rows for done in self.done if done.outcome.score is not None)
        return StoppingRule(others, objective if applies else None, tuning.direction)

    def _start(self, number: int, proposal: Numbers | None) -> PendingTrial | None:
        """Start a trial; return None if its values contradict each other: it has failed."""
        self._journal.append("started", trial=number, proposal=proposal)
        return self._add_started(number, proposal)

    def _add_started(self, number: int, proposal: Numbers | None) -> PendingTrial | None:
        values = values_of(self._space, proposal)
        if proposal is not None:
            self._proposals.append((proposal, number))
        try:
            loaded = with_overrides(self._loaded, values)
        except RecipeError as error:
            task = self._tasks[number] = PendingTrial(number, proposal, values, self._loaded)
            if number not in {event["trial"] for event in self._journal.of("finished")}:
                reason = "; ".join(str(problem) for problem in error.problems)
                self.finish(task, TrialOutcome("FAILED", kind="contradiction", reason=reason))
            return None
        task = self._tasks[number] = PendingTrial(number, proposal, values, loaded)
        return task

    def _add_finished(self, task: PendingTrial, outcome: TrialOutcome) -> FinishedTrial:
        self._ended_at[task.number] = self._until_last
        done = self._done[task.number] = FinishedTrial(task.number, task.values, outcome)
        return done

    def _propose(self, number: int) -> Numbers | None:
        """Return a proposal that was not tried yet, None where none is left."""
        duplicates = sum(event["trial"] == number for event in self._journal.of("duplicate"))
        for draw in range(duplicates, _MAX_DRAWS):
            proposal = self._oracle.propose(number, draw, self._results())
            if proposal is None:
                return None
            same = self._same_as(proposal)
            if same is None:
                return proposal
            self._journal.append("duplicate", trial=number, same=same, proposal=proposal)
            self._proposals.append((proposal, same))
        return None

    def _results(self) -> list[ProposalResult]:
        results = []
        for proposal, number in self._proposals:
            done = self._done.get(number)
            score = done.outcome.score if done else None
            results.append(ProposalResult(proposal, score, is_running=done is None))
        return results

    def _same_as(self, proposal: Numbers) -> int | None:
        """Return the number of the trial with the same recipe, None where there is none."""
        try:
            recipe = with_overrides(self._loaded, values_of(self._space, proposal)).recipe
        except RecipeError:
            return None
        same = (number for number, task in self._tasks.items() if task.loaded.recipe == recipe)
        return next(same, None)

    def _numbers_of_recipe(self) -> Numbers | None:
        """Return the oracle's numbers for the recipe, None where the space does not hold it."""
        current = self._loaded.recipe.model_dump(mode="json", by_alias=True)
        at = {dimension.path: _at(current, dimension.path) for dimension in self._space}
        numbers = spaces.encode(self._space, at)
        if numbers is None:
            return None
        try:
            same = with_overrides(self._loaded, spaces.decode(self._space, numbers)).recipe
        except RecipeError:
            return None
        return numbers if same == with_overrides(self._loaded, {}).recipe else None

    def _replay(self, event: Event) -> None:
        """Apply an event of an earlier session."""
        if event["event"] == "started":
            self._add_started(event["trial"], event["proposal"])
        elif event["event"] == "duplicate":
            self._proposals.append((event["proposal"], event["same"]))
        elif event["event"] == "finished":
            self._before = self._until_last = event["seconds"]
            self._add_finished(self._tasks[event["trial"]], outcome_from_json(event["outcome"]))

    def _has_ended(self) -> bool:
        self.ended = self._reason_to_end()
        return bool(self.ended)

    def _reason_to_end(self) -> str:
        tuning, done = self.tuning, list(self._done.values())
        kinds = [one.outcome.kind for one in done[-_MAX_SAME_FAILURES:]]
        if len(kinds) == _MAX_SAME_FAILURES and kinds[0] and len(set(kinds)) == 1:
            return (
                f"{_MAX_SAME_FAILURES} trials in a row failed in the same way: "
                f"{done[-1].outcome.reason}"
            )
        if len(self._tasks) >= tuning.trials:
            return f"all {tuning.trials} trials have run"
        budget = tuning.budget_seconds
        if budget is not None and self.seconds >= budget:
            return f"the budget of {tuning.budget} is used up"
        if tuning.patience and self.best:
            since = [one for one in self._done if one > self.best.number]
            if len(since) >= tuning.patience:
                return f"{len(since)} trials in a row did not improve the best score"
        return ""


def _at(tree: Any, path: str) -> Any:
    """Return the value at a dotted path, None where there is none."""
    for part in path.split("."):
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and part.isdecimal() and int(part) < len(tree):
            tree = tree[int(part)]
        else:
            return None
    return tree
