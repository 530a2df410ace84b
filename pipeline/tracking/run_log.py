"""The log messages of a run, in a file that becomes an artifact of the run."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

from pipeline.console import PACKAGE_LOGGER
from pipeline.secrets import mask_secrets

FILE_NAME = "run.log"


class RunLog(logging.StreamHandler[TextIO]):
    """Writes the package's log messages from INFO up to a file, with secrets masked.

    It is attached to the package's logger until `close`.
    """

    def __init__(self, path: Path, secrets: Mapping[str, str]) -> None:
        super().__init__(path.open("a", encoding="utf-8", errors="backslashreplace"))
        self.path = path
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._secrets = secrets
        self._logger = logging.getLogger(PACKAGE_LOGGER)
        self._level_before = self._logger.level
        if self._logger.getEffectiveLevel() > logging.INFO:
            self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self)

    def format(self, record: logging.LogRecord) -> str:
        return mask_secrets(super().format(record), self._secrets)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Continue without the message: the disk is full, or the log was closed meanwhile."""

    def close(self) -> None:
        if self in self._logger.handlers:
            self._logger.removeHandler(self)
            self._logger.setLevel(self._level_before)
        self.stream.close()
        super().close()
