"""The errors a user can cause. Each says what happened, where, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def escape_unprintable(text: str) -> str:
    """Return `text` with escapes for line breaks and for all else that is not printable."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class PipelineError(Exception):
    """Something went wrong that the message explains in full; the command ends with `exit_code`."""

    exit_code = 1


class DataError(PipelineError):
    """The images are not what the recipe says they are."""


class ModelError(PipelineError):
    """The model cannot be built as the recipe describes it."""


class TrainingError(PipelineError):
    """Training cannot go on."""


class DivergedError(TrainingError):
    """The loss is no longer a number; trained again, it would not be one either."""


class TrackingError(PipelineError):
    """The store of runs cannot be used."""


class UsageError(PipelineError):
    """The command line asks for something that cannot be done."""

    exit_code = 2


def first_line(error: object, most: int = 300) -> str:
    """Return the first line of an error's text, at most so many characters of it."""
    return str(error).strip().partition("\n")[0][:most]


@dataclass(frozen=True)
class RecipeProblem:
    """One thing wrong with a recipe.

    Attributes:
        where: `file:line:column`, or the `--set` argument that brought the value.
        path: the dotted path of the key, empty where the text itself is broken.
        message: what was expected, what was received and what to do.
        is_warning: whether the recipe can be run all the same.
    """

    where: str
    path: str
    message: str
    is_warning: bool = False

    def __str__(self) -> str:
        parts = [self.where, "warning" if self.is_warning else "", self.path, self.message]
        return ": ".join(part for part in parts if part)


class RecipeError(PipelineError):
    """A recipe cannot be run; `problems` names everything that is wrong with it."""

    exit_code = 2

    def __init__(self, problems: Sequence[RecipeProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
