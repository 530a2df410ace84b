"""What does independent pieces of work: this process, or the processes of one or more machines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from pipeline.errors import PipelineError

Piece = TypeVar("Piece")
Result = TypeVar("Result")
Wait = Literal["wait"]


@dataclass(frozen=True)
class Lost:
    """What there is in place of a result whose process died.

    Attributes:
        reason: a sentence.
        memory: whether the process was stopped because the machine's memory was used up.
    """

    reason: str
    memory: bool

    @property
    def explanation(self) -> str:
        """The reason, and what to do where several processes share a machine."""
        return f"{self.reason} Use fewer --workers, or a machine with more memory."


class UnfitMachineError(PipelineError):
    """This machine cannot do the work as the others do it. The message is the reason."""


class Cluster(Protocol):
    """Does pieces of work that do not depend on each other."""

    @property
    def at_once(self) -> int:
        """How many pieces are in progress at a time on the machines that there are now."""

    def results(
        self,
        make_worker: Callable[[], Callable[[Piece], Result]],
        pieces: Iterator[Piece | Wait],
        *,
        retries: int = 0,
    ) -> Iterator[tuple[Piece, Result | Lost]]:
        """Do pieces of work, and yield each with its result, in the order in which they end.

        A piece on a machine that dies is done again on another one. Machines may join at any time.

        Args:
            make_worker: a function that pickle can send, such as a `functools.partial` of a
                module's function. It is called once in each process, and what it returns is called
                with one piece after another. UnfitMachineError leaves a machine out.
            pieces: is asked for another one when a process is idle, after the results so far were
                taken. It yields "wait" if a piece in progress has to end first.
            retries: how often a piece is given to another process after its process has died on a
                machine that lives. After that its result is `Lost`.

        Raises:
            PipelineError: if all machines are unfit.
            Exception: what a worker raises.
        """
