"""Whole stops whose bots are proven down by a stand-in, against a venue that is there, is not, or cannot be named."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.project.repository import ROOT
from tests.project.test_runs import estate, play
from tests.tiers import first_of

__all__ = ["estate"]

STOPPED = """
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import BOT_ARGUMENTS, ENGINE_ARGUMENTS, STATE_ARGUMENTS
names = "state incident_id run_id reason by scope mode grace_period_seconds".split()
bot = {"name": "bot-1", "how": "stopped", "mode": "paper", "orders": "cancelled"}
AnsibleModule(
    {**{name: {"type": "raw"} for name in names}, **BOT_ARGUMENTS, **STATE_ARGUMENTS, **ENGINE_ARGUMENTS},
    supports_check_mode=True,
).exit_json(outcome="proven", summary="1 stopped", bots=[bot], latch={"engaged": True, "incident_ids": ["INC-1"]})
"""


@pytest.fixture
def stopped(estate: Path, tmp_path: Path) -> Path:
    """A checkout in which one host's stop is proven."""
    root = tmp_path / "checkout"
    for name in ("playbooks", "roles", "library", "module_utils"):
        shutil.copytree(ROOT / name, root / name, symlinks=True)
    for module in ("kill_switch", "bot_stop"):
        (root / "library" / f"{module}.py").write_text(STOPPED)
    known = json.loads(estate.read_text())
    del known["trading_hosts"]["hosts"]["away"]
    estate.write_text(json.dumps(known))
    return root


@pytest.fixture
def venue() -> Iterator[HTTPServer]:
    """A venue that lists `orders`, and counts who asks."""

    class Desk(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.server.asked += 1
            body = json.dumps({"orders": self.server.orders}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Desk)
    server.orders, server.asked = [], 0
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("url", "code", "words"),
    first_of(
        [
            ("http://127.0.0.1:1/orders", 14, "STOPPED, ORDERS UNVERIFIED: "),
            ("", 0, "orders: cancelled (bots' own exit: 1 cancelled; nobody was asked at the venue: the estate"),
            ("{{ vault_venue }}", 14, "here did not ask the venue, whose address cannot be read"),
            ("nonsense", 14, "STOPPED, ORDERS UNVERIFIED: "),
        ]
    ),
)
def test_a_venue_that_the_estate_names_has_to_answer(estate, stopped, url, code, words):
    known = json.loads(estate.read_text())
    known["trading_hosts"]["vars"] = {"trading_core_open_orders_url": url}
    estate.write_text(json.dumps(known))
    ended, verdict, output = play("failsafe_stop", estate, "-e", "reason=test", root=stopped)
    assert (ended, words in verdict) == (code, True), output


@pytest.mark.parametrize(("name", "variable"), first_of([("failsafe_stop", "reason=test"), ("bot_stop", "mode=all")]))
def test_each_procedure_that_stops_says_what_is_open_and_a_dry_run_asks_nobody(estate, stopped, venue, name, variable):
    url = f"trading_core_open_orders_url=http://127.0.0.1:{venue.server_port}/orders"
    asked = (name, estate, "-e", variable, "-e", url)
    code, verdict, output = play(*asked, "--check", root=stopped)
    assert (code, venue.asked) == (0, 0), output
    code, verdict, output = play(*asked, root=stopped)
    assert (code, "orders: none (bots: 1 cancelled; venue: no open order at http" in verdict) == (0, True), output
    venue.orders = [{"id": 1}, {"id": 2}]
    code, verdict, output = play(*asked, root=stopped)
    assert (code, "STOPPED, ORDERS OPEN: " in verdict, "orders: 2 OPEN" in verdict) == (14, True, True), output
    assert venue.asked == 2


def test_a_stop_whose_ask_was_left_out_is_fourteen(estate, stopped, venue):
    known = json.loads(estate.read_text())
    known["trading_hosts"]["vars"] = {"trading_core_open_orders_url": f"http://127.0.0.1:{venue.server_port}/orders"}
    estate.write_text(json.dumps(known))
    playbook = stopped / "playbooks" / "failsafe_stop.yml"
    play_one = playbook.read_text().partition("\n- name: 4.1 Stop trading (open orders")[0]
    playbook.write_text(play_one + "\n")
    code, verdict, output = play("failsafe_stop", estate, "-e", "reason=test", root=stopped)
    assert (code, "here did not ask http://127.0.0.1" in verdict, venue.asked) == (14, True, 0), output
