"""What pydantic found wrong, as one line a problem: where, what was expected, what was received."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from pipeline.config import Config, TaggedUnion
from pipeline.errors import RecipeProblem, escape_unprintable
from pipeline.recipe.yaml_reader import Document, KeyPath, dotted_path
from pipeline.suggestions import did_you_mean

_KINDS = {"tuple_type": "a list", "list_type": "a list", "string_type": "a text"}


def describe_errors(
    error: ValidationError, document: Document, grammar: type[Config]
) -> dict[KeyPath, RecipeProblem]:
    """Return each problem by the path of the value to blame.

    Args:
        error: what validating the document's tree raised.
        document: knows where each value stands.
        grammar: the section class that the tree was validated by, for names to suggest.
    """
    found: dict[KeyPath, RecipeProblem] = {}
    for detail in error.errors(include_url=False):
        path, message = _worded(detail, document.tree, grammar)
        found.setdefault(
            path, RecipeProblem(location_of(document, path), dotted_path(path), message)
        )
    return found


def location_of(document: Document, path: KeyPath) -> str:
    """Return where the key at `path` stands; for a missing one, where its section does."""
    for length in range(len(path), -1, -1):
        known = path[:length]
        if known in document.keys:
            return document.keys[known]
        if known in document.values:
            return document.values[known]
    return ""


def _worded(detail: Any, tree: Any, grammar: type[Config]) -> tuple[KeyPath, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    path, received = tuple(detail["loc"]), detail["input"]
    if kind == "missing":
        return path, "required key is missing."
    if kind == "unknown_key":
        hint = _where_the_key_is(path, context["keys"], grammar)
        return path, f"unknown key. Expected one of: {', '.join(context['keys'])}.{hint}"
    if kind == "choice":
        return _unknown_choice(path, received, context["key"], context["choices"])
    if kind == "literal_error":
        names = context["expected"].replace("' or '", "', '").replace("'", "").split(", ")
        wording, hint = f"one of: {', '.join(names)}", _nearest(received, names)
    elif kind == "expected":
        wording, hint = context["wording"], context["hint"]
    else:
        wording, hint = _KINDS.get(kind, detail["msg"]), ""
    return _trimmed(path, tree), f"expected {wording}. Received {format_value(received)}.{hint}"


def _trimmed(path: KeyPath, tree: Any) -> KeyPath:
    """Return the part of a location that is in the tree; pydantic adds names of a union's types."""
    node = tree
    for position, part in enumerate(path):
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return path[:position]
    return path


def _unknown_choice(
    path: KeyPath, received: Any, key: str, choices: list[str]
) -> tuple[KeyPath, str]:
    expected = f"expected one of: {', '.join(choices)}"
    if not key:
        is_named = isinstance(received, dict) and len(received) == 1
        name = next(iter(received)) if is_named else received
        hint = _nearest(name, choices)
        if name in choices and not is_named:
            hint = f" Write {name}: {{}}."
        return path, f"{expected}, as in {choices[0]}: {{…}}. Received {format_value(name)}.{hint}"
    if key not in received:
        return (*path, key), f"required key is missing, {expected}."
    hint = _nearest(received[key], choices)
    return (*path, key), f"{expected}. Received {format_value(received[key])}.{hint}"


def _nearest(received: Any, names: list[str]) -> str:
    return did_you_mean(received, names) if isinstance(received, str) else ""


def _where_the_key_is(path: KeyPath, siblings: list[str], grammar: type[Config]) -> str:
    """Return a hint: who has this key, a similar one here, the same or a similar one elsewhere."""
    key = str(path[-1])
    everywhere: dict[str, list[str]] = {}
    for known, owner in _paths(grammar):
        everywhere.setdefault(known, []).append(owner)
    owners = [owner.partition(" ") for owner in everywhere.get(dotted_path(path), []) if owner]
    if owners:
        return f" '{key}' belongs to {owners[0][0]} {' or '.join(name for *_, name in owners)}."
    hint = did_you_mean(key, siblings)
    if hint:
        return hint
    same = [known for known in everywhere if known.rpartition(".")[2] == key]
    return f" There is '{same[0]}'." if same else did_you_mean(key, everywhere)


def _paths(section: type[Config], prefix: str = "", owner: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted path of every key, with the choice that it belongs to, if any."""
    for name, field in section.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        yield path, owner
        for inner, choice in _sections_in(field.annotation, field.metadata):
            yield from _paths(inner, f"{path}.", choice)


def _sections_in(annotation: Any, metadata: Any = ()) -> Iterator[tuple[type[Config], str]]:
    for item in metadata:
        if isinstance(item, TaggedUnion):
            for name, section in item.classes.items():
                yield section, f"{item.key} {name}" if item.key else ""
            return
    if typing.get_origin(annotation) is typing.Annotated:
        yield from _sections_in(annotation.__origin__, annotation.__metadata__)
    elif isinstance(annotation, type) and not typing.get_args(annotation):
        if issubclass(annotation, Config):
            yield annotation, ""
    else:
        for argument in typing.get_args(annotation):
            yield from _sections_in(argument)


def format_value(value: Any) -> str:
    """Return a received value as a recipe would write it, shortened."""
    text = "nothing" if value is None else escape_unprintable(_written(value))
    return text if len(text) <= 60 else f"{text[:57]}…"


def _written(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_written(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    return f"'{value}'" if isinstance(value, str) else str(value)
