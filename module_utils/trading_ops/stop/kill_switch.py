"""The kill switch of one trading host: latch first, then every bot stopped and proven."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from ..core.bots import MODES, NOT_RUNNING, SCOPES, Bot, BotRules, in_scope, is_true, select_bots
from ..core.containers import odd_words
from ..core.durable import bounded
from ..core.ids import build_incident_id
from ..core.machine import Machine
from ..core.outcome import worst
from ..core.result import build_result
from ..core.starters import HostFiles
from ..core.unexpected import Beyond
from ..host.cgroups import Cgroups
from ..host.engine import Engine, EngineError
from ..state import audit, lease
from ..state import desired as desired_state
from ..state.known_estate import read_known_estate
from ..state.latch import Latch, LatchError, engage, latch_path, lift, may_lift, plan_engage, read_latch
from .beyond import LOOK_SECONDS, describe_beyond, look_beyond
from .by_engine import Stop, StoppedBot, last_finished, restart_policy
from .fallback import StopReport, stop_with_fallback
from .first_wave import SIGNALLED_PATH, FirstWave, read_first_wave
from .started_again import look_for_starters

NOT_GIVEN: Final = "not given"
GRACE_SECONDS: Final = 10
MAX_GRACE_SECONDS: Final = 20
WRITE_SECONDS: Final = 2
"""How long a write to the host's disk may hold up a stop."""

ENGINE_ANSWER_SECONDS: Final = 6
"""For one answer of the engine within a stop: what takes longer is tried another way."""

SHOW_BOTS: Final = "docker ps --filter label=com.docker.compose.service=bot"
NAME_BOTS: Final = "./runbook host_setup --check"
"""Says for each unexpected bot which line of the inventory makes it a known one."""

_ID: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StopRequest:
    """What a stop was asked to do. `id_is_given` is False where the incident id was made up for this run."""

    incident_id: str
    id_is_given: bool
    reason: str
    by: str
    scope: str
    grace_seconds: int
    rules: BotRules


@dataclass(frozen=True)
class TradingHost:
    """What a stop works on, handed in. `connect` may raise EngineError; `observe_guard` returns `state` and `summary`.

    The guard's state is `active`, or says why it cannot be relied on. `observe_machine` and `read_files` never raise.
    """

    connect: Callable[[], Engine]
    cgroups: Cgroups
    state_path: Path
    observe_guard: Callable[[], dict[str, str]]
    signalled_path: Path = SIGNALLED_PATH
    observe_machine: Callable[[], Machine] = Machine
    read_files: Callable[[], HostFiles] = HostFiles


def parse_stop_request(params: Mapping[str, Any], now: str) -> tuple[StopRequest, list[str]]:
    """Return the stop that `params` ask for, and a warning for each value that could not be used.

    A kill is never refused for its input: what is missing or makes no sense falls back to the safe default.
    `now` is the host's time, ISO 8601 UTC.
    """
    rules, warnings = parse_bot_rules(params)
    reason = _text(params.get("reason")) or NOT_GIVEN
    given_id = _text(params.get("incident_id"))
    scope = _text(params.get("scope")) or "all"
    if scope not in SCOPES:
        warnings.append(f"scope {scope!r} is not known; everything is stopped.")
        scope = "all"
    request = StopRequest(
        incident_id=given_id or build_incident_id(_text(params.get("run_id")), reason, now),
        id_is_given=bool(given_id),
        reason=reason,
        by=_text(params.get("by")) or NOT_GIVEN,
        scope=scope,
        grace_seconds=_grace(params.get("grace_period_seconds"), warnings),
        rules=rules,
    )
    return request, warnings


def parse_bot_rules(params: Mapping[str, Any]) -> tuple[BotRules, list[str]]:
    """Return what `params` say of bots, and a warning for each value that makes no sense: then the default counts."""
    warnings: list[str] = []
    defaults = BotRules()
    rules = BotRules(
        services=_patterns(params, "bot_services", defaults.services, warnings),
        projects=_patterns(params, "bot_projects", defaults.projects, warnings),
        images=_patterns(params, "bot_images", defaults.images, warnings),
        others=_others(params.get("other_services"), warnings),
        stop_unexpected=is_true(params.get("stop_unexpected")),
    )
    return rules, warnings


