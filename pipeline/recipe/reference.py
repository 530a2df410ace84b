"""The reference of all keys of a recipe as Markdown, generated from the grammar."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic.fields import FieldInfo

from pipeline.config import Config, Expected, TaggedUnion
from pipeline.recipe.grammar import Recipe
from pipeline.recipe.validation_messages import format_value, sections_in

_TYPES = {
    Any: "any value",
    dict: "a mapping",
    float: "a number",
    int: "an integer",
    str: "a string",
    tuple: "a list",
    types.NoneType: "`null`",
}


def reference() -> str:
    """Return the Markdown of all keys: a table for each section and for each alternative.

    In the path of a key, `*` is the index of a list item or the path of a hyperparameter.
    """
    return "\n\n".join(_section("", Recipe, "Sections", Recipe.model_fields)) + "\n"


def _section(
    path: str, section: type[Config], title: str, fields: Mapping[str, FieldInfo]
) -> Iterator[str]:
    """Yield heading, description and table of a section, and then the sections in it."""
    yield f"{'##' if '.' not in title else '###'} {title}"
    if section.__doc__:
        yield section.__doc__.partition("\n\n")[0].rstrip(".") + "."
    rows = [_row(path, field.alias or name, field) for name, field in fields.items()]
    if rows:
        yield "\n".join(["| Key | Value | Default | Meaning |", "| --- | --- | --- | --- |", *rows])
    for name, field in fields.items():
        inner_path = f"{path}{field.alias or name}"
        for suffix, inner, union in sections_in(field.annotation, field.metadata):
            yield from _alternatives(f"{inner_path}{suffix}", inner, union)


def _alternatives(path: str, section: type[Config], union: TaggedUnion | None) -> Iterator[str]:
    """Yield a section or, with a union, the keys that all alternatives have and then each one."""
    if union is None:
        yield from _section(f"{path}.", section, f"`{path}`", section.model_fields)
    elif union.key is None:
        for name, entry in union.classes.items():
            yield from _alternatives(f"{path}.{name}", entry.model_fields[name].annotation, None)  # type: ignore[arg-type]
    else:
        default = {"default": union.default} if union.default else {}
        choice = FieldInfo(
            annotation=Literal[tuple(union.classes)],  # type: ignore[arg-type]
            description="The alternative. Each has its own keys, see below.",
            **default,  # type: ignore[arg-type]
        )
        common = {
            name: field
            for name, field in section.model_fields.items()
            if any(name in _inherited(section, other) for other in union.classes.values())
        }
        yield from _section(f"{path}.", section, f"`{path}`", {union.key: choice, **common})
        for name, alternative in union.classes.items():
            own = {
                key: field
                for key, field in alternative.model_fields.items()
                if key != union.key and key not in _inherited(section, alternative) & common.keys()
            }
            yield from _section(f"{path}.", alternative, f"`{path}.{union.key}: {name}`", own)


def _inherited(base: type[Config], section: type[Config]) -> set[str]:
    """Return the names of the fields that a section has as its base class declares them."""
    fields = section.model_fields
    return {name for name, field in base.model_fields.items() if repr(fields[name]) == repr(field)}


def _row(path: str, key: str, field: FieldInfo) -> str:
    cells = [
        f"`{path}{key}`",
        _value(field.annotation, field.metadata),
        _default(field),
        field.description or "",
    ]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _value(annotation: Any, metadata: Any = ()) -> str:
    """Return the valid values of a type in words."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    for item in reversed(metadata):
        if isinstance(item, Expected):
            return item.wording
        if isinstance(item, TaggedUnion):
            return f"a section: {', '.join(f'`{name}`' for name in item.classes)}"
    if origin is typing.Annotated:
        return _value(annotation.__origin__, annotation.__metadata__)
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(map(_value, arguments))
    if origin is tuple and arguments[-1] is ...:
        return f"a list; each item {_value(arguments[0])}"
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return "a section"
    return _TYPES[origin or annotation]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Config) or value == "":
        return ""
    if value is None:
        return "`null`"
    return f"`{value if isinstance(value, str) else format_value(value)}`"
