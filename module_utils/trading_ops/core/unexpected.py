"""Running containers that no rule takes for a bot and that look like one, and what else runs. Pure.

What the engine says goes in: `summaries` as it lists its containers, `descriptions` by id as it inspects them, of every
running container that no rule matches and of every bot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from .bots import (
    CANCELS_ORDERS_LABEL,
    MODE_LABEL,
    MODES,
    NOT_RUNNING,
    PROJECT_LABEL,
    RESTORE_TEST_LABEL,
    SERVICE_LABEL,
    Bot,
    BotRules,
    bears_restore_test_label,
    is_restore_test,
    select_bots,
)
from .containers import odd_fields
from .frameworks import IMAGE_LABELS, framework_of, framework_of_command

MODE_VARIABLE: Final = "TRADING_MODE"
_JUDGED_BY: Final = frozenset({"Config.Labels", "Config.Env", "Config.Image"})
"""Where one of these is not understood nobody can say that a container is no bot."""

NAMES_SHOWN: Final = 10
"""So many of the other containers are named; how many there are is always said."""


@dataclass(frozen=True)
class Unexpected:
    """A running container that looks like a bot; `why` says by what. `image` is the reference it was made from."""

    id: str
    name: str
    project: str
    service: str
    image: str
    mode: str
    state: str
    why: str
    cancels_orders: bool = False
    is_by_image_alone: bool = False

    @property
    def key(self) -> str:
        """Return how the estate names it where it is no bot although its image is of a framework."""
        return f"{self.project}/{self.service or self.name}/{self.image}"

    def sentence(self) -> str:
        """Return it in words."""
        return f"unexpected bot {self.name} ({self.project or 'no project'}/{self.service or 'no service'}): {self.why}"

    def as_bot(self) -> Bot:
        """Return it as what a stop works on."""
        return Bot(
            id=self.id,
            name=self.name,
            project=self.project,
            service=self.service,
            mode=self.mode,
            state=self.state,
            found_by="unexpected",
            cancels_orders=self.cancels_orders,
        )


@dataclass(frozen=True)
class Beyond:
    """What runs on a host beside the bots that the rules match.

    exempted: containers whose framework the estate says is no bot. unnamed: all others that it does not name.
    mislabelled: bots by rule that carry the label of a restore test and are of none. bots: how many the rules match,
    in any state. undescribed: running containers that could have been bots, and that nobody could look at.
    """

    unexpected: tuple[Unexpected, ...] = ()
    exempted: tuple[str, ...] = ()
    unnamed: tuple[str, ...] = ()
    mislabelled: tuple[str, ...] = ()
    undescribed: tuple[str, ...] = ()
    bots: int = 0

    @property
    def has_no_bot(self) -> bool:
        """Return whether containers run here of which nobody has said what they are, and the rules match nothing."""
        return not self.bots and bool(self.unnamed)

    @property
    def doubts(self) -> list[str]:
        """Return in words what keeps a stop or a look from being proven, empty for nothing."""
        said = [found.sentence() for found in self.unexpected[:NAMES_SHOWN]]
        if len(self.unexpected) > NAMES_SHOWN:
            said.append(f"and {len(self.unexpected) - NAMES_SHOWN} more unexpected bots")
        said += [f"{name} runs and could not be looked at" for name in self.undescribed[:NAMES_SHOWN]]
        return [*said, self.without_a_bot()] if self.has_no_bot else said

    def without_a_bot(self) -> str:
        """Return in words that the rules match nothing, empty where they match or nothing else runs."""
        return f"no bot found, and {len(self.unnamed)} other {_containers(self.unnamed)}" if self.has_no_bot else ""

    def notes(self) -> list[str]:
        """Return in words what a person should know beside the doubts."""
        said = [f"{name} bears the label {RESTORE_TEST_LABEL} and is no restore test's" for name in self.mislabelled]
        said += [f"exempted by the estate: {', '.join(self.exempted[:NAMES_SHOWN])}"] if self.exempted else []
        if self.unnamed and self.bots:
            said.append(f"{len(self.unnamed)} other {_containers(self.unnamed)}")
        return said

    def fields(self) -> dict[str, Any]:
        """Return what a module's result says of it."""
        return {
            "unexpected": [asdict(found) for found in self.unexpected],
            "exempted": list(self.exempted),
            "others": {"count": len(self.unnamed), "names": list(self.unnamed)},
            "doubts": self.doubts,
        }


def wanted_ids(summaries: Iterable[Mapping[str, Any]], rules: BotRules) -> list[str]:
    """Return the ids whose descriptions `find_beyond` needs: what runs and no rule matches, and the bots."""
    listed = list(summaries)
    bots = {bot.id for bot in select_bots(listed, rules)}
    return [str(item["Id"]) for item in listed if str(item["Id"]) in bots or _may_be_a_bot(item)]


