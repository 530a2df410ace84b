from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from pipeline.config import (
    Bool,
    ClosedFraction,
    Config,
    Expected,
    Factor,
    FilePath,
    FiniteFloat,
    Fraction,
    ImageSize,
    LocatedString,
    NonEmptyString,
    NonNegativeFloat,
    NonNegativeInt,
    OpenFraction,
    PositiveFloat,
    PositiveInt,
    Seed,
    TaggedUnion,
    key_names,
    single_key_union,
    unwrap_single_key,
)

INFINITE, NAN = float("inf"), float("nan")


class Cat(Config):
    """A cat."""

    kind: Literal["cat"]
    lives: PositiveInt = 9


class Dog(Config):
    """A dog."""

    kind: Literal["dog"] = "dog"
    start: PositiveInt = Field(1, alias="from")


class Owner(Config):
    """A person with a pet."""

    pet: Annotated[Config, TaggedUnion({"cat": Cat, "dog": Dog}, key="kind", default="dog")]
    toys: tuple[Annotated[Config, single_key_union({"cat": Cat, "dog": Dog})], ...] = ()


def details(section: type[Config], value: Any) -> list[dict[str, Any]]:
    with pytest.raises(ValidationError) as caught:
        section.model_validate(value)
    return [dict(detail) for detail in caught.value.errors()]


@pytest.mark.parametrize(
    ("kind", "accepted", "rejected"),
    [
        (NonEmptyString, ["x", " "], ["", 3, None, True]),
        (Bool, [True, False], [0, 1, "true", None]),
        (PositiveInt, [1, 10**20], [0, -1, 1.0, True, "1", None]),
        (NonNegativeInt, [0, 1], [-1, 0.0, False]),
        (Seed, [0, 2**31 - 1], [-1, 2**31, 1.0]),
        (PositiveFloat, [1, 1e-300, 0.5], [0, -1.0, INFINITE, NAN, "1", True]),
        (NonNegativeFloat, [0, 0.5], [-1e-9, INFINITE, NAN]),
        (FiniteFloat, [-3, 0.5], [INFINITE, -INFINITE, NAN, "x"]),
        (Fraction, [0, 0.999], [1, -0.1, NAN]),
        (OpenFraction, [0.001, 0.999], [0, 1, NAN]),
        (ClosedFraction, [0, 1], [1.001, -0.001, NAN]),
        (Factor, [-1, 1], [-1.001, 1.001, NAN]),
        (FilePath, ["x", Path("x")], ["", 3, None]),
        (ImageSize, [(1, 1), [28, 28]], [[28], [28, 28, 3], [0, 28], 28, [28.0, 28], "28"]),
    ],
)
def test_a_type_accepts_the_values_that_it_describes(
    kind: Any, accepted: list[Any], rejected: list[Any]
) -> None:
    adapter = TypeAdapter(kind)
    for value in accepted:
        adapter.validate_python(value)
    for value in rejected:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)


def test_an_error_has_the_wording_of_the_type() -> None:
    class Counted(Config):
        count: PositiveInt

    (detail,) = details(Counted, {"count": 0})
    assert detail["type"] == "expected"
    assert detail["loc"] == ("count",)
    assert detail["ctx"] == {"wording": "an integer, 1 or more", "hint": ""}


def test_expected_replaces_all_errors_by_one() -> None:
    class Pair(Config):
        pair: Annotated[tuple[PositiveInt, PositiveInt], Expected("a pair")]

    (detail,) = details(Pair, {"pair": ["x", 0]})
    assert (detail["loc"], detail["ctx"]["wording"]) == (("pair",), "a pair")


def test_the_error_of_an_unknown_key_lists_the_known_keys() -> None:
    (detail,) = details(Dog, {"frm": 3})
    assert (detail["type"], detail["loc"]) == ("unknown_key", ("frm",))
    assert detail["ctx"] == {"keys": ["kind", "from"]}


