"""Write what is generated from the code.

    python docs/generate.py

These are the recipe's reference, its schema, the command reference and the README's table of
commands.
"""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import click

from pipeline.cli import COMMANDS, cli, main

ROOT = Path(__file__).parent.parent
TABLE = re.compile(r"(?<=## Commands\n\n)(?:@COMMANDS@|(?:\|.*\n)+)", re.MULTILINE)


def generated_files() -> dict[Path, str]:
    """Return the text of each generated file by its path."""
    readme = ROOT / "README.md"
    return {
        ROOT / "recipes" / "recipe.schema.json": _output("schema"),
        ROOT / "docs" / "recipe.md": _output("schema", "--format", "markdown"),
        ROOT / "docs" / "commands.md": _commands_page(),
        readme: TABLE.sub(lambda _: _commands_table(), readme.read_text("utf-8")),
    }


def _output(*arguments: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        if main(arguments) != 0:
            raise SystemExit(f"pipeline {' '.join(arguments)} failed")
    return printed.getvalue()


def _commands_table() -> str:
    usages = (_usage(each).replace("|", r"\|") for each in COMMANDS)  # a bar ends a cell
    rows = (
        f"| `{usage}` | {_first_line(each)} |\n"
        for usage, each in zip(usages, COMMANDS, strict=True)
    )
    return f"| command | description |\n| --- | --- |\n{''.join(rows)}"


def _usage(command: click.Command) -> str:
    context = _context(command)
    pieces = [piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]"]
    required = [
        f"{option.opts[0]} {option.opts[0].lstrip('-').upper()}"
        for option in command.params
        if isinstance(option, click.Option) and option.required
    ]
    return " ".join((context.command_path, *pieces, *required))


def _first_line(command: click.Command) -> str:
    return (command.help or "").partition("\n")[0]


def _commands_page() -> str:
    help_text = "\n\n".join(
        f"## {command.name}\n\n```text\n{command.get_help(_context(command))}\n```"
        for command in COMMANDS
    )
    return (
        "# Command line\n\n"
        "This page is generated from the help of each command, `pipeline COMMAND --help`.\n\n"
        f"```text\n{cli.get_help(_context(cli))}\n```\n\n{help_text}\n"
    )


def _context(command: click.Command) -> click.Context:
    """Return the context of a command in a terminal of 80 columns."""
    if command is cli:
        return click.Context(cli, info_name="pipeline", terminal_width=80)
    return click.Context(command, info_name=command.name, parent=_context(cli), terminal_width=80)


if __name__ == "__main__":
    for path, text in generated_files().items():
        path.write_text(text, "utf-8")
