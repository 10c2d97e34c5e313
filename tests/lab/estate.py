"""The lab as the tests see it: through ./runbook, through the outer engine, and through the venue's own record."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
VENUE_URL = "http://172.29.77.20:8900"
TRADING_HOSTS = ("lab1", "lab2")
RECEIVER_URL = "http://172.29.77.21:8910"
FEED_HOST = "lab1"
FEED_URL = "http://172.29.77.11:8000"
HOSTS = (*TRADING_HOSTS, "lab-restore", "lab-control")


@dataclass(frozen=True)
class Run:
    """How a command ended. `seconds` is wall time; `verdict` its last line, empty where it gave none."""

    code: int
    output: str
    seconds: float

    @property
    def verdict(self) -> str:
        lines = [line for line in self.output.splitlines() if line.startswith("VERDICT ")]
        return lines[-1] if lines else ""

    @property
    def is_proven_stop(self) -> bool:
        """Whether a stop is proven, with or without orders left open: where bots were killed or left running."""
        return self.code == 0 or (self.code == 14 and ": STOPPED, ORDERS " in self.verdict)

    @property
    def changed(self) -> list[str]:
        """The hosts that the recap says something was changed on."""
        recap = re.findall(r"^(\S+) +: ok=\d+ +changed=(\d+)", self.output, re.MULTILINE)
        assert recap, "the output has no recap"
        return [host for host, count in recap if count != "0"]

    @property
    def incident_id(self) -> str:
        found = re.search(r"INC-\d{8}-\d{6}-[a-z0-9-]+", self.verdict)
        assert found, f"no incident id in: {self.verdict}"
        return found.group()

    @property
    def last_bot_ended(self) -> str:
        found = re.search(r"last bot ended (\S+Z)", self.verdict)
        assert found, f"no time of the last bot in: {self.verdict}"
        return found.group(1)


def command(*argv: str, cwd: Path = ROOT, timeout: float = 300, env: dict[str, str] | None = None) -> Run:
    """Run a command as an operator would; its output is shown when a test fails."""
    begun = time.monotonic()
    done = subprocess.run(
        argv,
        cwd=cwd,
        env={**os.environ, "TRADING_CORE_INVENTORY": str(ROOT / "inventories" / "lab"), **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        check=False,
    )
    print(f"$ {' '.join(argv)}  -> {done.returncode}\n{done.stdout}")
    return Run(done.returncode, done.stdout, time.monotonic() - begun)


def runbook(*arguments: str, **more: Any) -> Run:
    return command(str(ROOT / "runbook"), *arguments, **more)


def docker(*arguments: str, timeout: float = 60) -> str:
    """Return what the outer engine says."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def on(host: str, shell: str, timeout: float = 120) -> str:
    """Return what a shell on the host says, past ssh and Ansible: tests ask the host itself."""
    return docker("exec", host, "sh", "-c", shell, timeout=timeout)


@dataclass(frozen=True)
class Container:
    """A container inside a host, as its own engine describes it."""

    id: str
    name: str
    status: str
    started_at: str
    restart_policy: str
    image: str
    labels: dict[str, str]

    @property
    def is_running(self) -> bool:
        return self.status not in {"exited", "created", "dead"}


def containers(host: str) -> list[Container]:
    described = on(host, "docker ps -aq --no-trunc | xargs -r docker inspect")
    return [
        Container(
            id=item["Id"],
            name=item["Name"].lstrip("/"),
            status=item["State"]["Status"],
            started_at=item["State"]["StartedAt"],
            restart_policy=item["HostConfig"]["RestartPolicy"]["Name"],
            image=item["Config"]["Image"],
            labels=item["Config"]["Labels"] or {},
        )
        for item in json.loads(described or "[]")
    ]


def bots(host: str) -> list[Container]:
    """Bots by every sign the lab knows: the service label, or the bot image's name."""
    return [
        item
        for item in containers(host)
        if item.labels.get("com.docker.compose.service") == "bot" or "bot" in item.image
    ]


def on_each(hosts: Iterable[str], work: Callable[[str], Any]) -> None:
    """Do the work for all hosts at once."""
    with ThreadPoolExecutor() as pool:
        list(pool.map(work, hosts))


def running_bots(hosts: Iterable[str] = TRADING_HOSTS) -> list[str]:
    return [f"{host}/{bot.name}" for host in hosts for bot in bots(host) if bot.is_running]


def latch(host: str) -> dict[str, Any] | None:
    text = on(host, "cat /var/lib/trading-core/halt.json 2>/dev/null || true")
    return json.loads(text) if text else None


def venue(path: str, body: dict[str, Any] | None = None) -> Any:
    """Return the mock venue's JSON answer."""
    return _ask(f"{VENUE_URL}{path}", "GET" if body is None else "POST", body)


def venue_fault(name: str, **settings: Any) -> None:
    """Switch a fault of the mock venue on."""
    venue("/admin/faults", {name: settings or True})


def no_venue_fault() -> None:
    """Switch all faults of the mock venue off."""
    _ask(f"{VENUE_URL}/admin/faults", "DELETE")


def messages(channel: str, since: str) -> list[str]:
    """Return what the receiver of notifications got on a channel after `since`."""
    kept = _ask(f"{RECEIVER_URL}/messages?channel={channel}&since={since}", "GET")["messages"]
    return [message["body"]["message"] for message in kept]


def receiver_fault(name: str) -> None:
    """Switch a fault of the receiver on."""
    _ask(f"{RECEIVER_URL}/admin/faults", "POST", {name: True})


def no_receiver_fault() -> None:
    """Switch all faults of the receiver off."""
    _ask(f"{RECEIVER_URL}/admin/faults", "DELETE")


def feed_fault(name: str, **settings: Any) -> None:
    """Switch a fault of the feed on."""
    _ask(f"{FEED_URL}/admin/faults", "POST", {name: settings or True})


def no_feed_fault() -> None:
    """Switch all faults of the feed off."""
    _ask(f"{FEED_URL}/admin/faults", "DELETE")


def _ask(url: str, method: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def now() -> str:
    """Return the present time as the venue writes it; lab hosts, venue and this machine share one clock."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def orders(since: str) -> list[dict[str, Any]]:
    """Return every order that arrived at the venue after `since`."""
    return venue(f"/record?since={since}&kind=order")["records"]


def wait_until(seen: Callable[[], Any], limit_seconds: float, what: str) -> Any:
    """Return the first true value; fails with the last one seen."""
    end = time.monotonic() + limit_seconds
    while not (value := seen()):
        assert time.monotonic() < end, f"not within {limit_seconds} s: {what}; last seen: {value!r}"
        time.sleep(0.5)
    return value
