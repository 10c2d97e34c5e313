import json
from types import SimpleNamespace

import pytest
from trading_ops.restore import registry_probe
from trading_ops.restore.registry_probe import list_registry, predict


class Page(list):
    """Some results, and the token of the page after them."""

    token = None


class FakeClient:
    """An MLflow client that gives one result a page."""

    def _page(self, items, page_token):
        place = int(page_token or 0)
        page = Page(items[place : place + 1])
        page.token = str(place + 1) if place + 1 < len(items) else None
        return page

    def search_experiments(self, page_token=None):
        return self._page([SimpleNamespace(experiment_id=name) for name in "ab"], page_token)

    def search_runs(self, experiment_ids, page_token=None):
        return self._page([1, 2, 3] if experiment_ids == ["b"] else [], page_token)

    def search_registered_models(self, page_token=None):
        return self._page([SimpleNamespace(name="RefStrat_01")], page_token)

    def get_registered_model(self, name):
        return SimpleNamespace(aliases={"champion": "2", "old": 1})

    def search_model_versions(self, filter_string, page_token=None):
        assert filter_string == "name='RefStrat_01'"
        versions = [SimpleNamespace(version="2", run_id="r2"), SimpleNamespace(version=1, run_id=None)]
        return self._page(versions, page_token)


def test_every_page_of_everything_is_read():
    assert list_registry(FakeClient()) == {
        "experiments": 2,
        "runs": 3,
        "models": [
            {"name": "RefStrat_01", "version": 1, "aliases": ["old"], "run_id": ""},
            {"name": "RefStrat_01", "version": 2, "aliases": ["champion"], "run_id": "r2"},
        ],
    }


def test_the_model_that_carries_the_alias_is_asked():
    asked = []

    def load(uri):
        asked.append(uri)
        return SimpleNamespace(predict=lambda table: [row["x"] * 2 for row in table])

    assert predict(load, list, "m", "champion", {"x": 3.0}) == {"prediction": [6.0], "error": ""}
    assert asked == ["models:/m@champion"]


def test_a_model_that_cannot_be_loaded_says_why():
    def load(_):
        raise OSError("no artifact")

    assert predict(load, list, "m", "champion", {}) == {"prediction": [], "error": "OSError: no artifact"}


def test_it_stands_alone_and_prints_one_object(monkeypatch, capsys):
    loaded = SimpleNamespace(predict=lambda table: [0.5])
    modules = {
        "mlflow": SimpleNamespace(set_tracking_uri=lambda url: None, MlflowClient=FakeClient),
        "mlflow.pyfunc": SimpleNamespace(load_model=lambda uri: loaded),
        "pandas": SimpleNamespace(DataFrame=list),
    }
    monkeypatch.setattr(registry_probe, "import_module", modules.__getitem__)
    registry_probe.main(["http://mlflow:5000", "RefStrat_01", "champion", '{"x": 1}'])
    said = json.loads(capsys.readouterr().out)
    assert (said["runs"], said["prediction"]) == (3, [0.5])
    with open(registry_probe.__file__, encoding="utf-8") as file:
        assert "from ." not in file.read()


@pytest.mark.parametrize("arguments", [[], ["a"]])
def test_it_needs_its_four_arguments(arguments):
    with pytest.raises(ValueError):
        registry_probe.main(arguments)
