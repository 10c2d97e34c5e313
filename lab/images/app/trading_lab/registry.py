"""The model registry as the lab uses it: MLflow's REST interface, three calls, no MLflow import.

Importing mlflow.pyfunc takes seconds and 200 MB; a bot that trades within seconds of its start reads
the same registered model's file itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from trading_lab.http_json import CallFailed, call, understood
from trading_lab.model import MODEL_FILE, Model, parse_model

MODEL_NAME = "RefStrat_01"
ALIAS = "champion"
_PROXIED = "mlflow-artifacts:/"


@dataclass(frozen=True)
class Champion:
    """The registered version that carries the alias."""

    version: str
    model: Model


def champion_version(tracking_uri: str, name: str = MODEL_NAME, alias: str = ALIAS) -> str:
    """The version that models:/name@alias stands for. CallFailed where there is none."""
    answer = _model_version(tracking_uri, name, alias)
    with understood(tracking_uri):
        return str(int(answer["model_version"]["version"]))


def champion_tags(tracking_uri: str, name: str = MODEL_NAME, alias: str = ALIAS) -> dict[str, str]:
    """The tags of the version that models:/name@alias stands for. CallFailed where there is none."""
    answer = _model_version(tracking_uri, name, alias)
    with understood(tracking_uri):
        version = dict(answer["model_version"])
        return {tag["key"]: tag["value"] for tag in version.get("tags", [])}


def load_champion(tracking_uri: str, name: str = MODEL_NAME, alias: str = ALIAS) -> Champion:
    """The model behind models:/name@alias. CallFailed where registry or artifacts do not deliver it."""
    version = champion_version(tracking_uri, name, alias)
    query = f"name={quote(name)}&version={version}"
    answer = call("GET", f"{tracking_uri}/api/2.0/mlflow/model-versions/get-download-uri?{query}", timeout_seconds=5.0)
    with understood(tracking_uri):
        location = str(answer["artifact_uri"])
    if not location.startswith(_PROXIED):
        raise CallFailed(f"the artifacts of {name} {version} are at {location}, not behind the registry")
    path = quote(location.removeprefix(_PROXIED).strip("/"))
    url = f"{tracking_uri}/api/2.0/mlflow-artifacts/artifacts/{path}/data/{MODEL_FILE}"
    content = call("GET", url, timeout_seconds=5.0)
    with understood(url):
        return Champion(version, parse_model(content))


def _model_version(tracking_uri: str, name: str, alias: str) -> Any:
    query = f"name={quote(name)}&alias={quote(alias)}"
    return call("GET", f"{tracking_uri}/api/2.0/mlflow/registered-models/alias?{query}", timeout_seconds=5.0)
