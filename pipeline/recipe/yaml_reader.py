"""Strict YAML: text becomes plain values, and every key and value remembers where it stands.

The syntax is PyYAML's; what a plain scalar means is YAML 1.2's core schema, because a recipe must
mean what it says: `3e-4` is a float, `no` a string, `010` ten, and a key given twice an error. Tags
are refused, so that nothing in a recipe can run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from pipeline.config import LocatedString
from pipeline.errors import RecipeError, RecipeProblem, escape_unprintable
from pipeline.secrets import is_secret, mask_secrets

MAX_CHARACTERS = 200_000
MAX_VALUES = 10_000  # counted after aliases are expanded
MAX_DEPTH = 40  # likewise
MAX_DIGITS = 1_000  # of a number; Python refuses to write more than 4,300

KeyPath = tuple[str | int, ...]

_NO_TEXT = "Neither \\0 nor half of a surrogate pair can be part of a text."

_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INFINITY = re.compile(r"[-+]?\.(inf|Inf|INF)")
_NAMED: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
_VARIABLE = re.compile(r"\$(\$\{)|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|(\$\{)")


@dataclass(frozen=True)
class Document:
    """A recipe as values, before anything is known of their meaning.

    Attributes:
        tree: the mappings, lists and scalars of the text.
        keys: where each key of a mapping stands, as `file:line:column`, by its path.
        values: where each value stands, by its path.
        secrets: what stands for each secret from the environment where it is shown, as `${NAME}`.
    """

    tree: dict[str, Any]
    keys: Mapping[KeyPath, str] = field(default_factory=dict)
    values: Mapping[KeyPath, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)


def parse(text: str, *, name: str, folder: Path, environment: Mapping[str, str]) -> Document:
    """Read a recipe's text.

    Args:
        text: YAML whose top level is a mapping.
        name: what the messages call the text, usually its path as the user gave it.
        folder: the folder that relative paths in the text start from.
        environment: the values of `${NAME}`.

    Raises:
        RecipeError: with every problem of the syntax that can be told apart.
    """
    reader = _Reader(name, folder, environment)
    tree = reader.read(text)
    if not reader.problems and not isinstance(tree, dict):
        received = "nothing" if tree is None else f"a {_kind(tree)}"
        reader.problems.append(
            RecipeProblem(
                f"{name}:1:1", "", f"Expected the sections of a recipe. Received {received}."
            )
        )
    if reader.problems:
        raise RecipeError(reader.problems)
    return Document(tree, reader.keys, reader.values, reader.secrets)


def parse_value(
    text: str, *, name: str, folder: Path, environment: Mapping[str, str]
) -> tuple[Any, Document]:
    """Read one value, as on the command line; return it with a document that knows its places.

    Every place is `name`: within one argument a line and a column would only distract.

    Raises:
        RecipeError: if `text` is not YAML.
    """
    reader = _Reader(name, folder, environment, with_positions=False)
    value = reader.read(text)
    if reader.problems:
        raise RecipeError(reader.problems)
    return value, Document({}, reader.keys, reader.values, reader.secrets)


def resolve_scalar(text: str) -> Any:
    """Return what an unquoted scalar means in YAML 1.2's core schema.

    Raises:
        ValueError: if it is a number of more than `MAX_DIGITS` digits.
    """
    if text in _NAMED:
        return _NAMED[text]
    base = 10 if _INT.fullmatch(text) else 0
    if base or _OCTAL.fullmatch(text) or _HEX.fullmatch(text):
        if len(text) > MAX_DIGITS:
            raise ValueError(f"a number of {len(text)} digits")
        return int(text, base)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _INFINITY.fullmatch(text):
        return float(text.replace(".", ""))
    return text


class _Loader(yaml.SafeLoader):
    """PyYAML's parser without its resolver: tags are refused and scalars stay text."""

    yaml_implicit_resolvers: dict[str, list[Any]] = {}  # noqa: RUF012, the name is PyYAML's
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if getattr(event, "tag", None):
            raise yaml.MarkedYAMLError(
                problem=f"Tags are not part of a recipe. Received: {event.tag}",
                problem_mark=event.start_mark,
            )
        if self.depth == MAX_DEPTH:
            raise yaml.MarkedYAMLError(
                problem=f"Nested deeper than {MAX_DEPTH} levels", problem_mark=event.start_mark
            )
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _Reader:
    """One pass over a text: its values, their places and its problems."""

    def __init__(
        self,
        name: str,
        folder: Path,
        environment: Mapping[str, str],
        *,
        with_positions: bool = True,
    ) -> None:
        self.name = name
        self.folder = folder
        self.environment = environment
        self.with_positions = with_positions
        self.problems: list[RecipeProblem] = []
        self.keys: dict[KeyPath, str] = {}
        self.values: dict[KeyPath, str] = {}
        self.secrets: dict[str, str] = {}
        self._count = 0
        self._is_too_deep = False
        self._open: set[int] = set()

    def read(self, text: str) -> Any:
        if len(text) > MAX_CHARACTERS:
            self._refuse(None, (), f"Longer than {MAX_CHARACTERS:,} characters: not a recipe.")
            return None
        try:
            # The loader is yaml.SafeLoader with less in it.
            node = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            message = ", ".join(part for part in (error.context, error.problem) if part)
            self._refuse(
                error.problem_mark or error.context_mark,
                (),
                f"{escape_unprintable(message)[:200]}.",
            )
            return None
        except yaml.reader.ReaderError as error:
            before = text[: error.position]
            line = before.count("\n") + 1
            column = error.position - (before.rfind("\n") + 1) + 1
            place = f"{self.name}:{line}:{column}" if self.with_positions else self.name
            self.problems.append(
                RecipeProblem(
                    place, "", f"The character #x{error.character:02x} is not allowed in YAML."
                )
            )
            return None
        return None if node is None else self._value(node, ())

    def _value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            if self._count == MAX_VALUES + 1:
                self._refuse(
                    node.start_mark, path, f"More than {MAX_VALUES:,} values, aliases expanded."
                )
            return None
        if len(path) > MAX_DEPTH:  # through aliases; the text itself is held to it by the loader
            if not self._is_too_deep:
                self._is_too_deep = True
                self._refuse(node.start_mark, (), f"Nested deeper than {MAX_DEPTH} levels.")
            return None
        if id(node) in self._open:
            self._refuse(node.start_mark, path, "An alias refers to the value that it is part of.")
            return None
        self.values[path] = self._place(node.start_mark)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        self._open.add(id(node))
        value: Any
        if isinstance(node, yaml.SequenceNode):
            value = [self._value(item, (*path, i)) for i, item in enumerate(node.value)]
        else:
            value = self._mapping(node, path)
        self._open.discard(id(node))
        return value

    def _mapping(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = self._place(key_node.start_mark)
            if not isinstance(key_node, yaml.ScalarNode):
                self._refuse(key_node.start_mark, path, "A key has to be a name.")
                continue
            key = key_node.value
            if not self._is_text(key):
                self._refuse(key_node.start_mark, path, _NO_TEXT)
                continue
            if key in mapping:
                first = self.keys[(*path, key)]
                self.problems.append(
                    RecipeProblem(
                        place, dotted_path((*path, key)), f"Key given twice, first at {first}."
                    )
                )
                continue
            self.keys[(*path, key)] = place
            mapping[key] = self._value(value_node, (*path, key))
        return mapping

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        text = self._with_environment(node, path)
        if not self._is_text(text):
            self._refuse(node.start_mark, path, _NO_TEXT)
            return None
        if node.style is None:
            try:
                value = resolve_scalar(text)
            except ValueError:
                self._refuse(node.start_mark, path, f"Not a usable number: {text[:20]}….")
                return None
            if not isinstance(value, str):
                return value
        return LocatedString.at(text, self.folder)

    @staticmethod
    def _is_text(text: str) -> bool:
        # Escapes in double quotes can write what no file name and no UTF-8 can hold.
        return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)

    def _with_environment(self, node: yaml.ScalarNode, path: KeyPath) -> str:
        def replacement(match: re.Match[str]) -> str:
            escaped, variable, default, broken = match.groups()
            if escaped:
                return "${"
            if broken:
                self._refuse(
                    node.start_mark, path, "Expected ${NAME} or ${NAME:-default}; $${ writes ${."
                )
                return ""
            value = self.environment.get(variable) or default
            if value is None:
                self._refuse(
                    node.start_mark,
                    path,
                    f"The environment variable {variable} is not set or empty. "
                    f"Set it, or write ${{{variable}:-default}}.",
                )
                return ""
            if is_secret(variable, value):
                self.secrets[value] = f"${{{variable}}}"
            return value

        return _VARIABLE.sub(replacement, node.value)

    def _place(self, mark: yaml.Mark | None) -> str:
        if not self.with_positions:
            return self.name
        return f"{self.name}:{mark.line + 1}:{mark.column + 1}" if mark else f"{self.name}:1:1"

    def _refuse(self, mark: yaml.Mark | None, path: KeyPath, message: str) -> None:
        shown = mask_secrets(message, self.secrets)
        self.problems.append(RecipeProblem(self._place(mark), dotted_path(path), shown))


def dotted_path(path: KeyPath) -> str:
    """Return the path as it is written on the command line."""
    return escape_unprintable(".".join(str(part) for part in path))


def _kind(value: Any) -> str:
    if isinstance(value, dict | list):
        return "mapping" if isinstance(value, dict) else "list"
    return "single value"
