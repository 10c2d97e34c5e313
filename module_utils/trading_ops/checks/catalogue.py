"""The check catalogue as values: what a healthy estate is. Gates, reports and alert rules use this and nothing else.

One check is a mapping with the keys of `Check`. Its query gives exactly one sample per expected series.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final

Labels = tuple[tuple[str, str], ...]
"""What identifies a series: names and values, in the order of the check's `labels`."""

CONDITIONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
}
GROUPS: Final = frozenset(
    {"feed", "data_quality", "bots", "strategy", "drift", "hosts", "monitoring", "backup", "paper_kpi"}
)
SEVERITIES: Final = frozenset({"critical", "warning"})
ACTIONS: Final = frozenset({"stop_bots", "stop_live", "pause_deploys", "none"})
GATES: Final = frozenset({"feed", "start", "watch", "live"})

_WORDS: Final = {"group": GROUPS, "severity": SEVERITIES, "action": ACTIONS, "condition": CONDITIONS.keys()}
_ID: Final = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SECTION: Final = re.compile(r"[A-Z]\w+ \d+(\.\d+)?")
_BASIS: Final = re.compile(r"owner|ours: .+")


class CatalogueError(Exception):
    """A check that is none: which, in which field, and why. `check_id` is empty where it has no usable one."""

    def __init__(self, check_id: str, field: str, why: str) -> None:
        super().__init__(f"{check_id or 'a check without an id'}: {field}: {why}")
        self.check_id, self.field = check_id, field


@dataclass(frozen=True)
class Check:
    """One check. The sample of each `expected` series has to meet `condition` `threshold`.

    query: instant PromQL, one sample per expected series.
    window_seconds: the range that the query looks back over, 0 for none.
    labels: what identifies a series; empty: one sample without labels.
    source: selector of the raw samples whose age counts; empty only where the query itself is always fresh.
    is_counter: a reset of the source inside the window makes the value unknown, and so does a window it began in.
    for_seconds: how long the alert waits.
    keep_firing_seconds: how long it goes on when all is well again. The only field that may be missing.
    gates: where a start depends on it.
    no_data: what it means when there is nothing to look at.
    basis: whose the threshold is, `owner` or `ours: why`.
    """

    id: str
    title: str
    section: str
    group: str
    query: str
    unit: str
    condition: str
    threshold: float
    window_seconds: int
    labels: tuple[str, ...]
    expected: tuple[Labels, ...]
    source: str
    is_counter: bool
    severity: str
    action: str
    for_seconds: int
    gates: tuple[str, ...]
    no_data: str
    basis: str
    keep_firing_seconds: int = 0

    def is_met(self, value: float) -> bool:
        """Return whether a value passes. NaN and the infinities never do."""
        return math.isfinite(value) and CONDITIONS[self.condition](value, self.threshold)

    @property
    def age_query(self) -> str:
        """PromQL for the age of the oldest raw sample of each series in seconds; empty where there is no source."""
        return self._of_source(f"time() - timestamp({self.source})")

    @property
    def resets_query(self) -> str:
        """PromQL for how often each series' counter was reset inside the window; empty where there is no counter.

        No sample for a counter that was not yet there when the window began: in half a window fewer things go wrong.
        """
        if not self.is_counter:
            return ""
        window = self.window_seconds
        # A selector also finds what is minutes older, from before Prometheus was away itself.
        began = f"timestamp({self.source} offset {window}s) > time() - {window + window // 2}"
        return self._of_source(f"resets({self.source}[{window}s]) and {began}")

    def _of_source(self, expression: str) -> str:
        return f"max by ({', '.join(self.labels)}) ({expression})" if self.source else ""


def parse_checks(items: Sequence[object]) -> tuple[Check, ...]:
    """Return the checks of a catalogue, at least one. Raises CatalogueError for the first that is not sound."""
    checks = tuple(map(_parse_check, items))
    if not checks:
        raise CatalogueError("", "catalogue", "it holds no check")
    ids = [check.id for check in checks]
    for place, name in enumerate(ids):
        if name in ids[:place]:
            raise CatalogueError(name, "id", "it stands twice")
    return checks


def select_gates(items: Sequence[object], gates: Sequence[str]) -> list[object]:
    """Return the items of at least one of `gates`; without any, all. What has no list of gates stays, as no check."""

    def counts(item: object) -> bool:
        own = item.get("gates") if isinstance(item, Mapping) else None
        return not gates or not isinstance(own, list) or any(gate in own for gate in gates)

    return [item for item in items if counts(item)]


def select_checks(checks: Iterable[Check], select: Mapping[str, str]) -> tuple[Check, ...]:
    """Return the checks with the expected series that `select` does not contradict; one without any is left out.

    A series without such a label belongs to none alone, and stays: the feed is looked at for each bot. Where no series
    carries all of `select`, nothing is left: a bot that is not expected must not pass for a good feed.
    """
    narrowed = (
        replace(check, expected=tuple(series for series in check.expected if _agrees(dict(series), select)))
        for check in checks
    )
    left = tuple(check for check in narrowed if check.expected)
    is_expected_of_one = any(select.items() <= dict(series).items() for check in left for series in check.expected)
    return left if is_expected_of_one else ()


def _agrees(series: Mapping[str, str], select: Mapping[str, str]) -> bool:
    return all(series.get(name, value) == value for name, value in select.items())


