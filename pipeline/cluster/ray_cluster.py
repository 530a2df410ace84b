"""Work in the processes of a Ray cluster: on one machine or on many."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Generic

from pipeline.cluster.cluster import Lost, Piece, Result, UnfitMachineError, Wait
from pipeline.cluster.worker_process import Answer, ProcessEnvironment, WorkerProcess
from pipeline.errors import PipelineError

logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0  # after which machines that joined get processes
_MAX_GROWTH = 2**30  # bytes by which a process may grow before it is replaced, which frees them


@dataclass(frozen=True)
class RayCluster:
    """The machines of a Ray cluster: `Cluster` says what its methods do.

    Attributes:
        ray: the module, connected.
        workers: the number of processes on each machine, if it has no more GPUs.
    """

    ray: ModuleType
    workers: int

    @property
    def at_once(self) -> int:
        nodes = _machines(self.ray).values()
        return sum(processes_on(node["Resources"], self.workers) for node in nodes)

    def results(
        self,
        make_worker: Callable[[], Callable[[Piece], Result]],
        pieces: Iterator[Piece | Wait],
        *,
        retries: int = 0,
    ) -> Iterator[tuple[Piece, Result | Lost]]:
        pool = _Pool[Piece](self.ray, self.workers, self.ray.put(make_worker))
        try:
            yield from _Work(pool, pieces, retries).results()
        finally:
            pool.stop_all()


@dataclass
class _Task(Generic[Piece]):
    """A piece, and how many processes died while they did it."""

    piece: Piece
    deaths: int = 0


@dataclass
class _Process(Generic[Piece]):
    """A process as the driver sees it.

    Attributes:
        actor: Ray's handle.
        node: the identifier of its machine.
        machine: the address of its machine.
        answer: of what it is doing; None while it is idle.
        task: that it does; None while it is idle or starts.
        first_memory: bytes after its first piece.
    """

    actor: Any
    node: str
    machine: str
    answer: Any
    task: _Task[Piece] | None = None
    first_memory: int = 0


class _Work(Generic[Piece]):
    """Gives pieces to processes until there are none left."""

    def __init__(self, pool: _Pool[Piece], pieces: Iterator[Piece | Wait], retries: int) -> None:
        self._pool = pool
        self._pieces = pieces
        self._retries = retries
        self._returned: list[_Task[Piece]] = []  # to be done again
        self._is_exhausted = False

    def results(self) -> Iterator[tuple[Piece, Any]]:
        while self._assign():
            process = self._pool.wait()
            if process is None:
                continue
            task, process.task = process.task, None
            answer = self._pool.answer_of(process)
            if task is None:  # it has started, or could not
                continue
            if isinstance(answer, Answer):
                for line in answer.log:
                    logging.getLogger(line.logger).log(line.level, line.text)
                self._pool.watch_memory(process, answer.memory)
                yield task.piece, answer.result
            elif (lost := self._after_death(task, process, answer)) is not None:
                yield task.piece, lost

    def _assign(self) -> bool:
        """Give pieces to idle processes; return whether there is something left to do."""
        for process in self._pool.idle():
            task = self._next_task()
            if task is None:
                break
            self._pool.give(process, task)
        if self._pool.is_working() or self._returned:
            return True
        # A process that is idle was not given a piece: "wait" is for a piece in progress.
        assert self._is_exhausted or not self._pool.idle()
        return not self._is_exhausted

    def _next_task(self) -> _Task[Piece] | None:
        if self._returned:
            return self._returned.pop(0)
        if self._is_exhausted:
            return None
        piece = next(self._pieces, None)
        if piece is None:
            self._is_exhausted = True
            return None
        return None if piece == "wait" else _Task(piece)

    def _after_death(
        self, task: _Task[Piece], process: _Process[Piece], lost: Lost | None
    ) -> Lost | None:
        """Return what became of a piece whose process died; None if it is done again."""
        if lost is None:
            logger.warning(f"The machine {process.machine} is gone. Its work goes to the others.")
        elif task.deaths >= self._retries:
            return lost
        else:
            task.deaths += 1
            logger.warning(f"{lost.reason} Its work is done again.")
        self._returned.append(task)
        return None


class _Pool(Generic[Piece]):
    """The processes on the machines of a cluster."""

    def __init__(self, ray: ModuleType, workers: int, make_worker: Any) -> None:
        self._ray = ray
        self._workers = workers
        self._make_worker = make_worker
        self._driver = ProcessEnvironment.of_this_process()
        self._processes: list[_Process[Piece]] = []
        self._unfit: dict[str, str] = {}  # the reason, by machine
        self._started_at = -math.inf

    def idle(self) -> list[_Process[Piece]]:
        return [process for process in self._processes if process.answer is None]

    def is_working(self) -> bool:
        return any(process.task for process in self._processes)

    def give(self, process: _Process[Piece], task: _Task[Piece]) -> None:
        process.task = task
        process.answer = process.actor.do.remote(task.piece)

    def wait(self) -> _Process[Piece] | None:
        """Wait for a process to end what it does; None if it takes longer than a poll."""
        if time.monotonic() - self._started_at >= _POLL_SECONDS:
            self._start_processes()
        awaited = {process.answer: process for process in self._processes if process.answer}
        if not awaited:  # no machine is left
            time.sleep(_POLL_SECONDS)
            return None
        ready, _ = self._ray.wait(list(awaited), timeout=_POLL_SECONDS)
        return awaited[ready[0]] if ready else None

    def answer_of(self, process: _Process[Piece]) -> Answer | Lost | None:
        """Return the answer that a process has ready, None from one that has started.

        If the process died it is forgotten, and the answer is Lost; None if its machine died.

        Raises:
            PipelineError: if no machine is fit.
            Exception: what the worker raised.
        """
        errors = self._ray.exceptions
        answer, process.answer = process.answer, None
        try:
            return self._ray.get(answer)
        except errors.RayTaskError as error:
            if not isinstance(error.cause, UnfitMachineError):
                raise error.cause from None
            self._leave_out(process, error.cause)
        except (errors.RayActorError, errors.ObjectLostError) as error:
            self._stop(process)
            is_alive = process.node in _machines(self._ray)
            # Where the connection is lost without news of the process, the machine is.
            if is_alive and isinstance(error, errors.ActorDiedError):
                return _lost(process, str(error))
        return None

    def watch_memory(self, process: _Process[Piece], memory: int) -> None:
        """Replace a process that has grown too large."""
        process.first_memory = process.first_memory or memory
        if memory - process.first_memory > _MAX_GROWTH:
            self._stop(process)
            self._start_processes()

    def stop_all(self) -> None:
        for process in list(self._processes):
            self._stop(process)

    def _start_processes(self) -> None:
        """Start processes on machines that have too few."""
        self._started_at = time.monotonic()
        for node_id, node in _machines(self._ray).items():
            machine = node["NodeManagerAddress"]
            if node_id in self._unfit:
                continue
            present = sum(process.node == node_id for process in self._processes)
            workers = processes_on(node["Resources"], self._workers)
            for _ in range(present, workers):
                actor = self._actor(node_id, node["Resources"], workers)
                ready = actor.prepare.remote(self._make_worker, self._driver)
                self._processes.append(_Process(actor, node_id, machine, ready))

    def _actor(self, node_id: str, resources: Mapping[str, float], workers: int) -> Any:
        """Return an actor on a machine, with its share of the cores and GPUs."""
        strategies = import_module("ray.util.scheduling_strategies")
        cpus = share(resources["CPU"], workers)
        threads = str(max(int(cpus), 1))
        names = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")
        options = {
            "num_cpus": cpus,
            "num_gpus": share(resources.get("GPU", 0), workers),
            "scheduling_strategy": strategies.NodeAffinitySchedulingStrategy(node_id, soft=False),
            "runtime_env": {"env_vars": dict.fromkeys(names, threads)},
        }
        return self._ray.remote(**options)(WorkerProcess).remote()

    def _leave_out(self, process: _Process[Piece], reason: UnfitMachineError) -> None:
        self._unfit[process.node] = str(reason)
        for other in [each for each in self._processes if each.node == process.node]:
            self._stop(other)
        if not self._processes:
            raise PipelineError(f"No machine of the cluster is fit for the work. {reason}")
        logger.warning(f"The machine {process.machine} does not take part. {reason}")

    def _stop(self, process: _Process[Piece]) -> None:
        if process in self._processes:
            self._processes.remove(process)
        self._ray.kill(process.actor)


def _machines(ray: ModuleType) -> dict[str, Any]:
    """Return the machines that live and have cores, by their identifiers."""
    return {
        node["NodeID"]: node
        for node in ray.nodes()
        if node["Alive"] and node["Resources"].get("CPU")
    }


def processes_on(resources: Mapping[str, float], workers: int) -> int:
    """Return the number of processes on a machine: one for each GPU if that is more."""
    return max(workers, int(resources.get("GPU", 0)))


def share(amount: float, workers: int) -> float:
    """Return each worker's share of a machine's cores or GPUs: a whole number, or a part of one."""
    if amount >= workers:
        return float(amount // workers)
    return amount / workers if amount < 1 else 1 / math.ceil(workers / int(amount))


def _lost(process: _Process[Any], error: str) -> Lost:
    if "memory" in error and "OOM" not in error:
        return Lost(f"A process on {process.machine} was stopped: memory ran out.", memory=True)
    return Lost(
        f"A process on {process.machine} died. Perhaps the machine's memory ran out.", memory=False
    )
