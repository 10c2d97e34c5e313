"""The verdict of a run: what was expected held against what was proven. Pure; the callback plugin feeds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..core.outcome import EXIT_CODES, GOOD, worst

STOPS: Final = frozenset({"failsafe_stop", "bot_stop", "feed_stop", "incident"})
HALTS: Final = frozenset({"failsafe_stop", "incident"})
"""Procedures that engage the halt latch for an incident."""

STOP_PROOFS: Final = frozenset({"kill_switch", "bot_stop"})
"""Modules whose result proves a stop. Where one is missing nobody knows what runs, which is worse than failed."""

LOOK: Final = "status"
NAME_BOTS: Final = "./runbook host_setup --check"
"""Says for each unexpected bot which line of the inventory makes it a known one."""

OPEN_ORDERS: Final = "open_orders_info"
AT_THE_VENUE: Final = (
    "NOW at the venue: disable the bots' API key, cancel all open orders "
    "(runbooks/Incident_Handling.md 4.1, By hand, at the venue)"
)
NO_LONGER_RUNNING: Final = frozenset({"already stopped", "never started", "stopped", "killed", "gone"})


MISSED_CHARACTERS: Final = 300
"""Of what a step missed; all of it stands above the verdict."""

WORDS: Final[dict[str, str]] = {
    "invalid": "NOTHING WAS DONE",
    "running": "NOT PROVEN: A BOT IS STILL RUNNING",
    "unknown": "NOT PROVEN: UNKNOWN",
    "unlatched": "STOPPED, NOT LATCHED",
    "refused": "REFUSED",
    "locked": "LOCKED",
    "usage": "WRONG USAGE",
    "failed": "FAILED",
    "planned": "DRY RUN: nothing was changed",
    "proven": "PROVEN",
}
"""Outcome -> how the verdict line begins. Colour never carries it."""


@dataclass(frozen=True)
class Expected:
    """One proof that a play owes: the result of module `proof` on `host`."""

    host: str
    proof: str


@dataclass(frozen=True)
class BestEffortProof:
    """What a step after the proof owes: a good result of module `proof` on `host`. A missing one is only named."""

    step: str
    host: str
    proof: str


@dataclass(frozen=True)
class Result:
    """What one module said on one host. `fields` is its whole result, `step` the play of a best-effort play."""

    host: str
    proof: str
    outcome: str
    summary: str
    next_command: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    step: str = ""


@dataclass(frozen=True)
class Run:
    """All that a verdict is judged from.

    `results` holds what our modules said and, with an empty `proof`, tasks that failed without an outcome of their
    own; `best_effort_results` are those of best-effort plays, which the verdict may quote and never counts;
    `best_effort_expected` what those owe; `unreachable` are (host, ssh's words); `seconds` from the command's start,
    monotonic; `record` is the folder of the incident that the run belongs to.
    `inventory_option` is `-i …` where the estate is not the default one: the next command must stay in it.
    """

    procedure: str
    inventory: str
    dry_run: bool
    seconds: float
    expected: tuple[Expected, ...] = ()
    results: tuple[Result, ...] = ()
    best_effort_results: tuple[Result, ...] = ()
    best_effort_expected: tuple[BestEffortProof, ...] = ()
    unreachable: tuple[tuple[str, str], ...] = ()
    retry_command: str = ""
    record: str = ""
    inventory_option: str = ""
    is_lab: bool = False


@dataclass(frozen=True)
class Verdict:
    """Exit code, outcome word and the one line that says it."""

    exit_code: int
    outcome: str
    line: str


def judge(run: Run) -> Verdict:
    """Return the verdict: starts from what was expected and looks for it in what was proven, never the other way."""
    if not run.results and not run.unreachable:
        return _line(run, "invalid", _nothing(run), run.retry_command)
    stray = [result for result in run.results if not _is_owed(result, run) and result.outcome not in GOOD]
    if stray and len(stray) == len(run.results) and {result.outcome for result in stray} == {"usage"}:
        return _line(run, "usage", _listed(_unique(stray)), f"{run.retry_command} (with the variable corrected)")
    owed = [_of(item, run) for item in dict.fromkeys(run.expected)]
    # A host that went away after its first proof may have gone in the middle of its next task.
    unknown = {result.host for result in owed if result.outcome == "unknown"}
    gone = [_missing(Expected(host, ""), run) for host, _ in run.unreachable if host not in unknown]
    judged = owed + stray + gone + _left_out(run) + _doubted(run, owed)
    if all(map(_is_stop, owed)) and _all_good(owed) and not _bots(owed):
        judged.append(_no_bot_found(run))
    outcome = worst(result.outcome for result in judged)
    return _line(run, outcome, _sentence(run, owed, judged), _next_command(run, outcome, judged))


def _is_owed(result: Result, run: Run) -> bool:
    return Expected(result.host, result.proof) in run.expected


def _of(item: Expected, run: Run) -> Result:
    """Return the proof that came for `item`, the most serious one where the module ran more than once."""
    found = [result for result in run.results if (result.host, result.proof) == (item.host, item.proof)]
    if not found:
        return _missing(item, run)
    checked = [_checked(result, run.dry_run) for result in reversed(found)]
    return min(checked, key=lambda result: list(EXIT_CODES).index(result.outcome))


def _checked(result: Result, dry_run: bool) -> Result:
    """Return a result with no better an outcome than its own bots and its own latch bear out."""
    if result.outcome == "planned" and not dry_run:
        # A module that only planned, in a run that was to act, has proven nothing.
        return replace(result, outcome="unknown", summary=f"{result.summary.rstrip('.')}; it only planned")
    if result.outcome != "proven" or not _is_stop(result):
        return replace(result, outcome=worst([result.outcome]))
    hows = {str(bot.get("name")): str(bot.get("how")) for bot in _bots([result])}
    odd = {name: how for name, how in hows.items() if how not in NO_LONGER_RUNNING}
    found = ["running" if how == "running" else "unknown" for how in odd.values()]
    parts = [f"{name}: {how}" for name, how in odd.items()]
    if result.proof == "kill_switch" and not (result.fields.get("latch") or {}).get("engaged"):
        found.append("unlatched")
        parts.append("the halt latch is not engaged")
    if not found:
        return result
    return replace(result, outcome=worst(found), summary="; ".join([result.summary.rstrip("."), *parts]))


def _left_out(run: Run) -> list[Result]:
    """Return the hosts that belong to the estate as it was last recorded, and that this inventory does not name.

    Asked of a stop alone: only that owes a word from every trading host.
    """
    if not any(item.proof in STOP_PROOFS for item in run.expected):
        return []
    known = {name for result in run.results for name in result.fields.get("known_hosts", [])}
    text = "host_setup recorded it as a trading host and this inventory does not name it: nobody stopped its bots"
    way = "runbooks/Incident_Handling.md 4.1, By hand, at the host; then put it back into the inventory"
    return [Result(name, "", "unknown", text, way) for name in sorted(known - {item.host for item in run.expected})]


def _doubted(run: Run, owed: Sequence[Result]) -> list[Result]:
    """Return what a good stop or look at bots saw and cannot answer for: what looks like a bot and no rule matches."""
    looks = {"kill_switch_info"} if run.procedure == LOOK else set()
    found = []
    for result in owed:
        doubts = [str(text) for text in result.fields.get("doubts") or ()]
        if doubts and result.outcome in GOOD and (_is_stop(result) or result.proof in looks):
            found.append(Result(result.host, "", "unknown", "; ".join(doubts), NAME_BOTS))
    return found


def _missing(item: Expected, run: Run) -> Result:
    """Return what the absence of a proof means. Absence is never a pass."""
    outcome = "unknown" if item.proof in STOP_PROOFS else "failed"
    for host, summary in run.unreachable:
        if host == item.host:
            return Result(host, item.proof, "unknown", f"did not answer ({summary})", _until_back(run, host))
    broken = [result.summary for result in run.results if result.host == item.host and result.outcome not in GOOD]
    text = broken[0] if broken else "no result; it was left out or the run ended before it"
    return Result(item.host, item.proof, outcome, text)


def _until_back(run: Run, host: str) -> str:
    return (
        f"{_again(run)} (again once {host} answers; until then switch it off or stop its bots at its console, "
        "see runbooks/Incident_Handling.md 4.1)"
    )


def _no_bot_found(run: Run) -> Result:
    text = "no bot container was found on any host, so nothing shows that the rules for bots match"
    return Result("", "", "planned" if run.dry_run else "unknown", text)


def _is_stop(result: Result) -> bool:
    """Return whether a result tells of bots (a release comes from the same module and does not)."""
    return result.proof in STOP_PROOFS and "bots" in result.fields


def _all_good(results: Sequence[Result]) -> bool:
    return bool(results) and all(result.outcome in GOOD for result in results)


def _nothing(run: Run) -> str:
    if not run.expected:
        return f"inventory {run.inventory} has no host for {run.procedure}"
    hosts = ", ".join(sorted({item.host for item in run.expected}))
    return f"no task ran for {hosts} (check --limit, --tags, --skip-tags, --start-at-task)"


def _sentence(run: Run, owed: Sequence[Result], judged: Sequence[Result]) -> str:
    good = [result for result in owed if result.outcome in GOOD]
    hosts = len({result.host for result in owed})
    parts = []
    if any(map(_is_stop, owed)):
        parts.append(_stop_words(run, good, hosts))
    others = [r for r in run.results if r.outcome in GOOD and _is_owed(r, run) and not _is_stop(r)]
    # What was only looked at on the way is not what the run was for, and a gate that closed and opened again is open.
    for_more = not _only_looks(run)
    others = [result for result in others if not (for_more and result.proof.endswith("_info"))]
    others = list({(result.host, result.proof): result for result in others}.values())
    failing = [result for result in judged if result.outcome not in GOOD]
    parts += [_listed(_unique(found)) for found in (others, failing) if found]
    if run.best_effort_expected:
        parts += [text for text in (_missed(run), run.record and f"record: {run.record}") if text]
    parts.append(f"{run.seconds:.1f} s, inventory {run.inventory}")
    return "; ".join(parts)


def _missed(run: Run) -> str:
    """Return which steps after the proof did not do what they owe or failed at something, and why; empty for none.

    What only looked has said what it saw; where a step owes it, the step is not missed for what was seen.
    """
    bad = [result for result in run.best_effort_results if result.outcome not in GOOD]
    failed = [result for result in bad if not result.proof.endswith("_info")]
    for item in run.best_effort_expected:
        own = [result for result in run.best_effort_results if (result.step, result.host) == (item.step, item.host)]
        answers = [result for result in own if result.proof == item.proof]
        if not any(result.outcome in GOOD for result in answers):
            failures = answers or [result for result in own if result.outcome not in GOOD]
            failed += failures or [Result(item.host, item.proof, "unknown", "did not run", step=item.step)]
    reasons: dict[str, list[str]] = {}
    for result in {(item.step, item.host, item.summary): item for item in failed}.values():
        text = f"{result.host}: {result.summary}".removeprefix("localhost: ").rstrip(".")
        reasons.setdefault(result.step.partition(" (")[0], []).append(text[:MISSED_CHARACTERS])
    listed = "; ".join(f"{step} ({'; '.join(reasons[step])})" for step in sorted(reasons))
    return f"missed: {listed}" if listed else ""


def _stop_words(run: Run, good: Sequence[Result], hosts: int) -> str:
    bots = _bots(good)
    stops = [result for result in good if _is_stop(result)]
    verb = "would be stopped" if run.dry_run else "proven stopped"
    now = [bot for bot in bots if bot.get("how") not in {"already stopped", "never started"}]
    text = f"{len(bots)} bot{'s' * (len(bots) != 1)} {verb} on {len(stops)} of {hosts} hosts ({len(now)} of them now)"
    latched = [r for r in stops if r.proof == "kill_switch" and r.fields.get("latch", {}).get("engaged")]
    if latched and not run.dry_run:
        ids = sorted({i for r in latched for i in _incident_ids(r)})
        text += f", latched on {len(latched)} ({', '.join(ids)})"
    if without := sorted(r.host for r in stops if r.fields.get("engine_trouble")):
        text += f", without the engine on {', '.join(without)}"
    ended = max((str(r.fields["last_stopped_at"]) for r in stops if r.fields.get("last_stopped_at")), default="")
    if ended and not run.dry_run:
        text += f", last bot ended {ended}"
    return text if run.dry_run else "; ".join(filter(None, [text, _orders(run, stops, now)]))


def _orders(run: Run, stops: Sequence[Result], now: Sequence[Mapping[str, Any]]) -> str:
    """Return what is known of open orders: from the venue where it answered, else from the way the bots ended."""
    venues = {result.host: result for result in run.best_effort_results if result.proof == OPEN_ORDERS}
    open_at = {str(seen.fields.get("url")): int(seen.fields.get("count") or 0) for seen in venues.values()}
    reported = Counter(str(bot.get("orders")) for bot in now)
    if not now and not venues:
        return ""
    if sum(open_at.values()):
        word = f"{sum(open_at.values())} OPEN"
    elif all(_is_none(venues.get(result.host)) for result in stops):
        word = "none"
    elif now and not reported.keys() - {"cancelled", "none"}:
        word = "cancelled" if reported["cancelled"] else "none"
    else:
        word = "UNVERIFIED"
    bots = ", ".join(f"{reported[how]} {how}" for how in sorted(reported, key=str.lower))
    unverified = sorted(str(bot.get("name")) for bot in now if bot.get("orders") == "UNVERIFIED")
    parts = [f"bots: {bots}" + (f" ({', '.join(unverified)})" if unverified else "")] if now else []
    parts += sorted({f"venue: {seen.summary.rstrip('.')}" for seen in venues.values()})
    text = f"orders: {word} ({'; '.join(parts)})"
    return text if word in {"cancelled", "none"} else f"{text} - {AT_THE_VENUE}"


def _only_looks(run: Run) -> bool:
    return all(item.proof.endswith("_info") for item in run.expected)


def _is_none(asked: Result | None) -> bool:
    return asked is not None and asked.outcome in GOOD and asked.fields.get("orders") == "none"


def _bots(results: Iterable[Result]) -> list[Mapping[str, Any]]:
    return [bot for result in results for bot in result.fields.get("bots", [])]


def _unique(results: Iterable[Result]) -> list[Result]:
    return list({(result.host, result.summary): result for result in results}.values())


def _listed(results: Iterable[Result]) -> str:
    return "; ".join(f"{result.host or 'all'}: {result.summary.rstrip('.')}" for result in results)


def _next_command(run: Run, outcome: str, judged: Sequence[Result]) -> str:
    if EXIT_CODES[outcome] == 0:
        return ""
    # A lease that another run holds is waited for; what was left half-done meanwhile comes first.
    asked = {outcome, "failed"} if outcome == "locked" else {outcome}
    own = [result.next_command for result in judged if result.outcome in asked and result.next_command]
    return own[0] if own else _again(run)


def _again(run: Run) -> str:
    """Return the command to repeat; a halt that some hosts have already is joined, so that it stays one incident."""
    ids = sorted(i for r in run.results if r.proof == "kill_switch" for i in _incident_ids(r))
    if run.procedure not in HALTS or run.dry_run or not ids or "incident_id" in run.retry_command:
        return run.retry_command
    return f"{run.retry_command} -e incident_id={ids[0]}"


def _incident_ids(result: Result) -> list[str]:
    return [str(name) for name in (result.fields.get("latch") or {}).get("incident_ids", [])]


def _line(run: Run, outcome: str, sentence: str, next_command: str) -> Verdict:
    code = EXIT_CODES[outcome]
    word = WORDS[outcome]
    if outcome == "invalid" and run.procedure in STOPS:
        word = "NOTHING WAS STOPPED"
    if outcome == "proven" and _only_looks(run):
        word = "SEEN"
    if run.dry_run and outcome not in {*GOOD, "invalid", "usage"}:
        # A dry run ends with 0 when it could look at everything; it says what a real run would meet.
        word = f"{WORDS['planned']}; a real run would end with {code}, {word}"
        code = code if outcome == "unknown" else 0
    elif run.dry_run and outcome == "proven":
        word = WORDS["planned"]
    ending = f" NEXT: {_same_estate(next_command, run.inventory_option)}" if next_command else ""
    estate = " in the LAB" if run.is_lab else ""
    line = f"VERDICT {code} {run.procedure}{estate}: {word}: {sentence.rstrip('.')}.{ending}"
    return Verdict(code, outcome, _printable(line))


def _printable(text: str) -> str:
    """Return text on one line without control characters: logs and people's words are part of it."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable())


def _same_estate(command: str, inventory_option: str) -> str:
    """Return a ./runbook command with the inventory of this run, which it must not leave."""
    words = command.split(" ", 2)
    if not inventory_option or words[0] != "./runbook" or " -i" in command or " --inv" in command:
        return command
    return " ".join([*words[:2], inventory_option, *words[2:]])
