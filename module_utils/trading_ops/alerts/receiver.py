"""The alert receiver on the control host: installed, and proven by its answers and by a request it carried out."""

from __future__ import annotations

import inspect
import ipaddress
import json
import re
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ..checks.catalogue import CatalogueError, parse_checks
from ..core.durable import fsync_directory
from ..core.result import OperationError, build_result
from ..host.files import HostFile, HostFileError, differs, ensure_file, read_text
from ..jobs.job import JOBS_PATH, JobsError, parse_document
from . import spool as alert_spool
from .settings import SETTINGS_PATH, build_settings, render_settings
from .units import (
    ACCOUNT,
    ACTIONS_PATH,
    PROXY,
    RECEIVER,
    WATCH_TIMER,
    Layout,
    build_units,
    render_hooks,
    render_nginx,
)

PROGRAMS: Final = {
    "/usr/sbin/nginx": "nginx-light",
    "/usr/bin/webhook": "webhook",
    "/usr/bin/openssl": "openssl",
    "/usr/bin/python3": "python3",
}
PROBE: Final = "AlertReceiverProbe"
"""An alert that no catalogue knows: it is recorded, and that proves the way from the request to the reader."""

VALID_DAYS: Final = 3650
RENEW_SECONDS: Final = 30 * 86400
START_SECONDS: Final = 10
CARRIED_OUT_SECONDS: Final = 60
INTERVAL_SECONDS: Final = 0.2

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43,200}")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
_ENABLED: Final = (PROXY, RECEIVER, ACTIONS_PATH, WATCH_TIMER)
_LOGS: Final = "journalctl -u 'trading-core-alert*' -n 50 (on the control host)"
_PRIVATE: Final = 0o640


class ReceiverError(OperationError):
    """The receiver is not what it should be."""

    def __init__(self, text: str, outcome: str = "failed", next_command: str = _LOGS) -> None:
        super().__init__(text, outcome, next_command)


@dataclass(frozen=True)
class ReceiverHost:
    """The host, handed in. `run` gives exit code and output; `gid` the account's group, None where it is missing.

    ask: method, path, headers and body of a request to the receiver -> HTTP status, None without an answer.
    """

    run: Callable[[Sequence[str]], tuple[int, str]]
    gid: Callable[[], int | None]
    ask: Callable[[str, str, Mapping[str, str], bytes], int | None]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    root: Path = Path("/")

    def at(self, path: str) -> Path:
        """Return a path of the host; below another root in tests."""
        return self.root / path.lstrip("/")


def install(host: ReceiverHost, params: Mapping[str, Any], dry_run: bool) -> dict[str, Any]:
    """Return the module result of a receiver that listens, refuses what it has to, and has its requests carried out.

    Never raises for what can be.
    """
    done: list[str] = []
    diff = {"before": "", "after": ""}
    try:
        return _install(host, params, dry_run, done, diff)
    except ReceiverError as error:
        return _result(error.outcome, str(error), done, diff, error.next_command)
    except (CatalogueError, JobsError, ValueError) as error:
        return _result("usage", str(error), done, diff)
    except (HostFileError, OSError) as error:
        return _result("failed", str(error), done, diff, _LOGS)


def _install(
    host: ReceiverHost, params: Mapping[str, Any], dry_run: bool, done: list[str], diff: dict[str, str]
) -> dict[str, Any]:
    token, address = params["token"], params["address"]
    _check_wanted(host, token, address)
    layout = _layout(host, params)
    gid = host.gid()
    public, private = _build_files(host, params, layout, gid)
    differing = [file for file in (*public, *private) if differs(file)]
    shown = [file for file in differing if file in public]  # the others hold the token
    diff["before"] = "".join(f"{file.path}\n{read_text(file.path)}" for file in shown)
    diff["after"] = "".join(f"{file.path}\n{file.content}" for file in shown)
    needs_certificate = not _certificate_holds(host, layout, address)
    done += [str(file.path) for file in differing]
    done += ["a new certificate"] if needs_certificate else []
    sick = _sick_units(host)
    done += [f"(re)started {name}" for name in sick]
    if dry_run:
        return _result("planned", f"would do: {', '.join(done)}" if done else "nothing to do", done, diff)
    if gid is None:
        raise ReceiverError(f"The account {ACCOUNT} is missing.", next_command=f"useradd --system {ACCOUNT}")
    _make_folders(host, layout)
    if needs_certificate:
        _make_certificate(host, layout, address, gid)
    _verify(host, layout, differing)
    for file in differing:
        ensure_file(file)
    if is_new := bool(differing or needs_certificate or sick):
        _restart(host)
    _prove_running(host, layout, token, is_new, done)
    url = f"https://{address}:{layout.listen.rpartition(':')[2]}/alerts"
    text = f"the receiver answers at {url}, a probe was carried out; done: {', '.join(done) or 'nothing to do'}"
    return _result("proven", text, done, diff)


