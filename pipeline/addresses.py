"""Addresses of files and folders that are not on this machine. It loads no library."""

from __future__ import annotations

import re


def is_remote(address: str) -> bool:
    """Return whether an address has a protocol, such as `s3://bucket/folder`."""
    return re.match(r"[a-z][a-z0-9+.-]*://", address) is not None