def ensure_halted(host: TradingHost, request: StopRequest, now: str, dry_run: bool) -> dict[str, Any]:
    """Return the module result of a stop: latch written, then every bot in scope stopped and proven.

    The engine may be dead and the disk full: the stop happens all the same, and the outcome says what is not proven.
    """
    latch, latch_changed, latch_error = _latch(host.state_path, request, now, dry_run)
    first_wave = read_first_wave(host.signalled_path, request.incident_id)
    report, guard = _stop(host, request, lambda bot: in_scope(bot, request.scope), first_wave, dry_run)
    if latch_error:  # a bot that filled the disk or held a lock has ended by now
        latch, latch_changed, latch_error = _latch(host.state_path, request, now, dry_run)
    result = _stop_result(report, host.state_path, request, now, dry_run, latch_error)
    result = _with_starters(result, host, request.rules, None if latch_error else latch)
    if latch_changed and latch:
        result["changed"] = True
        result["diff"]["before"] += "halt latch: as it was\n"
        result["diff"]["after"] += f"halt latch: {latch.scope}, {', '.join(latch.incident_ids)}\n"
        if not dry_run:
            fields = {"incident_id": request.incident_id, "scope": latch.scope, "reason": request.reason}
            result["warnings"] += audit.record_quietly(host.state_path, "engaged", request.by, now, **fields)
    said, warnings = identity(host)
    result["warnings"] += warnings
    # A latch keeps the words of its first writer.
    is_anothers = latch is not None and (latch.by, latch.reason) != (request.by, request.reason)
    result["halted_before"] = _halted_text(latch) if is_anothers else ""
    return result | {"latch": _latch_fields(latch, host.state_path), "guard": guard} | said


def ensure_stopped(host: TradingHost, request: StopRequest, mode: str, now: str, dry_run: bool) -> dict[str, Any]:
    """Return the module result of a planned stop of the bots of `mode` (`paper`, `live` or `all`); no latch."""
    report, _ = _stop(host, request, lambda bot: mode in ("all", bot.mode), FirstWave(), dry_run)
    result = _stop_result(report, host.state_path, request, now, dry_run)
    result = _with_starters(result, host, request.rules, read_latch(host.state_path))
    said, warnings = identity(host)
    result["warnings"] += warnings
    # Of a planned stop nobody asks for the hosts that an inventory lost.
    return result | {key: said[key] for key in ("machine", "known_machines")}


def identity(host: TradingHost) -> tuple[dict[str, Any], list[str]]:
    """Return which machine this is and what is on record of the estate, and a warning where that is unreadable.

    It is looked at after the bots have had their signal: nothing comes before that.
    """
    known, warnings = read_known_estate(host.state_path)
    return {
        "machine": asdict(host.observe_machine()),
        "known_hosts": list(known.hosts),
        "known_machines": dict(known.machines),
    }, warnings


def ensure_lifted(state_path: Path, incident_id: str, by: str, now: str, dry_run: bool) -> dict[str, Any]:
    """Return the module result of lifting the halt, which takes one of its incident ids. Starts nothing."""
    before = read_latch(state_path)
    try:
        changed = may_lift(before, incident_id) if dry_run else lift(state_path, incident_id, by, now, WRITE_SECONDS)
        after = read_latch(state_path)
    except LatchError as error:
        return _lift_result(False, "refused", str(error), before, state_path)
    if after is not None and not dry_run:
        return _lift_result(changed, "failed", "The latch was engaged again at once.", after, state_path)
    if not changed:
        return _lift_result(False, "planned" if dry_run else "proven", "No halt latch to lift.", None, state_path)
    done = "would be lifted" if dry_run else "lifted"
    text = f"Halt latch {done} for {incident_id}; nothing was started."
    return _lift_result(True, "planned" if dry_run else "proven", text, after, state_path)


