from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import RecipeError, escape_unprintable
from pipeline.recipe.yaml_reader import Document, dotted_path, parse, resolve_scalar

Problems = Callable[..., list[str]]


def read(text: str, **environment: str) -> Document:
    return parse(text, name="r.yaml", directory=Path("/directory"), environment=environment)


def errors_of(text: str, **environment: str) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        read(text, **environment)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3e-4", 3e-4),
        ("1E5", 1e5),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0.25", -0.25),
        ("7", 7),
        ("+7", 7),
        ("-7", -7),
        ("010", 10),
        ("0o10", 8),
        ("0x1F", 31),
        ("true", True),
        ("True", True),
        ("FALSE", False),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        ("null", None),
        ("Null", None),
        ("~", None),
        ("", None),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("off", "off"),
        ("nULL", "nULL"),
        ("1_000", "1_000"),
        ("1:30", "1:30"),
        ("2024-01-31", "2024-01-31"),
        ("0b11", "0b11"),
        ("1e", "1e"),
        (".", "."),
        ("١٢", "١٢"),
        ("inf", "inf"),
        ("<<", "<<"),
        ("=", "="),
    ],
)
def test_a_plain_scalar_has_its_value_in_yaml_1_2(text: str, value: Any) -> None:
    received = read(f"key: {text}").tree["key"]
    assert received == value
    assert isinstance(received, type(value))


def test_nan_is_a_number() -> None:
    assert math.isnan(read("key: .nan").tree["key"])


@pytest.mark.parametrize("text", ["3e-4", "true", "null", "7", ".inf", ""])
@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_quoted_scalar_is_a_string(text: str, quote: str) -> None:
    assert read(f"key: {quote}{text}{quote}").tree["key"] == text


def test_a_block_scalar_is_a_string() -> None:
    assert read("key: |\n  7\n").tree["key"] == "7\n"


@pytest.mark.parametrize(
    "digits",
    ["9" * 1001, "0x" + "f" * 1000, "0o" + "7" * 1000],
    ids=["decimal", "hexadecimal", "octal"],
)
def test_a_number_with_too_many_digits_is_an_error(digits: str) -> None:
    assert errors_of(f"key: {digits}") == [
        f"r.yaml:1:6: key: The number {digits[:20]}… has too many digits."
    ]


def test_a_float_too_large_is_infinite() -> None:
    assert resolve_scalar("1e999") == math.inf


def test_keys_are_strings() -> None:
    assert list(read("1: a\nyes: b\n~: c\n").tree) == ["1", "yes", "~"]


def test_a_merge_key_is_an_ordinary_key() -> None:
    assert read("a: &a {x: 1}\nb: {<<: *a}\n").tree["b"] == {"<<": {"x": 1}}


def test_every_key_and_value_has_its_location() -> None:
    document = read("a:\n  - b: 1\n  - 2\n")
    assert document.locations == {
        (): ("r.yaml:1:1", "r.yaml:1:1"),
        ("a",): ("r.yaml:1:1", "r.yaml:2:3"),
        ("a", 0): ("r.yaml:2:5", "r.yaml:2:5"),
        ("a", 0, "b"): ("r.yaml:2:5", "r.yaml:2:8"),
        ("a", 1): ("r.yaml:3:5", "r.yaml:3:5"),
    }


def test_a_duplicate_key_is_an_error_with_both_locations() -> None:
    assert errors_of("a:\n  b: 1\n  c: 2\n  b: 3\n") == [
        "r.yaml:4:3: a.b: Duplicate key, first at r.yaml:2:3."
    ]


def test_a_duplicate_of_a_key_with_an_invalid_alias_is_reported() -> None:
    assert errors_of("a: &a {b: *a, b: 1}") == [
        "r.yaml:1:4: a.b: An alias refers to a value that contains it.",
        "r.yaml:1:15: a.b: Duplicate key, first at r.yaml:1:8.",
    ]


def test_all_duplicate_keys_are_reported() -> None:
    assert errors_of("a: 1\na: 2\nb: 1\nb: 2\na: 3\n") == [
        "r.yaml:2:1: a: Duplicate key, first at r.yaml:1:1.",
        "r.yaml:4:1: b: Duplicate key, first at r.yaml:3:1.",
        "r.yaml:5:1: a: Duplicate key, first at r.yaml:1:1.",
    ]


