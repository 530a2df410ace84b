"""The key that every architecture has."""

from __future__ import annotations

from typing import Any

from pipeline.config import Config


class ArchitectureConfig(Config):
    """What looks at the images."""

    architecture: Any
