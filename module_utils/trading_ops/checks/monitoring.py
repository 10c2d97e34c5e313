"""Rules and dashboards on the feed host, and the proof that the running Prometheus has exactly these rules."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..core.result import build_result
from ..core.strict_json import parse_json
from ..host.files import HostFile, HostFileError, differs, ensure_file, read_text, remove
from ..host.http import MAX_BYTES, Ask, HttpError, http_ask, parse_endpoint
from .catalogue import CatalogueError, parse_checks
from .dashboards import build_grafana_files
from .rules import GROUP_PREFIX, WATCHDOG, build_rules, render_document

INTERVAL_SECONDS: Final = 0.5
_LOGS: Final = "docker logs prometheus --tail 50 (on the feed host)"


@dataclass(frozen=True)
class Monitored:
    """The running Prometheus, handed in."""

    ask: Ask
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def install(params: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Return the module result for a module's parameters."""
    try:
        checks = parse_checks(params["checks"])
    except CatalogueError as error:
        return _result("invalid", f"The check catalogue is bad: {error}", False, [], {"before": "", "after": ""})
    rules = build_rules(checks, params["scrape_interval_seconds"])
    grafana = build_grafana_files(checks, params["grafana_prometheus_url"])
    files = [
        HostFile(Path(params["rules_path"]), render_document(rules)),
        *(HostFile(Path(params["grafana_path"], name), render_document(file)) for name, file in grafana.items()),
    ]
    monitored = Monitored(http_ask(parse_endpoint(params)))
    return ensure_monitoring(monitored, files, rules, params["timeout_seconds"], dry_run)


def ensure_monitoring(
    monitored: Monitored, files: Sequence[HostFile], rules: Mapping[str, Any], timeout_seconds: float, dry_run: bool
) -> dict[str, Any]:
    """Return the module result of `files` in place and of a Prometheus that has loaded `rules`, healthy and no others.

    files: the rules as a file among them. Where Prometheus does not take them, what was there before is put back.
    """
    differing = [file for file in files if differs(file)]
    diff = {
        "before": "".join(f"{file.path}\n{read_text(file.path)}" for file in differing if file.path.exists()),
        "after": "".join(f"{file.path}\n{file.content}" for file in differing),
    }
    done = [str(file.path) for file in differing]
    try:
        difference = observe_rules(monitored.ask, rules)
    except HttpError as error:
        return _result("unknown", f"{error} Nothing was written.", False, [], diff)
    changed = bool(differing or difference)
    if dry_run:
        would = (
            f"would write {len(differing)} of {len(files)} files and reload Prometheus" if changed else "nothing to do"
        )
        return _result("planned", f"{would}; now: {difference or _in_force(rules)}", changed, done, diff)
    if changed:
        try:
            _install(monitored, differing, rules, timeout_seconds)
        except (HostFileError, HttpError, OSError) as error:
            return _result("failed", str(error), changed, done, diff)
    return _result("proven", f"{_in_force(rules)}; {len(differing)} of {len(files)} files written", changed, done, diff)


def observe_rules(ask: Ask, rules: Mapping[str, Any]) -> str:
    """Return what Prometheus has loaded instead of exactly `rules`, all healthy; empty where it has just these.

    Rules outside our groups belong to someone else and are ignored. Raises HttpError without an answer.
    """
    # Without the open alerts: hundreds of someone else's would be longer than an answer may be.
    status, body = _asked(ask, "GET", "/api/v1/rules?type=alert&exclude_alerts=true")
    try:
        groups = parse_json(body.decode())["data"]["groups"]
        loaded = [(group["name"], rule) for group in groups for rule in group["rules"]]
        ours = [(name, rule) for name, rule in loaded if name.startswith(GROUP_PREFIX)]
        names = sorted((name, rule["name"]) for name, rule in ours)
        digests = [rule["annotations"]["digest"] for _, rule in ours if rule["name"] == WATCHDOG]
        sick = [
            f"{rule['name']}: {rule.get('lastError') or rule['health']}" for _, rule in ours if rule["health"] != "ok"
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HttpError(f"HTTP status {status}, and no list of rules: {error!r}.") from error
    expected = sorted((group["name"], rule["alert"]) for group in rules["groups"] for rule in group["rules"])
    if names != expected:
        missing = [name for _, name in expected if name not in {rule for _, rule in names}]
        return f"{len(names)} of our rules are loaded, expected are {len(expected)}; missing: {_some(missing)}"
    if digests != [_digest(rules)]:
        return "other rules of ours are loaded, under the same names"
    return f"not healthy: {_some(sick)}" if sick else ""


def _install(monitored: Monitored, files: Sequence[HostFile], rules: Mapping[str, Any], timeout_seconds: float) -> None:
    """Write the files, have Prometheus load them and wait for the proof; put back what was there where it fails."""
    before = [(file, file.path.read_text(encoding="utf-8") if file.path.exists() else None) for file in files]
    try:
        for file in files:
            ensure_file(file)
        _reload(monitored.ask)
        _wait_until_loaded(monitored, rules, timeout_seconds)
    except (HostFileError, HttpError, OSError) as error:
        for file, content in before:
            if content is None:
                remove(file.path)
            else:
                ensure_file(HostFile(file.path, content, file.mode))
        reason = str(error).rstrip(".")
        try:
            _reload(monitored.ask)
        except HttpError as again:
            raise HttpError(f"{reason}. The files are as before, but that was refused too: {again}") from error
        raise HttpError(f"{reason}. The files are as before, and loaded again.") from error


def _reload(ask: Ask) -> None:
    status, body = _asked(ask, "POST", "/-/reload")
    if status == 403:
        raise HttpError("Prometheus takes no reload: it runs without --web.enable-lifecycle.")
    if status != 200:
        reason = " ".join(body[:500].decode("utf-8", "replace").split())
        raise HttpError(f"Prometheus refuses the rules (HTTP status {status}): {reason}")


def _wait_until_loaded(monitored: Monitored, rules: Mapping[str, Any], timeout_seconds: float) -> None:
    end = monitored.clock() + timeout_seconds
    while difference := observe_rules(monitored.ask, rules):
        if monitored.clock() >= end:
            raise HttpError(f"After {timeout_seconds:g} s: {difference}")
        monitored.sleep(INTERVAL_SECONDS)


def _asked(ask: Ask, method: str, path: str) -> tuple[int, bytes]:
    try:
        status, body = ask(method, path)
    except HttpError:
        raise
    except Exception as error:  # whatever a network, a proxy or a library comes up with is one thing: no answer
        raise HttpError(f"No answer to {method} {path}: {error or type(error).__name__}.") from error
    if len(body) > MAX_BYTES:
        raise HttpError(f"The answer to {method} {path} is longer than {MAX_BYTES} bytes.")
    return status, body


def _digest(rules: Mapping[str, Any]) -> str:
    (digest,) = (
        rule["annotations"]["digest"]
        for group in rules["groups"]
        for rule in group["rules"]
        if rule["alert"] == WATCHDOG
    )
    return str(digest)


def _in_force(rules: Mapping[str, Any]) -> str:
    return f"{sum(len(group['rules']) for group in rules['groups'])} rules loaded and healthy"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") or "none"


def _result(outcome: str, summary: str, changed: bool, files: list[str], diff: dict[str, str]) -> dict[str, Any]:
    next_command = _LOGS if outcome in {"failed", "unknown"} else ""
    return build_result(outcome, summary, changed=changed, next_command=next_command, files=files, diff=diff)
