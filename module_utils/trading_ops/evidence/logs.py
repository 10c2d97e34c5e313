"""Logs of containers as evidence: the engine's answer, and its own files where that answer is incomplete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from ..core.bots import SERVICE_LABEL, select_bots
from ..core.clock import parse_utc
from ..core.durable import bounded
from ..core.redaction import Piece
from ..host.engine import EngineError
from ..host.logs import Seen, is_older, look_at_file, pieces_of_answer, pieces_of_file, seek_tail
from .bundle import TOO_LONG, Bundle, Item, safe_name
from .request import FILE_BYTES, Estate, Request, container_labels, container_name

LOG_BYTES: Final = 16 * 1024 * 1024
"""Of one log. Redacting takes about a second for each two megabytes, and all of it has to be done in time."""
RECORDS_AT_ONCE: Final = 256


def select_logs(request: Request, estate: Estate) -> list[tuple[str, int, dict[str, Any] | None]]:
    """Return name, newest lines and container of each log: what was asked for, found or not, and every bot."""
    found: list[tuple[str, int, dict[str, Any] | None]] = []
    containers = estate.containers or ()
    for service, lines in request.services.items():
        named = [one for one in containers if container_name(one) == service]
        matching = named or [one for one in containers if container_labels(one).get(SERVICE_LABEL) == service]
        found += [(service if len(matching) == 1 else container_name(one), lines, one) for one in matching]
        if not matching:
            found.append((service, lines, None))
    listed = {str(one["Id"]) for _, _, one in found if one}
    summaries = [
        {
            "Id": one["Id"],
            "Names": [container_name(one)],
            "Image": (one.get("Config") or {}).get("Image", ""),
            "Labels": container_labels(one),
            "State": (one.get("State") or {}).get("Status", ""),
        }
        for one in containers
    ]
    bots = {bot.id for bot in select_bots(summaries, request.bot_rules)} - listed
    found += [(container_name(one), request.bot_tail_lines, one) for one in containers if one["Id"] in bots]
    return found


def add_logs(
    bundle: Bundle,
    request: Request,
    estate: Estate,
    wanted: Sequence[tuple[str, int, dict[str, Any] | None]],
) -> list[tuple[str, Item]]:
    """Add every log, and return those of which there is a file. One that is long leaves room for the others."""
    kept = []
    for place, (name, lines, container) in enumerate(wanted):
        share = min(LOG_BYTES, bundle.left_bytes // (len(wanted) - place))
        if container is None:
            bundle.note(f"log {name}", "missing", f"no container is called {name}" + _engine_words(estate))
            continue
        if bundle.left_seconds <= 0 or share <= 0:
            bundle.note(f"log {name}", "skipped", "the time or room for evidence was over")
            continue
        item = _add_log(bundle, request, estate, name, lines, container, share)
        if item:
            kept.append((name, item))
    return kept


def _engine_words(estate: Estate) -> str:
    return f" in the engine's files ({estate.trouble})" if estate.trouble else ""


def _add_log(
    bundle: Bundle,
    request: Request,
    estate: Estate,
    name: str,
    lines: int,
    container: Mapping[str, Any],
    share: int,
) -> Item | None:
    if str((container.get("State") or {}).get("StartedAt", "")).startswith("0001-"):
        bundle.note(f"log {name}", "missing", "the container was never started")
        return None
    driver = ((container.get("HostConfig") or {}).get("LogConfig") or {}).get("Type", "")
    raw = Path(str(container.get("LogPath") or "")) if driver == "json-file" else Path()
    asked = lines
    in_file = _look(raw, lines, request.since, share)
    if in_file and in_file.records < lines and raw.stat().st_size > share:
        lines = max(1, in_file.records)
    while True:
        flaw = f"the newest {lines} lines of {asked}, for more there is no room" if lines < asked else ""
        item = _write_log(bundle, request, estate, name, lines, container, raw, share, flaw)
        too_long = item.status == "incomplete" and item.reason.startswith(TOO_LONG)
        if not too_long or lines <= 1:
            return item if item.path else None
        # It was cut at its end, where the newest lines are: rather fewer lines, and those.
        bundle.remove(item)
        lines = max(1, lines // 8)


def _write_log(
    bundle: Bundle,
    request: Request,
    estate: Estate,
    name: str,
    lines: int,
    container: Mapping[str, Any],
    raw: Path,
    share: int,
    flaw: str,
) -> Item:
    path = f"logs/{safe_name(name)}.log"
    in_file = _look(raw, lines, request.since, share)
    trouble = estate.trouble
    if estate.engine and not (in_file and in_file.damaged):
        seen = Seen()
        since = parse_utc(request.since).timestamp() if request.since else None
        is_tty = bool((container.get("Config") or {}).get("Tty"))
        records = estate.engine.log_records(str(container["Id"]), lines, since)
        limited = _bounded_each(records, lambda: bundle.left_seconds)
        item = bundle.add(f"log {name}", path, pieces_of_answer(limited, is_tty, seen), share, flaw)
        if item.status == "incomplete" and item.reason.startswith(TOO_LONG):
            return item
        if in_file is None or ((item.status == "complete" or item.reason == flaw) and not _has_more(in_file, seen)):
            return item
        trouble = item.reason if item.reason != flaw else "the engine's answer ended early"
        bundle.remove(item)
    if in_file is None:
        bundle.note(f"log {name}", "failed", f"{trouble or 'no answer'}, and it has no file that could be read")
        return bundle.items[-1]
    damaged = f"{in_file.damaged} damaged records in the engine's own file" if in_file.damaged else ""
    taken = "taken from the file itself, as far as it can be read"
    flaw = "; ".join(filter(None, [flaw, trouble, damaged, taken]))

    def pieces() -> Iterator[Piece]:
        with open(raw, "rb") as file:
            seek_tail(file, lines, share)
            yield from pieces_of_file(file, request.since, Seen())

    return bundle.add(f"log {name}", path, pieces(), share, flaw)


def _look(raw: Path, lines: int, since: str, most_bytes: int) -> Seen | None:
    try:
        return look_at_file(raw, lines, since, most_bytes) if raw.is_file() else None
    except OSError:
        return None


def _has_more(in_file: Seen, answered: Seen) -> bool:
    """Return whether the file, looked at before the engine was asked, held more than its answer."""
    if answered.records < in_file.records:
        return True
    return bool(in_file.newest) and (not answered.newest or is_older(answered.newest, in_file.newest))


def _bounded_each(records: Iterator[bytes], left_seconds: Callable[[], float]) -> Iterator[bytes]:
    """Yield the records within the time that is left: an engine that hangs in mid answer ends the log."""

    def take() -> list[bytes]:
        return list(islice(records, RECORDS_AT_ONCE))

    while True:
        try:
            batch = bounded(take, max(0.1, left_seconds()))
        except TimeoutError as error:
            raise EngineError("The engine did not go on with the log in time.") from error
        if not batch:
            return
        yield from batch


def copy_logs(
    request: Request, bundle: Bundle, logs: Sequence[tuple[str, Item]], now: datetime
) -> list[dict[str, str]]:
    """Return where each log was left on the host too, under the owner's name for it. It never replaces one."""
    stamp = now.strftime("%Y%m%d-%H%M%S")
    prefix = "incident_test" if request.incident_id.startswith("incident_test") else "incident"
    folder = request.root_path / "logs"
    copies = []
    for name, item in logs:
        target = folder / f"{prefix}_{stamp}_{safe_name(name)}.log"
        try:
            if not request.root_path.is_dir():
                raise OSError(f"{request.root_path} is not there")
            owner = request.root_path.stat()
            if not folder.is_dir():
                folder.mkdir(mode=0o750)
                os.chown(folder, owner.st_uid, owner.st_gid)
            with open(bundle.root / item.path, "rb") as source, open(target, "xb") as file:
                os.fchmod(file.fileno(), 0o640)
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                shutil.copyfileobj(source, file, FILE_BYTES)
            copies.append({"name": name, "path": str(target), "reason": ""})
        except OSError as error:
            copies.append({"name": name, "path": "", "reason": f"{target}: {error.strerror or error}"})
    return copies
