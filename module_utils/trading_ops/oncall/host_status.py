"""One host as it is: containers, disks, memory, certificates, errors in logs, and what our own files say of it.

Only facts: what they mean is judged where all hosts' facts are together (findings.py).
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from ..config import drift_log
from ..core.bots import PROJECT_LABEL, SERVICE_LABEL, BotRules
from ..core.clock import format_utc, parse_utc
from ..core.containers import odd_words, utc_text
from ..core.durable import bounded
from ..core.result import build_result
from ..core.strict_json import object_lines, parse_json
from ..core.unexpected import Beyond, find_beyond
from ..feed.gate import GATE_FILE
from ..host.engine import EngineError, describe_all
from ..host.logs import split_lines
from ..host.programs import Ended, ProgramError, said
from ..state import audit
from ..state import desired as desired_state
from ..state.latch import read_latch
from ..stop.kill_switch import parse_bot_rules

LOG_LINES: Final = 20_000
LOG_SECONDS: Final = 5
"""For the log of one container; all are read at once."""
READ_SECONDS: Final = 2
RECENT: Final = timedelta(hours=1)
BEFORE: Final = timedelta(days=3)
"""Errors of the last hour are held against the days before; those that an earlier shift has seen are not new."""

PSEUDO_FILE_SYSTEMS: Final = frozenset(
    "autofs binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs erofs fusectl hugetlbfs iso9660 "
    "mqueue nsfs proc pstore ramfs securityfs squashfs sysfs tracefs".split()
)
_OURS_NOT: Final = re.compile(r"/(run|dev|sys|proc)(/|$)|.*/docker/(containers|overlay2|netns)/")
"""What the system and the engine mount for themselves."""

_ERROR: Final = re.compile(rb'\b(ERROR|CRITICAL|FATAL|PANIC|Traceback)\b|level=(error|fatal)|"level": ?"(error|fatal)"')
_STAMP: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d) ")


Run = Callable[[Sequence[str]], Ended]
"""Runs a program to its end; may raise ProgramError."""


class StatusEngine(Protocol):
    """What a look at a host needs of its engine. Every method may raise EngineError."""

    def containers(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]: ...

    def inspect(self, container_id: str) -> dict[str, Any] | None: ...

    def image_digests(self, image_id: str) -> tuple[str, ...]: ...

    def log_records(self, container_id: str, tail_lines: int, since: float | None) -> Iterable[bytes]: ...


@dataclass(frozen=True)
class Host:
    """What is looked at, handed in. `root` is where the file systems begin.

    connect: gives the engine, may raise EngineError; None where the host needs none.
    """

    connect: Callable[[], StatusEngine] | None
    run: Run
    now: Callable[[], datetime]
    root: Path = Path("/")


def observe(params: Mapping[str, Any], host: Host) -> dict[str, Any]:
    """Return the module result. Whatever could not be looked at is named in `trouble`. Never raises."""
    now = host.now()
    state_path = Path(params["state_path"])
    since = params["since"] or format_utc(now - timedelta(days=1))
    problems: list[str] = []
    rules, _ = parse_bot_rules(params)
    containers, errors, beyond = _containers(host, now, max(format_utc(now - RECENT), since), rules, problems)
    seen = _observe_machine(params, host, problems)
    records = _observe_records(state_path, since, problems)
    due = params["documentation_path"]
    running = sum(item["state"] == "running" for item in containers)
    return build_result(
        "unknown" if problems else "proven",
        "; ".join([f"{running} of {len(containers)} containers run", *problems]),
        trouble=problems,
        containers=containers,
        errors=errors,
        errors_since=max(format_utc(now - RECENT), since),
        documentation_due=drift_log.describe_due(state_path, Path(due)) if due else "",
        since=since,
        host_epoch=host.now().timestamp(),
        controller_epoch=params["controller_epoch"],
        **beyond.fields(),
        **seen,
        **records,
    )


def _observe_machine(params: Mapping[str, Any], host: Host, problems: list[str]) -> dict[str, Any]:
    def read_mounts() -> list[dict[str, Any]]:
        return bounded(lambda: read_filesystems(host.root, params["docker_root_path"], problems), READ_SECONDS)

    return {
        "machine": _attempt("memory and load", lambda: read_machine(host.root), {}, problems),
        "filesystems": _attempt("the file systems", read_mounts, [], problems),
        "certificates": read_certificates(host.root, params["certificate_paths"], host.run),
    }


def _observe_records(state_path: Path, since: str, problems: list[str]) -> dict[str, Any]:
    """Return what our own files on the host say."""

    def read_log() -> list[dict[str, Any]]:
        return _read_audit(state_path / audit.AUDIT_FILE, since, problems)

    latch = read_latch(state_path)
    found = {
        "latch": asdict(latch) if latch else None,
        "gate": _attempt("the feed gate", lambda: _read_gate(state_path / GATE_FILE), None, problems),
        "audit": _attempt("the audit log", read_log, [], problems),
        "drift": _attempt("the drift log", lambda: _read_drift(state_path, since), [], problems),
    }
    found["desired"], unread = desired_state.read_quietly(state_path)
    problems += [unread] if unread else []
    return found


def parse_container(seen: Mapping[str, Any], digests: Sequence[str]) -> dict[str, Any]:
    """Return what counts of a container's full description."""
    labels, state = (seen.get("Config") or {}).get("Labels") or {}, seen.get("State") or {}
    return {
        "id": str(seen.get("Id", "")),
        "name": str(seen.get("Name", "")).lstrip("/"),
        "service": str(labels.get(SERVICE_LABEL, "")),
        "project": str(labels.get(PROJECT_LABEL, "")),
        "state": str(state.get("Status", "")),
        "health": str((state.get("Health") or {}).get("Status", "")),
        "exit_code": state.get("ExitCode"),
        "started_at": str(state.get("StartedAt", "")),
        "restarts": seen.get("RestartCount"),
        "is_tty": bool((seen.get("Config") or {}).get("Tty")),
        "image": str((seen.get("Config") or {}).get("Image", "")),
        "image_id": str(seen.get("Image", "")),
        "digests": list(digests),
    }


