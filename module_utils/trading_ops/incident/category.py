"""Where the cause of an incident lies, A to E: what speaks for each, what against, what nobody knows. Pure.

The proposal follows one rule: strong evidence before weak, and of several categories with strong evidence the one that
lies furthest out, since a host that is gone or a venue that is silent explains a feed with gaps, and not the other way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from ..core.clock import parse_utc
from .facts import Check, Facts

CHANGE_SECONDS: Final = 3600
"""A change of the configuration so shortly before counts."""

OUTERMOST_FIRST: Final = "CEADB"


@dataclass(frozen=True)
class Evidence:
    """What speaks for a category (strongly, or only a little), what against it, and what is not known."""

    strong: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """The letter, empty where nothing speaks for any, why, and the evidence for each."""

    letter: str
    why: str
    evidence: Mapping[str, Evidence]


def classify(facts: Facts, opened_at: datetime) -> Proposal:
    """Return the proposal for an incident that was noticed at `opened_at`."""
    rules: dict[str, Callable[[], Evidence]] = {
        "A": lambda: _feed(facts),
        "B": lambda: _trading(facts),
        "C": lambda: _infrastructure(facts),
        "D": lambda: _configuration(facts, opened_at),
        "E": lambda: _outside(facts),
    }
    evidence = {letter: rule() for letter, rule in rules.items()}
    for strength in ("strong", "weak"):
        for letter in OUTERMOST_FIRST:
            if found := getattr(evidence[letter], strength):
                return Proposal(letter, "; ".join(found), evidence)
    return Proposal("", "nothing that is known speaks for any category", evidence)


def describe(proposal: Proposal) -> dict[str, Any]:
    """Return the proposal as an object of JSON."""
    evidence = {letter: {k: list(v) for k, v in asdict(seen).items()} for letter, seen in proposal.evidence.items()}
    return {"letter": proposal.letter, "why": proposal.why, "evidence": evidence}


def _feed(facts: Facts) -> Evidence:
    checks = facts.of("feed", "data_quality")
    reported = ("data corruption was reported",) if facts.data_corruption else ()
    return Evidence(
        strong=(*reported, *_texts(facts.failing("feed", "data_quality"))),
        against=_all_pass("feed and data quality", checks),
        unknown=_not_known("feed and data quality", checks),
    )


def _trading(facts: Facts) -> Evidence:
    checks = facts.of("bots", "strategy", "drift")
    failing = [check for check in facts.failing("bots", "strategy") if check.id != "bot_order_errors"]
    errors = facts.order_errors
    # Calls that fail while the venue answers are the bot's.
    refused = (f"{errors:g} calls to the venue failed, and the venue answers",) if errors and not facts.venue else ()
    is_venue_known = facts.venue is not None
    return Evidence(
        strong=(*_texts(failing), *(refused if is_venue_known else ())),
        weak=(*_texts(facts.failing("drift")), *(() if is_venue_known else refused)),
        against=_all_pass("bots and strategy", checks),
        unknown=_not_known("bots and strategy", checks),
    )


def _infrastructure(facts: Facts) -> Evidence:
    failing = [f"{host}: {error}" for host, error in facts.hosts.items() if error]
    checks = facts.of("hosts")
    answered = facts.hosts and not failing
    return Evidence(
        strong=tuple(failing),
        weak=_texts(facts.failing("hosts")),
        against=(*(("every host and engine answers",) if answered else ()), *_all_pass("hosts", checks)),
        unknown=(*(() if facts.hosts else ("hosts: none was asked",)), *_not_known("hosts", checks)),
    )


def _configuration(facts: Facts, opened_at: datetime) -> Evidence:
    if facts.config_changes is None:
        return Evidence(unknown=("changes of the configuration: not known",))
    strong, unknown = [], []
    for change in facts.config_changes:
        text = f"{change.get('key', '?')} {change.get('before')} -> {change.get('after')} at {change.get('time')}"
        try:
            age = opened_at - parse_utc(str(change.get("time")))
        except ValueError:
            unknown.append(f"{text}: no time of it")
            continue
        if timedelta(0) <= age <= timedelta(seconds=CHANGE_SECONDS):
            strong.append(f"{text}, {age.total_seconds() / 60:.0f} min before")
    none = () if strong or unknown else ("no change of the configuration in the hour before",)
    return Evidence(strong=tuple(strong), against=none, unknown=tuple(unknown))


def _outside(facts: Facts) -> Evidence:
    errors = facts.order_errors
    failed = (f"{errors:g} calls to the venue failed",) if errors and facts.venue else ()
    reconnects = [check for check in facts.failing("feed") if check.id == "feed_reconnects"]
    return Evidence(
        strong=(*((f"the venue: {facts.venue}",) if facts.venue else ()), *failed),
        weak=_texts(reconnects),
        against=("the venue answers",) if facts.venue == "" else (),
        unknown=("the venue: nobody asked it",) if facts.venue is None else (),
    )


def _texts(checks: list[Check]) -> tuple[str, ...]:
    return tuple(check.text for check in checks)


def _all_pass(name: str, checks: list[Check]) -> tuple[str, ...]:
    passed = checks and all(check.outcome == "pass" for check in checks)
    return (f"every check of {name} passes",) if passed else ()


def _not_known(name: str, checks: list[Check]) -> tuple[str, ...]:
    if not checks:
        return (f"{name}: no check was evaluated",)
    return tuple(f"{check.id}: not known" for check in checks if check.outcome == "unknown")
