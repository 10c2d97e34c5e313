"""Out-of-sample KPIs: what passes is there, finite, and meets its limit. Nothing else does."""

from __future__ import annotations

import json

import pytest
from trading_ops.checks.model_kpis import Alias, observe

URL = "http://mlflow.lan:5000"
CHAMPION = Alias(URL, "M", "champion")
LIMITS = {"oos_sharpe_ratio": ">= 1", "oos_max_drawdown_ratio": "<= 0.05"}
TAGS = {"oos_sharpe_ratio": "1.5", "oos_max_drawdown_ratio": "0.02"}


def version(tags=TAGS, **more):
    pairs = [{"key": key, "value": value} for key, value in tags.items()]
    found = {"name": "M", "version": "3", "status": "READY", "aliases": ["champion"], "tags": pairs, **more}
    return json.dumps({"model_version": found}).encode()


def look(body=None, status=200, limits=LIMITS, url=URL):
    return observe(Alias(url, "M", "champion"), limits, lambda *_: (status, version() if body is None else body))


def test_kpis_that_meet_their_limits_are_proven_with_version_values_and_units():
    seen = look()
    assert (seen["outcome"], seen["version"], seen["next_command"]) == ("proven", "3", "")
    assert seen["summary"].startswith("M version 3 (champion): oos_sharpe_ratio 1.5 ratio, >= 1; ")
    assert [(kpi["tag"], kpi["value"], kpi["unit"], kpi["outcome"]) for kpi in seen["kpis"]] == [
        ("oos_sharpe_ratio", 1.5, "ratio", "pass"),
        ("oos_max_drawdown_ratio", 0.02, "ratio", "pass"),
    ]
    assert len(seen["lines"]) == 2


@pytest.mark.parametrize(
    ("condition", "passing", "failing"),
    [(">= 1", "1", "0.999"), ("> 1", "1.001", "1"), ("<= -1.5e0", "-1.5", "-1.4"), ("< 1", "9e-1", "1.0")],
)
def test_a_value_beyond_its_limit_fails_and_names_what_shows_it(condition, passing, failing):
    assert look(version({"x": passing}), limits={"x": condition})["outcome"] == "proven"
    seen = look(version({"x": failing}), limits={"x": condition})
    assert (seen["outcome"], seen["kpis"][0]["outcome"]) == ("failed", "fail")
    assert seen["next_command"] == f"curl -s '{URL}{CHAMPION.path}'"


@pytest.mark.parametrize(
    "value", ["", "nan", "NaN", "inf", "-Infinity", "1e999", "high", " 1.5", "1_5", "1,5", "٣", "0x2", "1.5 ratio", "."]
)
def test_a_tag_that_is_no_finite_number_is_unknown_and_quoted(value):
    seen = look(version(TAGS | {"oos_sharpe_ratio": value}))
    assert (seen["outcome"], seen["kpis"][0]["value"]) == ("unknown", None)
    assert f"oos_sharpe_ratio {value!r} is no finite number" in seen["summary"]


def test_a_missing_tag_is_unknown_and_outweighs_one_that_fails():
    seen = look(version({"oos_max_drawdown_ratio": "0.9"}))
    assert (seen["outcome"], [kpi["outcome"] for kpi in seen["kpis"]]) == ("unknown", ["unknown", "fail"])
    assert "oos_sharpe_ratio the version has no such tag" in seen["summary"]


NO_ALIAS = b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "Registered model alias champion not found."}'
BAD = {
    "no such alias": (400, NO_ALIAS, "alias champion not found"),
    "no such model": (404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST"}', "HTTP status 404"),
    "login page": (200, b"<html><form>log in</form></html>", "not JSON"),
    "login page for strangers": (401, b"<html>", "HTTP status 401"),
    "redirect": (302, b"", "HTTP status 302"),
    "server error": (500, b"[]", "HTTP status 500"),
    "good answer under a bad status": (203, version(), "HTTP status 203"),
    "no status": (None, version(), "HTTP status None"),
    "empty": (200, b"", "not JSON"),
    "cut": (200, version()[:-5], "not JSON"),
    "not text": (200, b"\xff\xfe", "not JSON"),
    "too deep": (200, b"[" * 100_000, "not JSON"),
    "endless": (200, b" " * (1024 * 1024) + version(), "longer than"),
    "NaN in the JSON": (200, version().replace(b'"1.5"', b"NaN"), "not JSON"),
    "two versions in one object": (200, b'{"model_version": {}, "model_version": {}}', "twice"),
    "list": (200, b"[]", "names no model version"),
    "null": (200, b'{"model_version": null}', "names no model version"),
    "empty object": (200, b"{}", "names no model version"),
    "no version": (200, b'{"model_version": {"name": "M", "status": "READY"}}', "names no model version"),
    "tags that are none": (200, version().replace(b'"key"', b'"k"'), "names no model version"),
    "aliases that are none": (200, version(aliases=3), "names no model version"),
    "other model": (200, version(name="Other"), "is about Other"),
    "other alias": (200, version(aliases=["challenger"]), "challenger"),
    "version that is none": (200, version(version="latest"), "version latest"),
    "registration that failed": (200, version(status="FAILED_REGISTRATION"), "FAILED_REGISTRATION"),
    "tag twice": (200, version().replace(b"oos_max_drawdown", b"oos_sharpe"), "twice"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_answer_that_is_not_exactly_one_version_proves_nothing(name):
    status, body, why = BAD[name]
    seen = look(body, status)
    assert (seen["outcome"], seen["version"]) == ("unknown", "")
    assert {kpi["outcome"] for kpi in seen["kpis"]} == {"unknown"}
    assert why in seen["summary"]
    assert seen["next_command"].startswith("curl -s 'http://mlflow.lan:5000/api/")


def test_a_registry_that_gave_no_whole_answer_or_breaks_is_not_known():
    for error in (TimeoutError("no whole answer within 0.05 s"), OSError("refused"), RuntimeError()):

        def fail(*_, error=error):
            raise error

        seen = observe(CHAMPION, LIMITS, fail)
        assert seen["outcome"] == "unknown"
        assert f"champion of M at {URL}: {error or 'RuntimeError'}" in seen["summary"]


@pytest.mark.parametrize("limits", [{}, {"x": ""}, {"x": 1}, {"x": "1"}, {"x": "= 1"}, {"x": ">= nan"}, {"x": ">=1 2"}])
def test_without_limits_that_can_be_understood_nothing_is_proven_and_nobody_is_asked(limits):
    asked = []
    seen = observe(CHAMPION, limits, lambda *request: asked.append(request))
    assert (seen["outcome"], seen["kpis"], asked) == ("invalid", [], [])


def test_credentials_in_the_address_are_not_shown():
    secret = "http://reno:hidden@mlflow.lan:5000"

    def fail(*_):
        raise ValueError(f"unknown url type: {secret}")

    for seen in (observe(Alias(secret, "M", "champion"), LIMITS, fail), look(b"", url=secret)):
        assert "hidden" not in json.dumps(seen)
        assert seen["url"] == "http://mlflow.lan:5000"


def test_names_cannot_leave_their_place_in_address_or_command():
    seen = observe(Alias(URL, "a&b'; rm", "c d"), LIMITS, lambda _, path: (200, path.encode()))
    assert "name=a%26b%27%3B+rm&alias=c+d'" in seen["next_command"]


def test_every_result_has_the_same_keys():
    assert look().keys() == look(b"").keys() == look(limits={}).keys()