def count_errors(records: Iterable[bytes], begin: datetime) -> dict[str, Any]:
    """Return how many records from `begin` on are errors, and how many an hour it was before.

    `before_per_hour` is None where the log does not reach back far enough to say. ValueError where it tells no time.
    """
    first: datetime | None = None
    recent = before = 0
    record = b""
    for record in records:
        match = _STAMP.match(record)
        if not match:
            continue
        at = parse_utc(utc_text((match[1] + match[2]).decode()))
        first = first or at
        if _ERROR.search(record, match.end()):
            recent, before = (recent + 1, before) if at >= begin else (recent, before + 1)
    if record and not first:
        raise ValueError("no record in it says when it was written")
    hours = (begin - first).total_seconds() / 3600 if first else 0
    # A few minutes say nothing of an hour.
    return {"recent": recent, "before_per_hour": round(before / hours, 3) if hours >= 0.25 else None}


def parse_mounts(text: str) -> list[tuple[str, str]]:
    """Return mount point and type of the file systems in /proc/mounts that hold somebody's data."""
    found = []
    for line in text.splitlines():
        _, point, kind, *_ = line.split(" ")
        point = point.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        if kind not in PSEUDO_FILE_SYSTEMS and not _OURS_NOT.match(point):
            found.append((point, kind))
    return found


def read_filesystems(root: Path, docker_root_path: str, problems: list[str]) -> list[dict[str, Any]]:
    """Return size, space and inodes of every file system, and of that on which the engine keeps its data.

    One that does not answer is named in `trouble`.
    """
    mounts = parse_mounts((root / "proc/mounts").read_text(encoding="utf-8", errors="replace"))
    mounts += [(docker_root_path, "engine")] if docker_root_path else []
    found: dict[Any, dict[str, Any]] = {}
    for point, kind in mounts:
        path = root / point.lstrip("/")
        try:
            seen, device = os.statvfs(path), path.stat().st_dev
        except (FileNotFoundError, PermissionError):
            continue  # one that is gone, or another user's
        except OSError as error:
            problems.append(f"the file system {point} could not be read: {error.strerror}")
            continue
        if not seen.f_blocks or not path.is_dir():
            continue  # a file that is mounted over another
        found.setdefault(
            device,
            {
                "mount": point,
                "type": kind,
                "size_bytes": seen.f_blocks * seen.f_frsize,
                "free_bytes": seen.f_bavail * seen.f_frsize,
                "inodes": seen.f_files,
                "inodes_free": seen.f_favail,
                "holds_engine": False,
            },
        )
        found[device]["holds_engine"] |= kind == "engine"
    return list(found.values())


def read_machine(root: Path) -> dict[str, Any]:
    """Return load, processors, memory and uptime. Raises OSError or ValueError."""
    memory = dict(re.findall(r"^(\w+): +(\d+) kB$", (root / "proc/meminfo").read_text(), re.MULTILINE))
    load = (root / "proc/loadavg").read_text().split()
    return {
        "load": [float(word) for word in load[:3]],
        "processors": os.cpu_count(),
        "memory_bytes": 1024 * int(memory.get("MemTotal", 0)),
        "memory_available_bytes": 1024 * int(memory.get("MemAvailable", 0)),
        "uptime_seconds": float((root / "proc/uptime").read_text().split()[0]),
    }


