"""The verdict of a run: what was expected held against what was proven. Pure; the callback plugin feeds it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from ..core.commands import checked_command, checked_incident_ids, is_more
from ..core.machine import Machine, parse_machine, parse_recorded
from ..core.outcome import EXIT_CODES, GOOD, worst
from .identity import Controller, Doubt, Witness, find_clones, find_doubts
from .orders import ASK_AGAIN, ASKING, Orders, describe_answers, judge_orders

STOPS: Final = frozenset({"failsafe_stop", "bot_stop", "feed_stop", "incident"})
HALTS: Final = frozenset({"failsafe_stop", "incident"})
"""Procedures that engage the halt latch for an incident."""

STOP_PROOFS: Final = frozenset({"kill_switch", "bot_stop"})
"""Modules whose result proves a stop. Where one is missing nobody knows what runs, which is worse than failed."""

MACHINE_PROOF: Final = "machine_info"
IDENTITY_PROOFS: Final = STOP_PROOFS | {"kill_switch_info", MACHINE_PROOF}
"""Modules whose result says which machine it is from. Under a second name it proves nothing."""

ORDERS_OPEN: Final = "orders_open"
"""Stopped, and not flat: the one outcome that no module may say, since only the verdict knows both halves of it."""

LOOK: Final = "status"
NAME_BOTS: Final = "./runbook host_setup --check"
"""Says for each unexpected bot which line of the inventory makes it a known one."""

NO_LONGER_RUNNING: Final = frozenset({"already stopped", "never started", "stopped", "killed", "gone"})


MISSED_CHARACTERS: Final = 300
"""Of what a step missed; all of it stands above the verdict."""

STARTED_AGAIN_CHARACTERS: Final = 1500
"""Of what a host says of the bots that are started again there: our own sentence is shorter."""

WORDS: Final[dict[str, str]] = {
    "invalid": "NOTHING WAS DONE",
    "running": "NOT PROVEN: A BOT IS STILL RUNNING",
    "unknown": "NOT PROVEN: UNKNOWN",
    "unlatched": "STOPPED, NOT LATCHED",
    "orders_open": "STOPPED, ORDERS OPEN",
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
    """What one module said on one host. `fields` is its whole result, `step` the play of a best-effort play.

    `names_hosts` is True where the summary is of several hosts and names them itself.
    """

    host: str
    proof: str
    outcome: str
    summary: str
    next_command: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)
    step: str = ""
    names_hosts: bool = False


@dataclass(frozen=True)
class Run:
    """All that a verdict is judged from.

    `results` holds what our modules said and, with an empty `proof`, tasks that failed without an outcome of their
    own; `best_effort_results` are those of best-effort plays, which the verdict may quote and never counts, but for
    open orders after a stop; `venues` is the endpoint for them that the estate names, by host; `first_wave` what the
    first wave said of a host, which is quoted and never counted;
    `best_effort_expected` what best-effort plays owe; `unreachable` are (host, ssh's words); `seconds` from the
    command's start, monotonic; `record` is the folder of the incident that the run belongs to; `page` the section
    that people read of the step that ran last.
    `controller` is the machine that the run was started on.
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
    venues: Mapping[str, str] = field(default_factory=dict)
    first_wave: Mapping[str, str] = field(default_factory=dict)
    retry_command: str = ""
    page: str = ""
    record: str = ""
    inventory_option: str = ""
    is_lab: bool = False
    controller: Controller = field(default_factory=Controller)


@dataclass(frozen=True)
class Verdict:
    """Exit code, outcome word, the one line that says it, and of that what people are told: without time and NEXT."""

    exit_code: int
    outcome: str
    line: str
    said: str = ""


def judge(run: Run) -> Verdict:
    """Return the verdict: starts from what was expected and looks for it in what was proven, never the other way."""
    run = replace(run, results=tuple(map(_in_its_own_words, run.results)))
    if not run.results and not run.unreachable:
        return _line(run, "invalid", _nothing(run), run.retry_command)
    run = replace(run, results=tuple(map(_with_checked_command, run.results)))
    stray = [result for result in run.results if not _is_owed(result, run) and result.outcome not in GOOD]
    if stray and len(stray) == len(run.results) and {result.outcome for result in stray} == {"usage"}:
        return _line(run, "usage", _listed(_unique(stray)), f"{run.retry_command} (with the variable corrected)")
    owed = _identified([_of(item, run) for item in dict.fromkeys(run.expected)], run)
    # A host that went away after its first proof may have gone in the middle of its next task.
    unknown = {result.host for result in owed if result.outcome == "unknown"}
    gone = [_missing(Expected(host, ""), run) for host, _ in run.unreachable if host not in unknown]
    judged = owed + stray + gone + _left_out(run) + _unexpected(run, owed)
    if all(map(_is_stop, owed)) and _all_good(owed) and not _bots(owed):
        judged.append(_no_bot_found(run))
    if not (orders := _orders(run, owed)).is_settled:
        judged.append(Result("", ASKING, ORDERS_OPEN, orders.text, ASK_AGAIN))
    outcome = worst(result.outcome for result in judged)
    word = "STOPPED, ORDERS UNVERIFIED" if outcome == ORDERS_OPEN and not orders.count else ""
    return _line(run, outcome, _sentence(run, owed, judged, orders.text), _next_command(run, outcome, judged), word)


def _in_its_own_words(result: Result) -> Result:
    """Return a result without a word that is the verdict's alone."""
    return replace(result, outcome="unknown") if result.outcome == ORDERS_OPEN else result


def _orders(run: Run, owed: Sequence[Result]) -> Orders:
    """Return what is known of open orders; nothing in a dry run, and where the stop itself is not proven all over.

    Then it is no matter of the exit code, and the words are of what is known.
    """
    stops = [result for result in owed if _is_stop(result) and result.outcome in GOOD]
    if run.dry_run or not stops:
        return Orders("")
    asked = [result for result in run.best_effort_results if result.proof == ASKING]
    now = [bot for bot in _bots(stops) if bot.get("how") not in {"already stopped", "never started"}]
    hosts = list(dict.fromkeys(result.host for result in stops))
    seen = judge_orders(hosts, now, asked, run.venues)
    if seen.count and any(map(_left_some_running, stops)):
        seen = replace(seen, text=f"{seen.text}; orders of bots that were left running are among them")
    is_proven = all(result.outcome in GOOD for result in owed if result.proof in STOP_PROOFS)
    return seen if is_proven and run.procedure in STOPS else Orders(seen.text)


def _with_checked_command(result: Result) -> Result:
    """Return a result with nothing in its next command that a host made up; what localhost says is the controller's."""
    if result.host in {"", "localhost"} or not result.next_command:
        return result
    return replace(result, next_command=checked_command(result.next_command))


def _identified(owed: Sequence[Result], run: Run) -> list[Result]:
    """Return the proofs with no better an outcome than the machines bear out that they came from."""
    if not any(item.proof in IDENTITY_PROOFS for item in run.expected):
        return list(owed)
    told = [result for result in owed if result.proof in IDENTITY_PROOFS and (result.fields or result.outcome in GOOD)]
    witnesses = [
        Witness(
            result.host,
            parse_machine(result.fields.get("machine")),
            parse_recorded(result.fields.get("known_machines")),
        )
        for result in {result.host: result for result in told}.values()
    ]
    # host_setup is what records a machine: its first look is held against the others' alone, the record by its module.
    is_setup = any(result.proof == MACHINE_PROOF for result in told)
    records = [] if is_setup else [parse_recorded(result.fields.get("known_machines")) for result in run.results]
    controller = replace(run.controller, machine=Machine()) if is_setup else run.controller
    doubts = find_doubts(witnesses, records, controller)
    doubted = {host for doubt in doubts for host in doubt.hosts}
    clones = find_clones([each for each in witnesses if each.host not in doubted]) if is_setup else []
    by_host = {host: (doubt, "unknown") for doubt in doubts for host in doubt.hosts}
    by_host |= {host: (doubt, "failed") for doubt in clones for host in doubt.hosts}
    proofs = {id(result) for result in told}
    return [
        _doubted(result, *by_host[result.host], run) if id(result) in proofs and result.host in by_host else result
        for result in owed
    ]


def _doubted(result: Result, doubt: Doubt, outcome: str, run: Run) -> Result:
    """Return a proof that is none; a bot that was seen running under either name still runs."""
    after = doubt.fix
    if outcome == "unknown":
        after = (
            f"{_again(run)} ({doubt.fix}; until then stop the bots of {' and '.join(doubt.hosts)} at their consoles, "
            "see runbooks/Incident_Handling.md 4.1)"
        )
    if result.outcome in GOOD:
        names_hosts = len(doubt.hosts) > 1
        return replace(result, outcome=outcome, summary=doubt.text, next_command=after, names_hosts=names_hosts)
    text = f"{doubt.text}; {result.summary}"
    return replace(result, outcome=worst([result.outcome, outcome]), summary=text, next_command=after)


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


def _unexpected(run: Run, owed: Sequence[Result]) -> list[Result]:
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
    broken = [result.summary for result in run.results if result.host == item.host and result.outcome not in GOOD]
    # A look that was left out is as little known as a stop that was.
    outcome = "unknown" if item.proof in STOP_PROOFS or (_only_looks(run) and not broken) else "failed"
    for host, summary in run.unreachable:
        if host == item.host:
            return Result(host, item.proof, "unknown", f"did not answer ({summary})", _until_back(run, host))
    text = broken[0] if broken else "no result; it was left out or the run ended before it"
    by_shell = broken and item.proof == "kill_switch" and run.procedure in HALTS
    return Result(item.host, item.proof, outcome, text, _at_the_host(item.host) if by_shell else "")


def _at_the_host(host: str) -> str:
    """Return what stops a host that answers, and on which the module could not run: without Python, say."""
    return f"sudo trading-halt (on {host}; runbooks/Incident_Handling.md 4.1, By hand, at the host)"


def _until_back(run: Run, host: str) -> str:
    if STOP_PROOFS.isdisjoint([item.proof for item in run.expected] + [result.proof for result in run.results]):
        return f"{_again(run)} (again once {host} answers)"
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


def _sentence(run: Run, owed: Sequence[Result], judged: Sequence[Result], orders: str) -> str:
    good = [result for result in owed if result.outcome in GOOD]
    hosts = len({result.host for result in owed})
    parts = []
    if any(map(_is_stop, owed)):
        parts.append("; ".join(filter(None, [_stop_words(run, good, hosts), orders, *_started_again(good)])))
    others = [r for r in run.results if r.outcome in GOOD and _is_owed(r, run) and not _is_stop(r)]
    # What was only looked at on the way is not what the run was for, and a gate that closed and opened again is open.
    for_more = not _only_looks(run)
    others = [result for result in others if not (for_more and result.proof.endswith("_info"))]
    others = list({(result.host, result.proof): result for result in others}.values())
    failing = [result for result in judged if result.outcome not in {*GOOD, ORDERS_OPEN}]
    parts += [_listed(_unique(found)) for found in (others, failing) if found]
    parts += [text for text in (_first_wave(run, failing), _at_the_venue(run)) if text]
    if run.best_effort_expected:
        parts += [text for text in (_missed(run), run.record and f"record: {run.record}") if text]
    parts.append(_took(run))
    return "; ".join(parts)


def _took(run: Run) -> str:
    return f"{run.seconds:.1f} s, inventory {run.inventory}"


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
    if modes := Counter(str(bot.get("mode")) for bot in bots if bot.get("mode") in {"paper", "live"}):
        text += f", modes: {', '.join(f'{modes[mode]} {mode}' for mode in sorted(modes))}"
    if ended and not run.dry_run:
        text += f", last bot ended {ended}"
    return text


def _started_again(good: Sequence[Result]) -> list[str]:
    """Return what hosts say of bots that something starts again; where a stop is not proven its summary says it."""
    said = {result.host: str(result.fields.get("started_again") or "") for result in good if _is_stop(result)}
    return [f"{host}: {text[:STARTED_AGAIN_CHARACTERS]}" for host, text in sorted(said.items()) if text]


def _left_some_running(stop: Result) -> bool:
    """Return whether a stop was for one mode only."""
    scope = (stop.fields.get("latch") or {}).get("scope") or stop.fields.get("mode") or "all"
    return scope != "all"


def _first_wave(run: Run, failing: Sequence[Result]) -> str:
    """Return what the first wave said of hosts that are not proven: it may have stopped them, and proves nothing."""
    said = {result.host: run.first_wave[result.host] for result in failing if result.host in run.first_wave}
    return "; ".join(f"the first wave said of {host}: {text.rstrip('.')}" for host, text in sorted(said.items()))


def _at_the_venue(run: Run) -> str:
    """Return what venues said in a run that stops nothing."""
    if run.procedure in STOPS:
        return ""
    return describe_answers(result for result in run.best_effort_results if result.proof == ASKING)


def _only_looks(run: Run) -> bool:
    return all(item.proof.endswith("_info") for item in run.expected)


def _bots(results: Iterable[Result]) -> list[Mapping[str, Any]]:
    return [bot for result in results for bot in result.fields.get("bots", [])]


def _unique(results: Iterable[Result]) -> list[Result]:
    return list({(result.host, result.summary): result for result in results}.values())


def _listed(results: Iterable[Result]) -> str:
    texts = [
        result.summary if result.names_hosts else f"{result.host or 'all'}: {result.summary.rstrip('.')}"
        for result in results
    ]
    return "; ".join(dict.fromkeys(texts))


def _next_command(run: Run, outcome: str, judged: Sequence[Result]) -> str:
    if EXIT_CODES[outcome] == 0:
        return ""
    # A lease that another run holds is waited for; what was left half-done meanwhile comes first.
    asked = {outcome, "failed"} if outcome == "locked" else {outcome}
    own = [_completed(result.next_command, run) for result in judged if result.outcome in asked and result.next_command]
    if outcome != "refused":
        return _release_of(run, outcome) or (own[0] if own else _again(run))
    # What was refused is refused again until something else is done: the page says what.
    others = [command for command in own if command.partition(" (")[0] != run.retry_command]
    return others[0] if others else run.page or _again(run)


def _completed(command: str, run: Run) -> str:
    return f"{run.retry_command} {command}" if is_more(command) else command


def _release_of(run: Run, outcome: str) -> str:
    """Return what leads on from a run that is no stop, failed, and has halted for that; empty for any other."""
    halted = [result for result in run.results if result.proof == "kill_switch" and _is_stop(result)]
    ids = checked_incident_ids(sorted(name for result in halted for name in _incident_ids(result)))
    is_meant = outcome == "failed" and run.procedure not in STOPS and _all_good(halted)
    return f"./runbook halt_release -e incident_id={ids[0]}" if is_meant and ids else ""


def _again(run: Run) -> str:
    """Return the command to repeat; a halt that some hosts have already is joined, so that it stays one incident."""
    told = sorted(i for r in run.results if r.proof == "kill_switch" for i in _incident_ids(r))
    ids = checked_incident_ids(told)
    if run.procedure not in HALTS or run.dry_run or not ids or "incident_id" in run.retry_command:
        return run.retry_command
    return f"{run.retry_command} -e incident_id={ids[0]}"


def _incident_ids(result: Result) -> list[str]:
    return [str(name) for name in (result.fields.get("latch") or {}).get("incident_ids", [])]


def _line(run: Run, outcome: str, sentence: str, next_command: str, word: str = "") -> Verdict:
    code = EXIT_CODES[outcome]
    word = word or WORDS[outcome]
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
    # What hosts say is part of the sentence, and a reader takes what follows NEXT for ours.
    sentence = sentence.rstrip(".").replace("NEXT:", "next:")
    line = f"VERDICT {code} {run.procedure}{estate}: {word}: {sentence}.{ending}"
    took = f"; {_took(run)}"
    return Verdict(code, outcome, _printable(line), _printable(f"{word}: {sentence.removesuffix(took)}"))


def _printable(text: str) -> str:
    """Return text on one line without control characters: logs and people's words are part of it."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable())


def _same_estate(command: str, inventory_option: str) -> str:
    """Return a ./runbook command with the inventory of this run, which it must not leave."""
    words = command.split(" ", 2)
    if not inventory_option or words[0] != "./runbook" or " -i" in command or " --inv" in command:
        return command
    return " ".join([*words[:2], inventory_option, *words[2:]])
