"""A strict YAML reader that keeps the location of every key and value.

PyYAML parses the syntax. Plain scalars follow the core schema of YAML 1.2: `3e-4` is a float, `no`
a string and `010` ten. Duplicate keys are errors, and so are tags, which could run code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import yaml

from pipeline.config import KeyPath, LocatedString
from pipeline.errors import RecipeError, RecipeProblem, escape_unprintable
from pipeline.secrets import is_secret, mask_secrets

MAX_CHARACTERS = 200_000
MAX_VALUES = 10_000  # with aliases expanded
MAX_DEPTH = 40  # with aliases expanded
MAX_DIGITS = 1_000  # Python converts at most 4,300

# Escapes in double quotes can make what is not valid in UTF-8 or in a file name.
_INVALID_CHARACTER = re.compile("[\0\ud800-\udfff]")
_INVALID_CHARACTER_MESSAGE = "A string cannot contain \\0 or half of a surrogate pair."

_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAMED: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_VARIABLE = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|(\$\{)")


class Location(NamedTuple):
    """Where a value is, as `file:line:column`."""

    key: str  # that of the value itself for a list item and for the whole text
    value: str


@dataclass(frozen=True)
class Document:
    """The values of a recipe, or one of them, before validation, with their locations.

    Attributes:
        tree: the mappings, lists and scalars.
        locations: the location of each value by its path.
        secrets: the `${NAME}` to show in place of each secret from the environment.
    """

    tree: Any
    locations: Mapping[KeyPath, Location] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)

    def location_of(self, path: KeyPath) -> Location:
        """Return the location of the value at `path`, or of its section if it is missing."""
        prefixes = (path[:length] for length in range(len(path), -1, -1))
        return next(self.locations[known] for known in prefixes if known in self.locations)


def parse(text: str, *, name: str, directory: Path, environment: Mapping[str, str]) -> Document:
    """Parse the YAML of a recipe.

    Args:
        text: YAML with a mapping at the top level.
        name: the name in error messages, usually the path of the file.
        directory: the directory that relative paths are relative to.
        environment: the values of `${NAME}`.

    Raises:
        RecipeError: with all syntax errors that can be distinguished.
    """
    document = _Reader(name, directory, environment).read(text)
    tree = document.tree
    if not isinstance(tree, dict):
        received = "a list" if isinstance(tree, list) else "a single value"
        message = (
            "Expected a mapping with the sections of a recipe. "
            f"Received {'nothing' if tree is None else received}."
        )
        raise RecipeError([RecipeProblem(f"{name}:1:1", "", message)])
    return document


def parse_value(
    text: str, *, name: str, directory: Path, environment: Mapping[str, str]
) -> Document:
    """Parse one value of the command line.

    Every location is `name`, without line and column.

    Raises:
        RecipeError: if `text` is not valid YAML.
    """
    return _Reader(name, directory, environment, with_positions=False).read(text)


def resolve_scalar(text: str) -> Any:
    """Return the value of an unquoted scalar in the core schema of YAML 1.2.

    Raises:
        ValueError: if it is an integer of more than `MAX_DIGITS` digits.
    """
    if text in _NAMED:
        return _NAMED[text]
    base = 10 if _INT.fullmatch(text) else 0
    if base or _OCTAL_OR_HEX.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(f"an integer of {len(text)} digits")
        return int(text, base)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text):
        return float(text.replace(".", ""))
    return text


class _Loader(yaml.SafeLoader):
    """PyYAML's parser without its resolver: tags are errors and scalars stay strings."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012, PyYAML's name
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        problem = ""
        if getattr(event, "tag", None):
            problem = f"Tags are not allowed in a recipe. Received: {event.tag}"
        elif self.depth == MAX_DEPTH:
            problem = f"Nested deeper than {MAX_DEPTH} levels"
        if problem:
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


