"""The Git commit of a recipe."""

from __future__ import annotations

import subprocess
from pathlib import Path

_SECONDS = 5


def source_commit(path: Path) -> str | None:
    """Return the commit that is checked out where a file lies, None outside a Git work tree."""
    command = ["git", "-C", str(path.absolute().parent), "rev-parse", "--verify", "HEAD"]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):  # no Git, no work tree, or no commit yet
        return None
    return result.stdout.strip()