def test_an_alias_has_the_value_of_its_anchor() -> None:
    assert read("a: &size [28, 28]\nb: *size\n").tree == {"a": [28, 28], "b": [28, 28]}


def test_an_alias_bomb_is_an_error() -> None:
    levels = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    for previous, name in zip("abcdefghij", "bcdefghijk", strict=True):
        levels.append(f"{name}: &{name} [{', '.join([f'*{previous}'] * 10)}]")
    (problem,) = errors_of("\n".join(levels))
    assert problem == "r.yaml:1:35: d.7.8.8.9: More than 10,000 values, with aliases expanded."


def test_a_chain_of_aliases_cannot_nest_deeper_than_the_text() -> None:
    levels = ["a0: &a0 [1]"]
    levels += [f"a{i}: &a{i} {'[' * 30}*a{i - 1}{']' * 30}" for i in range(1, 200)]
    assert errors_of("\n".join(levels)) == ["r.yaml:2:19: Nested deeper than 40 levels."]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "a: &a [1, *a]",
            "r.yaml:1:4: a.1: An alias refers to a value that contains it.",
        ),
        (
            "a: &a {b: {c: *a}}",
            "r.yaml:1:4: a.b.c: An alias refers to a value that contains it.",
        ),
    ],
)
def test_an_alias_to_its_own_parent_is_an_error(text: str, problem: str) -> None:
    assert errors_of(text) == [problem]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "a: !!python/object/apply:os.system [ls]",
            "r.yaml:1:4: Tags are not allowed in a recipe. "
            "Received: tag:yaml.org,2002:python/object/apply:os.system.",
        ),
        (
            "a: !!int '3'",
            "r.yaml:1:4: Tags are not allowed in a recipe. Received: tag:yaml.org,2002:int.",
        ),
        ("a: ! 3", "r.yaml:1:4: Tags are not allowed in a recipe. Received: !."),
        ("!x a: 3", "r.yaml:1:1: Tags are not allowed in a recipe. Received: !x."),
        ("--- !x\na: 3", "r.yaml:1:5: Tags are not allowed in a recipe. Received: !x."),
    ],
)
def test_a_tag_is_an_error(text: str, problem: str) -> None:
    assert errors_of(text) == [problem]


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("a: " + "[" * 50 + "]" * 50, "1:43"),
        ("[" * 100_000, "1:41"),
        ("{a: " * 50_000, "1:158"),
        ("- " * 90_000 + "x", "1:81"),
    ],
    ids=["closed", "lists", "mappings", "block"],
)
def test_deep_nesting_is_an_error(text: str, location: str) -> None:
    assert errors_of(text) == [f"r.yaml:{location}: Nested deeper than 40 levels."]


def test_a_text_that_is_too_long_is_an_error() -> None:
    assert errors_of("#" * 200_001) == ["r.yaml:1:1: A recipe has at most 200,000 characters."]


@pytest.mark.parametrize(
    ("text", "received"),
    [
        ("", "nothing"),
        ("# nothing here\n", "nothing"),
        ("---\n", "nothing"),
        ("null", "nothing"),
        ("- a\n- b\n", "a list"),
        ("hello", "a single value"),
    ],
)
def test_a_recipe_is_a_mapping(text: str, received: str) -> None:
    assert errors_of(text) == [
        f"r.yaml:1:1: Expected a mapping with the sections of a recipe. Received {received}."
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "a:\n\t- x\n",
            "r.yaml:2:1: while scanning for the next token, "
            "found character '\\t' that cannot start any token.",
        ),
        (
            "a: {b: c\nd: e\n",
            "r.yaml:2:2: while parsing a flow mapping, expected ',' or '}', but got ':'.",
        ),
        (
            "a: 1\n  b: 2\n",
            "r.yaml:2:4: mapping values are not allowed here.",
        ),
        ("a: *b\n", "r.yaml:1:4: found undefined alias 'b'."),
        (
            "a: &x 1\nb: &x 2\n",
            "r.yaml:2:4: found duplicate anchor 'x'; first occurrence, second occurrence.",
        ),
        (
            "a: 1\n---\nb: 2\n",
            "r.yaml:2:1: expected a single document in the stream, but found another document.",
        ),
        (
            "a: 'b\n",
            "r.yaml:2:1: while scanning a quoted scalar, found unexpected end of stream.",
        ),
        ("a: b\0\n", "r.yaml:1:5: The character #x00 is not allowed in YAML."),
        ("a: 1\nb: x\x1b[31m\n", "r.yaml:2:5: The character #x1b is not allowed in YAML."),
        ("? [a, b]\n: 1\n", "r.yaml:1:3: A key must be a string."),
    ],
)
def test_invalid_yaml_is_reported_in_one_line_with_its_location(text: str, problem: str) -> None:
    assert errors_of(text) == [problem]


