"""Which containers are bots. Found by label on the engine, never through a compose file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

SERVICE_LABEL: Final = "com.docker.compose.service"
PROJECT_LABEL: Final = "com.docker.compose.project"
MODE_LABEL: Final = "trading-core.mode"
RESTORE_TEST_LABEL: Final = "trading-core.restore-test"
CANCELS_ORDERS_LABEL: Final = "trading-core.cancels-orders"

MODES: Final = frozenset({"paper", "live"})
SCOPES: Final = frozenset({"all", "live"})


@dataclass(frozen=True)
class BotRules:
    """What makes a container a bot; all patterns are shell wildcards.

    services: Compose service names; projects: Compose project names; images: references of strays without labels.
    """

    services: tuple[str, ...] = ("bot",)
    projects: tuple[str, ...] = ("trading-*",)
    images: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bot:
    """One bot container as the engine's list shows it. `state` is the engine's word (running, paused, exited …)."""

    id: str
    name: str
    project: str
    service: str
    mode: str
    state: str
    found_by: str
    cancels_orders: bool


def select_bots(containers: Iterable[Mapping[str, Any]], rules: BotRules) -> list[Bot]:
    """Return the bots among the engine's container summaries, in any state, by project and name.

    One-off, orphaned and inactive-profile containers carry the same labels and count. A bot whose mode label
    is missing or not a known word counts as live. Containers of a restore test never count.
    """
    found = [bot for summary in containers if (bot := _as_bot(summary, rules))]
    return sorted(found, key=lambda bot: (bot.project, bot.name))


def in_scope(bot: Bot, scope: str) -> bool:
    """Return whether a stop of `scope` (`all`, or `live` alone) is meant for this bot."""
    return scope != "live" or bot.mode != "paper"


def _as_bot(summary: Mapping[str, Any], rules: BotRules) -> Bot | None:
    labels = summary.get("Labels") or {}
    if labels.get(RESTORE_TEST_LABEL) == "true":
        return None
    service, project = labels.get(SERVICE_LABEL, ""), labels.get(PROJECT_LABEL, "")
    by_label = _matches(service, rules.services) and _matches(project, rules.projects)
    if not by_label and not _matches(str(summary.get("Image", "")), rules.images):
        return None
    mode = labels.get(MODE_LABEL)
    names = summary.get("Names") or [summary["Id"][:12]]
    return Bot(
        id=summary["Id"],
        name=str(names[0]).lstrip("/"),
        project=project,
        service=service,
        mode=mode if mode in MODES else "live",
        state=str(summary.get("State", "")),
        found_by="label" if by_label else "image",
        cancels_orders=labels.get(CANCELS_ORDERS_LABEL) == "true",
    )


def _matches(value: str, patterns: tuple[str, ...]) -> bool:
    return bool(value) and any(fnmatchcase(value, pattern) for pattern in patterns)