def read_certificates(root: Path, patterns: Sequence[str], run: Run) -> list[dict[str, str]]:
    """Return until when each certificate counts, or why that is not known."""
    found = [
        {"path": pattern, "expires_at": "", "trouble": "it is not there"}
        for pattern in patterns
        if not any(letter in pattern for letter in "*?[") and not (root / pattern.lstrip("/")).exists()
    ]
    for path in sorted({path for pattern in patterns for path in root.glob(pattern.lstrip("/"))}):
        end = problem = ""
        try:
            content = path.read_bytes()
            if b"PRIVATE KEY-----" in content and b"-----BEGIN CERTIFICATE-----" not in content:
                continue  # a key beside its certificate
            ended = run(["openssl", "x509", "-noout", "-enddate", "-in", str(path)])
            if ended.code != 0:
                raise ProgramError(said(ended))
            # `notAfter=Nov 21 18:50:02 2026 GMT`
            end = format_utc(_from_epoch(ssl.cert_time_to_seconds(ended.stdout.strip().partition("=")[2])))
        except (ProgramError, ValueError, OSError) as error:
            problem = str(error)
        found.append({"path": f"/{path.relative_to(root)}", "expires_at": end, "trouble": problem})
    return found


def _containers(
    host: Host, now: datetime, since: str, rules: BotRules, problems: list[str]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Beyond]:
    if host.connect is None:
        return [], [], Beyond()
    try:
        begin = parse_utc(since)
        engine = host.connect()
        listed = engine.containers()
        seen, silent = describe_all(engine, listed)
    except (EngineError, ValueError) as error:
        problems.append(str(error))
        return [], [], Beyond()
    by_id = {str(found["Id"]): found for found in seen}
    beyond = find_beyond([item for item in listed if str(item["Id"]) in by_id.keys() | silent.keys()], by_id, rules)
    problems += [f"container {each[:12]} could not be looked at: {error}" for each, error in silent.items()]
    problems += [f"container {str(each['Name']).lstrip('/')}: {odd}" for each in seen if (odd := odd_words(each))]
    rows = [parse_container(found, _digests(engine, found, problems)) for found in seen]
    ours = [row for row in rows if row["project"]]

    def count(row: Mapping[str, Any]) -> dict[str, Any]:
        name = {"name": row["name"], "service": row["service"], "trouble": ""}
        counted: dict[str, Any] = {"recent": None, "before_per_hour": None}
        try:
            records = engine.log_records(row["id"], LOG_LINES, (now - BEFORE).timestamp())
            whole = split_lines(records) if row["is_tty"] else records
            counted = bounded(lambda: count_errors(whole, begin), LOG_SECONDS)
        except TimeoutError:
            name["trouble"] = f"it was not read within {LOG_SECONDS} s"
        except (EngineError, OSError, ValueError) as error:
            name["trouble"] = str(error)
        return name | counted

    with ThreadPoolExecutor(max_workers=8) as pool:
        errors = list(pool.map(count, ours))
    return sorted(rows, key=lambda row: (row["project"], row["service"], row["name"])), errors, beyond


def _digests(engine: StatusEngine, seen: Mapping[str, Any], problems: list[str]) -> Sequence[str]:
    try:
        return engine.image_digests(str(seen.get("Image", "")))
    except EngineError as error:
        problems.append(f"the image of container {str(seen['Name']).lstrip('/')} could not be looked at: {error}")
        return ()


def _read_gate(path: Path) -> dict[str, Any] | None:
    try:
        gate = parse_json(bounded(lambda: path.read_text(encoding="utf-8"), READ_SECONDS))
        return {key: str(gate[key]) for key in ("passed_at", "expires_at", "by")}
    except FileNotFoundError:
        return None


def _read_audit(path: Path, since: str, problems: list[str]) -> list[dict[str, Any]]:
    """Return the entries since then. Lines that nobody can understand are named in `trouble`."""
    try:
        text = bounded(lambda: path.read_text(encoding="utf-8", errors="replace"), READ_SECONDS)
    except FileNotFoundError:
        return []
    found, damaged = [], []
    for number, line in enumerate(object_lines(text), 1):
        try:
            entry = parse_json(line)
            time, _, _ = entry["time"], entry["event"], entry["by"]
        except (ValueError, KeyError, TypeError):
            damaged.append(str(number))
            continue
        found += [entry] if str(time) >= since else []
    if damaged:
        problems.append(f"the audit log cannot be understood in line {', '.join(damaged)}")
    return found


def _read_drift(state_path: Path, since: str) -> list[dict[str, Any]]:
    log = drift_log.read(state_path)
    if log.damaged_lines:
        raise ValueError(f"lines {', '.join(map(str, log.damaged_lines))} cannot be understood")
    return [asdict(entry) for entry in log.entries if entry.time >= since]


def _attempt(what: str, read: Callable[[], Any], nothing: Any, problems: list[str]) -> Any:
    try:
        return read()
    except (OSError, ValueError, KeyError, TypeError) as error:
        problems.append(f"{what} could not be read: {error}")
        return nothing


def _from_epoch(epoch: float) -> datetime:
    return parse_utc("1970-01-01T00:00:00Z") + timedelta(seconds=epoch)
