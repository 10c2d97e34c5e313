"""Evidence of one host: logs, descriptions, events and facts, redacted before anything is written. Changes nothing.

It takes what is there: without the engine the containers' own files, without a container an entry that says so.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from ..core.clock import format_utc
from ..core.containers import odd_fields, sound_description
from ..core.outcome import GOOD
from ..core.redaction import DECLARED, RedactionError, Redactor, Rules, build_rules
from ..core.result import build_result
from ..core.scratch import SCRATCH_PREFIX
from ..core.secrets import parse_environment, select_secrets
from ..host.cgroups import container_folders
from ..host.engine import EngineError, describe_all
from .archive import pack
from .bundle import Bundle
from .descriptions import add_descriptions, adopt
from .logs import WantedLog, add_logs, copy_logs, select_logs
from .manifest import KEPT, Item
from .request import Estate, Request, Tools, container_name

FREE_BYTES: Final = 64 * 1024 * 1024
"""So much of the disk is left to the host."""
_NOTHING: Final[dict[str, Any]] = {"manifest": {}, "archive": "", "host_logs": []}
_ID: Final = re.compile(r"INC-\d{8}-\d{6}-[a-z0-9-]+|incident_test_\d{8}-\d{6}")


class EvidenceError(Exception):
    """Nothing can be collected. The text is a sentence."""


def collect(request: Request, tools: Tools, check_mode: bool) -> dict[str, Any]:
    """Return the module result: `proven` where a bundle with its manifest is there, whatever it could not get."""
    began = tools.clock()
    if not _ID.fullmatch(request.incident_id):
        return _result("usage", f"{request.incident_id!r} is no incident: INC-<yyyymmdd-hhmmss>-<words>", began, tools)
    estate = _observe(tools)
    wanted = select_logs(request, estate)
    if check_mode:
        names = ", ".join(each.name for each in wanted) or "no service"
        return _result("planned", f"would collect evidence of {names}", began, tools)
    try:
        return _collect(request, tools, estate, wanted, began)
    except OSError as error:
        return _result("failed", f"no bundle could be written below {request.scratch_path}: {error}", began, tools)


def remove_scratch(archive: Path) -> None:
    """Remove the directory in which `collect` left its archive. Raises EvidenceError for any other."""
    if not archive.parent.name.startswith(SCRATCH_PREFIX):
        raise EvidenceError(f"{archive} is no archive of evidence.")
    shutil.rmtree(archive.parent, ignore_errors=True)


def _collect(
    request: Request, tools: Tools, estate: Estate, wanted: Sequence[WantedLog], began: float
) -> dict[str, Any]:
    started_at = tools.now()
    _remove_forgotten(request.scratch_path, tools.now())
    scratch = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=request.scratch_path))
    try:
        free = shutil.disk_usage(scratch).free - FREE_BYTES
        rules, closed = _build_rules(request, estate)
        redactor = Redactor(rules)
        # Half, because the archive stands beside the bundle.
        room, deadline = max(0, min(request.most_bytes, free // 2)), began + request.timeout_seconds
        bundle = Bundle(scratch / "bundle", room, redactor, tools.clock, deadline)
        bundle.open()
        logs: list[tuple[str, Item]] = []
        if closed:
            bundle.note("all texts", "failed", f"nothing was kept, as nobody can say which values are secret: {closed}")
        else:
            add_descriptions(bundle, request, tools, estate)
            logs = add_logs(bundle, request, estate, wanted)
        for name, path in request.adopted.items():
            adopt(bundle, name, path)
        copies = copy_logs(request, bundle, logs, started_at)
        manifest = _finish(bundle, _describe(request, rules, started_at, tools.now()), scratch)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    shutil.rmtree(bundle.root, ignore_errors=True)
    is_whole = not closed and all(item.status in {*KEPT, "missing"} for item in bundle.items if _is_log(item))
    return _result(
        "proven" if is_whole else "failed",
        _summary(bundle.items, redactor),
        began,
        tools,
        manifest=manifest,
        archive=str(scratch / "evidence.tar.gz"),
        host_logs=copies,
    )


def _describe(request: Request, rules: Rules, started_at: datetime, finished_at: datetime) -> dict[str, Any]:
    """Return what the manifest says of the bundle."""
    return {
        "incident_id": request.incident_id,
        "host": request.host,
        "started_at": format_utc(started_at),
        "finished_at": format_utc(finished_at),
        "too_short_to_look_for": list(rules.too_short),
        "limits": {"bytes": request.most_bytes, "seconds": request.timeout_seconds},
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _finish(bundle: Bundle, about: Mapping[str, Any], scratch: Path) -> dict[str, Any]:
    """Return the manifest once bundle and archive are on disk. What finds no room is left out, the largest first."""
    archive = scratch / "evidence.tar.gz"
    while True:
        try:
            manifest = bundle.close(about)
            pack(bundle.root, archive)
            break
        except OSError as error:
            archive.unlink(missing_ok=True)
            kept = [item for item in bundle.items if item.path]
            if not kept:
                raise
            largest = max(kept, key=lambda item: item.bytes)
            bundle.remove(largest)
            bundle.note(largest.name, "failed", f"no room for it in the archive: {error.strerror or error}")
    _give_to_login_user(scratch, archive)
    return manifest


def _give_to_login_user(scratch: Path, archive: Path) -> None:
    """Let the account that logged in fetch the archive: read with root's rights it would go through memory."""
    user = int(os.environ.get("SUDO_UID") or os.geteuid())
    archive.chmod(0o600)
    if user != os.geteuid():
        os.chown(archive, user, -1)
        os.chown(scratch, user, -1)