def find_beyond(
    summaries: Iterable[Mapping[str, Any]], descriptions: Mapping[str, Mapping[str, Any]], rules: BotRules
) -> Beyond:
    """Return what runs beside the bots. A description that is missing or odd hides no container: it is named."""
    listed = list(summaries)
    bots = select_bots(listed, rules)
    ids = {bot.id for bot in bots}
    known = {key: bot.name for bot in bots if (key := _program(descriptions.get(bot.id)))}
    beyond = Beyond(bots=len(bots), mislabelled=tuple(_mislabelled(listed, ids)))
    for item in sorted(listed, key=_name):
        if str(item["Id"]) in ids or not _may_be_a_bot(item):
            continue
        beyond = _add(beyond, item, descriptions.get(str(item["Id"])), known, rules)
    return beyond


def _add(
    beyond: Beyond,
    summary: Mapping[str, Any],
    seen: Mapping[str, Any] | None,
    known: Mapping[Any, str],
    rules: BotRules,
) -> Beyond:
    undescribed = replace(beyond, undescribed=(*beyond.undescribed, _name(summary)))
    if seen is None or not isinstance(seen.get("Config"), Mapping):
        return undescribed
    found = _unexpected(summary, seen)
    if why := _why(summary, seen, known):
        return replace(beyond, unexpected=(*beyond.unexpected, replace(found, why=why)))
    if why := _framework(seen, found.image):
        if found.key in rules.others:
            return replace(beyond, exempted=(*beyond.exempted, f"{found.name} ({found.key})"))
        found = replace(found, why=why, is_by_image_alone=True)
        return replace(beyond, unexpected=(*beyond.unexpected, found))
    if _JUDGED_BY & set(odd_fields(seen)):
        return undescribed
    is_named = {found.service or found.name, found.key} & set(rules.others)
    return beyond if is_named else replace(beyond, unnamed=(*beyond.unnamed, found.name))


def _why(summary: Mapping[str, Any], seen: Mapping[str, Any], known: Mapping[Any, str]) -> str:
    """Return by what a container is a bot that no estate can exempt, empty for none."""
    labels = _labels(summary) | _labels(seen["Config"])
    if MODE_LABEL in labels:
        return f"it carries the label {MODE_LABEL}"
    if bears_restore_test_label(labels):
        return f"it bears the label {RESTORE_TEST_LABEL} and is no restore test's"
    variables = seen["Config"].get("Env")
    if any(str(item).partition("=")[0] == MODE_VARIABLE for item in variables or ()):
        return f"it has {MODE_VARIABLE} in its environment"
    program = _program(seen)
    return f"it has image and command of the bot {known[program]}" if program in known else ""


def _framework(seen: Mapping[str, Any], image: str) -> str:
    """Return by what a container is a framework's, empty for nothing."""
    labels = _labels(seen["Config"])
    texts = [str(seen["Config"].get("Image") or ""), *(str(labels.get(label) or "") for label in IMAGE_LABELS)]
    if word := next((word for text in texts if (word := framework_of(text))), ""):
        return f"its image {image} is of {word}"
    arguments = seen.get("Args")
    words = [str(seen.get("Path") or ""), *map(str, arguments if isinstance(arguments, (list, tuple)) else ())]
    word = framework_of_command(words)
    return f"its command is of {word}" if word else ""


def _unexpected(summary: Mapping[str, Any], seen: Mapping[str, Any]) -> Unexpected:
    labels = _labels(summary)
    mode = labels.get(MODE_LABEL)
    return Unexpected(
        id=str(summary["Id"]),
        name=_name(summary),
        project=str(labels.get(PROJECT_LABEL) or ""),
        service=str(labels.get(SERVICE_LABEL) or ""),
        image=str(seen["Config"].get("Image") or summary.get("Image") or ""),
        mode=str(mode) if mode in MODES else "live",
        state=str(summary.get("State", "")),
        why="",
        cancels_orders=labels.get(CANCELS_ORDERS_LABEL) == "true",
    )


def _program(seen: Mapping[str, Any] | None) -> tuple[str, ...] | None:
    """Return image id and command line of a container, None where either is not known."""
    path, arguments, image = (seen or {}).get("Path"), (seen or {}).get("Args"), (seen or {}).get("Image")
    if not path or not image or not isinstance(arguments or [], Sequence):
        return None
    return (str(image), str(path), *map(str, arguments or []))


def _may_be_a_bot(summary: Mapping[str, Any]) -> bool:
    return str(summary.get("State", "")) not in NOT_RUNNING and not is_restore_test(_labels(summary))


def _mislabelled(listed: Iterable[Mapping[str, Any]], ids: set[str]) -> list[str]:
    return sorted(_name(item) for item in listed if str(item["Id"]) in ids and bears_restore_test_label(_labels(item)))


def _labels(holder: Mapping[str, Any]) -> dict[str, Any]:
    labels = holder.get("Labels")
    return dict(labels) if isinstance(labels, Mapping) else {}


def _name(summary: Mapping[str, Any]) -> str:
    names = summary.get("Names") or [str(summary["Id"])[:12]]
    return str(names[0]).lstrip("/")


def _containers(names: Sequence[str]) -> str:
    """Return `containers run: a, b, …`."""
    shown = ", ".join(names[:NAMES_SHOWN]) + (", …" if len(names) > NAMES_SHOWN else "")
    return f"container{'s run' if len(names) != 1 else ' runs'}: {shown}"
