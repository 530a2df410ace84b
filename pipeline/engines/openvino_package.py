"""Imports OpenVINO without the package that reports its use over the network.

For each report, that package forks the process, which has threads and sockets.
"""

import sys
from typing import Any, cast

# With None in its place, its import fails, and OpenVINO and NNCF do without.
cast(dict[str, Any], sys.modules).setdefault("openvino_telemetry", None)

import openvino  # noqa: E402

__all__ = ["openvino"]
