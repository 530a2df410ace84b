"""Log messages of the package on standard error."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping

from pipeline.secrets import mask_secrets

PACKAGE_LOGGER = "pipeline"


class ConsoleHandler(logging.Handler):
    """Writes log messages to standard error and masks every known secret.

    It looks up `sys.stderr` for each message, so that a progress bar stays below the messages.
    """

    def __init__(self, level: int = logging.INFO) -> None:
        super().__init__(level)
        self.secrets: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        prefix = f"{record.levelname}: " if record.levelno >= logging.WARNING else ""
        self.write(f"{prefix}{self.format(record)}")

    def write(self, text: str) -> None:
        """Write a line, whatever the level is."""
        print(self.mask(text), file=sys.stderr, flush=True)

    def mask(self, text: str) -> str:
        return mask_secrets(text, self.secrets)


@contextlib.contextmanager
def console_logging(level: int = logging.INFO) -> Iterator[ConsoleHandler]:
    """Show the package's log messages of at least `level` on standard error."""
    logger, console = logging.getLogger(PACKAGE_LOGGER), ConsoleHandler()
    before = logger.level
    logger.addHandler(console)
    set_level(console, level)
    try:
        yield console
    finally:
        logger.removeHandler(console)
        logger.setLevel(before)


@contextlib.contextmanager
def only_warnings() -> Iterator[None]:
    """Log nothing below a warning in the block, such as what a run logs about its model."""
    logger = logging.getLogger(PACKAGE_LOGGER)
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


def set_level(console: ConsoleHandler, level: int) -> None:
    """Change the level of the messages shown; logs of runs have all from INFO up in any case."""
    console.setLevel(level)
    logging.getLogger(PACKAGE_LOGGER).setLevel(min(level, logging.INFO))


def shows_progress() -> bool:
    """Return whether progress bars may be drawn: not with `--quiet`."""
    handlers = logging.getLogger(PACKAGE_LOGGER).handlers
    return all(one.level <= logging.INFO for one in handlers if isinstance(one, ConsoleHandler))


def hide_secrets(secrets: Mapping[str, str]) -> None:
    """Mask secrets in everything that is shown from now on.

    Args:
        secrets: the placeholder of each secret value, such as `${API_TOKEN}`.
    """
    for handler in logging.getLogger(PACKAGE_LOGGER).handlers:
        if isinstance(handler, ConsoleHandler):
            handler.secrets.update(secrets)