def observe(host: TradingHost, rules: BotRules, now: str) -> dict[str, Any]:
    """Return latch, guard, lease, bots and desired state of this host as they are. Changes nothing, proves no stop.

    The outcome is `unknown` where the engine could not be asked, else `proven` (it was seen). `now` is ISO 8601 UTC.
    """
    latch = read_latch(host.state_path)
    desired, desired_error = desired_state.read_quietly(host.state_path)
    described: dict[str, Mapping[str, Any]] = {}
    seen: list[Bot] = []
    beyond, error = Beyond(), ""
    try:
        engine = host.connect()
        seen = select_bots(engine.containers(), rules)
        beyond = bounded(lambda: describe_beyond(engine, rules, described), LOOK_SECONDS)
    except (EngineError, TimeoutError) as failure:
        error = str(failure)
    running = [bot for bot in seen if bot.state not in NOT_RUNNING]
    by_mode = Counter(bot.mode for bot in running)
    parts = [f"{count} {mode} bot{'s' * (count > 1)} running" for mode, count in sorted(by_mode.items())]
    guard, held = host.observe_guard(), lease.observe(host.state_path, now)
    texts = [_halted_text(latch), error or ", ".join(parts) or "no bot running", guard["summary"]]
    texts += [held["summary"]] if held["held"] else []
    said, _ = identity(host)
    if beyond.unexpected:
        texts.append(f"{len(beyond.unexpected)} unexpected bot{'s' * (len(beyond.unexpected) > 1)} running")
    result = build_result(
        "unknown" if error else "proven",
        "; ".join(texts),
        latch=_latch_fields(latch, host.state_path),
        guard=guard,
        lease=held,
        bots=[asdict(bot) | {"running": bot.state not in NOT_RUNNING} for bot in seen],
        desired=desired,
        trouble=[text for text in (error, desired_error) if text],
        machine=said["machine"],
        known_machines=said["known_machines"],
        lines=[*(_bot_line(bot, described.get(bot.id)) for bot in seen), *beyond.doubts, *beyond.notes()],
        **beyond.fields(),
    )
    return _with_starters(result, host, rules, latch)


def _with_starters(result: dict[str, Any], host: TradingHost, rules: BotRules, latch: Latch | None) -> dict[str, Any]:
    """Return a result that names, beside what it proves, what starts a bot again that the guard has stopped twice."""
    found = look_for_starters(host.connect, host.read_files, rules, latch, host.state_path)
    text = found["started_again"]
    return result | found | ({"summary": f"{result['summary']}; {text}"} if text else {})


def _bot_line(bot: Bot, described: Mapping[str, Any] | None) -> str:
    """Return a bot as the look shows it: which one, in which mode and why, as it is, and by what it was found."""
    label = f"label {bot.mode_label!r}" if bot.mode_label else "no label"
    why = "by its label" if bot.mode_label in MODES else f"{label}: counts as live"
    place = f"{bot.project}/{bot.service}" if bot.service else "no Compose project"
    policy = restart_policy(dict(described)) if described else "unknown"
    odd = f"; {words}" if (words := odd_words(described or {})) else ""
    state = bot.state or "in a state that the engine does not tell"
    return (
        f"bot {bot.name}: {place}, {bot.mode} ({why}), {state}, restart policy {policy}, found by {bot.found_by}{odd}"
    )


def _latch(state_path: Path, request: StopRequest, now: str, dry_run: bool) -> tuple[Latch | None, bool, str]:
    """Return the latch as it then is, whether it changed, and why it could not be written (empty: it was)."""
    wanted = Latch(request.scope, (request.incident_id,), now, request.by, request.reason)
    try:
        if dry_run:
            present = read_latch(state_path)
            planned = plan_engage(present, wanted, keep_first_id=not request.id_is_given)
            return planned, planned != present, ""
        latch, changed = engage(state_path, wanted, not request.id_is_given, WRITE_SECONDS)
    except LatchError as error:
        return read_latch(state_path), False, str(error)
    return latch, changed, ""


