"""The drill: a whole estate on this machine, bots that trade and misbehave, the stop, and the venue's word for it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lab import faults

ROOT = Path(__file__).resolve().parents[1]
RUNBOOK = "./runbook"
# Whatever estate the operator's shell names: a drill stops the lab's bots and no others.
LAB = {**os.environ, "TRADING_CORE_INVENTORY": str(ROOT / "inventories" / "lab")}
VENUE_URL = "http://172.29.77.20:8900"
TRADING_HOSTS = ("lab1", "lab2")
FAULT_BOTS = (faults.STUBBORN, faults.RESTLESS)
LIVE = ("bot_start", "-e", "mode=live", "-e", "confirm_live=trading-live")
STUBBORN_CLIENT = f"trading-{faults.STUBBORN.mode}/{faults.STUBBORN.name}"
REASON = "drill"
ORDERS_LIMIT_SECONDS = 60
KPI_LIMIT_SECONDS = 180
QUIET_SECONDS = 5


class DrillFailed(Exception):
    """What was expected and what was seen."""


@dataclass
class Drill:
    """Steps done so far, with their seconds. A step that fails ends the drill."""

    measured: list[tuple[str, float]] = field(default_factory=list)

    def step(self, title: str, work: Callable[[], Any]) -> Any:
        print(f"\n=== {len(self.measured) + 1}. {title}", flush=True)
        begun = time.monotonic()
        result = work()
        self.measured.append((title, time.monotonic() - begun))
        return result


def runbook(*arguments: str, expect: tuple[int, ...] = (0,)) -> str:
    """Run a procedure in front of the operator; return its verdict line. DrillFailed for another exit code."""
    print(f"$ {RUNBOOK} {' '.join(arguments)}", flush=True)
    done = subprocess.run([RUNBOOK, *arguments], cwd=ROOT, env=LAB, text=True, stdout=subprocess.PIPE, check=False)
    shown = [line for line in done.stdout.splitlines() if line.startswith(("    lab", "VERDICT"))]
    print("\n".join(shown or done.stdout.splitlines()[-20:]), flush=True)
    if done.returncode not in expect:
        raise DrillFailed(f"{RUNBOOK} {' '.join(arguments)} ended with {done.returncode}, not {expect}")
    return shown[-1] if shown else ""


def venue(path: str, body: dict[str, Any] | None = None) -> Any:
    """Return what the mock venue answers; with a body it is posted."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(VENUE_URL + path, content, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def open_orders() -> dict[str, int]:
    """Return how many orders of each client are open at the venue."""
    return dict(Counter(str(order["client"]) for order in venue("/orders/open")["orders"]))


def cancel_orders(client: str) -> None:
    """Cancel all orders of a client, as a person would at the venue."""
    cancelled = venue("/orders/cancel-all", {"client": client})["cancelled"]
    print(f"    venue: {len(cancelled)} orders of {client} cancelled")


def orders_since(moment: str) -> list[dict[str, Any]]:
    """Return the orders that arrived at the venue after `moment` (ISO 8601 UTC)."""
    return list(venue(f"/record?since={moment}&kind=order")["records"])


def now() -> str:
    """Return the present time as the venue writes it."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def await_orders(count: int) -> int:
    """Return how many bots sent an order since this call began, once there are `count`."""
    begun, end = now(), time.monotonic() + ORDERS_LIMIT_SECONDS
    while time.monotonic() < end:
        clients = {order["client"] for order in orders_since(begun)}
        if len(clients) >= count:
            print(f"    venue: orders of {', '.join(sorted(clients))}")
            return len(clients)
        time.sleep(0.5)
    raise DrillFailed(f"orders of {count} bots within {ORDERS_LIMIT_SECONDS} s were expected, seen: {sorted(clients)}")


def clear_leftovers() -> None:
    """Remove fault bots, their orders and halts that an earlier drill or test left, by the ids they show."""
    remove_fault_bots()
    for incident_id in sorted({*filter(None, map(held_incident, TRADING_HOSTS))}):
        runbook("halt_release", "-e", f"incident_id={incident_id}", expect=(0, 13))
        if incident_id.endswith(f"-{REASON}"):
            close_incident(incident_id)
    if held := [host for host in TRADING_HOSTS if held_incident(host)]:
        raise DrillFailed(f"{', '.join(held)} are still halted")


def remove_fault_bots() -> None:
    """Take the misbehaving bots away, and what they have left at the venue."""
    for fault_bot in FAULT_BOTS:
        faults.remove(fault_bot)
        cancel_orders(f"trading-{fault_bot.mode}/{fault_bot.name}")


def close_incident(incident_id: str) -> None:
    """Close a drill's own incident: it was a rehearsal, and nobody has to look for its cause."""
    named = ("-e", f"incident_id={incident_id}")
    known = ("-e", "category=E", "-e", "severity=minor", "-e", "reason=a drill in the lab")
    runbook("incident_classify", *named, *known)
    runbook("incident_close", *named, "-e", "cause=a drill in the lab", "-e", "actions=drill: none, it was a rehearsal")


