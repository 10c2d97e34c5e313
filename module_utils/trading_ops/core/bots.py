"""Which containers are bots. Found by label on the engine, never through a compose file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

SERVICE_LABEL: Final = "com.docker.compose.service"
PROJECT_LABEL: Final = "com.docker.compose.project"
MODE_LABEL: Final = "trading-core.mode"
RESTORE_TEST_LABEL: Final = "trading-core.restore-test"
CANCELS_ORDERS_LABEL: Final = "trading-core.cancels-orders"

RESTORE_TEST_PROJECT: Final = re.compile(r"restoretest-[0-9]{8}-[0-9]{6}-[0-9a-f]{6}")
"""Names of throw-away projects. What a stop leaves alone, or a test removes, carries such a name and the label too."""

MODES: Final = frozenset({"paper", "live"})
SCOPES: Final = frozenset({"all", "live"})

BEING_REMOVED: Final = frozenset({"removing", "dead"})
"""Engine states of what is removed, for a moment or for weeks. The engine starts none of these and changes none
(moby daemon/start.go, daemon/update.go), so that their restart policy says nothing."""

NOT_RUNNING: Final = BEING_REMOVED | {"created", "exited"}
"""Engine states in which no process of the container is left: the engine looks for one first (moby StateString)."""

OTHER_SERVICES: Final = (
    *("live_connector", "prometheus", "grafana", "alertmanager", "am_init", "timescaledb", "mlflow", "gui"),
    *("exchange", "node_exporter", "node-exporter"),
)
"""The reference stack's services that are no bots; roles/estate and breakglass/trading-halt say the same."""


@dataclass(frozen=True)
class BotRules:
    """What makes a container a bot; all patterns are shell wildcards, and case makes no difference.

    services: Compose service names; projects: Compose project names; images: references of strays without labels.
    others: what is no bot, without wildcards: a service (a container's name where it has none) is not counted among the
    other containers, `PROJECT/SERVICE/IMAGE` is no bot although its image is of a trading framework.
    stop_unexpected: whether what looks like a bot and no rule matches is stopped too, not only named.
    """

    services: tuple[str, ...] = ("bot",)
    projects: tuple[str, ...] = ("trading-*", "trading")
    images: tuple[str, ...] = ()
    others: tuple[str, ...] = OTHER_SERVICES
    stop_unexpected: bool = False


@dataclass(frozen=True)
class Bot:
    """One bot container as the engine's list shows it. `state` is the engine's word (running, paused, exited …).

    found_by: `label`, `image`, or `unexpected` where no rule matches. mode_label: what its label says, whatever it is.
    """

    id: str
    name: str
    project: str
    service: str
    mode: str
    state: str
    found_by: str
    cancels_orders: bool
    mode_label: str = ""


def select_bots(containers: Iterable[Mapping[str, Any]], rules: BotRules) -> list[Bot]:
    """Return the bots among the engine's container summaries, in any state, by project and name.

    One-off, orphaned and inactive-profile containers carry the same labels and count. A bot whose mode label
    is missing or not a known word counts as live. Containers of a restore test never count, by label and project both.
    """
    found = [bot for summary in containers if (bot := _as_bot(summary, rules))]
    return sorted(found, key=lambda bot: (bot.project, bot.name))


def in_scope(bot: Bot, scope: str) -> bool:
    """Return whether a stop of `scope` (`all`, or `live` alone) is meant for this bot."""
    return scope != "live" or bot.mode != "paper"


def is_true(value: object) -> bool:
    """Return whether a setting, as YAML, Ansible or a shell has it, says yes. Whatever makes no sense says no."""
    return str(value).strip().lower() in {"true", "yes", "1", "on"}


def is_restore_test(labels: Mapping[str, Any]) -> bool:
    """Return whether a container is a restore test's: one alone, label or project, may be somebody's mistake."""
    project = str(labels.get(PROJECT_LABEL) or "")
    return labels.get(RESTORE_TEST_LABEL) == "true" and bool(RESTORE_TEST_PROJECT.fullmatch(project))


def bears_restore_test_label(labels: Mapping[str, Any]) -> bool:
    """Return whether something says that it is a restore test's, whatever project it is in."""
    return str(labels.get(RESTORE_TEST_LABEL) or "").lower() not in {"", "false"}


def _as_bot(summary: Mapping[str, Any], rules: BotRules) -> Bot | None:
    labels = summary.get("Labels") or {}
    if is_restore_test(labels):
        return None
    service, project = labels.get(SERVICE_LABEL, ""), labels.get(PROJECT_LABEL, "")
    by_label = matches(service, rules.services) and matches(project, rules.projects)
    if not by_label and not matches(str(summary.get("Image", "")), rules.images):
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
        mode_label=str(mode or ""),
    )


def matches(value: str, patterns: Iterable[str]) -> bool:
    """Return whether a name is one of the patterns'. An empty name is none's, and case makes no difference."""
    return bool(value) and any(fnmatchcase(_lower(value), _lower(pattern)) for pattern in patterns)


def _lower(text: str) -> str:
    return text.encode(errors="surrogatepass").lower().decode(errors="surrogatepass")  # ASCII alone, as a shell does it
