"""notification against a receiver over HTTP: it takes, refuses, or hangs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import notification
import pytest
from ansible.module_utils.testing import patch_module_args
from trading_ops.incident.folder import TIMELINE, append, read_timeline
from trading_ops.incident.timeline import Entry

TEXT = "Incident på AI_TRADING_CORE – bot/feed stoppet midlertidigt, årsag: <reason>."


class Receiver(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[dict[str, Any]] = []
        self.released = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def url(self, channel: str) -> str:
        return f"{channel}=json://127.0.0.1:{self.server_port}/{channel}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        if self.path.startswith("/hangs"):
            self.server.released.wait(60)
        self.send_response(404 if self.path.startswith("/refuses") else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    yield server
    server.released.set()
    server.shutdown()


def run(capsys: Any, check_mode: bool = False, **params: Any) -> dict[str, Any]:
    given = {"title": "Incident", "text": TEXT, "reason": "gaps", "_ansible_check_mode": check_mode, **params}
    with patch_module_args(given), pytest.raises(SystemExit) as ended:
        notification.main()
    assert ended.value.code == 0
    return json.loads(capsys.readouterr().out)


def test_each_channel_gets_the_owners_words_and_one_failure_spoils_the_proof(receiver, capsys, tmp_path):
    at = "2026-11-21T08:00:00.000Z"
    entry = Entry(id="e-1", at=at, recorded_at=at, kind="note", text="x", by="reno", origin="reno@laptop")
    append(tmp_path / "INC-1", TIMELINE, [entry])
    head = read_timeline(tmp_path / "INC-1").head
    channels = [receiver.url("ops"), receiver.url("refuses")]
    result = run(capsys, urls=channels, incident_id="INC-1", incidents_path=str(tmp_path))
    assert [item["message"].splitlines() for item in receiver.got] == [
        [TEXT.replace("<reason>", "gaps"), "INC-1", f"Timeline head: {head}"]
    ] * 2
    assert (result["outcome"], result["timeline_head"], result["summary"]) == (
        "failed",
        head,
        "notified on 1 of 2 channels; refuses (json): the service answered 404",
    )


def test_a_service_that_hangs_costs_the_limit_and_no_more(receiver, capsys):
    began = time.monotonic()
    result = run(capsys, urls=[receiver.url("hangs"), receiver.url("ops")], timeout_seconds=0.5)
    assert time.monotonic() - began < 10  # reading all that Apprise knows is part of it
    assert [item["outcome"] for item in result["channels"]] == ["unknown", "delivered"]


def test_a_dry_run_tells_nobody(receiver, capsys):
    result = run(capsys, check_mode=True, urls=[receiver.url("ops")])
    assert (result["outcome"], result["summary"], receiver.got) == ("planned", "would notify ops (json)", [])