@dataclass
class _Reader:
    """Reads a text once, and collects the locations and the problems."""

    name: str
    directory: Path
    environment: Mapping[str, str]
    with_positions: bool = True
    problems: list[RecipeProblem] = field(default_factory=list)
    locations: dict[KeyPath, Location] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    count: int = 0
    open: set[int] = field(default_factory=set)

    def read(self, text: str) -> Document:
        if len(text) > MAX_CHARACTERS:
            self._fail(None, (), f"A recipe has at most {MAX_CHARACTERS:,} characters.")
        try:
            # _Loader is a restricted yaml.SafeLoader.
            node = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            message = ", ".join(part for part in (error.context, error.problem) if part)
            mark = error.problem_mark or error.context_mark
            self._fail(mark, (), f"{escape_unprintable(message)[:200]}.")
        except yaml.reader.ReaderError as error:
            *lines, last = text[: error.position].split("\n")
            mark = yaml.Mark(self.name, error.position, len(lines), len(last), None, 0)
            self._fail(mark, (), f"The character #x{error.character:02x} is not allowed in YAML.")
        start = self._location(None)
        self.locations[()] = Location(start, start)
        tree = self._value(node, ()) if node else None
        if self.problems:
            raise RecipeError(self.problems)
        return Document(tree, self.locations, self.secrets)

    def _value(self, node: yaml.Node, path: KeyPath, key_location: str = "") -> Any:
        self.count += 1
        if self.count > MAX_VALUES:
            message = f"More than {MAX_VALUES:,} values, with aliases expanded."
            self._fail(node.start_mark, path, message)
        if len(path) > MAX_DEPTH:  # through aliases; _Loader checks the text itself
            self._fail(node.start_mark, (), f"Nested deeper than {MAX_DEPTH} levels.")
        location = self._location(node.start_mark)
        self.locations[path] = Location(key_location or location, location)
        if id(node) in self.open:
            self._report(node.start_mark, path, "An alias refers to a value that contains it.")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self.open.add(id(node))
        value: Any
        if isinstance(node, yaml.SequenceNode):
            value = [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
        else:
            value = self._mapping(node, path)
        self.open.discard(id(node))
        return value

    def _mapping(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key, mark = key_node.value, key_node.start_mark
            if not isinstance(key_node, yaml.ScalarNode):
                self._report(mark, path, "A key must be a string.")
            elif _INVALID_CHARACTER.search(key):
                self._report(mark, path, _INVALID_CHARACTER_MESSAGE)
            elif key in mapping:
                first = self.locations[(*path, key)].key
                self._report(mark, (*path, key), f"Duplicate key, first at {first}.")
            else:
                mapping[key] = self._value(value_node, (*path, key), self._location(mark))
        return mapping

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = self._with_environment(node, path)
        if _INVALID_CHARACTER.search(text):
            self._report(node.start_mark, path, _INVALID_CHARACTER_MESSAGE)
            return None
        try:
            value = resolve_scalar(text) if node.style is None else text
        except ValueError:
            self._report(node.start_mark, path, f"The number {text[:20]}… has too many digits.")
            return None
        return LocatedString.at(value, self.directory) if isinstance(value, str) else value

    def _with_environment(self, node: yaml.ScalarNode, path: KeyPath) -> str:
        def replacement(match: re.Match[str]) -> str:
            escaped, variable, default, broken = match.groups()
            if escaped:
                return "${"
            value = self.environment.get(variable) or default
            if value is None:
                message = "Expected ${NAME} or ${NAME:-default}. Write $${ for a literal ${."
                if not broken:
                    message = f"The environment variable {variable} is not set or empty. "
                    message += f"Set it, or write ${{{variable}:-default}}."
                self._report(node.start_mark, path, message)
                return ""
            if is_secret(variable, value):
                self.secrets[value] = f"${{{variable}}}"
            return value

        return _VARIABLE.sub(replacement, node.value)

    def _location(self, mark: yaml.Mark | None) -> str:
        if not self.with_positions:
            return self.name
        return f"{self.name}:{mark.line + 1}:{mark.column + 1}" if mark else f"{self.name}:1:1"

    def _report(self, mark: yaml.Mark | None, path: KeyPath, message: str) -> None:
        masked = mask_secrets(message, self.secrets)
        self.problems.append(RecipeProblem(self._location(mark), dotted_path(path), masked))

    def _fail(self, mark: yaml.Mark | None, path: KeyPath, message: str) -> NoReturn:
        self._report(mark, path, message)
        raise RecipeError(self.problems) from None


def dotted_path(path: KeyPath) -> str:
    """Return a path in the notation of `--set`, such as `optimizer.learning_rate`."""
    return escape_unprintable(".".join(str(part) for part in path))
