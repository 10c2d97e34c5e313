"""Putting package, files and guard on a host, and proving that the guard lives and runs this very version."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.result import build_result
from ..host.files import (
    HostFile,
    HostFileError,
    check_content,
    differs,
    ensure_file,
    exchange,
    read_text,
    remove,
    unexpected,
)
from ..state.latch import LatchError, is_settled, latch_path, settle

SERVICE: Final = "trading-core-guard.service"
START_SECONDS: Final = 15
SETTLE_SECONDS: Final = 5
INTERVAL_SECONDS: Final = 0.2


@dataclass(frozen=True)
class GuardedHost:
    """The host, handed in. `run` takes argv and returns exit code and output."""

    run: Callable[[Sequence[str]], tuple[int, str]]
    observe_guard: Callable[[], dict[str, str]]
    install_path: Path
    heartbeat_path: Path
    state_path: Path
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def ensure_guarded(
    host: GuardedHost, sources: Mapping[str, str], files: Sequence[HostFile], dry_run: bool
) -> dict[str, Any]:
    """Return the module result of installing `sources` and `files` and of a guard that runs them.

    Every file passes its checker before the first one is written, so that a refused one leaves the host as it was. The
    package is replaced whole and in one step: whenever the host goes down, the guard that comes up is a complete one.
    """
    package = _package(host.install_path, sources)
    wanted = [*package, *files]
    differing = [file for file in wanted if differs(file)]
    superfluous = unexpected(host.install_path, sources)
    diff = _diff(differing, superfluous)
    guard = host.observe_guard()
    needs_places = host.state_path.is_dir() and not is_settled(host.state_path)
    changed = bool(differing or superfluous) or needs_places or not _is_in_force(host, guard)
    places = [str(latch_path(host.state_path))] * needs_places
    done = [*places, *(str(file.path) for file in differing), *(f"{path} removed" for path in superfluous)]
    try:
        for file in differing:
            check_content(file, host.run)
        if changed and not dry_run:
            settle(host.state_path, SETTLE_SECONDS)
            if superfluous or any(file in package for file in differing):
                _replace_package(host.install_path, sources)
            for file in differing:
                if file not in package:
                    ensure_file(file)
            guard = _restart(host)
    except (HostFileError, LatchError, OSError) as error:
        return _result("failed", str(error), changed, guard, done, diff)
    if dry_run:
        would = f"would write {len(differing)} files and (re)start the guard" if changed else "nothing to do"
        return _result("planned", f"{would}; now: {guard['summary']}", changed, guard, done, diff)
    if guard["state"] != "active":
        return _result("failed", guard["summary"], changed, guard, done, diff)
    text = f"{guard['summary']}, {len(differing)} of {len(wanted)} files written" if changed else guard["summary"]
    return _result("proven", text, changed, guard, done, diff)


def _package(path: Path, sources: Mapping[str, str]) -> list[HostFile]:
    return [HostFile(path / name, sources[name]) for name in sorted(sources)]


def _replace_package(path: Path, sources: Mapping[str, str]) -> None:
    """Write the package beside the one that is there, and exchange the two. What a killed run left goes first."""
    beside = path.with_name(f".{path.name}.new")
    remove(beside)
    package = _package(beside, sources)
    for file in package:
        ensure_file(file)
    exchange(beside, path)
    remove(beside)


def _is_in_force(host: GuardedHost, guard: Mapping[str, str]) -> bool:
    """Return whether the guard lives, comes with the next boot, and under the unit that is on disk."""
    shown = host.run(["systemctl", "show", "--property=UnitFileState,NeedDaemonReload", SERVICE])[1].split()
    return guard["state"] == "active" and {"UnitFileState=enabled", "NeedDaemonReload=no"} <= set(shown)


def _restart(host: GuardedHost) -> dict[str, str]:
    """Return what is seen of the guard once it has been restarted and gave its first sign of life."""
    _systemctl(host, "daemon-reload")
    _systemctl(host, "enable", SERVICE)
    _systemctl(host, "stop", SERVICE)
    host.heartbeat_path.unlink(missing_ok=True)  # the sign of life of the one before would prove nothing
    _systemctl(host, "start", SERVICE)
    end = host.clock() + START_SECONDS
    while (guard := host.observe_guard())["state"] != "active" and host.clock() < end:
        host.sleep(INTERVAL_SECONDS)
    return guard


def _systemctl(host: GuardedHost, *arguments: str) -> None:
    code, output = host.run(["systemctl", *arguments])
    if code != 0:
        raise HostFileError(f"systemctl {' '.join(arguments)} ended with {code}: {output.strip()}")


def _diff(differing: Sequence[HostFile], superfluous: Sequence[Path]) -> dict[str, str]:
    return {
        "before": "".join(f"{path}\n" for path in superfluous) + "".join(map(_shown_before, differing)),
        "after": "".join(f"{file.path}\n{file.content}" for file in differing),
    }


def _shown_before(file: HostFile) -> str:
    text = read_text(file.path)
    return f"{file.path}\n{text}" if text else ""


def _result(
    outcome: str, summary: str, changed: bool, guard: dict[str, str], done: list[str], diff: dict[str, str]
) -> dict[str, Any]:
    next_command = "journalctl -u trading-core-guard -n 50 (on the host)" if outcome == "failed" else ""
    return build_result(
        outcome, summary, changed=changed, next_command=next_command, guard=guard, files=done, diff=diff
    )
