"""Alertmanager's way to the alert receiver: token and certificate on its host, and a configuration that uses them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.result import build_result
from ..host.files import HostFile, HostFileError, differs, ensure_file
from .alertmanager import Alertmanager, AlertmanagerError

RECEIVER_NAME: Final = "trading-core-control"
"""What Alertmanager's configuration has to call the control host."""

RELOAD_SECONDS: Final = 15
INTERVAL_SECONDS: Final = 0.5
_SETUP: Final = "./runbook alert_receiver_setup"
_ALERTING: Final = "./runbook alerting_start"
_LINES: Final = "runbooks/LiveFeed_Runbook.md 4.2 (the lines that Alertmanager needs)"


@dataclass(frozen=True)
class SenderHost:
    """Alertmanager's host, handed in. `run` gives exit code and output of a command; `reload` an HTTP status."""

    run: Callable[[Sequence[str]], tuple[int, str]]
    alertmanager: Alertmanager
    reload: Callable[[], int]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def ensure_delivery(host: SenderHost, params: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Return the module result of an Alertmanager that has the control host among its receivers. Never raises."""
    token, certificate = params["token"], params["certificate"]
    if not token or "BEGIN CERTIFICATE" not in certificate:
        if dry_run:
            text = "would bring token and certificate, once the receiver has made one"
            return build_result("planned", text, changed=True)
        return build_result("refused", "there is no token or no certificate", next_command=_SETUP)
    folder = Path(params["path"])
    files = [HostFile(folder / "token", f"{token}\n", 0o400), HostFile(folder / "ca.pem", certificate, 0o444)]
    differing = [file for file in files if differs(file)]
    seen = _observe(host)
    changed = bool(differing) or seen is not True
    if dry_run:
        text = "would tell Alertmanager of the receiver" if changed else "nothing to do"
        return build_result("planned", text, changed=changed)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Docker makes it for everybody to look into, where Alertmanager's container came first.
        folder.chmod(0o700)
        for file in differing:
            ensure_file(file)
        # Each time: a run before may have been cut off between the files and this.
        _apply(host, params["init_container"])
    except (HostFileError, OSError) as error:
        return build_result("failed", str(error), changed=changed)
    seen = _wait(host)
    if seen is None:
        text = "token and certificate are there; Alertmanager does not answer"
        return build_result("unknown", text, changed=changed, next_command=_ALERTING)
    if not seen:
        text = f"Alertmanager runs without a receiver named {RECEIVER_NAME}"
        return build_result("failed", text, changed=changed, next_command=_LINES)
    return build_result("proven", f"Alertmanager has the receiver {RECEIVER_NAME}", changed=changed)


def _apply(host: SenderHost, init_container: str) -> None:
    """Have the one-shot write the configuration again and Alertmanager read it.

    Neither has to be there yet: anyone who starts alerting later starts both, and then finds the files.
    """
    code, output = host.run(["docker", "start", "--attach", init_container])
    if code != 0 and "No such container" not in output:
        raise HostFileError(f"{init_container} ended with {code}: {' '.join(output.split())[-500:]}")
    with suppress(Exception):  # whether Alertmanager has the receiver now is asked right after this
        host.reload()


def _observe(host: SenderHost) -> bool | None:
    """Return whether Alertmanager has the receiver, None where it does not answer."""
    try:
        return f"name: {RECEIVER_NAME}\n" in host.alertmanager.status().config
    except AlertmanagerError:
        return None


def _wait(host: SenderHost) -> bool | None:
    end = host.clock() + RELOAD_SECONDS
    while (seen := _observe(host)) is not True and host.clock() < end:
        host.sleep(INTERVAL_SECONDS)
    return seen
