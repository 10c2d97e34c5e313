"""What an MLflow server lists, and one prediction of a registered model. Runs inside the container that has MLflow.

It is sent there as text and stands alone: no other module of this package is imported.
Usage: python3 - URL MODEL ALIAS FEATURES_AS_JSON. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any


def list_registry(client: Any) -> dict[str, Any]:
    """Return the active experiments and runs as numbers, and every version of every registered model."""
    experiments = [item.experiment_id for item in _all_pages(client.search_experiments)]
    runs = sum(1 for each in experiments for _ in _all_pages(client.search_runs, experiment_ids=[each]))
    models = []
    for name in sorted(item.name for item in _all_pages(client.search_registered_models)):
        aliases = client.get_registered_model(name).aliases
        for found in _all_pages(client.search_model_versions, filter_string=f"name='{name}'"):
            models.append(
                {
                    "name": name,
                    "version": int(found.version),
                    "aliases": sorted(
                        alias for alias, version in aliases.items() if str(version) == str(found.version)
                    ),
                    "run_id": found.run_id or "",
                }
            )
    return {"experiments": len(experiments), "runs": runs, "models": sorted(models, key=lambda item: item["version"])}


def predict(load_model: Any, table: Any, name: str, alias: str, features: Mapping[str, float]) -> dict[str, Any]:
    """Return the model's answer to one row of features, or as text why there is none."""
    try:
        answer = load_model(f"models:/{name}@{alias}").predict(table([dict(features)]))
        return {"prediction": [float(value) for value in answer], "error": ""}
    except Exception as error:  # whatever a model or its library comes up with is the finding
        return {"prediction": [], "error": f"{type(error).__name__}: {error}"[:500]}


def _all_pages(search: Any, **arguments: Any) -> list[Any]:
    found, token = [], None
    while True:
        page = search(page_token=token, **arguments)
        found += list(page)
        token = page.token
        if not token:
            return found


def main(arguments: list[str]) -> None:
    """Print what the server lists and what the model predicts."""
    url, name, alias, features = arguments
    mlflow, pyfunc, pandas = map(import_module, ("mlflow", "mlflow.pyfunc", "pandas"))
    mlflow.set_tracking_uri(url)
    listed = list_registry(mlflow.MlflowClient())
    answer = predict(pyfunc.load_model, pandas.DataFrame, name, alias, json.loads(features))
    print(json.dumps(listed | answer))


if __name__ == "__main__":
    main(sys.argv[1:])
