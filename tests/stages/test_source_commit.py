"""The commit of a recipe."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pipeline.stages.source_commit import source_commit

AUTHOR = ("-c", "user.name=me", "-c", "user.email=me@host")


def git(directory: Path, *arguments: str) -> str:
    command = ["git", "-C", str(directory), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_the_commit_is_the_one_that_is_checked_out(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    git(tmp_path, *AUTHOR, "commit", "-q", "--allow-empty", "-m", "first")
    recipe = tmp_path / "recipes" / "ants.yaml"
    recipe.parent.mkdir()
    assert source_commit(recipe) == git(tmp_path, "rev-parse", "HEAD")


def test_there_is_none_before_the_first_commit_or_outside_a_work_tree(tmp_path: Path) -> None:
    assert source_commit(tmp_path / "ants.yaml") is None
    git(tmp_path, "init", "-q")
    assert source_commit(tmp_path / "ants.yaml") is None
    assert source_commit(tmp_path / "absent" / "ants.yaml") is None
