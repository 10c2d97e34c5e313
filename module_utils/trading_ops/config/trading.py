"""Declarative changes of AI_TRADING_CORE's `config/trading.yml`: what may be traded, and how large.

PyYAML tells where a value stands in the text, and nothing but that value is replaced: comments, order, quotes and line
ends stay. What comes out is read again before it is written, and has to be the old content with the new values in it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ..core.durable import bounded, write_durably
from ..core.result import OperationError, build_result
from ..state import audit
from ..state.latch import read_latch
from . import drift_log

MAX_BYTES: Final = 1024 * 1024
FILE_SECONDS: Final = 5

_SIZES: Final = ("sizing", "risk_limits", "load")
"""Sections whose numbers say how much may be at stake, or how hard the system works."""

_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")


class ConfigError(OperationError):
    """Nothing was changed: a sentence, the outcome (`usage`, `refused` or `failed`) and the next command."""

    def __init__(self, text: str, outcome: str = "usage", next_command: str = "") -> None:
        super().__init__(text, outcome, next_command)


@dataclass(frozen=True)
class Change:
    """A dotted key, and its value before and after."""

    key: str
    before: Any
    after: Any

    @property
    def is_allowed_while_halted(self) -> bool:
        """Whether it makes something smaller or switches it off, or is a parameter of a strategy.

        A bad parameter has to be put right before the release. What nobody here knows is not allowed.
        """
        section, _, _ = self.key.partition(".")
        if self.key.endswith(".enabled"):
            return self.after is False
        if section in _SIZES:
            return (
                all(isinstance(value, int | float) for value in (self.before, self.after)) and self.after < self.before
            )
        return section == "strategies"


Edit = Callable[[str], tuple[tuple[Change, ...], str]]
"""The file's text -> what is different from what is wanted, and the text with it changed. Raises ConfigError."""


@dataclass(frozen=True)
class Request:
    """What is asked: `changes` are values, or their text, by dotted key; or an `edit` in their place."""

    path: Path
    changes: Mapping[str, object]
    state_path: Path
    documentation_path: Path
    by: str
    why: str
    edit: Edit | None = None


@dataclass(frozen=True)
class Planned:
    """What a request comes to, as the file was just seen: its text and status, and the text that it will have."""

    changes: tuple[Change, ...]
    before: str
    after: str
    seen: os.stat_result


def plan(text: str, wanted: Mapping[str, object]) -> tuple[tuple[Change, ...], str]:
    """Return what is different from `wanted`, and the text with it changed. Raises ConfigError."""
    after, document = read_settings(text), _yaml().compose(text)
    changes, cuts = [], []
    for key, value in wanted.items():
        node = _find(document, key)
        section, name = _section(after, key)
        new = _convert(key, section[name], value)
        if repr(new) == repr(section[name]):
            continue
        changes.append(Change(key, section[name], new))
        cuts.append((node.start_mark.index, node.end_mark.index, _render(new)))
        section[name] = new
    changed = text
    for start, end, written in sorted(cuts, reverse=True):
        changed = changed[:start] + written + changed[end:]
    _check_bounds(after, changes)
    # Types count too: 1, 1.0 and true are equal, and not the same.
    if repr(_reload(changed)) != repr(after):
        keys = ", ".join(change.key for change in changes)
        raise ConfigError(
            f"{keys} cannot be changed alone: an anchor, an alias or a text of several lines stands there."
        )
    return tuple(changes), changed


def compare(before: str, after: str) -> tuple[Change, ...]:
    """Return what is different between two texts of the file; None for a setting that one of them has not.

    Raises ConfigError.
    """
    old, new = (dict(_settings(read_settings(text))) for text in (before, after))
    keys = [*old, *(key for key in new if key not in old)]
    return tuple(Change(key, old.get(key), new.get(key)) for key in keys if repr(old.get(key)) != repr(new.get(key)))


def ensure_changed(
    request: Request, now: Callable[[], str], dry_run: bool, keep: Callable[[Planned], None] | None = None
) -> dict[str, Any]:
    """Return the module result of changing the file; `now` tells ISO 8601 UTC. Never raises.

    `keep` writes down what a later undo needs, before anything is changed; OSError where it cannot.
    """
    try:
        planned = _plan(request)
    except ConfigError as error:
        return nothing_done(error)
    changes = planned.changes
    if dry_run or not changes:
        outcome = "planned" if dry_run else "proven"
        return _result(outcome, _describe_with_due(request, changes), changes, changed=bool(changes))
    moment, documentation = now(), drift_log.digest(request.documentation_path)
    entries = [_entry(request, change, moment, documentation) for change in changes]
    try:
        # Written down first: a record of a change that failed can be told from the file, an unrecorded change cannot.
        if keep:
            keep(planned)
        drift_log.record(request.state_path, entries)
    except OSError as error:
        return nothing_done(ConfigError(f"Not changed, since it could not be put on record: {error}.", "failed"))
    if failure := _write_and_prove(request.path, planned.after, planned.seen):
        text = f"{failure} {_take_back(request, entries, now())}"
        return _result("failed", text, changes, changed=True, next_command=f"cat {request.path}")
    warnings = audit.record_quietly(
        request.state_path,
        "trading configuration changed",
        request.by,
        moment,
        path=str(request.path),
        why=request.why,
        changes={change.key: [change.before, change.after] for change in changes},
    )
    return _result("proven", _describe_with_due(request, changes), changes, changed=True, warnings=warnings)


