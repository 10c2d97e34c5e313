import json

import pytest
from trading_lab.http_json import CallFailed
from trading_lab.model import FEATURES, Model, dump_model
from trading_lab.register_model import OUT_OF_SAMPLE_KPIS, has_measured_champion
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
                    lambda _: Response({"model_version": self.version}),
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
        self.version = {"name": "RefStrat_01", "version": "3"}
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


@pytest.mark.parametrize("left_out", [None, *OUT_OF_SAMPLE_KPIS])
def test_only_a_champion_with_all_its_kpis_needs_no_training(registry, left_out):
    assert not has_measured_champion(registry.url), "an older lab registered it without any"
    registry.version["tags"] = [{"key": key, "value": "1"} for key in OUT_OF_SAMPLE_KPIS if key != left_out]
    assert has_measured_champion(registry.url) == (left_out is None)


def test_without_a_champion_or_a_registry_a_model_is_trained(registry):
    registry.version = None
    assert not has_measured_champion(registry.url)
    assert not has_measured_champion("http://127.0.0.1:1")
