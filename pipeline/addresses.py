"""Addresses of files and folders that are not on this machine. It loads no library."""

from __future__ import annotations

import re

_PROTOCOL = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


def protocol_of(text: str) -> str:
    """Return the protocol of an address, such as `s3`; empty of a path."""
    match = _PROTOCOL.match(text)
    return match[1].lower() if match else ""


def is_remote(address: str) -> bool:
    """Return whether an address has a protocol, such as `s3://bucket/folder`."""
    return bool(protocol_of(address))
