"""What is known of open orders after a stop: who was asked, what they said, and whether that is enough.

A stopped bot is not a flat account. Where the estate names a venue, only that venue's own word that no order is open
settles it; what bots or silent hosts say makes it no better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from ..core.outcome import GOOD

ASKING: Final = "open_orders_info"
AT_THE_VENUE: Final = (
    "NOW at the venue: disable the bots' API key, cancel all open orders "
    "(runbooks/Incident_Handling.md 4.1, By hand, at the venue)"
)
ASK_AGAIN: Final = "./runbook status (once they are cancelled at the venue: it asks again)"
NOBODY: Final = "nobody was asked"
NO_ENDPOINT: Final = "the estate names no endpoint, trading_core_open_orders_url"
_SETTLED: Final = frozenset({"cancelled", "none"})


class Answer(Protocol):
    """What `open_orders_info` said on one host."""

    @property
    def host(self) -> str: ...

    @property
    def outcome(self) -> str: ...

    @property
    def summary(self) -> str: ...

    @property
    def fields(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Orders:
    """`text` says it in words. `count` are open; `is_silent`: a venue that the estate names did not say how many."""

    text: str
    count: int = 0
    is_silent: bool = False

    @property
    def is_settled(self) -> bool:
        """Whether nothing known speaks against a stop that ends with 0."""
        return not self.count and not self.is_silent


def judge_orders(
    hosts: Sequence[str], now: Sequence[Mapping[str, Any]], asked: Sequence[Answer], venues: Mapping[str, str]
) -> Orders:
    """Return what is known of the orders of `hosts`, whose bots are proven stopped, `now` those that this stop ended.

    asked: every answer that came, of each host all of them; the worst counts. venues: the endpoint that the estate
    names, by host; a host without one is not in it.
    """
    silent = {host: text for host in hosts if (text := _silence(host, asked, venues))}
    open_at: dict[str, int] = {}
    for answer in asked:
        url = str(answer.fields.get("url"))
        open_at[url] = max(open_at.get(url, 0), _count(answer))
    count = sum(open_at.values())
    word = f"{count} OPEN" if count else "UNVERIFIED" if silent else _word(hosts, now, asked)
    parts = _parts(now, asked, list(silent.values()), bool(venues))
    text = f"orders: {word}" + (f" ({'; '.join(parts)})" if parts and word != NOBODY else "")
    text += "" if word in {*_SETTLED, NOBODY} else f" - {AT_THE_VENUE}"
    return Orders(text, count, bool(silent))


def describe_answers(asked: Iterable[Answer]) -> str:
    """Return what venues said in a run that stops nothing, empty where nobody was asked or no endpoint is named."""
    said = sorted({answer.summary.rstrip(".") for answer in asked if _is_configured(answer)})
    return f"orders: {'; '.join(said)}" if said else ""


def _silence(host: str, asked: Sequence[Answer], venues: Mapping[str, str]) -> str:
    """Return why the venue of a host is not known to have none open, empty where it said, or where there is none."""
    own = [answer for answer in asked if answer.host == host]
    if not own:
        return f"{host} did not ask {venues[host]}" if host in venues else ""
    if host not in venues and not any(map(_is_configured, own)):
        return ""
    unsaid = [answer for answer in own if not _is_none(answer) and not _count(answer)]
    return unsaid[0].summary.rstrip(".") if unsaid else ""


def _word(hosts: Sequence[str], now: Sequence[Mapping[str, Any]], asked: Sequence[Answer]) -> str:
    said = {answer.host for answer in asked if _is_none(answer)}
    if hosts and said >= {*hosts}:
        return "none"
    reported = {str(bot.get("orders")) for bot in now}
    if now and reported <= _SETTLED:
        return "cancelled" if "cancelled" in reported else "none"
    return "UNVERIFIED" if now or asked else NOBODY


def _parts(
    now: Sequence[Mapping[str, Any]], asked: Sequence[Answer], silent: Sequence[str], is_named: bool
) -> list[str]:
    """Return who said so, each in a few words."""
    reported = Counter(str(bot.get("orders")) for bot in now)
    bots = ", ".join(f"{reported[how]} {how}" for how in sorted(reported, key=str.lower))
    unverified = sorted(str(bot.get("name")) for bot in now if bot.get("orders") == "UNVERIFIED")
    venues = sorted({*(answer.summary.rstrip(".") for answer in asked if _is_configured(answer)), *silent})
    is_asked = bool(venues)
    parts = []
    if now:
        who = "bots" if is_asked else "bots' own exit"
        parts.append(f"{who}: {bots}" + (f" ({', '.join(unverified)})" if unverified else ""))
    parts += [f"venue: {text}" for text in venues]
    if not is_asked:
        why = f": {NO_ENDPOINT}" if asked and not is_named else ""
        parts.append(f"{NOBODY} at the venue{why}")
    return parts


def _is_configured(answer: Answer) -> bool:
    return bool(answer.fields.get("url"))


def _is_none(answer: Answer) -> bool:
    return answer.outcome in GOOD and answer.fields.get("orders") == "none" and answer.fields.get("count") in (0, None)


def _count(answer: Answer) -> int:
    """Return how many orders are open by an answer; one that says open, and no number, is one at least."""
    count = answer.fields.get("count")
    known = count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 0
    return max(known, int(answer.fields.get("orders") == "open"))
