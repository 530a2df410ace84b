"""What must not be shown or kept: passwords and the like from the environment and in addresses.

A value that a recipe takes from the environment variable `API_TOKEN` is shown as `${API_TOKEN}`,
which also lets a resolved recipe be run again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_WORDS = re.compile(r"apikey|auth|credentials?|key|pass|passphrase|passwd|password|secret|token")
_USER_AND_PASSWORD = re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]*://)([^/\s:@]*):[^/\s]*@")
_TOKEN_AS_USER = re.compile(r"\b(https?://)[^/\s:@]+@", re.IGNORECASE)
_QUERY = re.compile(
    r"([?&][^=&\s]*(?:token|secret|passw|key|signature|credential)[^=&\s]*=)[^&\s'\"]+",
    re.IGNORECASE,
)

MASK = "***"


def is_secret(name: str, value: str) -> bool:
    """Return whether an environment variable looks like a secret, by its name or its value."""
    words = re.split(r"[_\d]+", name.lower())
    return any(map(_WORDS.fullmatch, words)) or mask_credentials(value) != value


def mask_credentials(text: str) -> str:
    """Return `text` with *** for the password, or the token, of each address in it."""
    text = _USER_AND_PASSWORD.sub(rf"\1\2:{MASK}@", text)
    text = _TOKEN_AS_USER.sub(rf"\1{MASK}@", text)
    return _QUERY.sub(rf"\1{MASK}", text)


def mask_secrets(text: str, secrets: Mapping[str, str]) -> str:
    """Return `text` as it may be shown and kept.

    Args:
        text: anything that is said or recorded.
        secrets: what stands for each secret value, such as `${API_TOKEN}`.
    """
    for value in sorted(secrets, key=len, reverse=True):  # one may be part of another
        text = text.replace(value, secrets[value])
    return mask_credentials(text)
