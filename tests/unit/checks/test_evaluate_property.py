"""Generated healthy estates never keep the gate shut; the same with one thing wrong never open it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from trading_ops.checks.evaluate import queries_of
from trading_ops.checks.results import observe_once, wait

from tests.properties import examples
from tests.unit.compose_world import FakeTime
from tests.unit.fake_prometheus import FakePrometheus, Sample, answer, catalogue_item

NAMES = st.text("abcdefghijklmnopqrstuvwxyz", min_size=1, max_size=6)
# Label values are any text that JSON can carry.
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
NUMBERS = st.floats(-1e9, 1e9)
GOOD = {"<": -1.0, "<=": 0.0, "==": 0.0, ">=": 0.0, ">": 1.0}


@st.composite
def items(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A catalogue of one to three checks, each with one to four series of zero to two labels."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        labels = draw(st.lists(NAMES, max_size=2, unique=True))
        values = st.lists(TEXTS, min_size=len(labels), max_size=len(labels)).map(tuple)
        series = draw(st.lists(values, min_size=1, max_size=4 if labels else 1, unique=True))
        window = draw(st.integers(1, 86400))
        found.append(
            catalogue_item(
                id=f"check_{number}",
                query=f"rate(metric_{number}_total[{window}s])",
                source=draw(st.sampled_from([f"metric_{number}_total", "shared_total"])),
                window_seconds=window,
                is_counter=draw(st.booleans()),
                condition=draw(st.sampled_from(sorted(GOOD))),
                threshold=draw(NUMBERS),
                labels=labels,
                expected=[dict(zip(labels, each, strict=True)) for each in series],
            )
        )
    return found


def as_prometheus_writes(number: float) -> str:
    return repr(number).removesuffix(".0")


@st.composite
def healthy(draw: st.DrawFn) -> FakePrometheus:
    """A Prometheus in which every check passes, up to its limits, told in any way that Prometheus may tell it."""
    prometheus = FakePrometheus(FakeTime(), *draw(items()))
    for check in prometheus.checks:
        better = draw(st.floats(1, 1e6)) * GOOD[check.condition] or 0.0
        good = check.threshold + better
        values = {"value": st.just(good), "age": st.floats(-2, 10), "resets": st.just(0.0)}
        for name, query in queries_of(check).items():
            # Several checks may share a source, so a query is written once for all series that are asked for by it.
            before = {tuple(sorted(labels.items())): word for labels, word in prometheus.values[query]}
            for series in check.expected:
                before[tuple(sorted(series))] = as_prometheus_writes(draw(values[name]))
            prometheus.values[query] = [
                (dict(labels), word) for labels, word in draw(st.permutations(list(before.items())))
            ]
    extra = draw(st.dictionaries(st.sampled_from(["JOB", "INSTANCE", "__name__"]), TEXTS))
    beside = draw(st.sampled_from([{}, {"warnings": []}, {"infos": None}, {"isPartial": False}]))
    skew, indent = draw(st.floats(-1.9, 1.9)), draw(st.sampled_from([None, 1]))
    prometheus.clock_offset_seconds = skew

    def reply(samples: list[Sample]) -> tuple[int, bytes]:
        dressed = [each | {"metric": each["metric"] | extra} for each in samples]
        _, text = answer(dressed, **beside)
        return 200, json.dumps(json.loads(text), indent=indent, ensure_ascii=bool(indent)).encode()

    prometheus.replies = dict.fromkeys(prometheus.values, reply)
    return prometheus


@examples(250)
@given(healthy())
def test_healthy_answers_never_keep_the_gate_shut(prometheus):
    seen = observe_once(prometheus.params(), prometheus.tools)
    assert seen["outcome"] == "proven", seen["summary"]
    opened = wait(prometheus.params(stable_seconds=10, timeout_seconds=10), prometheus.tools)
    assert (opened["outcome"], opened["steps"]) == ("proven", 3), opened["summary"]


BAD = {"value": ["NaN", "+Inf", "-Inf"], "age": ["NaN", "10.1", "300", "-2.1", "-Inf"], "resets": ["NaN", "1", "3"]}


@examples(250)
@given(healthy(), st.data())
def test_one_sample_gone_or_bad_among_healthy_ones_keeps_it_shut(prometheus, data):
    check = data.draw(st.sampled_from(prometheus.checks))
    name, query = data.draw(st.sampled_from(list(queries_of(check).items())))
    series = dict(data.draw(st.sampled_from(check.expected)))
    word = data.draw(st.sampled_from([*BAD[name], None]))
    others = [entry for entry in prometheus.values[query] if entry[0] != series]
    prometheus.values[query] = others + ([(series, word)] if word is not None else [])
    seen = observe_once(prometheus.params(), prometheus.tools)
    assert seen["outcome"] == "unknown"
    assert wait(prometheus.params(stable_seconds=0, timeout_seconds=0), prometheus.tools)["outcome"] == "refused"
