"""Checks held against Prometheus' answers: pass, fail or unknown, once or at every step of a stable window.

Starts from the series that a check expects and looks for each in the answer, never the other way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from ..core.durable import bounded
from ..host.http import HttpError
from .catalogue import Check, Labels
from .prometheus import Fetch, Sample, parse_instant_answer

MAX_QUERIES_AT_ONCE: Final = 8
ROUND_TIMEOUTS: Final = 2
"""A round over all checks takes no longer than this many time limits of one query, also where each of them hangs."""

MOST_WORDS: Final = 3

OUTCOMES: Final = ("fail", "unknown", "pass")
"""From the one that decides first: a check with a series that fails has failed, whatever is not known of the others."""


@dataclass(frozen=True)
class Limits:
    """What is still believed. A sample may be two scrape intervals old."""

    scrape_interval_seconds: float = 15.0
    clock_offset_seconds: float = 2.0
    query_timeout_seconds: float = 5.0


@dataclass(frozen=True)
class Answer:
    """What one query gave; `error` is a sentence where there is nothing to be believed."""

    samples: tuple[Sample, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class SeriesResult:
    """What was seen of one expected series. `value` and `age_seconds` are None where there is none."""

    labels: Labels
    outcome: str
    reason: str = ""
    value: float | None = None
    age_seconds: float | None = None


@dataclass(frozen=True)
class CheckResult:
    """What came of one check. `value` is that of its worst series."""

    check: Check
    outcome: str
    reason: str
    value: float | None
    age_seconds: float | None
    series: tuple[SeriesResult, ...]


@dataclass(frozen=True)
class Waited:
    """How waiting ended. `results` are those of the last step, `closed_by` those that last kept the window shut.

    stable_seconds: how long every check has passed when it ended.
    """

    is_stable: bool
    stable_seconds: float
    results: tuple[CheckResult, ...]
    closed_by: tuple[CheckResult, ...]
    waited_seconds: float
    steps: int


@dataclass(frozen=True)
class Window:
    """How long all checks have to pass without a break, how often that is observed, and when the waiting ends.

    fail_fast: the first step at which a check does not pass ends the waiting, but not in the first `settle_seconds`, as
    long as not all of them have passed once.
    """

    stable_seconds: float
    interval_seconds: float
    timeout_seconds: float
    fail_fast: bool = False
    settle_seconds: float = 0


def queries_of(check: Check) -> dict[str, str]:
    """Return the PromQL that a check needs by what each asks for: `value`, and where they apply `age` and `resets`."""
    wanted = {"value": check.query, "age": check.age_query, "resets": check.resets_query}
    return {name: query for name, query in wanted.items() if query}


def evaluate(
    check: Check, answers: Mapping[str, Answer], limits: Limits, select: Mapping[str, str] | None = None
) -> CheckResult:
    """Return what came of `check`, from the answers to its queries.

    Samples whose labels contradict `select` belong to something else and are ignored.
    """
    seen: dict[str, dict[Labels, float]] = {}
    for name, query in queries_of(check).items():
        answer = answers.get(query, Answer(error="it was not asked"))
        try:
            seen[name] = _by_series(check, answer, select or {})
        except HttpError as error:
            return _unknown(check, str(error).rstrip(".") + f" (asked for {name})" * (name != "value"))
    if unexpected := sorted(seen["value"].keys() - set(check.expected)):
        return _unknown(check, f"an unexpected series: {_listed(map(series_words, unexpected), ' / ')}")
    series = tuple(_judge(check, labels, seen, limits) for labels in check.expected)
    values = [each.value for each in series if each.value is not None]
    ages = [each.age_seconds for each in series if each.age_seconds is not None]
    return CheckResult(
        check,
        outcome=min((each.outcome for each in series), key=OUTCOMES.index, default="unknown"),
        reason=by_reason((series_words(each.labels), each.reason) for each in series if each.reason),
        value=max(values, key=lambda value: _badness(check, value), default=None),
        age_seconds=max(ages, default=None),
        series=series,
    )


def evaluate_all(
    checks: Sequence[Check],
    fetch: Fetch,
    now: Callable[[], float],
    clock: Callable[[], float],
    limits: Limits,
    select: Mapping[str, str] | None = None,
) -> tuple[CheckResult, ...]:
    """Return what came of every check, in their order. Each distinct query is asked once. Never raises.

    now: this host's time of day, seconds since 1970. clock: monotonic seconds.
    """
    until = clock() + ROUND_TIMEOUTS * limits.query_timeout_seconds

    def ask(query: str) -> Answer:
        left = min(limits.query_timeout_seconds, until - clock())
        if left <= 0:
            return Answer(error="not asked any more: Prometheus took too long over the queries before it")
        return _ask(query, fetch, now, left, limits.clock_offset_seconds)

    queries = tuple(dict.fromkeys(query for check in checks for query in queries_of(check).values()))
    with ThreadPoolExecutor(MAX_QUERIES_AT_ONCE) as pool:
        answers = dict(zip(queries, pool.map(ask, queries), strict=True))
    return tuple(evaluate(check, answers, limits, select) for check in checks)


def distrust_all(checks: Iterable[Check], reason: str) -> tuple[CheckResult, ...]:
    """Return every check as unknown: no answer may be believed, whatever it says."""
    return tuple(_unknown(check, reason) for check in checks)


def wait_until_stable(
    observe: Callable[[], tuple[CheckResult, ...]],
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    window: Window,
) -> Waited:
    """Return whether every check passed at every step of the window.

    observe: evaluates all checks once. clock: monotonic seconds that also count while the machine sleeps.
    """
    begun = observed_at = clock()
    stable_since: float | None = None
    closed_by: tuple[CheckResult, ...] = ()
    steps, has_settled = 0, False
    while True:
        moment = clock()
        if moment - observed_at > 2 * window.interval_seconds:
            stable_since = None  # not observed for too long (this machine slept): that is no window
        results = observe()
        observed_at, steps = clock(), steps + 1
        not_passed = tuple(result for result in results if result.outcome != "pass")
        if not_passed or not results:
            stable_since, closed_by = None, not_passed
        elif stable_since is None:
            stable_since = moment
        stable = None if stable_since is None else moment - stable_since
        waited, is_stable = observed_at - begun, stable is not None and stable >= window.stable_seconds
        left = window.timeout_seconds - waited
        has_settled = has_settled or stable is not None or waited >= window.settle_seconds
        if is_stable or left <= 0 or (window.fail_fast and has_settled and stable is None):
            return Waited(is_stable, stable or 0.0, results, () if is_stable else closed_by, waited, steps)
        sleep(min(window.interval_seconds, left))


def controller_distrust(controller_epoch: float | None, host_epoch: float, limits: Limits) -> str:
    """Return as text that this host's clock is behind the controller's, empty where that cannot be said.

    The time that the task took to get here hides a clock that is ahead: for that the caller compares `host_epoch` in
    the result with the controller's clock afterwards.
    """
    if controller_epoch is None or controller_epoch - host_epoch <= limits.clock_offset_seconds:
        return ""
    behind = controller_epoch - host_epoch
    return f"this host's clock is {behind:.1f} s behind the controller's (fix: timedatectl set-ntp true, on both)"


def series_words(labels: Labels) -> str:
    """Return a series as one reads it: `symbol=BTCUSDT, host=homelab1`; empty for the one without labels."""
    return ", ".join(f"{name}={value}" for name, value in labels)


def by_reason(reasons: Iterable[tuple[str, str]]) -> str:
    """Return (who, why) as text, each reason once: without Prometheus all checks have the same one."""
    found: dict[str, list[str]] = {}
    for who, why in reasons:
        found.setdefault(why, []).append(who)
    return _listed((f"{_listed(names, ' / ')}: {why}".removeprefix(": ") for why, names in found.items()), "; ")


def _listed(items: Iterable[str], between: str) -> str:
    """Return the items joined, those after the third as a number."""
    every = list(items)
    return between.join(every[:MOST_WORDS]) + (f" and {len(every) - MOST_WORDS} more" if every[MOST_WORDS:] else "")


def _ask(query: str, fetch: Fetch, now: Callable[[], float], timeout_seconds: float, offset_seconds: float) -> Answer:
    asked_at = now()
    try:
        # The bound is on the whole exchange: a time-out of a socket starts again with each byte that drips in.
        status, body = bounded(lambda: fetch(query), timeout_seconds)
        answered_at = now()
        samples = parse_instant_answer(status, body)
    except TimeoutError:
        return Answer(error=f"no whole answer within {timeout_seconds:.3g} s")
    except HttpError as error:
        return Answer(error=str(error))
    except Exception as error:  # whatever a network, a proxy or a library comes up with is one thing: no answer
        return Answer(error=f"no answer: {error or type(error).__name__}")
    for sample in samples:
        # Held against the time before and after, so that a slow answer is never taken for a clock that is off.
        early, late = asked_at - sample.evaluated_at, sample.evaluated_at - answered_at
        if not max(early, late) <= offset_seconds:
            off = f"{early:.1f} s before it was asked" if early > late else f"{late:.1f} s after it answered"
            return Answer(error=f"Prometheus says it looked {off}: clocks differ, or a cache answered")
    return Answer(samples)


def _by_series(check: Check, answer: Answer, select: Mapping[str, str]) -> dict[Labels, float]:
    """Return the values by series. Raises HttpError for an answer that cannot be told apart by the labels."""
    if answer.error:
        raise HttpError(answer.error)
    found: dict[Labels, float] = {}
    for sample in answer.samples:
        if any(sample.labels.get(name, value) != value for name, value in select.items()):
            continue
        if missing := [name for name in check.labels if name not in sample.labels]:
            raise HttpError(f"a sample without the label {missing[0]}")
        labels = tuple((name, sample.labels[name]) for name in check.labels)
        if labels in found:
            raise HttpError(f"more than one sample for {series_words(labels) or 'a value without labels'}")
        found[labels] = sample.value
    return found


def _judge(check: Check, labels: Labels, seen: Mapping[str, Mapping[Labels, float]], limits: Limits) -> SeriesResult:
    value, age = _finite(seen["value"].get(labels)), _finite(seen.get("age", {}).get(labels))
    unknown = _reason_unknown(check, labels, seen, limits)
    if unknown or value is None:
        return SeriesResult(labels, "unknown", unknown, value, age)
    if check.is_met(value):
        return SeriesResult(labels, "pass", "", value, age)
    reason = f"{value:.6g}, must be {check.condition} {check.threshold:.6g} ({check.unit})"
    return SeriesResult(labels, "fail", reason, value, age)


def _reason_unknown(check: Check, labels: Labels, seen: Mapping[str, Mapping[Labels, float]], limits: Limits) -> str:
    """Return why nothing is known of a series, empty where its value counts."""
    value = seen["value"].get(labels)
    if value is None:
        return f"no sample ({check.no_data.rstrip('.')})"
    if not math.isfinite(value):
        return f"the value is {value}"
    if "age" in seen:
        age, oldest = seen["age"].get(labels), 2 * limits.scrape_interval_seconds
        if age is None:
            return f"no raw sample of {check.source}"
        if not age <= oldest:
            return f"the sample is {age:.1f} s old, believed are {oldest:g} s"
        if not age >= -limits.clock_offset_seconds:
            return f"the sample is from {-age:.1f} s ahead"
    if "resets" in seen:
        resets = seen["resets"].get(labels)
        if resets is None:
            return f"it is not known whether {check.source} was reset"
        if resets != 0:
            return f"the counter was reset in the last {check.window_seconds} s"
    return ""


def _finite(value: float | None) -> float | None:
    """Return a value that can be shown, none for NaN and the infinities: JSON has no words for them."""
    return value if value is not None and math.isfinite(value) else None


def _badness(check: Check, value: float) -> float:
    if check.condition == "==":
        return abs(value - check.threshold)
    return value if check.condition in {"<", "<="} else -value


def _unknown(check: Check, reason: str) -> CheckResult:
    return CheckResult(check, "unknown", reason, None, None, ())
