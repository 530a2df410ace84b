"""MLflow's scoring server behind checks that it does not have itself.

The `Host` header must name this machine, and requests must not take all of its memory.

python -m pipeline.tracking.scoring_app DIRECTORY --loader MODULE --host HOST --port PORT
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import mlflow.pyfunc
import uvicorn
from mlflow.pyfunc import scoring_server
from starlette.middleware.trustedhost import TrustedHostMiddleware

from pipeline.tracking.body_limit import BodyLimit
from pipeline.tracking.mlflow_server import ALLOWED_HOSTS
from pipeline.tracking.model_description import describe_without_code
from pipeline.tracking.served_model import ServedModel

# Parsing the JSON of a request takes several times its size.
MAX_REQUEST_BYTES = 2**27
MAX_BYTES_IN_PROGRESS = 2**28


def main() -> None:
    """Serve the MLflow model in a directory until the process is ended.

    No code of the model runs, but the given module of this package loads it.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("--loader")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pipeline-model-") as copy:
        describe_without_code(Path(arguments.directory), Path(copy), loader=arguments.loader)
        model = ServedModel(mlflow.pyfunc.load_model(copy))
    app = scoring_server.init(model)
    app.add_middleware(BodyLimit, per_request=MAX_REQUEST_BYTES, in_progress=MAX_BYTES_IN_PROGRESS)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=ALLOWED_HOSTS)
    uvicorn.run(app, host=arguments.host, port=arguments.port)


if __name__ == "__main__":
    main()