def held_incident(host: str) -> str:
    """Return the incident that holds the host's latch, empty where it is not halted."""
    shown = subprocess.run(
        ["docker", "exec", host, "cat", "/var/lib/trading-core/halt.json"], capture_output=True, text=True, check=False
    )
    return str(json.loads(shown.stdout)["incident_ids"][0]) if shown.returncode == 0 else ""


def lab_up() -> None:
    subprocess.run([sys.executable, "lab/estate.py", "up"], cwd=ROOT, check=True)


def start_paper() -> None:
    runbook("feed_gate")
    runbook("bot_start", "-e", "mode=paper")


def start_live() -> None:
    """Start the live bot as soon as paper has shown its KPIs; until then the start is refused, and says which."""
    end = time.monotonic() + KPI_LIMIT_SECONDS
    while runbook(*LIVE, expect=(0, 13)).startswith("VERDICT 13"):
        if time.monotonic() > end:
            raise DrillFailed(f"live did not start within {KPI_LIMIT_SECONDS} s of paper")
        time.sleep(10)


def start_fault_bots() -> None:
    for fault_bot in FAULT_BOTS:
        print(f"    {fault_bot.host}: {fault_bot.project}: {fault_bot.environment}, restart={fault_bot.restart_policy}")
        faults.start(fault_bot)


def rest_an_order() -> None:
    """Let an order of the bot that ignores SIGTERM rest far from the price: it will be killed, and cannot cancel it.

    Its own are replaced every second, and it may die in between.
    """
    resting = {"side": "buy", "kind": "limit", "quantity": 0.01, "price": 1}
    venue("/orders", {"client": STUBBORN_CLIENT, "symbol": "BTCUSDT", **resting})
    print(f"    venue: an order of {STUBBORN_CLIENT} rests far from the price")


def stop() -> tuple[str, str, float]:
    """Return the incident's id, when the last bot ended, and the seconds from the command to the last order."""
    rest_an_order()
    begun = now()
    # Not flat: the bot that ignores SIGTERM is killed with an order open.
    verdict = runbook("failsafe_stop", "-e", f"reason={REASON}", expect=(14,))
    if "4 bots proven stopped on 2 of 2 hosts (4 of them now), latched on 2" not in verdict:
        raise DrillFailed(f"four bots on two hosts were to be stopped now: {verdict}")
    incident, ended = re.search(r"INC-\S+?(?=[,)])", verdict), re.search(r"last bot ended (\S+Z)", verdict)
    if not incident or not ended:
        raise DrillFailed(f"the verdict names no incident or no last bot: {verdict}")
    time.sleep(QUIET_SECONDS)  # a bot that still lived would have sent several orders
    orders = orders_since(begun)
    late = [order for order in orders if order["time"] > ended.group(1)]
    if late:
        raise DrillFailed(f"{len(late)} orders came after the reported stop, the first at {late[0]['time']}")
    last = max((order["time"] for order in orders), default=begun)
    seconds = (datetime.fromisoformat(last) - datetime.fromisoformat(begun)).total_seconds()
    print(f"    venue: last order {seconds:.2f} s after the command, none in the {QUIET_SECONDS} s after the stop")
    return incident.group(), ended.group(1), seconds


