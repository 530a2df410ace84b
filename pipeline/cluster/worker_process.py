"""What runs in each process of a cluster."""

from __future__ import annotations

import logging
import os
import platform
import signal
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.cluster.cluster import UnfitMachineError
from pipeline.console import PACKAGE_LOGGER

# What the results may depend on.
_PACKAGES = ("pipeline", "tensorflow", "keras", "numpy", "pillow")


@dataclass(frozen=True)
class LogLine:
    """What a worker logged: the name of the logger, the level and the message."""

    logger: str
    level: int
    text: str


@dataclass(frozen=True)
class Answer:
    """The result of a piece.

    Attributes:
        result: what the worker returned.
        log: what it logged.
        memory: bytes of memory that the process takes; 0 where the system does not tell.
    """

    result: Any
    log: tuple[LogLine, ...]
    memory: int


@dataclass(frozen=True)
class ProcessEnvironment:
    """What a process needs to be like for its results to be those of another.

    Attributes:
        versions: of Python and of packages, by name.
        directory: that relative paths start from.
    """

    versions: dict[str, str]
    directory: str

    @classmethod
    def of_this_process(cls) -> ProcessEnvironment:
        versions = {name: version(name) for name in _PACKAGES}
        return cls({"Python": platform.python_version(), **versions}, str(Path.cwd()))


class WorkerProcess:
    """A process that does pieces of work."""

    def prepare(
        self, make_worker: Callable[[], Callable[[Any], Any]], driver: ProcessEnvironment
    ) -> None:
        """Make the worker; `do` may be called after that.

        Raises:
            UnfitMachineError: if its results may differ from the driver's.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which ends this
        check_versions(driver.versions, ProcessEnvironment.of_this_process().versions)
        if Path(driver.directory).is_dir():
            os.chdir(driver.directory)
        self._log: list[LogLine] = []
        logger = logging.getLogger(PACKAGE_LOGGER)
        logger.addHandler(_Collector(self._log))
        logger.setLevel(logging.INFO)
        self._work = make_worker()

    def do(self, piece: Any) -> Answer:
        """Return the result of a piece."""
        result = self._work(piece)
        log = tuple(self._log)
        self._log.clear()
        return Answer(result, log, _memory())


class _Collector(logging.Handler):
    """Keeps what is logged."""

    def __init__(self, lines: list[LogLine]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(LogLine(record.name, record.levelno, record.getMessage()))


def check_versions(expected: dict[str, str], found: dict[str, str]) -> None:
    """Check the versions of this machine against those of the driver.

    Raises:
        UnfitMachineError: if one differs.
    """
    for name, needed in expected.items():
        if found[name] != needed:
            raise UnfitMachineError(
                f"It has {name} {found[name]}, the driver has {needed}. Install the same version."
            )


def _memory() -> int:
    """Return the bytes of memory that this process takes, 0 where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except (OSError, ValueError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