def _prove_running(host: ReceiverHost, layout: Layout, token: str, is_new: bool, done: list[str]) -> None:
    """Prove what runs, restarted once where nothing was new; `done` says so. Raises ReceiverError."""
    try:
        _prove(host, layout, token)
    except ReceiverError:
        if is_new:
            raise
        # Its files are right: an earlier run wrote them and was cut off before this.
        _restart(host)
        done.append("(re)started, what ran had older files")
        _prove(host, layout, token)


def _check_wanted(host: ReceiverHost, token: str, address: str) -> None:
    missing = [package for program, package in PROGRAMS.items() if not host.at(program).exists()]
    if missing:
        fix = f"apt-get install {' '.join(missing)} (on the control host)"
        raise ReceiverError(f"not installed: {', '.join(missing)}", "refused", fix)
    if not _TOKEN.fullmatch(token):
        fix = "python3 -c 'import secrets; print(secrets.token_urlsafe(32))' (into the vault: …_receiver_token)"
        raise ReceiverError("The token has to be 43 or more letters, digits, - and _ (256 bit).", "usage", fix)
    if not _HOST.fullmatch(address):
        raise ReceiverError(f"{address!r} is no address that Alertmanager could use.", "usage", "")


def _layout(host: ReceiverHost, params: Mapping[str, Any]) -> Layout:
    setup = "./runbook schedule_setup"
    try:
        environment = parse_document(host.at(JOBS_PATH).read_text(encoding="utf-8")).environment
    except (OSError, JobsError) as error:
        sentence = f"There are no jobs on this host, which carry out requests: {error}"
        raise ReceiverError(sentence, "refused", setup) from error
    if not host.at(f"{params['checkout_path']}/runbook").exists():
        raise ReceiverError(f"There is no checkout of this project at {params['checkout_path']}", "refused", setup)
    return Layout(params["checkout_path"], params["state_path"], params["listen"], environment=environment)


def _build_files(
    host: ReceiverHost, params: Mapping[str, Any], layout: Layout, gid: int | None
) -> tuple[list[HostFile], list[HostFile]]:
    """Return the files that anybody may see, and those with the token."""
    settings = build_settings(parse_checks(params["checks"]), params["scrape_interval_seconds"], params)
    units = build_units(layout)
    public = [
        HostFile(host.at(f"{layout.lib_path}/alert_spool.py"), inspect.getsource(alert_spool)),
        *(HostFile(host.at(f"/etc/systemd/system/{name}"), text) for name, text in units.items()),
    ]
    private = [
        # The password of Alertmanager may be in it.
        HostFile(host.at(SETTINGS_PATH), render_settings(settings), 0o600),
        HostFile(host.at(f"{layout.etc_path}/nginx.conf"), render_nginx(layout, params["token"]), _PRIVATE, gid=gid),
        HostFile(host.at(f"{layout.etc_path}/hooks.json"), render_hooks(layout, params["token"]), _PRIVATE, gid=gid),
    ]
    return public, private


def _make_folders(host: ReceiverHost, layout: Layout) -> None:
    etc = host.at(layout.etc_path)
    etc.mkdir(mode=0o755, parents=True, exist_ok=True)
    host.at(layout.incoming_path).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in (layout.incoming_path, layout.spool_path):
        path = host.at(name)
        path.mkdir(mode=0o700, exist_ok=True)
        _checked(host, ["chown", f"{ACCOUNT}:{ACCOUNT}", str(path)])
    fsync_directory(host.at(layout.spool_path).parent)


def _certificate_holds(host: ReceiverHost, layout: Layout, address: str) -> bool:
    """Return whether there is a certificate for this address that is good for some weeks yet."""
    path = host.at(f"{layout.etc_path}/ca.pem")
    if not path.exists() or not host.at(f"{layout.etc_path}/key.pem").exists():
        return False
    # OpenSSL 3.0 looks at nothing else beside -checkend, and ends with 0 also for a name that does not match.
    command = ["openssl", "x509", "-in", str(path), "-noout"]
    code, _ = host.run([*command, "-checkend", str(RENEW_SECONDS)])
    matched = host.run([*command, "-checkip" if _is_ip(address) else "-checkhost", address])[1]
    return code == 0 and "does match certificate" in matched


def _make_certificate(host: ReceiverHost, layout: Layout, address: str, gid: int) -> None:
    """Make key and certificate. Alertmanager trusts this one and no other, so nobody has to sign it."""
    etc = host.at(layout.etc_path)
    name = f"{'IP' if _is_ip(address) else 'DNS'}:{address}"
    with tempfile.TemporaryDirectory(dir=etc, prefix=".new-") as scratch:
        key, certificate = Path(scratch, "key.pem"), Path(scratch, "ca.pem")
        _checked(
            host,
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
                *("-keyout", str(key), "-out", str(certificate), "-days", str(VALID_DAYS)),
                *("-subj", "/CN=trading-core-alert-receiver", "-addext", f"subjectAltName={name}"),
            ],
        )
        for path, mode in ((key, _PRIVATE), (certificate, 0o644)):
            ensure_file(HostFile(etc / path.name, path.read_text(encoding="ascii"), mode, gid=gid))