def clear_what_is_open() -> str:
    """Show whose orders the stop left open and why, cancel them, and return that in words."""
    left = open_orders()
    if {*left} != {STUBBORN_CLIENT}:
        raise DrillFailed(f"orders of {STUBBORN_CLIENT} alone were to be open, seen: {left or 'none'}")
    said = f"{left[STUBBORN_CLIENT]} of {STUBBORN_CLIENT}, which ignores SIGTERM and was killed before it could cancel"
    print(f"    venue: {said}")
    cancel_orders(STUBBORN_CLIENT)
    if left := open_orders():
        raise DrillFailed(f"nothing was to be open any more, seen: {left}")
    return said


def check_fault_bots() -> None:
    """Ask the hosts' engines how the deaf bot ended, and whether the other one would come back."""
    for fault_bot, shown, expected in (
        (faults.STUBBORN, "{{.State.ExitCode}}", "137"),
        (faults.RESTLESS, "{{.HostConfig.RestartPolicy.Name}}", "no"),
    ):
        name = f"{fault_bot.project}-bot-1"
        inspect = ["docker", "exec", fault_bot.host, "docker", "inspect", "--format", shown, name]
        seen = subprocess.run(inspect, capture_output=True, text=True, check=True).stdout.strip()
        print(f"    {fault_bot.host}: {name}: {shown} is {seen}")
        if seen != expected:
            raise DrillFailed(f"{name}: {shown} is {seen}, not {expected}")


def play(drill: Drill) -> tuple[str, float, str]:
    """Go through all steps; return when the last bot ended, how long after the command the last order came, and whose
    orders were left open.
    """
    drill.step("Build and start the lab", lab_up)
    drill.step("Clear what an earlier drill left", clear_leftovers)
    drill.step("Set up the hosts, with their guard", lambda: runbook("host_setup"))
    drill.step("Start feed, Prometheus, Grafana", lambda: runbook("observability_start"))
    drill.step("Load alert rules and dashboards", lambda: runbook("monitoring_setup"))
    drill.step("Start alerting", lambda: runbook("alerting_start"))
    drill.step("Verify the feed, start a paper bot through the gate", start_paper)
    drill.step("Start a live bot on another host, once paper has shown its KPIs", start_live)
    drill.step("Add a bot that ignores SIGTERM and one with restart: always", start_fault_bots)
    drill.step("Wait until all four trade", lambda: await_orders(4))
    incident, ended, last_order = drill.step("Fail-safe stop", stop)
    drill.step("Look at the two that misbehave", check_fault_bots)
    left = drill.step("See whose orders are open, and cancel them at the venue", clear_what_is_open)
    drill.step("A start is refused", lambda: runbook("bot_start", "-e", "mode=paper", expect=(13,)))
    # What is left of a rehearsal would be red in the next report, or refuse the next deploy.
    drill.step("Remove the two that misbehave", remove_fault_bots)
    drill.step("Lift the halt", lambda: runbook("halt_release", "-e", f"incident_id={incident}"))
    drill.step("Close the incident", lambda: close_incident(incident))
    drill.step("Start paper again", start_paper)
    drill.step("Start live again", start_live)
    drill.step("Trading again", lambda: await_orders(2))
    return ended, last_order, left


def main() -> int:
    drill = Drill()
    begun = time.monotonic()
    try:
        ended, last_order, left = play(drill)
    except (DrillFailed, subprocess.SubprocessError, OSError, KeyError, ValueError) as error:
        print(f"\n{getattr(error, 'stderr', '') or ''}\nVERDICT 1 drill: FAILED: {error}. NEXT: ./runbook lab status")
        return 1
    print("\nSeconds per step:")
    for title, seconds in drill.measured:
        print(f"  {seconds:7.1f}  {title}")
    print(
        "\nThe lab is still running, a paper and a live bot trade in it. Look around:\n"
        "  ./runbook status\n"
        "  ./runbook lab status\n"
        "  Prometheus http://172.29.77.11:9090   the bot's page http://172.29.77.11:8080   the venue "
        f"{VENUE_URL}/orders/open\n"
        "Remove it: ./runbook lab down"
    )
    print(
        f"\nVERDICT 0 drill: PROVEN: 4 bots on 2 hosts stopped, the last ended {ended}; last order at the "
        f"venue {last_order:.2f} s after the command, none later; left open and cancelled: {left}; start refused while "
        f"halted, trading again after the halt was lifted; {time.monotonic() - begun:.0f} s in all."
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
