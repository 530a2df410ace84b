"""The state of a search: finished trials, the next trial, and when to stop."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.errors import RecipeError
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.loader import LoadedRecipe, with_overrides
from pipeline.trials.journal import Event, Journal, outcome_from_json
from pipeline.trials.pruning import StoppingRule
from pipeline.trials.trial import TrialOutcome
from pipeline.tuning import search_space as spaces
from pipeline.tuning.oracles import EPOCHS, ORACLES, ProposalResult
from pipeline.tuning.search_space import Numbers, SearchSpace, Values
from pipeline.tuning.tuning_config import TuningConfig

_LAG = 2  # times the trials that run at once: enough that one which takes longer holds up none
_MAX_SAME_FAILURES = 3  # in a row, after which a search stops
_OUTCOMES_OF_VALUES = ("diverged", "contradiction")  # which say nothing about other values
_MAX_DRAWS = 20  # duplicate proposals in a row, after which the space counts as exhausted


@dataclass(frozen=True)
class PendingTrial:
    """A trial to run.

    Attributes:
        number: of the trial, from 1, which is the recipe without changes.
        proposal: the oracle's numbers, None for the recipe without changes.
        values: the values that replace those of the recipe, by dotted path.
        loaded: the recipe of the trial; without its values if they contradict each other.
        contradiction: how they do, empty if they do not.
        lag: the trial depends on those whose numbers are at least so much lower, and on no others.
    """

    number: int
    proposal: Numbers | None
    values: Values
    loaded: LoadedRecipe
    contradiction: str
    lag: int


@dataclass(frozen=True)
class FinishedTrial(PendingTrial):
    """A finished trial.

    Attributes:
        outcome: of the trial.
        ended_at: the second of the search at which it ended.
    """

    outcome: TrialOutcome
    ended_at: float = field(compare=False)


def values_of(space: SearchSpace, proposal: Numbers | None) -> Values:
    """Return the values of a recipe for a proposal of an oracle, none for None."""
    if proposal is None:
        return {}
    epochs = {"training.epochs": proposal[EPOCHS]} if EPOCHS in proposal else {}
    return spaces.decode(space, proposal) | epochs


def value_at(loaded: LoadedRecipe, path: str) -> Any:
    """Return the value of a recipe at a dotted path, None where it has none."""
    tree: Any = loaded.recipe.model_dump(mode="json", by_alias=True)
    for part in path.split("."):
        if isinstance(tree, dict):
            tree = tree.get(part)
        elif isinstance(tree, list) and part.isdecimal() and int(part) < len(tree):
            tree = tree[int(part)]
        else:
            return None
    return tree


class Search:
    """Hands out trials and takes their outcomes, and writes both to the journal first.

    Attributes:
        tuning: the section `tuning` of the recipe.
        space: its parameters.
        ended: why the search has ended, empty while it goes on.
        seconds_of_trials: the seconds until the last trial ended, in all sessions.
    """

    def __init__(self, loaded: LoadedRecipe, journal: Journal, *, at_once: int = 1) -> None:
        """Start a search, or resume the one in a journal.

        Which results a trial depends on is a matter of their numbers, so that the order in which
        trials end changes nothing. Of a search that resumes, the lag grows at most.

        Args:
            loaded: a recipe with a `tuning` section.
            journal: its first event is `search`.
            at_once: the number of trials that run at the same time; 0 while there is no machine.
        """
        assert loaded.recipe.tuning is not None
        self.tuning: TuningConfig = loaded.recipe.tuning
        self.space, _ = spaces.resolve(self.tuning.space)
        self.ended = ""
        self.seconds_of_trials = 0.0
        self._loaded = loaded
        self._journal = journal
        self._lag = _LAG * at_once if at_once > 1 else 1
        self._oracle = ORACLES[self.tuning.tuner](
            self.space,
            direction=self.tuning.direction,
            seed=loaded.recipe.seed,
            max_epochs=loaded.recipe.training.epochs,
        )
        self._tasks: dict[int, PendingTrial] = {}
        self._done: dict[int, FinishedTrial] = {}
        # Each proposal in order, and the number of the trial that tells its result.
        self._proposals: list[tuple[Numbers, int]] = []
        numbers = self._numbers_of_recipe()
        if numbers is not None:
            self._proposals.append((numbers, 1))
        for event in journal.events:
            self._apply(event)
        self._started = time.monotonic() - self.seconds_of_trials
        self._requeued = [number for number in self._tasks if number not in self._done]

    @property
    def done(self) -> list[FinishedTrial]:
        """The finished trials, by number."""
        return [self._done[number] for number in sorted(self._done)]

    @property
    def scored(self) -> list[FinishedTrial]:
        """The finished trials that have a score, by number."""
        return [done for done in self.done if done.outcome.score is not None]

    @property
    def failed(self) -> list[FinishedTrial]:
        """The trials that failed in training, by number."""
        without_score = [done for done in self.done if done.outcome.score is None]
        return [done for done in without_score if not done.contradiction]

    @property
    def contradictory(self) -> list[FinishedTrial]:
        """The trials that were not trained because their values contradict each other."""
        return [done for done in self.done if done.contradiction]

    def known_to(self, number: int, lag: int) -> list[FinishedTrial]:
        """Return the finished trials that a trial depends on, by number.

        Hyperband promotes a trial as soon as it can: its brackets depend on all that have ended.
        """
        if self.tuning.tuner == "hyperband":
            return self.done
        return [done for done in self.done if done.number <= number - lag]

    @property
    def best(self) -> FinishedTrial | None:
        """The best trial; of equals, the one with the lowest loss. None where all failed.

        A trial that was stopped early is the best only where all were.
        """
        return self._best_of(self.scored)

    def best_until(self, number: int) -> float | None:
        """Return the best score of the trials up to one, None where all failed."""
        best = self._best_of([done for done in self.scored if done.number <= number])
        return best.outcome.score if best else None

    def _best_of(self, scored: Sequence[FinishedTrial]) -> FinishedTrial | None:
        sign = 1 if self.tuning.direction == "min" else -1

        def rank(done: FinishedTrial) -> tuple[bool, float, float]:
            outcome = done.outcome
            loss = outcome.metrics.get(self._loaded.recipe.loss_metric, math.inf)
            return outcome.pruned_at is not None, sign * (outcome.score or 0.0), loss

        return min(scored, key=rank, default=None)

    @property
    def seconds(self) -> float:
        """The seconds that the search has taken, in all sessions."""
        return time.monotonic() - self._started

    def next(self) -> PendingTrial | Literal["wait"] | None:
        """Return the next trial to run.

        Returns:
            "wait" if running trials have to end first; None if the search has ended, for the reason
            in `ended`.
        """
        while True:
            number = self._requeued.pop(0) if self._requeued else self._start_trial()
            if not isinstance(number, int):
                return number
            task = self._tasks[number]
            if not task.contradiction:
                return task
            reason = task.contradiction
            self.finish(task, TrialOutcome("FAILED", kind="contradiction", reason=reason))

    def _start_trial(self) -> int | Literal["wait"] | None:
        """Return the number of a new trial, or what `next` returns where there is none."""
        number = len(self._tasks) + 1
        known = self.known_to(number, self._lag)
        if self.tuning.tuner != "hyperband" and len(known) < number - self._lag:
            return "wait"
        self.ended = self._reason_to_end(known)
        if self.ended:
            return None
        # The first one is the recipe without changes.
        task = self._propose(number, known) if number > 1 else self._pending(number, None)
        if task is None:
            self.ended = "the search space is exhausted"
            return None
        task = dataclasses.replace(task, lag=self._lag)
        self._journal.append("started", trial=number, proposal=task.proposal, lag=task.lag)
        self._add(task)
        return number

    def finish(self, task: PendingTrial, outcome: TrialOutcome) -> None:
        """Take the outcome of a trial."""
        seconds = round(self.seconds, 3)
        content = dataclasses.asdict(outcome)
        self._record("finished", trial=task.number, seconds=seconds, outcome=content)

    def stopping_rule(self, task: PendingTrial) -> StoppingRule:
        """Return the rule that stops a trial that is behind those that it depends on."""
        objective, tuning = self.tuning.objective, self.tuning
        applies = tuning.prune and tuning.tuner != "hyperband"
        # Its epochs are known of one fold after another, and the first one is no fair sample.
        applies = applies and self._loaded.recipe.training.folds is None
        others = tuple(
            tuple(row[objective] for row in done.outcome.rows)
            for done in self.known_to(task.number, task.lag)
            if applies and done.outcome.score is not None
        )
        return StoppingRule(others, objective, tuning.direction)

    def _record(self, kind: str, **content: Any) -> None:
        """Write an event to the journal, then apply it."""
        self._journal.append(kind, **content)
        self._apply({"event": kind, **content})

    def _apply(self, event: Event) -> None:
        """Apply an event, of this session or of an earlier one."""
        if event["event"] == "started":
            self._lag = max(self._lag, event["lag"])
            self._add(self._pending(event["trial"], event["proposal"], event["lag"]))
        elif event["event"] == "duplicate":
            self._proposals.append((event["proposal"], event["same"]))
        elif event["event"] == "finished":
            self.seconds_of_trials = event["seconds"]
            task, outcome = self._tasks[event["trial"]], outcome_from_json(event["outcome"])
            done = FinishedTrial(**vars(task), outcome=outcome, ended_at=event["seconds"])
            self._done[task.number] = done

    def _add(self, task: PendingTrial) -> None:
        self._tasks[task.number] = task
        if task.proposal is not None:
            self._proposals.append((task.proposal, task.number))

    def _pending(self, number: int, proposal: Numbers | None, lag: int = 1) -> PendingTrial:
        values = values_of(self.space, proposal)
        try:
            loaded = with_overrides(self._loaded, values)
        except RecipeError as error:
            reason = "; ".join(str(problem) for problem in error.problems)
            return PendingTrial(number, proposal, values, self._loaded, reason, lag)
        return PendingTrial(number, proposal, values, loaded, "", lag)

    def _propose(self, number: int, known: Sequence[FinishedTrial]) -> PendingTrial | None:
        """Return a trial of values that were not tried yet, None where none are left."""
        duplicates = sum(event["trial"] == number for event in self._journal.of("duplicate"))
        for draw in range(duplicates, _MAX_DRAWS):
            proposal = self._oracle.propose(number, draw, self._results(known))
            if proposal is None:
                return None
            task = self._pending(number, proposal)
            same = self._same_as(task)
            if same is None:
                return task
            self._record("duplicate", trial=number, same=same, proposal=proposal)
        return None

    def _same_as(self, new: PendingTrial) -> int | None:
        """Return the number of a trial with the same recipe, or the same contradictory values."""
        for number, known in self._tasks.items():
            if known.contradiction or new.contradiction:
                is_same = known.contradiction == new.contradiction and known.values == new.values
            else:
                is_same = known.loaded.recipe == new.loaded.recipe
            if is_same:
                return number
        return None

    def _results(self, known: Sequence[FinishedTrial]) -> list[ProposalResult]:
        """Return the results of all proposals; those of other trials count as running."""
        results, by_number = [], {done.number: done for done in known}
        for proposal, number in self._proposals:
            done = by_number.get(number)
            score = done.outcome.score if done else None
            results.append(ProposalResult(proposal, score, is_running=done is None))
        return results

    def _numbers_of_recipe(self) -> Numbers | None:
        """Return the oracle's numbers for the recipe, None where the space does not hold it."""
        current = {
            parameter.path: value_at(self._loaded, parameter.path) for parameter in self.space
        }
        numbers = spaces.encode(self.space, current)
        if numbers is None or self._recipe_of(numbers) != self._recipe_of(None):
            return None
        return numbers

    def _recipe_of(self, proposal: Numbers | None) -> Recipe | None:
        """Return the recipe of a proposal, None if its values contradict each other."""
        task = self._pending(0, proposal)
        return None if task.contradiction else task.loaded.recipe

    def _reason_to_end(self, known: Sequence[FinishedTrial]) -> str:
        tuning = self.tuning
        kinds = [one.outcome.kind for one in known[-_MAX_SAME_FAILURES:]]
        is_repeated = len(kinds) == _MAX_SAME_FAILURES and len(set(kinds)) == 1
        if is_repeated and kinds[0] not in ("", *_OUTCOMES_OF_VALUES):
            reason = known[-1].outcome.reason
            return f"{_MAX_SAME_FAILURES} trials in a row failed in the same way: {reason}"
        if len(self._tasks) >= tuning.trials:
            return f"all {tuning.trials} trials have run"
        budget = tuning.budget_seconds
        if budget is not None and self.seconds >= budget:
            return f"the budget of {tuning.budget} is used up"
        scored = [done for done in known if done.outcome.score is not None]
        best = self._best_of(scored)
        if tuning.patience and best:
            count = sum(done.number > best.number for done in known)
            if count >= tuning.patience:
                return f"{count} trials in a row did not improve the best score"
        return ""
