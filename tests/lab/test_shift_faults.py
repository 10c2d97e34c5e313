"""What can be wrong at the start of a shift, made for real: the report names it in its section."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.lab.estate import FEED_HOST, feed_fault, no_feed_fault, no_venue_fault, on, venue_fault, wait_until
from tests.lab.test_oncall import ask, make_well, newest, raise_alert, section, silence_directly, start_shift, well

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

__all__ = ["well"]


def bad_lines(reports: Path, number: str) -> str:
    rows = section(newest(reports, "shifts", "report.md"), number).splitlines()
    return "\n".join(row for row in rows if "NOT GOOD |" in row or "NOT KNOWN |" in row)


def mount_full() -> None:
    on(FEED_HOST, "mkdir -p /srv/full && mount -t tmpfs -o size=4m tmpfs /srv/full")
    on(FEED_HOST, "head -c 3900k /dev/zero >/srv/full/zeros")


def put_certificate() -> None:
    times = "-not_before 20200101000000Z -not_after 20200201000000Z"
    made = f"openssl req -x509 -newkey ed25519 -nodes -subj /CN=x {times} -keyout /dev/null"
    on("lab-control", f"mkdir -p /etc/trading-core && {made} -out /etc/trading-core/by_a_test.crt")


def start_again(container: str) -> None:
    on(FEED_HOST, f"docker start {container}")
    look = f"docker inspect -f '{{{{.State.Health.Status}}}}' {container}"
    wait_until(lambda: on(FEED_HOST, look).strip() == "healthy", 90, f"{container} is healthy")


def drift() -> None:
    """The market of the last hour is another one for the paper bot, which takes it in when it starts."""
    feed_fault("wicks")
    on("lab1", "docker restart trading-paper-bot-1")


def nothing() -> None:
    pass


SILENCED: list[str] = []

FAULTS: dict[str, tuple[Callable[[], Any], Callable[[], Any], tuple[str, ...], str, str]] = {
    "stopped connector": (
        lambda: on(FEED_HOST, "docker stop live_connector"),
        lambda: start_again("live_connector"),
        (),
        "2.1",
        "live\\_connector | exited",
    ),
    "restarted container": (
        lambda: on(FEED_HOST, "docker restart grafana"),
        nothing,
        (),
        "2.1",
        "restart of grafana | restarted at",
    ),
    "full disk": (mount_full, lambda: on(FEED_HOST, "umount /srv/full"), (), "2.1", "disk /srv/full | 9"),
    "slow feed": (lambda: feed_fault("latency", milliseconds=700), no_feed_fault, (), "2.2", "feed\\_latency\\_p99"),
    "damaged records": (lambda: feed_fault("nan_records"), no_feed_fault, (), "2.2", "nan\\_records"),
    "loss of the day": (lambda: venue_fault("slippage"), no_venue_fault, (), "2.3", "pnl\\_day"),
    "drift": (drift, no_feed_fault, (), "2.4", "(psi)"),
    "alert nobody took": (
        lambda: raise_alert("MadeByATest"),
        lambda: raise_alert("MadeByATest", -1),
        (),
        "2.5",
        "alert MadeByATest",
    ),
    "silence that ends": (
        lambda: SILENCED.append(silence_directly("MadeByATest")),
        lambda: ask(f"/silence/{SILENCED.pop()}", None, "DELETE"),
        (),
        "2.5",
        "it ends in 60 min",
    ),
    "expired certificate": (
        put_certificate,
        lambda: on("lab-control", "rm /etc/trading-core/by_a_test.crt"),
        (),
        "2.1",
        "by\\_a\\_test.crt | EXPIRED",
    ),
    "no prometheus": (
        lambda: on(FEED_HOST, "docker stop prometheus"),
        lambda: start_again("prometheus"),
        (),
        "2.2",
        "Connection refused",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_is_wrong_is_named_in_its_section_and_the_exit_code_says_so(well, reports, name):
    begin, end, options, number, words = FAULTS[name]
    begin()
    try:
        run = wait_until(
            lambda: found if (found := start_shift(*options)).code and words in bad_lines(reports, number) else None,
            120,
            f"{words} in {number}",
        )
    finally:
        end()
    assert run.code == 1 if name != "no prometheus" else run.code in {1, 10}
    if name == "no prometheus":
        text = newest(reports, "shifts", "report.md")
        assert "lab2: trading-live/bot" in section(text, "2.1")
        assert "Alertmanager on lab1" in section(text, "2.5")
    make_well()  # an alert may have stopped the bots meanwhile, as it should