def _stop(
    host: TradingHost,
    request: StopRequest,
    wanted: Callable[[Bot], bool],
    first_wave: FirstWave,
    dry_run: bool,
) -> tuple[StopReport, dict[str, str]]:
    """Return what became of the bots, and whether a guard watches the host: looked at after the stop, not before.

    So is what else runs: nothing comes before the bots have had their signal.
    """

    def is_guarded() -> bool:
        return host.observe_guard()["state"] == "active"

    stop = Stop(request.rules, wanted, request.grace_seconds, dry_run, first_wave)
    report = stop_with_fallback(host.connect, host.cgroups, stop, is_guarded)
    beyond, error = look_beyond(host.connect, host.cgroups, request.rules)
    report = _joined(replace(report, beyond=beyond), StopReport((), error))
    strays = tuple(found.as_bot() for found in beyond.unexpected)
    if strays and request.rules.stop_unexpected:
        also = replace(stop, strays=strays)
        report = _joined(report, stop_with_fallback(host.connect, host.cgroups, also, is_guarded))
    return report, host.observe_guard()


def _joined(report: StopReport, more: StopReport) -> StopReport:
    """Return one report of both stops; a container that both met is told once."""
    ids = {bot.id for bot in report.bots}
    return replace(
        report,
        bots=(*report.bots, *(bot for bot in more.bots if bot.id not in ids)),
        error=" ".join(dict.fromkeys(text for text in (report.error, more.error) if text)),
        engine_error="; ".join(dict.fromkeys(text for text in (report.engine_error, more.engine_error) if text)),
    )


def _stop_result(
    report: StopReport,
    state_path: Path,
    request: StopRequest,
    now: str,
    dry_run: bool,
    latch_error: str = "",
) -> dict[str, Any]:
    bots = report.bots
    outcome = worst(
        [bot.outcome for bot in bots]
        + ["unknown"] * bool(report.error or report.beyond.doubts)
        + ["unlatched"] * bool(latch_error)
        + ["planned" if dry_run else "proven"]
    )
    stopped = {_service(bot): "stopped" for bot in bots if bot.outcome == "proven"}
    warnings = []
    if stopped and not dry_run:
        warnings = desired_state.record_quietly(state_path, stopped, request.by, request.reason, now)
    warnings += [f"{bot.name}: {bot.error}" for bot in bots if bot.outcome == "proven" and bot.error]
    return build_result(
        outcome,
        _stop_summary(report, latch_error, dry_run),
        changed=any(bot.changed for bot in bots),
        next_command=_next_command(report, outcome, dry_run),
        bots=[asdict(bot) for bot in bots],
        last_stopped_at=last_finished(bots),
        engine_trouble=report.engine_error,
        trouble=[text for text in (report.error, report.engine_error, latch_error) if text],
        warnings=warnings,
        diff=_diff(bots),
        **report.beyond.fields(),
    )


def _next_command(report: StopReport, outcome: str, dry_run: bool) -> str:
    # What is stopped and not latched is stopped again, once root or the disk is back.
    if outcome in {"proven", "planned", "unlatched"}:
        return ""
    if report.error or any(bot.outcome != "proven" for bot in report.bots):
        return SHOW_BOTS
    met = {bot.id for bot in report.bots}
    left = [found.id[:12] for found in report.beyond.unexpected if found.id not in met and _ID.fullmatch(found.id)]
    return f"docker stop {' '.join(left)} (on the host, if it trades)" if left and not dry_run else NAME_BOTS


