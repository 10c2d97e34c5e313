"""What venues said of open orders, for the reports: orders of a bot that runs are its business, others are nobody's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from ..core.bots import NOT_RUNNING, PROJECT_LABEL, SERVICE_LABEL, BotRules, select_bots

FIX: Final = "runbooks/Incident_Handling.md 4.1, By hand, at the venue"


@dataclass(frozen=True)
class VenueWord:
    """What is known of one venue. `count` is None where it did not say; `is_nobodys`: some are open, no bot runs."""

    url: str
    count: int | None
    text: str
    is_nobodys: bool = False

    @property
    def outcome(self) -> str:
        """`pass`, `fail` or `unknown`, as a report has it."""
        return "unknown" if self.count is None else "fail" if self.is_nobodys else "pass"


def venue_words(params: Mapping[str, Any]) -> Iterator[VenueWord]:
    """Yield a word for each venue that was asked, by address; of several answers the worst.

    params: `orders`, what M(open_orders_info) returned by trading host, `hosts`, and the rules for bots. A host that
    did not answer at all is another point of the report.
    """
    answers: dict[str, list[Mapping[str, Any]]] = {}
    for host, answer in (params.get("orders") or {}).items():
        if url := answer.get("url"):
            answers.setdefault(str(url), []).append(answer)
        elif answer.get("failed") and not answer.get("unreachable"):
            yield VenueWord(f"the venue of {host}", None, f"{host} could not ask: {answer.get('msg') or 'no result'}")
    runs = _a_bot_runs(params)
    for url, said in sorted(answers.items()):
        counts = [answer["count"] for answer in said if isinstance(answer.get("count"), int)]
        silent = [answer for answer in said if not isinstance(answer.get("count"), int)]
        if most := max(counts, default=0):
            text = f"{most} open order{'s' * (most != 1)} at {url}"
            text += "" if runs else ", and no bot runs that would look after them"
            yield VenueWord(url, most, text, not runs)
        elif silent:
            yield VenueWord(url, None, str(silent[0].get("summary")))
        else:
            yield VenueWord(url, 0, f"no open order at {url}")


def _a_bot_runs(params: Mapping[str, Any]) -> bool:
    given = {name: params.get(f"bot_{name}") for name in ("services", "projects", "images")}
    lists = {name: tuple(map(str, value)) for name, value in given.items() if isinstance(value, list) and value}
    rules = BotRules(**{name: lists.get(name, getattr(BotRules(), name)) for name in given})
    seen = [
        {
            "Id": each["name"],
            "Names": [each["name"]],
            "Labels": {SERVICE_LABEL: each["service"], PROJECT_LABEL: each["project"]},
            "Image": each.get("image", ""),
            "State": each["state"],
        }
        for status in params["hosts"].values()
        for each in status.get("containers", [])
    ]
    return any(bot.state not in NOT_RUNNING for bot in select_bots(seen, rules))
