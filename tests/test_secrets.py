"""Recognizing and masking passwords and tokens."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.secrets import (
    has_credentials,
    is_secret,
    mask_credentials,
    mask_files,
    mask_secrets,
    mask_values,
)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:hunter2@host/x", "https://me:***@host/x"),
        ("postgresql+psycopg://me:p@ss:w@host:5432/db", "postgresql+psycopg://me:***@host:5432/db"),
        ("https://ghp_16C7e42F@github.com/x", "https://***@github.com/x"),
        ("https://:only@host", "https://:***@host"),
        (
            "https://host/f?X-Amz-Signature=abc&part=1",
            "https://host/f?X-Amz-Signature=***&part=1",
        ),
        ("mysql://host/db?user=a&password=hunter2", "mysql://host/db?user=a&password=***"),
        ("https://host/f?se=1&sig=a%2Fb&design=2", "https://host/f?se=1&sig=***&design=2"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert mask_credentials(address) == shown
    message = f"Cannot reach {address} now. Try {address} again."
    assert mask_credentials(message) == f"Cannot reach {shown} now. Try {shown} again."
    assert mask_credentials(shown) == shown


@pytest.mark.parametrize(
    "text",
    [
        "sqlite:////tmp/a@b/mlflow.db",
        "http://host:5000/a@b?part=1",
        "postgresql://me@host/db",
        "git@github.com:me/x.git",
        "models:/flowers@champion",
        "monitor: val_loss, at 10:30",
    ],
)
def test_what_has_no_password_stays(text: str) -> None:
    assert mask_credentials(text) == text


@pytest.mark.parametrize(
    ("name", "value", "is_one"),
    [
        ("MLFLOW_TRACKING_TOKEN", "x", True),
        ("AWS_SECRET_ACCESS_KEY", "x", True),
        ("DB_PASS", "x", True),
        ("PASSWORD2", "x", True),
        ("ApiKey", "x", True),
        ("TRACKING", "https://me:hunter2@host", True),
        ("TRACKING", "https://host", False),
        ("PWD", "/home/me", False),
        ("KEYBOARD", "x", False),
        ("DATA", "/data", False),
    ],
)
def test_a_secret_is_known_by_its_name_or_its_value(name: str, value: str, is_one: bool) -> None:
    assert is_secret(name, value) is is_one


def test_a_secret_is_shown_as_its_variable_even_if_it_is_part_of_another() -> None:
    secrets = {"abc": "${A_TOKEN}", "abcdef": "${B_TOKEN}"}
    assert mask_secrets("abcdef, abc and https://me:x@h", secrets) == (
        "${B_TOKEN}, ${A_TOKEN} and https://me:***@h"
    )


@pytest.mark.parametrize(
    "written",
    [
        str,
        json.dumps,
        lambda text: json.dumps(text, ensure_ascii=False),
        repr,
        html.escape,
        lambda text: yaml.safe_dump([text], allow_unicode=True),
        lambda text: yaml.safe_dump([text], allow_unicode=True, default_style="'"),
    ],
    ids=["plain", "json", "json_utf8", "python", "html", "yaml", "yaml_quoted"],
)
@pytest.mark.parametrize("secret", ["it's", 'say "ä"', "back\\slash", "<&>"])
def test_a_secret_is_masked_as_formats_escape_it(written: Any, secret: str) -> None:
    masked = mask_secrets(written(f"of {secret} here"), {secret: "${TOKEN}"})
    assert "of ${TOKEN} here" in masked


def test_strings_are_masked_at_any_depth() -> None:
    value = {"hunter2": ["hunter2", 2, None, {"a": ("b", "x-hunter2")}]}
    masked = mask_values(value, {"hunter2": "${TOKEN}"})
    assert masked == {"hunter2": ["${TOKEN}", 2, None, {"a": ["b", "x-${TOKEN}"]}]}


def test_text_files_are_masked_and_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    contents = {"a.yaml": b"a: hunter2", "below/b.csv": b"\xff,hunter2", "c.png": b"hunter2"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "numbers.csv").write_text("1.5,15")
    mask_files(tmp_path, {"hunter2": "${TOKEN}", "15": "${KEY}"})
    assert (tmp_path / "a.yaml").read_bytes() == b"a: ${TOKEN}"
    assert (tmp_path / "below/b.csv").read_bytes() == b"\xff,${TOKEN}"
    assert (tmp_path / "c.png").read_bytes() == b"hunter2"
    assert (tmp_path / "numbers.csv").read_text() == "1.5,15"  # too short for a secret


@pytest.mark.parametrize(
    ("text", "is_found"),
    [
        ("url: https://keeper:hay@zoo.example", True),
        ("url: https://keeper:${ZOO_TOKEN}@zoo.example", False),
        ("url: https://zoo.example?token=abc", True),
        ("url: https://zoo.example", False),
    ],
)
def test_credentials_are_found_beside_placeholders(text: str, is_found: bool) -> None:
    assert has_credentials(text, {"secret": "${ZOO_TOKEN}"}) == is_found
