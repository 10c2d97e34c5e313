import json

import pytest
from trading_lab.http_json import CallFailed
from trading_lab.model import FEATURES, Model, dump_model
from trading_lab.registry import load_champion
from trading_lab.web import Response, Route, start_server

MODEL = Model(0.5, dict.fromkeys(FEATURES, 1.0), {key: [0.0] for key in FEATURES})


class Registry:
    """Answers as MLflow's server does, from what the test put in."""

    def __init__(self):
        self.reset()
        self.server = start_server(
            0,
            [
                Route(
                    "GET",
                    "/api/2.0/mlflow/registered-models/alias",
                    lambda _: Response({"model_version": {"name": "RefStrat_01", "version": "3"}}),
                ),
                Route(
                    "GET",
                    "/api/2.0/mlflow/model-versions/get-download-uri",
                    lambda _: Response({"artifact_uri": self.location}),
                ),
                Route(
                    "GET",
                    "/api/2.0/mlflow-artifacts/artifacts/1/models/m-1/artifacts/data/model.json",
                    lambda _: Response(self.content),
                ),
            ],
        )
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def reset(self):
        self.location, self.content = "mlflow-artifacts:/1/models/m-1/artifacts", dump_model(MODEL)


@pytest.fixture(scope="module")
def server():
    registry = Registry()
    yield registry
    registry.server.shutdown()
    registry.server.server_close()


@pytest.fixture
def registry(server):
    server.reset()
    return server


def test_the_champion_is_loaded_through_the_registry(registry):
    champion = load_champion(registry.url)
    assert (champion.version, champion.model) == ("3", MODEL)


@pytest.mark.parametrize("location", ["s3://bucket/m-1", "/mlartifacts/1", "mlflow-artifacts:/2/elsewhere"])
def test_artifacts_elsewhere_are_a_failed_call(registry, location):
    registry.location = location
    with pytest.raises(CallFailed):
        load_champion(registry.url)


@pytest.mark.parametrize("content", ["{", "{}", json.dumps({"bias": 1})])
def test_a_damaged_model_is_a_failed_call(registry, content):
    registry.content = content
    with pytest.raises(CallFailed):
        load_champion(registry.url)
