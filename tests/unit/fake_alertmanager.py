"""An Alertmanager with behaviour: it fires what a test puts there, keeps silences, and can lie or be away.

Its answers have the form of a recorded one: Alertmanager 0.25.0, Debian 12.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from trading_ops.alerts.alertmanager import Alertmanager

ALERT = {
    "annotations": {"summary": "p99 \u003cb\u003e700\u003c/b\u003e ms"},
    "endsAt": "2026-11-21T18:55:23.251Z",
    "fingerprint": "d059425acb157b72",
    "receivers": [{"name": "on-call"}],
    "startsAt": "2026-11-21T18:50:23.251Z",
    "status": {"inhibitedBy": [], "silencedBy": [], "state": "active"},
    "updatedAt": "2026-11-21T18:50:23.251Z",
    "labels": {
        "action": "stop_bots",
        "alertname": "feed_latency_p99",
        "severity": "critical",
        "symbol": "BTCUSDT",
    },
}
SILENCE = {
    "id": "9b7a372d-7920-481c-ad3f-4b8fd1066c56",
    "status": {"state": "active"},
    "updatedAt": "2026-11-21T18:50:23.349Z",
    "comment": "INC-20261121-185000-psi: training runs",
    "createdBy": "anna",
    "endsAt": "2026-11-21T19:50:23.256Z",
    "matchers": [{"isEqual": True, "isRegex": False, "name": "alertname", "value": "psi"}],
    "startsAt": "2026-11-21T18:50:23.349Z",
}
STATUS = {
    "cluster": {"peers": [], "status": "disabled"},
    "config": {"original": "route:\n  receiver: on-call\n"},
    "uptime": "2026-11-21T18:50:19.929Z",
    "versionInfo": {"branch": "debian/sid", "version": "0.25.0"},
}


def alert(name: str, fingerprint: str = "", **labels: str) -> dict[str, Any]:
    """Return an alert as Alertmanager lists it."""
    number = fingerprint or f"{abs(hash((name, *sorted(labels.items())))):016x}"[:16]
    return {**ALERT, "fingerprint": number, "labels": {"alertname": name, **labels}}


class FakeAlertmanager:
    """`alerts` and `silences` are what it lists; `replies` maps a path to another answer; `asked` is what was sent.

    is_deaf: it takes changes and does none of them.
    """

    def __init__(self, *alerts: dict[str, Any]) -> None:
        self.alerts = list(alerts)
        self.silences: list[dict[str, Any]] = []
        self.replies: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, str]] = []
        self.is_deaf = False
        self.is_away = False

    def fetch(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        self.asked.append((method, path))
        if self.is_away:
            raise ConnectionRefusedError("connection refused")
        if path in self.replies:
            return self.replies[path]
        if method == "POST":
            return self._silence(json.loads(body))
        if method == "DELETE":
            return self._expire(path.rpartition("/")[2])
        answers = {"alerts": self.alerts, "silences": self.silences, "status": STATUS}
        return 200, json.dumps(answers[path.rpartition("/")[2]]).encode()

    @property
    def client(self) -> Alertmanager:
        return Alertmanager(self.fetch, "http://127.0.0.1:9093")

    def _silence(self, asked: dict[str, Any]) -> tuple[int, bytes]:
        if not asked["matchers"]:
            return 422, b'{"code":612,"message":"matchers in body should have at least 1 items"}'
        assert datetime.fromisoformat(asked["endsAt"]) > datetime.fromisoformat(asked["startsAt"])
        made = f"00000000-0000-0000-0000-{len(self.silences):012d}"
        if not self.is_deaf:
            self.silences.append({**SILENCE, **asked, "id": made})
        return 200, json.dumps({"silenceID": made}).encode()

    def _expire(self, wanted: str) -> tuple[int, bytes]:
        found = [each for each in self.silences if each["id"] == wanted]
        if not found:
            return 500, b'"silence not found"'
        if not self.is_deaf:
            found[0]["status"] = {"state": "expired"}
        return 200, b""
