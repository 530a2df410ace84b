"""The documentation is true: its commands, recipes, Python, paths and links."""

from __future__ import annotations

import ast
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

import pipeline
from pipeline.cli import COMMANDS, cli
from pipeline.recipe.loader import load_recipe
from pipeline.recipe.shipped import description_of, shipped_recipes

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = (README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md")))
TEXTS = {page: page.read_text("utf-8") for page in PAGES}


def blocks(page: Path, language: str) -> list[str]:
    """Return the blocks of a language in a page, without their indentation."""
    pattern = rf"^( *)```{language}\n(.*?)^\1```$"
    found = re.findall(pattern, TEXTS[page], flags=re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def all_blocks(language: str) -> list[Any]:
    return [
        pytest.param(text, id=f"{page.name}-{number}")
        for page in PAGES
        for number, text in enumerate(blocks(page, language))
    ]


def command_lines() -> Iterator[str]:
    """Yield every command line of this package in a block of shell or a sentence."""
    for page in PAGES:
        for block in blocks(page, "bash"):
            script = re.sub(r"<<'END'.*?^END$", "", block, flags=re.DOTALL | re.MULTILINE)
            for line in re.split(r"\n|&&|\|(?!\|)", script.replace("\\\n", " ")):
                line = line.strip().removesuffix(" &").removeprefix(".venv/bin/")
                if line.startswith("pipeline "):
                    yield line
        yield from re.findall(r"`(pipeline [a-z][^`]*)`", TEXTS[page].replace("\n", " "))


@pytest.mark.parametrize("line", sorted(set(command_lines())))
def test_a_command_line_is_accepted(line: str) -> None:
    name, *arguments = shlex.split(line)[1:]
    if name.startswith("--"):
        return
    command = cli.commands[name]
    try:
        command.make_context(name, list(arguments))
    except click.MissingParameter:  # a sentence may name a command alone
        assert not arguments
    except click.BadParameter:  # such as the FORMAT of a table
        assert arguments[-1].isupper()


@pytest.mark.parametrize("text", all_blocks("yaml"))
def test_a_recipe_is_valid(text: str, tmp_path: Path) -> None:
    if "\ndata:" not in f"\n{text}":
        assert text.startswith("# yaml-language-server")
        return
    (tmp_path / "recipes").mkdir()
    for parent in (tmp_path, tmp_path / "recipes"):
        for split in ("train", "val"):
            for name in ("roses", "tulips"):
                (parent / "photographs" / split / name).mkdir(parents=True)
        (parent / "scenes").mkdir()
        (parent / "scenes" / "1.jpg").touch()
        (parent / "faces.csv").write_text("image,age\nscenes/1.jpg,30\n")
        flowers = "petal_length,petal_width,species\n1.4,0.2,setosa\n4.7,1.4,versicolor\n"
        (parent / "flowers.csv").write_text(flowers)
        (parent / "scenes" / "labels.csv").write_text("image,label\n1.jpg,sea|sunset\n")
    path = tmp_path / "recipes" / "flowers.yaml"
    path.write_text(text)
    assert load_recipe(path, environment={}).warnings == ()


@pytest.mark.parametrize("text", all_blocks("python"))
def test_python_is_of_the_language_and_names_what_is_there(text: str) -> None:
    for node in ast.walk(ast.parse(re.sub(r'"""\n*\Z', '"""\n', text))):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "pipeline":
            assert node.attr in pipeline.__all__


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_exist(page: Path) -> None:
    paths = re.findall(r"`((?:pipeline|recipes|benchmarks|tests|docs)/[\w./]*)`", TEXTS[page])
    generic = [path for path in paths if "NAME" in path]
    assert [path for path in paths if path not in generic and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", [README, ROOT / "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXTS[page]) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed; .ci/run builds the site too")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "tutorial" / "index.html").is_file()


def test_generated_files_are_up_to_date() -> None:
    generated = runpy.run_path(str(ROOT / "docs" / "generate.py"))["generated_files"]()
    stale = [path.name for path, text in generated.items() if path.read_text("utf-8") != text]
    assert stale == [], "Run: python docs/generate.py"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_is_documented_and_has_an_example(command: click.Command) -> None:
    assert any(
        f"pipeline {command.name}" in text
        for page, text in TEXTS.items()
        if page.name != "commands.md"
    )
    text = command.get_help(click.Context(command, terminal_width=200, max_content_width=200))
    example = re.search(r"Examples?:\s+(pipeline .*)", text)
    assert example
    name, *arguments = shlex.split(example[1].partition(" > ")[0])[1:]
    assert name == command.name
    command.make_context(name, list(arguments))


def test_the_first_command_of_the_readme_runs_the_default_recipe() -> None:
    install, run = blocks(README, "bash")[0].strip().rsplit(" && ", 1)
    assert install == "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e ."
    assert run == ".venv/bin/pipeline run recipes/digits_lenet.yaml"


def test_the_last_command_of_the_readme_is_what_continuous_integration_runs() -> None:
    *install, run = blocks(README, "bash")[2].strip().split(" && ")
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert run == script.splitlines()[-1] == ".venv/bin/pytest"
    assert install[1].removeprefix(".venv/bin/pip install ") in script


def test_every_shipped_recipe_is_in_the_readme_or_the_page_of_its_group() -> None:
    row = re.compile(r"^\| `recipes/([\w/]+)\.yaml` \| (.+) \|$", re.MULTILINE)
    rows = dict(row.findall(TEXTS[README])) | dict(row.findall(TEXTS[ROOT / "docs/course.md"]))
    assert rows == {name: description_of(path) for name, path in shipped_recipes().items()}


def test_every_package_is_in_the_architecture() -> None:
    packages = {f"pipeline/{path.parent.name}/" for path in ROOT.glob("pipeline/*/__init__.py")}
    described = re.findall(
        r"^\| `(pipeline/\w+/)`", TEXTS[ROOT / "docs/architecture.md"], re.MULTILINE
    )
    assert sorted(described) == sorted(packages)


def test_every_single_module_is_in_the_architecture() -> None:
    page = TEXTS[ROOT / "docs/architecture.md"]
    modules = {path.name for path in ROOT.glob("pipeline/*.py")} - {"__init__.py", "__main__.py"}
    assert sorted(name for name in modules if f"{name}`" not in page) == []


def test_the_rows_of_a_table_have_as_many_cells_as_its_head() -> None:
    ragged = []
    for page in PAGES:
        text = re.sub(r"```.*?```", "", TEXTS[page], flags=re.DOTALL)
        for table in re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE):
            head, *rows = (re.findall(r"(?<!\\)\|", row) for row in table.splitlines())
            ragged += [f"{page.name}: {table}" for row in rows if len(row) != len(head)]
    assert ragged == []