def _plan(request: Request) -> Planned:
    if not request.why.strip() or not (request.changes or request.edit):
        raise ConfigError("A change needs what is changed, and why: -e reason=… -e changes=KEY=VALUE")
    try:
        content, seen = bounded(lambda: (request.path.read_bytes(), request.path.stat()), FILE_SECONDS)
    except OSError as error:
        raise ConfigError(f"{request.path} could not be read: {error}.", "failed", f"ls -la {request.path}") from error
    if request.path.is_symlink() and request.path.lstat().st_uid not in (0, seen.st_uid):
        raise ConfigError(f"{request.path} is a link to another user's file.", "refused", f"ls -la {request.path}")
    if len(content) > MAX_BYTES:
        raise ConfigError(f"{request.path} is longer than {MAX_BYTES} bytes.", "failed")
    try:
        text = content.decode("utf-8")
    except ValueError as error:
        raise ConfigError(f"{request.path} is no text: {error}.", "failed") from error
    changes, changed = request.edit(text) if request.edit else plan(text, request.changes)
    barred = [change.key for change in changes if not change.is_allowed_while_halted]
    latch = read_latch(request.state_path)
    if latch and barred:
        release = f"./runbook halt_release -e incident_id={latch.incident_ids[0]}" if not latch.damaged else ""
        summary = "Until its release things get smaller or go off, and parameters of strategies can be put right; not"
        raise ConfigError(f"{latch.sentence()} {summary}: {', '.join(barred)}.", "refused", release)
    return Planned(changes, text, changed, seen)


def _write_and_prove(path: Path, text: str, seen: os.stat_result) -> str:
    """Return what went wrong, empty where the file holds the text, under the owner and mode that it had."""
    real = path.resolve()  # a link stays one
    try:
        if not os.path.samestat(real.stat(), seen):  # by its owner, who may lay a link to a file of root's
            raise OSError("it was replaced meanwhile")
        bounded(lambda: write_durably(real, text, like=seen), FILE_SECONDS)
        content, now = bounded(lambda: (real.read_bytes(), real.stat()), FILE_SECONDS)
    except OSError as error:
        return f"{path} could not be written: {error}."
    if content.decode("utf-8", "replace") != text:
        return f"{path} does not hold what was written to it."
    if (now.st_mode, now.st_uid, now.st_gid) != (seen.st_mode, seen.st_uid, seen.st_gid):
        return f"{path} has another owner or mode than before."
    return ""


def _take_back(request: Request, entries: Sequence[drift_log.Entry], now: str) -> str:
    """Return what has to be said about the record of a change that could not be proven."""
    back = [
        drift_log.Entry(
            now, request.by, "not proven to be written", item.key, item.after, item.before, item.documentation
        )
        for item in entries
    ]
    try:
        drift_log.record(request.state_path, back)
    except OSError as error:
        return f"The drift log tells of a change, and that could not be taken back: {error}."
    return "The drift log says so."


def _entry(request: Request, change: Change, now: str, documentation: str) -> drift_log.Entry:
    return drift_log.Entry(now, request.by, request.why, change.key, change.before, change.after, documentation)


def _describe_with_due(request: Request, changes: Sequence[Change]) -> str:
    """Return the changes in words, and the documentation that is due."""
    due = drift_log.describe_due(request.state_path, request.documentation_path)
    return "; ".join(filter(None, [_describe(request, changes), due]))


