"""Passwords and tokens, from environment variables and in URLs, and how they are masked.

A value that a recipe takes from the environment variable `API_TOKEN` is shown as `${API_TOKEN}`,
so that a resolved recipe can be run again. Secrets are masked where text leaves the process: on the
console (`pipeline.console`), in the tracking store (`pipeline.tracking`) and in written files.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_WORDS = re.compile(r"apikey|auth|credentials?|key|pass|passphrase|passwd|password|secret|token")
_USER_AND_PASSWORD = re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]*://)([^/\s:@]*):[^/\s]*@")
_TOKEN_AS_USER = re.compile(r"\b(https?://)[^/\s:@]+@", re.IGNORECASE)
_QUERY = re.compile(
    r"([?&](?:[^=&\s]*(?:token|secret|passw|key|signature|credential)[^=&\s]*|sig)=)[^&\s'\"]+",
    re.IGNORECASE,
)

_TEXT_FILES = ("MLmodel", ".csv", ".html", ".json", ".log", ".txt", ".yaml")
_MIN_LENGTH = 4  # of a value that is masked in whole files, which are full of short numbers

MASK = "***"


def is_secret(name: str, value: str) -> bool:
    """Return whether an environment variable looks like a secret, by its name or its value."""
    words = re.split(r"[_\d]+", name.lower())
    return any(map(_WORDS.fullmatch, words)) or mask_credentials(value) != value


def mask_credentials(text: str) -> str:
    """Return `text` with *** for the password or the token in each URL."""
    text = _USER_AND_PASSWORD.sub(rf"\1\2:{MASK}@", text)
    text = _TOKEN_AS_USER.sub(rf"\1{MASK}@", text)
    return _QUERY.sub(rf"\1{MASK}", text)


def mask_secrets(text: str, secrets: Mapping[str, str]) -> str:
    """Return `text` with a placeholder for each secret, also where it is escaped.

    Args:
        text: any text, such as a log message, JSON or HTML.
        secrets: the placeholder of each secret value, such as `${API_TOKEN}`.
    """
    return mask_credentials(replace_secrets(text, secrets))


def replace_secrets(text: str, secrets: Mapping[str, str]) -> str:
    """Return `text` with a placeholder for each secret, and URLs as they are.

    Args:
        text: any text.
        secrets: the placeholder of each secret value.
    """
    for value in sorted(secrets, key=len, reverse=True):  # one may be part of another
        for written in _spellings(value):
            text = text.replace(written, secrets[value])
    return text


def has_credentials(text: str, secrets: Mapping[str, str]) -> bool:
    """Return whether a URL in `text` has a password or a token, beside placeholders of secrets."""
    for placeholder in secrets.values():
        text = text.replace(placeholder, MASK)
    return mask_credentials(text) != text


def mask_values(value: Any, secrets: Mapping[str, str]) -> Any:
    """Return nested dictionaries and lists with every string in them masked."""
    if isinstance(value, Mapping):
        return {key: mask_values(inner, secrets) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [mask_values(inner, secrets) for inner in value]
    return mask_secrets(value, secrets) if isinstance(value, str) else value


def mask_files(directory: Path, secrets: Mapping[str, str]) -> None:
    """Mask the text files in a directory and below it."""
    long = {value: name for value, name in secrets.items() if len(value) >= _MIN_LENGTH}
    for path in directory.rglob("*"):
        if path.is_file() and path.name.endswith(_TEXT_FILES):
            text = path.read_bytes().decode("utf-8", "surrogateescape")
            masked = mask_secrets(text, long)
            if masked != text:
                path.write_bytes(masked.encode("utf-8", "surrogateescape"))


def _spellings(value: str) -> list[str]:
    """Return how a value is written in plain text, JSON, Python, HTML and YAML."""
    spellings = {
        value,
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        repr(value)[1:-1],
        html.escape(value),
        value.replace("'", "''"),
    }
    return sorted(spellings, key=len, reverse=True)
