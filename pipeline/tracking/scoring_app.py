"""MLflow's scoring server behind a check of the `Host` header, which it does not have itself.

python -m pipeline.tracking.scoring_app DIRECTORY --host HOST --port PORT
"""

from __future__ import annotations

import argparse

import mlflow.pyfunc
import uvicorn
from mlflow.pyfunc import scoring_server
from starlette.middleware.trustedhost import TrustedHostMiddleware

from pipeline.tracking.mlflow_server import ALLOWED_HOSTS


def main() -> None:
    """Serve the MLflow model in a directory until the process is ended."""
    parser = argparse.ArgumentParser()
    parser.add_argument("directory")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    arguments = parser.parse_args()
    app = scoring_server.init(mlflow.pyfunc.load_model(arguments.directory))
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=ALLOWED_HOSTS)
    uvicorn.run(app, host=arguments.host, port=arguments.port)


if __name__ == "__main__":
    main()
