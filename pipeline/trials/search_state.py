"""The state of a search: what was tried, what comes next, when it ends. Knows no runner."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import Any, Literal

from pipeline.errors import RecipeError
from pipeline.recipe.loader import LoadedRecipe, with_overrides
from pipeline.trials.journal import Event, Journal, outcome_as_json, outcome_from_json
from pipeline.trials.pruning import StoppingRule
from pipeline.trials.trial import BY_EPOCH, TrialOutcome
from pipeline.tuning import search_space as spaces
from pipeline.tuning.proposer import Proposal, Proposer
from pipeline.tuning.search_space import Values
from pipeline.tuning.tuning_config import TuningConfig

_SAME_FAILURES = 3  # in a row end a search
_DRAWS = 20  # proposals of what is known already, before the space counts as searched


@dataclass(frozen=True)
class PendingTrial:
    """A trial to be run.

    Attributes:
        number: of the trial, from 1, which is the recipe as it stands.
        values: what it puts in the recipe's places.
        loaded: its recipe.
    """

    number: int
    values: Values
    loaded: LoadedRecipe


@dataclass(frozen=True)
class FinishedTrial:
    """A trial that was run."""

    number: int
    values: Values
    outcome: TrialOutcome


class Search:
    """Hands out trials and takes their outcomes, each of them in the journal first."""

    def __init__(self, loaded: LoadedRecipe, journal: Journal) -> None:
        """Begin a search, or go on with the one that a journal tells of.

        Args:
            loaded: a recipe with a `tuning` section.
            journal: begins with an event `search`.
        """
        assert loaded.recipe.tuning is not None
        self.tuning: TuningConfig = loaded.recipe.tuning
        self.ended = ""
        self._loaded = loaded
        self._journal = journal
        self._space, _ = spaces.resolve(self.tuning.space)
        self._proposer = Proposer(
            self.tuning.tuner,
            self._space,
            direction=self.tuning.direction,
            seed=loaded.recipe.seed,
            epochs=loaded.recipe.training.epochs,
        )
        self._tasks: dict[int, PendingTrial] = {}
        self._proposals: dict[int, Proposal] = {}
        self._waiting: list[int] = []  # begun, and nobody runs them
        self._done: dict[int, FinishedTrial] = {}
        self._ended_at: dict[int, float] = {}
        self._before = 0.0  # seconds of earlier sessions
        self._until_last = 0.0
        self._started = time.monotonic()
        for event in list(journal.events):
            self._replay(event)
        self._waiting = [number for number in self._tasks if number not in self._done]

    @property
    def done(self) -> list[FinishedTrial]:
        """The trials that were run, by number."""
        return [self._done[number] for number in sorted(self._done)]

    @property
    def best(self) -> FinishedTrial | None:
        """The best trial, the first of equals; None where all failed."""
        sign = 1 if self.tuning.direction == "min" else -1
        found = [done for done in self.done if done.outcome.score is not None]
        whole = [done for done in found if done.outcome.pruned_at is None] or found
        return min(whole, key=lambda done: sign * (done.outcome.score or 0.0), default=None)

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

    def proposal_of(self, number: int) -> dict[str, Any] | None:
        """Return the tuner's numbers for a trial as JSON can hold them, None for the recipe's."""
        proposal = self._proposals.get(number)
        return asdict(proposal) if proposal else None

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
        place = dimension.number_of(self.value_at(number, path))
        return None if place is None else dimension.value_of(place)

    @property
    def seconds_of_trials(self) -> float:
        """How long it took until the last trial had ended, in all sessions."""
        return self._until_last

    @property
    def seconds(self) -> float:
        """How long the search has taken, in all sessions."""
        return self._before + time.monotonic() - self._started

    def next(self) -> PendingTrial | Literal["wait"] | None:
        """Return the next trial to run.

        Returns:
            `wait` where running trials have to end first; None where the search has ended, which
            `ended` explains.
        """
        if self._waiting:
            return self._tasks[self._waiting.pop(0)]
        while not self._is_at_its_end():
            number = len(self._tasks) + 1
            if number == 1:
                return self._begin(number, None)
            if not self._done:
                return "wait"  # the recipe as it stands has to tell first
            proposal = self._propose(number)
            if proposal == "wait":
                return "wait"
            if proposal is None:
                if len(self._done) < len(self._tasks):
                    return "wait"
                self.ended = "nothing is left to try"
                break
            task = self._begin(number, proposal)
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
        return self._take(task, outcome)

    def give_up(self, task: PendingTrial) -> None:
        """Take a trial back from a runner that is gone; another one gets it."""
        self._waiting.append(task.number)

    def stopping_rule(self) -> StoppingRule:
        """Return what says of a trial's epochs so far whether it cannot win any more."""
        objective, tuning = self.tuning.objective, self.tuning
        applies = tuning.prune and tuning.tuner != "hyperband" and objective in BY_EPOCH
        others = tuple(done.outcome.rows for done in self.done if done.outcome.score is not None)
        return StoppingRule(others, objective if applies else None, tuning.direction)

    def _begin(self, number: int, proposal: Proposal | None) -> PendingTrial | None:
        """Write that a trial begins; None where its values contradict each other: it failed."""
        made = asdict(proposal) if proposal else None
        self._journal.append("begun", trial=number, proposal=made)
        return self._register(number, proposal)

    def _register(self, number: int, proposal: Proposal | None) -> PendingTrial | None:
        values = self._values(proposal)
        if proposal:
            self._proposals[number] = proposal
        try:
            task = PendingTrial(number, values, with_overrides(self._loaded, values))
        except RecipeError as error:
            self._tasks[number] = PendingTrial(number, values, self._loaded)
            if number not in {event["trial"] for event in self._journal.of("finished")}:
                reason = "; ".join(str(problem) for problem in error.problems)
                outcome = TrialOutcome("FAILED", kind="contradiction", reason=reason)
                self.finish(self._tasks[number], outcome)
            return None
        self._tasks[number] = task
        return task

    def _values(self, proposal: Proposal | None) -> Values:
        if proposal is None:
            return {}
        values = spaces.decode(self._space, proposal.numbers)
        return values | ({"training.epochs": proposal.epochs} if proposal.epochs else {})

    def _take(self, task: PendingTrial, outcome: TrialOutcome) -> FinishedTrial:
        self._ended_at[task.number] = self._until_last
        done = self._done[task.number] = FinishedTrial(task.number, task.values, outcome)
        proposal = self._proposals.get(task.number)
        if proposal:
            self._proposer.tell(proposal, outcome.score)
        elif outcome.score is not None:
            self._observe_the_recipe(outcome.score)
        return done

    def _observe_the_recipe(self, score: float) -> None:
        """Let the tuner learn from the first trial, if the recipe's values lie in the space."""
        current = self._loaded.recipe.model_dump(mode="json", by_alias=True)
        at = {dimension.path: _at(current, dimension.path) for dimension in self._space}
        numbers = spaces.encode(self._space, at)
        if numbers is None:
            return
        try:
            same = with_overrides(self._loaded, spaces.decode(self._space, numbers)).recipe
        except RecipeError:
            return
        if same == self._tasks[1].loaded.recipe:
            self._proposer.observe(numbers, score)

    def _propose(self, number: int) -> Proposal | Literal["wait"] | None:
        """Return a proposal of what was not tried yet."""
        for draw in range(self._draws_of(number), _DRAWS):
            at_random = draw > 0 and self.tuning.tuner == "bayesian"
            proposal = self._ask(number, draw, at_random=at_random)
            if proposal is None or proposal == "wait":
                return proposal
            known = self._same_as(proposal)
            if known is None:
                return proposal
            self._journal.append(
                "known",
                trial=number,
                draw=draw,
                at_random=at_random,
                same=known,
                proposal=asdict(proposal),
            )
            self._tell_known(proposal, known)
        return None

    def _ask(self, number: int, draw: int, *, at_random: bool) -> Proposal | Literal["wait"] | None:
        worker, place = f"{number}.{draw}", number * _DRAWS + draw
        if at_random:
            return self._proposer.ask_at_random(worker, place)
        return self._proposer.ask(worker, place)

    def _draws_of(self, number: int) -> int:
        """Return how many proposals for a trial were known already."""
        return sum(event["trial"] == number for event in self._journal.of("known"))

    def _same_as(self, proposal: Proposal) -> int | None:
        """Return the trial with the same recipe, None where there is none."""
        try:
            recipe = with_overrides(self._loaded, self._values(proposal)).recipe
        except RecipeError:
            return None
        same = (n for n, task in self._tasks.items() if task.loaded.recipe == recipe)
        return next(same, None)

    def _tell_known(self, proposal: Proposal, known: int) -> None:
        done = self._done.get(known)
        self._proposer.tell(proposal, done.outcome.score if done else None)

    def _replay(self, event: Event) -> None:
        """Do again what an earlier session did."""
        what = event["what"]
        if what in ("begun", "known") and event["proposal"]:
            proposal = Proposal(**event["proposal"])
            draw = event.get("draw", self._draws_of(event["trial"]))
            worker, place = f"{event['trial']}.{draw}", event["trial"] * _DRAWS + draw
            self._proposer.repeat(worker, place, proposal)
            if what == "known":
                self._tell_known(proposal, event["same"])
        if what == "begun":
            proposed = Proposal(**event["proposal"]) if event["proposal"] else None
            self._register(event["trial"], proposed)
        elif what == "finished":
            self._before = self._until_last = event["seconds"]
            outcome = outcome_from_json(event["outcome"])
            self._take(self._tasks[event["trial"]], outcome)

    def _is_at_its_end(self) -> bool:
        self.ended = self._why_it_ends()
        return bool(self.ended)

    def _why_it_ends(self) -> str:
        tuning, done = self.tuning, list(self._done.values())
        kinds = [one.outcome.kind for one in done[-_SAME_FAILURES:]]
        if len(kinds) == _SAME_FAILURES and kinds[0] and len(set(kinds)) == 1:
            return (
                f"{_SAME_FAILURES} trials in a row failed in the same way: "
                f"{done[-1].outcome.reason}"
            )
        if len(self._tasks) >= tuning.trials:
            return f"all {tuning.trials} trials were run"
        budget = tuning.budget_seconds
        if budget is not None and self.seconds >= budget:
            return f"the budget of {tuning.budget} is spent"
        if tuning.patience and self.best:
            since = [one for one in self._done if one > self.best.number]
            if len(since) >= tuning.patience:
                return f"{len(since)} trials in a row were no better"
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