def test_the_error_of_an_unknown_key_lists_the_keys_of_its_own_section() -> None:
    (detail,) = details(Owner, {"pet": {"kind": "cat", "live": 3}})
    assert (detail["type"], detail["loc"]) == ("unknown_key", ("pet", "live"))
    assert detail["ctx"] == {"keys": ["kind", "lives"]}


@pytest.mark.parametrize("value", [None, 3, "x", ["kind"]])
def test_a_section_is_a_mapping(value: Any) -> None:
    (detail,) = details(Cat, value)
    assert detail["ctx"]["wording"] == "a section with keys and values"


def test_a_section_is_frozen() -> None:
    with pytest.raises(ValidationError, match="Instance is frozen"):
        setattr(Cat(kind="cat"), "lives", 3)  # noqa: B010, mypy forbids the assignment


def test_key_names_are_aliases() -> None:
    assert key_names(Dog) == ["kind", "from"]


def test_a_key_selects_the_section() -> None:
    assert Owner.model_validate({"pet": {"kind": "cat"}}).pet == Cat(kind="cat")


def test_a_missing_key_selects_the_default() -> None:
    assert Owner.model_validate({"pet": {"from": 3}}).pet == Dog.model_validate({"from": 3})


def test_a_validated_section_is_accepted() -> None:
    cat = Cat(kind="cat")
    assert Owner(pet=cat).pet is cat


@pytest.mark.parametrize("kind", ["bird", 3, None, ["cat"], {}])
def test_an_unknown_name_is_rejected(kind: Any) -> None:
    (detail,) = details(Owner, {"pet": {"kind": kind}})
    assert (detail["type"], detail["loc"]) == ("choice", ("pet",))
    assert detail["ctx"] == {"key": "kind", "choices": ["cat", "dog"], "names": []}


def test_a_single_key_selects_the_section() -> None:
    owner = Owner.model_validate({"pet": {}, "toys": [{"cat": {"kind": "cat"}}, {"dog": {}}]})
    assert [unwrap_single_key(toy) for toy in owner.toys] == [
        ("cat", Cat(kind="cat")),
        ("dog", Dog()),
    ]


@pytest.mark.parametrize("toy", ["cat", None, 3, {}, {"cat": {}, "dog": {}}, {"bird": {}}])
def test_anything_but_one_known_key_is_rejected(toy: Any) -> None:
    (detail,) = details(Owner, {"pet": {}, "toys": [toy]})
    assert (detail["type"], detail["loc"]) == ("choice", ("toys", 0))
    assert detail["ctx"] == {"key": "", "choices": ["cat", "dog"], "names": []}


def test_a_tagged_union_is_a_union_in_the_json_schema() -> None:
    assert Owner.model_json_schema()["properties"]["pet"]["anyOf"] == [
        {"$ref": "#/$defs/Cat"},
        {"$ref": "#/$defs/Dog"},
    ]


def test_a_path_is_relative_to_the_directory_of_its_string() -> None:
    adapter = TypeAdapter(FilePath)
    located = LocatedString.at("images", Path("/recipes"))
    assert adapter.validate_python(located) == Path("/recipes/images")
    absolute = LocatedString.at("/images", Path("/recipes"))
    assert adapter.validate_python(absolute) == Path("/images")


def test_a_path_from_a_plain_string_is_relative_to_the_working_directory(
    in_empty_folder: Path,
) -> None:
    assert TypeAdapter(FilePath).validate_python("images") == in_empty_folder / "images"


def test_a_path_can_start_with_the_home_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    located = LocatedString.at("~/images", Path("/recipes"))
    assert TypeAdapter(FilePath).validate_python(located) == Path("/home/me/images")


def test_the_home_of_an_unknown_user_is_rejected() -> None:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(FilePath).validate_python("~nobody-has-this-name/images")
    assert caught.value.errors()[0]["ctx"] == {"wording": "a path", "hint": ""}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda text: pickle.loads(pickle.dumps(text))])
def test_a_copied_string_keeps_its_directory(copied: Any) -> None:
    assert copied(LocatedString.at("x", Path("/recipes"))).directory == Path("/recipes")
