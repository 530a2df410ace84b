"""Errors that a user can cause, shown without a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


def escape_unprintable(text: str) -> str:
    """Return `text` with line breaks and other unprintable characters escaped."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class PipelineError(Exception):
    """An expected failure. The message says everything; the command ends with `exit_code`."""

    exit_code = 1


class DataError(PipelineError):
    """The data is missing or invalid."""


class ModelError(PipelineError):
    """The model cannot be built or loaded."""


class TrainingError(PipelineError):
    """Training failed."""


class DivergedError(TrainingError):
    """The loss became NaN or infinite, and would again if the training were repeated."""


class TrackingError(PipelineError):
    """The MLflow tracking store cannot be used."""


class UsageError(PipelineError):
    """The command line is invalid."""

    exit_code = 2


class BadInputError(Exception):
    """An input of a model cannot be read; the message is the reason."""


def first_line(error: object, max_length: int = 300) -> str:
    """Return the first line of an error message, at most `max_length` characters."""
    return str(error).strip().partition("\n")[0][:max_length]


@dataclass(frozen=True)
class RecipeProblem:
    """An error or a warning in a recipe.

    Attributes:
        where: its location: `file:line:column`, or the `--set` argument.
        path: the dotted path of the key, empty for a syntax error.
        message: what was expected, what was received and what to do.
    """

    where: str
    path: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.path, self.message) if part)


class RecipeError(PipelineError):
    """A recipe is invalid; `problems` has all of its errors."""

    exit_code = 2

    def __init__(self, problems: Sequence[RecipeProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __reduce__(self) -> tuple[type[RecipeError], tuple[Sequence[RecipeProblem]]]:
        return RecipeError, (self.problems,)
