"""The README is true: its commands, its tables and its recipe."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.cli import COMMANDS
from pipeline.recipe.loader import load_recipe
from pipeline.recipe.shipped import description_of, shipped_recipes

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = dict(enumerate(re.findall(r"```(?:\w*)\n(.*?)```", README, flags=re.DOTALL)))


def table_after(heading: str) -> dict[str, str]:
    """Return the first two columns of the first table after a heading."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", README.partition(heading)[2], flags=re.MULTILINE)
    start = next(i for i, row in enumerate(rows) if row[0] == "---")
    found = {}
    for key, value in rows[start + 1 :]:
        if key == "---" or not key.startswith("`"):
            break
        found[key] = value
    return found


def test_the_first_command_runs_the_embedded_default() -> None:
    install, run = BLOCKS[0].strip().rsplit(" && ", 1)
    assert install == ("python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e .")
    assert run == ".venv/bin/pipeline run recipes/digits_lenet.yaml"


def test_the_second_command_is_what_continuous_integration_runs() -> None:
    *install, run = BLOCKS[1].strip().split(" && ")
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert run == script.splitlines()[-1] == ".venv/bin/pytest"
    assert install[1].removeprefix(".venv/bin/pip install ") in script


def test_every_command_stands_in_the_table_with_its_help() -> None:
    table = {key.split()[1].strip("`"): value for key, value in table_after("## Commands").items()}
    assert table == {command.name: (command.help or "").partition("\n")[0] for command in COMMANDS}


def test_every_shipped_recipe_stands_in_the_table_with_its_description() -> None:
    table = {
        Path(key.strip("`")).stem: value for key, value in table_after("`pipeline list`").items()
    }
    assert table == {name: description_of(path) for name, path in shipped_recipes().items()}


def test_the_recipe_by_example_is_valid(tmp_path: Path) -> None:
    text = next(block for block in BLOCKS.values() if block.startswith("# yaml-language-server"))
    for split in ("train", "val"):
        for name in ("roses", "tulips"):
            (tmp_path / "photographs" / split / name).mkdir(parents=True)
    (tmp_path / "recipes").mkdir()
    path = tmp_path / "recipes" / "flowers.yaml"
    path.write_text(text)
    loaded = load_recipe(path, environment={})
    assert loaded.recipe.name == "flowers"
    assert loaded.warnings == ()


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_a_link_leads_to_a_file(link: str) -> None:
    assert (ROOT / link).exists()


@pytest.mark.parametrize("path", re.findall(r"`((?:pipeline|recipes|benchmarks)/[\w./]+)`", README))
def test_a_path_is_there(path: str) -> None:
    assert (ROOT / path).exists()


def test_every_room_is_on_the_map() -> None:
    rooms = {
        f"pipeline/{path.name}/"
        for path in (ROOT / "pipeline").iterdir()
        if (path / "__init__.py").exists()
    }
    assert rooms <= {key.strip("`") for key in table_after("## The map")}