@pytest.mark.parametrize("escape", ["\\0", "\\ud800", "\\uDFFF"])
def test_an_escape_of_an_invalid_character_is_an_error(escape: str) -> None:
    message = "A string cannot contain \\0 or half of a surrogate pair."
    assert errors_of(f'a: "x{escape}"\n"{escape}": 1\n') == [
        f"r.yaml:1:4: a: {message}",
        f"r.yaml:2:1: {message}",
    ]


def test_bytes_that_are_not_utf8_are_an_error(problems: Problems) -> None:
    assert problems(b"# caf\xc3\xa9\nname: caf\xe9\n") == [
        "recipe.yaml:2:10: The byte #xe9 is not UTF-8."
    ]


def test_utf16_is_an_error(problems: Problems) -> None:
    assert problems("seed: 1".encode("utf-16-le").join([b"\xff\xfe", b""])) == [
        "recipe.yaml:1:1: The byte #xff is not UTF-8."
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${NAME}", "value"),
        ("a ${NAME} b ${NAME}", "a value b value"),
        ("'${NAME}'", "value"),
        ("${MISSING:-default}", "default"),
        ("${NAME:-default}", "value"),
        ("${EMPTY:-default}", "default"),
        ("${MISSING:-}", None),
        ("'${MISSING:-}'", ""),
        ("${MISSING:-5}", 5),
        ("'${MISSING:-5}'", "5"),
        ("${NUMBER}", 12),
        ("'${NUMBER}'", "12"),
        ("$${NAME}", "${NAME}"),
        ("$$${NAME}", "$${NAME}"),
        ("$NAME $ 5$", "$NAME $ 5$"),
        ("${NESTED}", "${NAME}"),
    ],
)
def test_a_variable_is_replaced_by_its_value(text: str, value: Any) -> None:
    variables = {"NAME": "value", "EMPTY": "", "NUMBER": "12", "NESTED": "${NAME}"}
    received = read(f"key: {text}", **variables).tree["key"]
    assert received == value
    assert type(received) is not bool


def test_the_value_of_a_variable_is_always_a_scalar() -> None:
    assert read("key: ${V}", V="[1, {a: 2}] # !x").tree["key"] == "[1, {a: 2}] # !x"


def test_variables_in_keys_are_not_replaced() -> None:
    assert read("${NAME}: 1", NAME="a").tree == {"${NAME}": 1}


def test_every_variable_without_a_value_is_an_error() -> None:
    assert errors_of("a: ${A}\nb: [x, '${B}']\n", B="") == [
        "r.yaml:1:4: a: The environment variable A is not set or empty. "
        "Set it, or write ${A:-default}.",
        "r.yaml:2:8: b.1: The environment variable B is not set or empty. "
        "Set it, or write ${B:-default}.",
    ]


@pytest.mark.parametrize("text", ["${A B}", "${}", "${1A}", "${A", "${A:default}"])
def test_a_broken_variable_is_an_error(text: str) -> None:
    assert errors_of(f"key: '{text}'", A="x") == [
        "r.yaml:1:6: key: Expected ${NAME} or ${NAME:-default}. Write $${ for a literal ${."
    ]


def test_a_path_is_joined_with_dots() -> None:
    assert (
        dotted_path(("data", "augmentation", 0, "random_flip")) == "data.augmentation.0.random_flip"
    )


def test_control_characters_are_escaped() -> None:
    assert escape_unprintable("a\nb\x1b[2J\u2028é 漢") == "a\\nb\\x1b[2J\\u2028é 漢"