def _remove_forgotten(scratch_path: Path, now: datetime) -> None:
    """Remove what a run that was killed has left; a day old, so that no other run is at it."""
    for path in scratch_path.glob(f"{SCRATCH_PREFIX}*"):
        if now.timestamp() - path.lstat().st_mtime > 86_400:
            shutil.rmtree(path, ignore_errors=True)


# ---- what is there -------------------------------------------------------------------------------------------------


def _observe(tools: Tools) -> Estate:
    try:
        engine = tools.connect()
        described, silent = describe_all(engine, engine.containers())
    except EngineError as error:
        return Estate(None, str(error), _read_containers(tools.docker_roots))
    if not silent:
        return Estate(engine, "", tuple(described))
    # Of one that the engine cannot describe its file is taken; without that nobody knows what in it is secret.
    on_disk = [each for each in _read_containers(tools.docker_roots) or () if each["Id"] in silent]
    is_whole = len(on_disk) == len(silent)
    return Estate(engine, "; ".join(silent.values()), (*described, *on_disk) if is_whole else None)


def _read_containers(docker_roots: Sequence[Path]) -> tuple[dict[str, Any], ...] | None:
    """Return the containers' descriptions from the engine's own files, None where they cannot be read."""
    found = []
    try:
        folders = container_folders(docker_roots)
        for folder in [each for containers in folders for each in sorted(containers.iterdir())]:
            config = json.loads((folder / "config.v2.json").read_text(encoding="utf-8"))
            host = json.loads((folder / "hostconfig.json").read_text(encoding="utf-8"))
            found.append(sound_description({**config, "Id": folder.name, "HostConfig": host}, folder.name))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return tuple(found) if folders else None


# ---- what is secret ------------------------------------------------------------------------------------------------


def _build_rules(request: Request, estate: Estate) -> tuple[Rules, str]:
    """Return what is looked for, and why it is not known in full: then nothing is kept."""
    known = [("given", value) for value in request.secrets]
    problems = []
    if estate.containers is None:
        problems.append("the containers' environment cannot be read")
    for container in estate.containers or ():
        if {"Config", "Config.Env"} & set(odd_fields(container)):
            problems.append(f"the environment of {container_name(container)} is not understood")
        lines = (container.get("Config") or {}).get("Env") or []
        known += [(name, part) for name, value in parse_environment(lines) for part in select_secrets(name, value)]
    for pattern in request.secret_paths:
        for path in sorted(Path("/").glob(pattern.lstrip("/"))):
            try:
                text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
            except OSError as error:
                problems.append(f"{path} cannot be read ({error.strerror})")
                continue
            known += [
                (name or path.name, part)
                for name, value in parse_environment(text.splitlines())
                for part in select_secrets(name, value)
            ]
    try:
        rules = build_rules(known, {**DECLARED, **request.patterns})
    except RedactionError as error:
        return build_rules(known), str(error)
    return rules, "; ".join(problems)


# ---- what is said --------------------------------------------------------------------------------------------------


def _is_log(item: Item) -> bool:
    return item.name.startswith(("log ", "all texts"))


def _summary(items: Sequence[Item], redactor: Redactor) -> str:
    whole = sum(item.status == "complete" for item in items)
    masked = sum(redactor.counts.values())
    odd = [item for item in items if item.status != "complete" and (_is_log(item) or item.name == "engine")]
    parts = [
        f"{whole} of {len(items)} items complete, {sum(item.bytes for item in items)} bytes, {masked} secrets masked"
    ]
    parts += [f"{item.name} {item.status} ({item.reason})" for item in odd[:4]]
    return "; ".join(parts)


def _result(outcome: str, summary: str, began: float, tools: Tools, **more: Any) -> dict[str, Any]:
    by_hand = "" if outcome in GOOD else "runbooks/Incident_Handling.md 4.4, By hand"
    seconds = round(tools.clock() - began, 3)
    return build_result(outcome, summary, next_command=by_hand, seconds=seconds, **_NOTHING | more)