def _stop_summary(report: StopReport, latch_error: str, dry_run: bool) -> str:
    bots = report.bots
    if report.error and not bots:
        return f"Nothing is known of the bots: {report.error}" + (f" {latch_error}" if latch_error else "")
    counts = Counter(bot.how for bot in bots)
    verb = "to stop" if dry_run else "stopped"
    counted = [f"{counts[how]} {verb if how == 'stopped' else how}" for how in sorted(counts)]
    slowest = max((bot.seconds for bot in bots), default=0.0)
    text = ", ".join(counted) or "no bot container found"
    took = f", the slowest in {slowest:.1f} s" if slowest and not dry_run else ""
    without = f"without the engine, through the kernel ({report.engine_error})" if report.engine_error else ""
    named = [f"{bot.name}: {bot.error or bot.how}" for bot in bots if bot.outcome != "proven"]
    latched = f"NOT LATCHED: {latch_error}" if latch_error else ""
    beyond = [*report.beyond.doubts, *report.beyond.notes()]
    return "; ".join(part for part in [text + took, without, *named, report.error, latched, *beyond] if part)


def _lift_result(changed: bool, outcome: str, summary: str, latch: Latch | None, state_path: Path) -> dict[str, Any]:
    ids = latch.incident_ids if latch and not latch.damaged else ()
    next_command = f"./runbook halt_release -e incident_id={ids[0]}" if outcome == "refused" and ids else ""
    if outcome == "refused" and not ids:
        next_command = './runbook failsafe_stop -e reason="damaged latch"'
    return build_result(
        outcome, summary, changed=changed, next_command=next_command, latch=_latch_fields(latch, state_path)
    )


def _latch_fields(latch: Latch | None, state_path: Path) -> dict[str, Any]:
    path = str(latch_path(state_path))
    if latch is None:
        return {"engaged": False, "path": path}
    return {"engaged": True, "path": path, **asdict(latch), "incident_ids": list(latch.incident_ids)}


def _halted_text(latch: Latch | None) -> str:
    return latch.sentence().rstrip(".") if latch else "not halted"


def _service(bot: StoppedBot) -> str:
    """Return the bot's name in the desired state; a stray has only its container's."""
    return f"{bot.project}/{bot.service}" if bot.service else bot.name


def _diff(bots: Sequence[StoppedBot]) -> dict[str, str]:
    changed = [bot for bot in bots if bot.changed]
    return {
        "before": "".join(f"{bot.name}: {bot.was}, restart={bot.restart_policy}\n" for bot in changed),
        "after": "".join(f"{bot.name}: {bot.how}, restart=no\n" for bot in changed),
    }


def _text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())


def _grace(value: object, warnings: list[str]) -> int:
    if value is None or value == "":
        return GRACE_SECONDS
    try:
        seconds = int(str(value))
    except ValueError:
        warnings.append(f"grace period {value!r} is not a number of seconds; {GRACE_SECONDS} s is used.")
        return GRACE_SECONDS
    bounded = min(max(seconds, 0), MAX_GRACE_SECONDS)
    if bounded != seconds:
        warnings.append(f"grace period {seconds} s is outside 0 to {MAX_GRACE_SECONDS} s; {bounded} s is used.")
    return bounded


def _others(value: object, warnings: list[str]) -> tuple[str, ...]:
    """Return what the estate says is no bot; an empty list says that nothing is."""
    if value is None or value == "":
        return BotRules().others
    items = value.split() if isinstance(value, str) else value
    if isinstance(items, list) and all(isinstance(item, str) for item in items):
        return tuple(items)
    warnings.append(f"other_services {value!r} is not a list of names; the reference stack's are used.")
    return BotRules().others


def _patterns(params: Mapping[str, Any], key: str, default: tuple[str, ...], warnings: list[str]) -> tuple[str, ...]:
    """Return a list parameter as a tuple; a bare word counts as a list of one."""
    value = params.get(key)
    if value is None or value == "" or value == []:
        return default
    items = [value] if isinstance(value, str) else value
    if isinstance(items, list) and all(isinstance(item, str) for item in items):
        return tuple(items)
    warnings.append(f"{key} {value!r} is not a list of names; {list(default)} is used.")
    return default
