"""Which alerts fired, as Prometheus remembers it; what it does not say is not quiet."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from trading_ops.alerts.history import describe, fetch_alerts, observe
from trading_ops.checks.prometheus import Series
from trading_ops.host.http import HttpError

from tests.unit.shift_world import NOW


def test_an_alert_of_the_past_is_told_with_begin_and_end():
    begin = datetime(2026, 11, 21, 0, 0, tzinfo=UTC).timestamp()
    labels = {"__name__": "ALERTS", "alertstate": "firing", "alertname": "Psi", "severity": "critical", "host": "h1"}
    over = Series(labels, ((begin, 1.0), (begin + 60, 1.0)))
    assert describe(over, begin + 600, 60) == {
        **{"alertname": "Psi", "severity": "critical", "about": "host=h1", "fires": False},
        **{"from": "2026-11-21T00:00:00.000Z", "until": "2026-11-21T00:01:00.000Z"},
    }
    assert describe(over, begin + 120, 60)["fires"] is True


@pytest.mark.parametrize(
    ("since", "outcome", "words"),
    [
        ("2026-10-01T00:00:00.000Z", "proven", "0 alerts since 2026-11-07T06:00:00.000Z"),
        ("2026-11-20T22:00:00.000Z", "proven", "0 alerts since 2026-11-20T22:00:00.000Z"),
        ("2026-11-21T06:00:01.000Z", "unknown", "not in the past of this host, whose clock says 2026-11-21T06:00:00"),
        ("yesterday", "unknown", "not a time in UTC"),
    ],
)
def test_the_history_goes_back_as_far_as_it_may_and_says_from_when(monkeypatch, since, outcome, words):
    monkeypatch.setattr("trading_ops.alerts.history.http_fetch_range", lambda *_: None)
    monkeypatch.setattr("trading_ops.alerts.history.parse_endpoint", lambda _: None)
    monkeypatch.setattr("trading_ops.alerts.history.fetch_alerts", lambda *_: [])
    seen = observe({"since": since}, lambda: NOW)
    assert (seen["outcome"], words in seen["summary"]) == (outcome, True), seen["summary"]


def test_a_prometheus_that_is_away_is_no_quiet_night():
    def refuse(query, step):
        raise ConnectionRefusedError("refused")

    with pytest.raises(HttpError, match="refused"):
        fetch_alerts(refuse, 0, 3600)
