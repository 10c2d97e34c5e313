"""Runs the MLflow server on the estate's database, and registers the first model once it answers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

from trading_lab.http_json import CallFailed, call
from trading_lab.web import stop_signal

_STOP_SECONDS = 8
# The registry is all the lab uses: no job workers beside it, nothing sent home, no search for git.
_QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}


def server_argv(port: int) -> list[str]:
    """The command that runs the server; artifacts are proxied, so clients need no path of this host.

    The database's address, which holds a password, goes in through the environment.
    """
    return [
        *(sys.executable, "-m", "mlflow", "server", "--host", "0.0.0.0", "--port", str(port)),
        *("--artifacts-destination", "/mlartifacts"),
        # Inside the homelab other containers reach it by service name, which the default list lacks.
        *("--workers", "1", "--allowed-hosts", "*", "--uvicorn-opts", "--no-access-log"),
    ]


def wait_for_database(database_url: str, stopping: threading.Event) -> None:
    """Return once the database answers, or at the stop signal; compose's health check bounds the wait."""
    import psycopg

    while not stopping.is_set():
        try:
            psycopg.connect(database_url.replace("+psycopg", "", 1), connect_timeout=3).close()
            return
        except psycopg.Error as error:
            print(f"mlflow: the database does not answer yet: {str(error).splitlines()[0]}", flush=True)
            stopping.wait(1)


def register_first_model(tracking_uri: str, stopping: threading.Event) -> None:
    """Run the registration once the server answers; again a little later where it failed."""
    environment = {**os.environ, **_QUIET, "MLFLOW_TRACKING_URI": tracking_uri}
    while not stopping.wait(0.5):
        try:
            call("GET", f"{tracking_uri}/api/2.0/mlflow/experiments/get?experiment_id=0")
        except CallFailed:
            continue
        ended = subprocess.run([sys.executable, "-m", "trading_lab.register_model"], env=environment, check=False)
        if ended.returncode == 0:
            return
        stopping.wait(5)


def main() -> int:
    stopping = stop_signal()
    database_url, port = os.environ["MLFLOW_DATABASE_URL"], int(os.environ.get("PORT", "5000"))
    wait_for_database(database_url, stopping)
    if stopping.is_set():
        return 0
    server = subprocess.Popen(server_argv(port), env={**os.environ, **_QUIET, "MLFLOW_BACKEND_STORE_URI": database_url})
    registration = threading.Thread(
        target=register_first_model, args=(f"http://127.0.0.1:{port}", stopping), daemon=True
    )
    registration.start()
    while server.poll() is None and not stopping.wait(0.5):
        continue
    if server.poll() is not None:
        return server.returncode or 1
    server.terminate()
    deadline = time.monotonic() + _STOP_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    server.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
