"""What must not be shown or kept."""

from __future__ import annotations

import pytest

from pipeline.secrets import is_secret, mask_credentials, mask_secrets


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
