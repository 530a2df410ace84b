"""OpenVINO reports nothing over the network."""

from __future__ import annotations

import subprocess
import sys


def test_neither_openvino_nor_nncf_has_telemetry() -> None:
    code = (
        "import pipeline.engines.quantization, sys; "
        "from openvino.tools.ovc import telemetry_utils; from nncf.telemetry import wrapper; "
        "print(telemetry_utils.tm.__name__, type(wrapper.telemetry).__name__); "
        "assert not any(name.startswith('openvino_telemetry.') for name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1:] == ["openvino.tools.ovc.telemetry_stub MagicMock"], done
