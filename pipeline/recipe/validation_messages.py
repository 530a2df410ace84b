"""Error messages for what pydantic rejects: location, expected value, received value."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from pipeline.config import Config, KeyPath, TaggedUnion
from pipeline.errors import escape_unprintable
from pipeline.recipe.yaml_reader import dotted_path
from pipeline.suggestions import did_you_mean

_TYPES = {"tuple_type": "a list", "list_type": "a list", "string_type": "a string"}


def describe_errors(error: ValidationError, tree: Any, grammar: type[Config]) -> dict[KeyPath, str]:
    """Return the messages by the path of the invalid value.

    Args:
        error: the error that was raised for the values of `tree`.
        tree: the values.
        grammar: the section class that they were validated with, for suggestions.
    """
    messages: dict[KeyPath, str] = {}
    for detail in error.errors(include_url=False):
        path, message = _describe(detail, tree, grammar)
        messages.setdefault(path, message)
    return messages


def _describe(detail: Any, tree: Any, grammar: type[Config]) -> tuple[KeyPath, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    path, received = tuple(detail["loc"]), detail["input"]
    if kind == "missing":
        return path, "required key is missing."
    if kind == "unknown_key":
        hint = _hint_for_unknown_key(path, context["keys"], grammar)
        return path, f"unknown key. Expected one of: {', '.join(context['keys'])}.{hint}"
    if kind == "choice":
        return _unknown_choice(path, received, context)
    if kind == "literal_error":
        names = context["expected"].replace("' or '", "', '").replace("'", "").split(", ")
        wording, hint = f"one of: {', '.join(names)}", _suggestion(received, names)
    elif kind == "expected":
        wording, hint = context["wording"], context["hint"]
    else:
        wording, hint = _TYPES.get(kind, detail["msg"]), ""
    message = f"expected {wording}. Received {format_value(received)}.{hint}"
    return _without_type_names(path, tree), message


def _without_type_names(path: KeyPath, tree: Any) -> KeyPath:
    """Return the part of a location that is in the tree: pydantic appends types of a union."""
    node = tree
    for depth, part in enumerate(path):
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            return path[:depth]
    return path


def _unknown_choice(path: KeyPath, received: Any, context: dict[str, Any]) -> tuple[KeyPath, str]:
    key, choices, without_section = context["key"], context["choices"], context["names"]
    expected = f"expected one of: {', '.join(choices)}"
    if not key:
        is_named = isinstance(received, dict) and len(received) == 1
        name = next(iter(received)) if is_named else received
        hint = _suggestion(name, choices)
        if name in choices:
            hint = f" Write {name}." if is_named else f" Write {name}: {{}}."
        example = "" if without_section else f", as in {choices[0]}: {{…}}"
        return path, f"{expected}{example}. Received {format_value(name)}.{hint}"
    if key not in received:
        return (*path, key), f"required key is missing, {expected}."
    hint = _suggestion(received[key], choices)
    return (*path, key), f"{expected}. Received {format_value(received[key])}.{hint}"


def _suggestion(received: Any, names: list[str]) -> str:
    return did_you_mean(received, names) if isinstance(received, str) else ""


def _hint_for_unknown_key(path: KeyPath, siblings: list[str], grammar: type[Config]) -> str:
    """Return a hint: which choice has the key, or a similar key here or elsewhere."""
    key = str(path[-1])
    everywhere = list(key_paths(grammar))
    here = dotted_path(path)
    owners = [owner.partition(" ") for known, owner in everywhere if known == here and owner]
    if owners:
        return f" '{key}' belongs to {owners[0][0]} {' or '.join(name for *_, name in owners)}."
    hint = did_you_mean(key, siblings)
    if hint:
        return hint
    paths = sorted((known for known, _ in everywhere), key=lambda known: known.count("."))
    same = next((known for known in paths if known.rpartition(".")[2] == key), None)
    return f" There is '{same}'." if same else did_you_mean(key, paths)


def key_paths(
    section: type[Config], prefix: str = "", owner: str = ""
) -> Iterator[tuple[str, str]]:
    """Yield the dotted path of every key, and the alternative that it belongs to, if any."""
    for name, field in section.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        yield path, owner
        for _, inner, union in sections_in(field.annotation, field.metadata):
            alternatives = union.alternatives if union else {"": inner}
            for alternative, section in alternatives.items():
                owner_of_inner = f"{union.key} {alternative}" if union and union.key else ""
                yield from key_paths(section, f"{path}.", owner_of_inner)


def sections_in(
    annotation: Any, metadata: Any = (), suffix: str = ""
) -> Iterator[tuple[str, type[Config], TaggedUnion | None]]:
    """Yield the sections of a type: the suffix of their path, their class, their alternatives."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    unions = [item for item in metadata if isinstance(item, TaggedUnion)]
    if unions:
        yield suffix, annotation, unions[0]
    elif origin is typing.Annotated:
        yield from sections_in(annotation.__origin__, annotation.__metadata__, suffix)
    elif arguments:
        for argument in arguments:
            yield from sections_in(argument, (), suffix + ".*" * (origin in (tuple, dict)))
    elif isinstance(annotation, type) and issubclass(annotation, Config):
        yield suffix, annotation, None


def format_value(value: Any) -> str:
    """Return a value as it appears in a recipe, shortened to 60 characters."""
    text = "nothing" if value is None else escape_unprintable(_to_yaml(value))
    return text if len(text) <= 60 else f"{text[:57]}…"


def _to_yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_to_yaml(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_to_yaml, value))}]"
    return f"'{value}'" if isinstance(value, str) else str(value)