def _verify(host: ReceiverHost, layout: Layout, files: Sequence[HostFile]) -> None:
    """Have nginx and systemd judge what is new, before anything is written. Raises HostFileError."""
    with tempfile.TemporaryDirectory(prefix="trading-core-") as scratch:
        units = []
        for file in files:
            path = Path(scratch, file.path.name)
            # Root's nginx makes the folders it names, and the account could not use them afterwards.
            path.write_text(file.content.replace(layout.run_path, scratch), encoding="utf-8")
            if path.name == "nginx.conf":
                _judge(host, ["/usr/sbin/nginx", "-q", "-t", "-e", "stderr", "-c", str(path)])
            elif path.suffix in {".service", ".path", ".timer"}:
                units.append(str(path))
        if units:
            _judge(host, ["systemd-analyze", "verify", *units])


def _judge(host: ReceiverHost, argv: Sequence[str]) -> None:
    code, output = host.run(argv)
    if code != 0:
        raise HostFileError(f"No configuration was written, {argv[0]} refuses it ({code}): {output.strip()}")


def _sick_units(host: ReceiverHost) -> list[str]:
    return [name for name in _ENABLED if _find_problem(host, name)]


def _find_problem(host: ReceiverHost, unit: str) -> str:
    """Return why a unit does not work, or would not after a boot; empty where it does."""
    output = host.run(["systemctl", "show", "--property=ActiveState,UnitFileState,NeedDaemonReload", unit])[1]
    shown = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    wanted = {"ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}
    return ", ".join(
        f"{key} is {shown.get(key) or 'unknown'}" for key, word in wanted.items() if shown.get(key) != word
    )


def _restart(host: ReceiverHost) -> None:
    for arguments in (["daemon-reload"], ["enable", *_ENABLED], ["restart", *_ENABLED]):
        _checked(host, ["systemctl", *arguments])


def _prove(host: ReceiverHost, layout: Layout, token: str) -> None:
    """Raise ReceiverError unless it refuses what it has to, takes a request and that request is carried out."""
    sender = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    other = {**sender, "Authorization": f"Bearer {secrets.token_urlsafe(32)}"}
    probe = secrets.token_hex(8)
    alert = {"status": "resolved", "labels": {"alertname": PROBE, "probe": probe}, "annotations": {}}
    body = json.dumps({"alerts": [alert]}).encode()
    large = json.dumps({"alerts": [alert], "pad": "x" * (2 * alert_spool.MOST_BYTES)}).encode()
    end = host.clock() + START_SECONDS
    while host.ask("POST", "/alerts", {}, b"") != 401 and host.clock() < end:
        host.sleep(INTERVAL_SECONDS)
    for method, path, headers, content, status, or_else in (
        ("POST", "/alerts", {}, body, 401, "asks for no token"),
        ("POST", "/alerts", other, body, 401, "takes another token"),
        ("GET", "/alerts", sender, b"", 405, "answers another method"),
        ("POST", "/", sender, body, 404, "answers on another path"),
        ("POST", "/alerts", sender, large, 413, "takes a large body"),
        ("POST", "/alerts", sender, b"{", 500, "takes what is no alert"),
        ("POST", "/alerts", sender, body, 200, "takes no alert"),
    ):
        seen = host.ask(method, path, headers, content)
        if seen != status:
            raise ReceiverError(f"The receiver {or_else}: {method} {path} was answered with {seen}, not {status}.")
    end = host.clock() + CARRIED_OUT_SECONDS
    while probe not in read_text(host.at(f"{layout.state_path}/alerts/received.jsonl")):
        if host.clock() >= end:
            raise ReceiverError(
                f"The receiver took an alert, and nobody carried it out within {CARRIED_OUT_SECONDS} s."
            )
        host.sleep(INTERVAL_SECONDS)
    if sick := {name: error for name in _ENABLED if (error := _find_problem(host, name))}:
        raise ReceiverError("; ".join(f"{name}: {why}" for name, why in sick.items()))


def _checked(host: ReceiverHost, argv: Sequence[str]) -> None:
    code, output = host.run(argv)
    if code != 0:
        raise ReceiverError(f"{argv[0]} {argv[1]} ended with {code}: {output.strip()}")


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address)
    except ValueError:
        return False
    return True


def _result(
    outcome: str, summary: str, done: Sequence[str], diff: Mapping[str, str], next_command: str = ""
) -> dict[str, Any]:
    changed = bool(done) and outcome in {"proven", "planned", "failed"}
    fields = {"files": list(done), "diff": dict(diff)}
    return build_result(outcome, summary, changed=changed, next_command=next_command, **fields)