def _settings(content: object, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a file by its dotted key; a list is one value."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from _settings(value, f"{key}.{name}" if key else str(name))
    else:
        yield key, content


def read_settings(text: str) -> Any:
    """Return the mapping of settings that the file's text holds. Raises ConfigError."""
    try:
        content = _yaml().safe_load(text)
    except (_yaml().YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"The file is not YAML: {error}.", "failed") from error
    if not isinstance(content, dict):
        raise ConfigError("The file is no mapping of settings.", "failed")
    return content


def _reload(text: str) -> Any:
    try:
        return read_settings(text)
    except ConfigError:
        return None


def _find(document: Any, key: str) -> Any:
    """Return the node of the value that a dotted key names."""
    node = document
    for name in key.split("."):
        pairs = node.value if node.id == "mapping" else []
        found = [value for at, value in pairs if at.id == "scalar" and at.value == name]
        if len(found) != 1:
            error = "is there more than once" if found else "does not exist"
            raise ConfigError(f"{key} {error}; only a setting that is there can be changed.")
        node = found[0]
    if node.id != "scalar":
        raise ConfigError(f"{key} holds more than one value; name the setting in it.")
    return node


def _section(content: Any, key: str) -> tuple[dict[Any, Any], str]:
    """Return the mapping that holds the setting of a dotted key, and the setting's own name."""
    *names, last = key.split(".")
    for name in names:
        content = content.get(name) if isinstance(content, dict) else None
    if not isinstance(content, dict) or last not in content:
        raise ConfigError(f"{key} does not exist as a name in words.")
    return content, last


def _convert(key: str, present: object, value: object) -> Any:
    """Return the wanted value in the type of the present one."""
    for type_, kind, convert in _CONVERSIONS:
        if isinstance(present, type_):
            new = convert(value)
            if new is None:
                raise ConfigError(f"{key} is {present!r} and stays {kind}, which {value!r} is not.")
            return new
    raise ConfigError(f"{key} is {present!r}, which is no value that can be changed here.")


def _as_switch(value: object) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower())
    return value if isinstance(value, bool) else None


def _as_whole(value: object) -> int | None:
    if isinstance(value, str):
        return int(value) if _WHOLE.fullmatch(value) else None
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _as_number(value: object) -> float | None:
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else None
    return float(str(value)) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _as_line(value: object) -> str | None:
    return value if isinstance(value, str) and value and value.isprintable() else None


_CONVERSIONS: Final[tuple[tuple[type, str, Callable[[object], Any]], ...]] = (
    (bool, "true or false", _as_switch),  # before int, which it is too
    (int, "a whole number", _as_whole),
    (float, "a number", _as_number),
    (str, "a text on one line", _as_line),
)


def _render(value: object) -> str:
    """Return a value as YAML, quoted where it has to be."""
    written: str = _yaml().safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    return written.removesuffix("...\n").rstrip("\n")


def _check_bounds(content: Mapping[str, Any], changes: Sequence[Change]) -> None:
    """Raise ConfigError for a number that cannot be meant. What gets smaller is held against no limit."""
    for change in changes:
        if isinstance(change.after, bool | str):
            continue
        if not math.isfinite(change.after) or change.before > 0 >= change.after:
            raise ConfigError(f"{change.key} is a number above 0, like the {change.before} that stands there.")
        section, _, name = change.key.partition(".")
        if section not in _SIZES or change.after <= change.before:
            continue
        if change.key.endswith("_ratio") and change.after > 1:
            raise ConfigError(f"{change.key} is a share of the whole, at most 1, not {change.after}.")
        limit = _number(content.get("risk_limits"), name) if section == "sizing" else None
        if limit is not None and change.after > limit:
            raise ConfigError(f"{change.key} would be {change.after}, above risk_limits.{name}, which is {limit}.")


def _number(section: object, name: str) -> float | None:
    value = section.get(name) if isinstance(section, dict) else None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        fix = "apt-get install python3-yaml"
        raise ConfigError(f"Python's YAML library is missing (fix: {fix})", "failed", f"{fix} (on the host)") from error
    return yaml


def _describe(request: Request, changes: Sequence[Change]) -> str:
    if not changes and request.edit:
        return "the configuration reads so already"
    if not changes:
        return f"{', '.join(f'{key} is {_shown(value)}' for key, value in request.changes.items())} already"
    return ", ".join(f"{change.key} {_shown(change.before)} -> {_shown(change.after)}" for change in changes)


def _shown(value: object) -> str:
    return "(not set)" if value is None else _render(value)


def nothing_done(error: ConfigError) -> dict[str, Any]:
    """Return the module result of a request that changed nothing."""
    return _result(error.outcome, str(error), (), next_command=error.next_command)


def _result(outcome: str, summary: str, changes: Sequence[Change], **fields: Any) -> dict[str, Any]:
    before = "".join(f"{change.key}: {_render(change.before)}\n" for change in changes if change.before is not None)
    after = "".join(f"{change.key}: {_render(change.after)}\n" for change in changes if change.after is not None)
    diff = {"before": before, "after": after}
    return build_result(
        outcome, summary, **{"changes": [asdict(change) for change in changes], "diff": diff, "warnings": []} | fields
    )
