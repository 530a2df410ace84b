"""Log messages of the package on standard error."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping

from pipeline.secrets import mask_secrets

PACKAGE_LOGGER = "pipeline"


class ConsoleHandler(logging.Handler):
    """Writes records to standard error with every known secret masked.

    It looks up `sys.stderr` for each record, so that a progress bar can stay below the messages.
    """

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.secrets: dict[str, str] = {}

    def emit(self, record: logging.LogRecord) -> None:
        message = mask_secrets(self.format(record), self.secrets)
        prefix = f"{record.levelname}: " if record.levelno >= logging.WARNING else ""
        print(f"{prefix}{message}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def console_logging(level: int = logging.INFO) -> Iterator[None]:
    """Show the package's log messages of at least `level` on standard error."""
    logger, handler = logging.getLogger(PACKAGE_LOGGER), ConsoleHandler(level)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(min(level, logging.INFO))
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def hide_secrets(secrets: Mapping[str, str]) -> None:
    """Mask secrets in all that is shown from now on.

    Args:
        secrets: the placeholder of each secret value, such as `${API_TOKEN}`.
    """
    for handler in logging.getLogger(PACKAGE_LOGGER).handlers:
        if isinstance(handler, ConsoleHandler):
            handler.secrets.update(secrets)
