"""The process of `FreshProcess`: imports Keras, and answers one request.

python -m pipeline.inference.verification_process
"""

from __future__ import annotations

from importlib import import_module

from pipeline.backend import quiet_imports


def main() -> None:
    with quiet_imports():
        worker = import_module("pipeline.inference.verification_worker")
    worker.main()


if __name__ == "__main__":
    main()
