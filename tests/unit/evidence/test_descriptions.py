"""Descriptions: by allow-list, and of an environment the names alone."""

from __future__ import annotations

import json

from trading_ops.evidence.descriptions import keep_allowed, without_values

from tests.unit.evidence.test_collect import SECRET, bot


def test_description_keeps_names_of_the_environment_and_nothing_that_is_not_listed():
    kept = keep_allowed(bot().described())
    assert kept["environment_names"] == ["VENUE_SECRET"]
    assert "/secret" not in json.dumps(kept)
    assert SECRET not in json.dumps(kept)


def test_compose_document_keeps_names_of_the_environment_only():
    document = {"services": {"a": {"environment": {"A": SECRET}, "x": [{"environment": [f"B={SECRET}", "C"]}]}}}
    assert without_values(document) == {"services": {"a": {"environment": ["A"], "x": [{"environment": ["B", "C"]}]}}}