def find_line(text: str, error: CatalogueError) -> int:
    """Return the line (from 1) of a catalogue's YAML text that `error` is about, 0 where it cannot be found.

    The line of the id stands for a field that is missing. Each check is a block that begins with its id.
    """
    lines = text.splitlines()
    begins = [number for number, line in enumerate(lines) if re.match(r"\s*- id:", line)]
    own = re.compile(rf"""\s*- id:\s*["']?{re.escape(error.check_id)}["']?\s*(#.*)?""")
    found = [number for number in begins if own.fullmatch(lines[number])]
    if not found or not error.check_id:
        return 0
    first = found[-1]  # of two with one id it is the second that is wrong
    end = min((number for number in begins if number > first), default=len(lines))
    field = re.compile(rf"\s*(- )?{re.escape(error.field)}:")
    return 1 + next((number for number in range(first, end) if field.match(lines[number])), first)


def _parse_check(item: object) -> Check:
    if not isinstance(item, Mapping):
        raise CatalogueError("", "catalogue", f"{item!r} is no mapping")
    check_id = str(item.get("id") or "")
    if not _ID.fullmatch(check_id):
        raise CatalogueError(check_id, "id", "words of small letters and digits joined by _ are needed")
    names = [field.name for field in fields(Check)]
    for name in names:
        if name not in {*item, "keep_firing_seconds"}:
            raise CatalogueError(check_id, name, "it is missing")
    for name in item:
        if name not in names:
            raise CatalogueError(check_id, str(name), "nothing reads it")
    try:
        return _build_check(item)
    except _Wrong as wrong:
        raise CatalogueError(check_id, wrong.field, wrong.why) from wrong


class _Wrong(Exception):
    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field, self.why = field, why


def _build_check(item: Mapping[str, Any]) -> Check:
    for name, known in _WORDS.items():
        if not isinstance(item[name], str) or item[name] not in known:
            raise _Wrong(name, f"{item[name]!r} is none of {' '.join(sorted(known))}")
    check = Check(
        **{name: _text(item, name) for name in ("id", "title", "query", "unit", "no_data")},
        **{name: item[name] for name in _WORDS},
        section=_matching(item, "section", _SECTION, "a page and its section are needed, as in LiveFeed_Runbook 6"),
        basis=_matching(item, "basis", _BASIS, "either owner, or ours: and why"),
        threshold=_number(item, "threshold"),
        window_seconds=_seconds(item, "window_seconds"),
        for_seconds=_seconds(item, "for_seconds"),
        keep_firing_seconds=_seconds({"keep_firing_seconds": 0, **item}, "keep_firing_seconds"),
        labels=_words(item, "labels", lambda word: bool(_LABEL.fullmatch(word)) and not word.startswith("__")),
        expected=_expected(item),
        source=_text(item, "source", may_be_empty=True),
        is_counter=_flag(item, "is_counter"),
        gates=_words(item, "gates", GATES.__contains__),
    )
    window = check.window_seconds
    if window and f"[{window}s]" not in check.query and f"[{window}s:" not in check.query:
        raise _Wrong("query", f"it does not look back over [{window}s], which window_seconds says")
    if check.is_counter and not (check.source and window):
        raise _Wrong("is_counter", "a counter needs a source and a window")
    return check


def _text(item: Mapping[str, Any], name: str, may_be_empty: bool = False) -> str:
    value = item[name]
    if not isinstance(value, str) or not (value.strip() or may_be_empty):
        raise _Wrong(name, f"text is needed, not {value!r}")
    return " ".join(value.split())


def _matching(item: Mapping[str, Any], name: str, pattern: re.Pattern[str], needed: str) -> str:
    text = _text(item, name)
    if not pattern.fullmatch(text):
        raise _Wrong(name, needed)
    return text


def _number(item: Mapping[str, Any], name: str) -> float:
    value = item[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _Wrong(name, f"a number is needed, not {value!r}")
    return float(value)


def _seconds(item: Mapping[str, Any], name: str) -> int:
    value = item[name]
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _Wrong(name, f"whole seconds are needed, not {value!r}")
    return value


def _flag(item: Mapping[str, Any], name: str) -> bool:
    value = item[name]
    if not isinstance(value, bool):
        raise _Wrong(name, f"true or false is needed, not {value!r}")
    return value


def _words(item: Mapping[str, Any], name: str, is_word: Callable[[str], bool]) -> tuple[str, ...]:
    values = item[name]
    if not isinstance(values, list) or len({*map(str, values)}) != len(values):
        raise _Wrong(name, "a list without repetition is needed")
    for value in values:
        if not isinstance(value, str) or not is_word(value):
            raise _Wrong(name, f"{value!r} cannot stand here")
    return tuple(values)


def _expected(item: Mapping[str, Any]) -> tuple[Labels, ...]:
    series, labels = item["expected"], item["labels"]
    if not isinstance(series, list) or not series:
        raise _Wrong("expected", "at least one series is needed, [{}] for one sample without labels")
    for each in series:
        if not isinstance(each, Mapping) or sorted(map(str, each)) != sorted(map(str, labels)):
            raise _Wrong("expected", f"{each!r} does not name exactly the labels {labels!r}")
        if not all(isinstance(value, str) and value for value in each.values()):
            raise _Wrong("expected", f"a value in {each!r} is no text")
    found = tuple(tuple((name, each[name]) for name in labels) for each in series)
    if len(set(found)) != len(found):
        raise _Wrong("expected", "a series stands twice")
    return found
