"""The schema of a database: one whole number, or not known."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from trading_ops.backup.schema import observe, parse_version
from trading_ops.host.engine import EngineError

from tests.unit.fakes import FakeContainer, FakeEngine

PARAMS = {
    "project_name": "trading-paper",
    "service": "timescaledb",
    "superuser": "postgres",
    "database": "trading",
    "query": "SELECT max(version) FROM schema_version; ",
}
LABELS = {
    "com.docker.compose.project": "trading-paper",
    "com.docker.compose.service": "timescaledb",
    "com.docker.compose.oneoff": "False",
}


class Talk:
    def __init__(self, answer):
        self.answer, self.asked = answer, []

    @contextmanager
    def talk(self, argv):
        yield self

    def ask(self, text, mark):
        self.asked.append(text)
        return self.answer if "schema_version" in text else []

    def end(self):
        pass


def database(status="running"):
    return lambda: FakeEngine(FakeContainer("timescaledb", LABELS, status=status))


@pytest.mark.parametrize("lines", [[], ["", " "], ["1", "2"], ["-1"], ["1.5"], ["ERROR"], ["١²"]])
def test_anything_but_one_whole_number_is_no_version(lines):
    with pytest.raises(ValueError, match="whole number"):
        parse_version(lines)


def test_the_database_is_asked_once_and_its_number_counts():
    talk = Talk(["7"])
    seen = observe(PARAMS, database(), talk)
    assert (seen["outcome"], seen["version"]) == ("proven", 7)
    assert talk.asked[-1].startswith("SELECT max(version) FROM schema_version;\n")


def test_a_database_that_is_stopped_or_an_engine_that_is_away_is_unknown():
    assert observe(PARAMS, database("exited"), Talk(["7"]))["version"] is None

    def away():
        raise EngineError("The engine did not answer.")

    assert observe(PARAMS, away, Talk(["7"]))["outcome"] == "unknown"
