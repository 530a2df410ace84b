"""What every section of a recipe is made of.

A section is a frozen pydantic model that refuses unknown keys. A field's type says what it accepts
and, through `expecting`, how the error words it: key, check, wording and default stand in one line.
Each room declares the sections of what it offers beside the code that uses them; `pipeline.recipe`
puts them together.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    WrapValidator,
    create_model,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError, core_schema


class Config(BaseModel):
    """A mapping in a recipe: frozen, and without keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @model_validator(mode="wrap")
    @classmethod
    def _name_the_keys(cls, value: Any, handler: Any) -> Any:
        if not isinstance(value, dict | cls):
            raise invalid_value("a section: keys with values")
        try:
            return handler(value)
        except ValidationError as error:
            raise ValidationError.from_exception_data(
                cls.__name__, [_with_known_keys(detail, cls) for detail in error.errors()]
            ) from None


def key_names(section: type[Config]) -> list[str]:
    """Return the keys of a section as a recipe writes them."""
    return [field.alias or name for name, field in section.model_fields.items()]


def invalid_value(wording: str, hint: str = "") -> PydanticCustomError:
    """Return the error that ends up as `expected {wording}. Received ….{hint}`."""
    return PydanticCustomError("expected", "{wording}", {"wording": wording, "hint": hint})


def _with_known_keys(detail: Any, section: type[Config]) -> InitErrorDetails:
    """Return an error's details as its constructor takes them, with the keys that are known."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden" and len(detail["loc"]) == 1:
        kind = PydanticCustomError("unknown_key", "unknown key", {"keys": key_names(section)})
    elif kind in ("expected", "unknown_key", "choice"):
        kind = PydanticCustomError(kind, "refused", context)
    return InitErrorDetails(type=kind, loc=detail["loc"], input=detail["input"], ctx=context)


class LocatedString(str):
    """A string that knows the folder which a relative path in it starts from."""

    __slots__ = ("folder",)
    folder: Path

    @classmethod
    def at(cls, text: str, folder: Path) -> LocatedString:
        """Return `text`, as read from a file in `folder` or typed on a command line in it."""
        located = cls(text)
        located.folder = folder
        return located


def expecting(wording: str) -> WrapValidator:
    """Word a field's refusal as `expected {wording}`, whichever of its checks fails."""

    def validate(value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise invalid_value(wording) from None

    return WrapValidator(validate)


def _absolute(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not value:  # to Path it would be the working folder
        raise invalid_value("a path")
    folder = value.folder if isinstance(value, LocatedString) else Path.cwd()
    try:
        path = Path(value).expanduser()
    except RuntimeError:  # ~ of somebody who is not there
        raise invalid_value("a path") from None
    return Path(folder, path).absolute()


_FINITE = Field(allow_inf_nan=False)

NonEmptyString = Annotated[str, Strict(), Field(min_length=1), expecting("a text")]
Bool = Annotated[bool, Strict(), expecting("true or false")]
PositiveInt = Annotated[int, Strict(), Field(ge=1), expecting("a whole number, 1 or more")]
NonNegativeInt = Annotated[int, Strict(), Field(ge=0), expecting("a whole number, 0 or more")]
Seed = Annotated[
    int, Strict(), Field(ge=0, lt=2**31), expecting("a whole number from 0 to 2147483647")
]
PositiveFloat = Annotated[float, Strict(), _FINITE, Field(gt=0), expecting("a number above 0")]
NonNegativeFloat = Annotated[
    float, Strict(), _FINITE, Field(ge=0), expecting("a number, 0 or more")
]
FiniteFloat = Annotated[float, Strict(), _FINITE, expecting("a number")]
Fraction = Annotated[
    float, Strict(), Field(ge=0, lt=1), expecting("a number from 0 to less than 1")
]
OpenFraction = Annotated[float, Strict(), Field(gt=0, lt=1), expecting("a number between 0 and 1")]
Share = Annotated[float, Strict(), Field(ge=0, le=1), expecting("a number from 0 to 1")]
Factor = Annotated[float, Strict(), Field(ge=-1, le=1), expecting("a number from -1 to 1")]
FilePath = Annotated[Path, BeforeValidator(_absolute), expecting("a path")]
ImageSize = Annotated[
    tuple[PositiveInt, PositiveInt], expecting("two whole numbers, [height, width], in pixels")
]


@dataclass(frozen=True, eq=False)  # by identity: typing hashes what is in Annotated
class TaggedUnion:
    """Metadata of a type: the section class of a value is picked by a name in it.

    Attributes:
        classes: the section class for each name.
        key: the key that holds the name; None where the name is the section's only key, as in
            `random_flip: {mode: horizontal}`.
        default: the name where the key is absent.
    """

    classes: Mapping[str, type[Config]]
    key: str | None
    default: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        # The union under the function serves the JSON Schema alone.
        union = functools.reduce(operator.or_, self.classes.values())
        return core_schema.no_info_wrap_validator_function(self._choose, handler(union))

    def _choose(self, value: Any, _: Any) -> Any:
        if isinstance(value, tuple(self.classes.values())):
            return value
        if self.key and not isinstance(value, dict):
            raise invalid_value("a section: keys with values")
        name = self._name_in(value)
        if name not in self.classes:
            context = {"key": self.key or "", "choices": list(self.classes)}
            raise PydanticCustomError("choice", "unknown choice", context)
        return self.classes[name].model_validate(value)

    def _name_in(self, value: Any) -> Any:
        if self.key:
            name = value.get(self.key, self.default)
        else:
            name = next(iter(value)) if isinstance(value, dict) and len(value) == 1 else None
        return name if isinstance(name, str) else None


def single_key_union(classes: Mapping[str, type[Config]]) -> TaggedUnion:
    """Return the choice of a mapping with one key, which names the section under it.

    The value is a section whose only field is that key; `only_section` takes it out.
    """
    entries = {
        name: create_model(
            f"{section.__name__}Entry",
            __base__=Config,
            **{name: (section, Field(..., description=section.__doc__))},  # type: ignore[call-overload]
        )
        for name, section in classes.items()
    }
    return TaggedUnion(entries, key=None)


def unwrap_single_key(entry: Config) -> tuple[str, Any]:
    """Return the name and the section of a value that `choice_of_only_key` chose."""
    (name,) = type(entry).model_fields
    return name, getattr(entry, name)


Activation = Literal[
    "elu", "gelu", "leaky_relu", "linear", "relu", "selu", "sigmoid", "silu", "softplus", "tanh"
]

# The output layer: a probability a class, or one unit for the second of two classes.
OutputActivation = Literal["softmax", "sigmoid"]
