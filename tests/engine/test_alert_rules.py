"""One definition of healthy: over one corpus of series, an alert is raised exactly when the gate would not pass.

The Prometheus is the lab's own image, with the corpus in its database.
"""

from __future__ import annotations

import json
import math
import subprocess
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from trading_ops.checks.catalogue import Check
from trading_ops.checks.evaluate import Answer, Limits, evaluate, queries_of
from trading_ops.checks.prometheus import Sample
from trading_ops.checks.rules import alert_expr, alert_name, build_rules, render_document

from lab import images
from tests.catalogue import catalogue
from tests.engine import series_corpus
from tests.lab.estate import docker

pytestmark = pytest.mark.timeout(900)  # the image may have to be built, or waited for

STEP_SECONDS = 5
OFFSET_SECONDS = 2
"""Looked at between two scrapes, as a gate does."""
LIMITS = Limits(scrape_interval_seconds=series_corpus.SCRAPE_SECONDS)

Found = dict[int, list[Sample]]
"""What one query gave at each moment."""


def lab_catalogue() -> tuple[Check, ...]:
    """Return the checks with a limit of processors that the corpus crosses: the lab's own is for a busy machine."""
    return catalogue("lab", extra='{"trading_core_cpu_limit_percent": 90}')


@pytest.fixture(scope="module")
def image() -> str:
    return images.build_images(print, ["prometheus"])["prometheus"]


@pytest.fixture(scope="module")
def prometheus(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that holds the corpus and scrapes nothing."""
    scratch = tmp_path_factory.mktemp("corpus")
    (scratch / "corpus.om").write_text(series_corpus.open_metrics(), encoding="utf-8")
    (scratch / "prometheus.yml").write_text("{}\n", encoding="utf-8")
    take_in = "promtool tsdb create-blocks-from openmetrics /corpus.om /prometheus >/dev/null"
    options = "--config.file=/prometheus.yml --storage.tsdb.path=/prometheus --storage.tsdb.retention.time=100y"
    name = f"trading-core-lab-rules-{uuid.uuid4().hex[:8]}"
    docker(
        "create",
        "--name",
        name,
        "--label",
        "trading-core.lab=1",
        "--entrypoint",
        "sh",
        image,
        "-ec",
        f"{take_in}\nexec prometheus {options}",
    )
    try:
        for file in ("corpus.om", "prometheus.yml"):
            (scratch / file).chmod(0o644)
            docker("cp", str(scratch / file), f"{name}:/{file}")
        docker("start", name)
        address = docker("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name).strip()
        _wait_until_ready(f"http://{address}:9090", name)
        yield f"http://{address}:9090"
    finally:
        docker("rm", "-f", "-v", name)


def _wait_until_ready(url: str, name: str) -> None:
    end = time.monotonic() + 120
    while True:
        try:
            with urllib.request.urlopen(f"{url}/-/ready", timeout=5):
                return
        except OSError:
            assert time.monotonic() < end, docker("logs", name)
            time.sleep(0.5)


@pytest.fixture(scope="module")
def found(prometheus: str) -> dict[str, Found]:
    """The answer to every query of gates and alerts at every moment of the corpus."""
    checks = lab_catalogue()
    queries = {query for check in checks for query in (*queries_of(check).values(), _alert(check))}
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(queries, pool.map(lambda query: ask_range(prometheus, query), queries), strict=True))


def ask_range(url: str, query: str) -> Found:
    begin = series_corpus.START + OFFSET_SECONDS
    end = begin + len(series_corpus.SEGMENTS) * series_corpus.SEGMENT_SECONDS
    body = urllib.parse.urlencode({"query": query, "start": begin, "end": end, "step": STEP_SECONDS}).encode()
    with urllib.request.urlopen(f"{url}/api/v1/query_range", body, timeout=120) as answer:
        content = json.load(answer)
    assert content["status"] == "success", content
    moments: Found = {}
    for series in content["data"]["result"]:
        for moment, value in series["values"]:
            moments.setdefault(int(moment), []).append(Sample(series["metric"], float(value), moment))
    return moments


def moments() -> Iterator[int]:
    end = len(series_corpus.SEGMENTS) * series_corpus.SEGMENT_SECONDS
    return (series_corpus.START + OFFSET_SECONDS + after for after in range(0, end, STEP_SECONDS))


def _alert(check: Check) -> str:
    return alert_expr(check, LIMITS.scrape_interval_seconds)


def gate(check: Check, found: dict[str, Found], moment: int) -> str:
    answers = {query: Answer(tuple(found[query].get(moment, ()))) for query in queries_of(check).values()}
    return evaluate(check, answers, LIMITS).outcome


def where(moment: int) -> str:
    number, seconds = divmod(moment - series_corpus.START, series_corpus.SEGMENT_SECONDS)
    return f"{series_corpus.SEGMENTS[number]} after {seconds} s"


def test_an_alert_is_raised_exactly_when_the_gate_would_not_pass(found):
    for check in lab_catalogue():
        alerts, seen = found[_alert(check)], set()
        for moment in moments():
            outcome = gate(check, found, moment)
            seen.add(outcome)
            assert bool(alerts.get(moment)) == (outcome != "pass"), (check.id, where(moment), outcome)
        # A check that the corpus never lets fail would prove nothing here. Whether a bot is seen, it is or it is not.
        assert seen >= ({"pass", "unknown"} if check.id == "bot_seen" else {"pass", "fail", "unknown"}), check.id


def test_a_healthy_estate_passes_and_raises_no_alert(found):
    for check in lab_catalogue():
        for moment in series_corpus.healthy_moments():
            moment += OFFSET_SECONDS
            assert gate(check, found, moment) == "pass", (check.id, where(moment))
            assert moment not in found[_alert(check)], (check.id, where(moment))


@pytest.mark.parametrize("damage", ["begins late", "paused"])
def test_a_window_that_lies_half_before_the_feed_or_prometheus_came_back_is_unknown(found, damage):
    """In a segment a third of the metrics is damaged so: in all of them together every one is."""
    counters = [check for check in lab_catalogue() if check.is_counter]
    unknown = set()
    for number, (name, _) in enumerate(series_corpus.SEGMENTS):
        if name == damage:
            back = series_corpus.segment_start(number) + series_corpus.DAMAGED_FROM * series_corpus.SCRAPE_SECONDS
            for check in counters:
                inside = range(back + OFFSET_SECONDS, back + min(check.window_seconds, 45), STEP_SECONDS)
                if all(gate(check, found, moment) == "unknown" for moment in inside):
                    unknown.add(check.id)
    assert unknown == {check.id for check in counters}


def test_a_query_gives_what_identifies_its_series_and_nothing_else(found):
    for check in lab_catalogue():
        labels = {tuple(sorted(sample.labels)) for samples in found[check.query].values() for sample in samples}
        assert labels == {tuple(sorted(check.labels))}, check.id


def test_alerts_of_an_estate_that_is_gone_name_each_expected_series(found):
    for check in lab_catalogue():
        samples = found[_alert(check)][_last()]
        named = {tuple((name, sample.labels[name]) for name in check.labels) for sample in samples}
        assert named == set(check.expected), check.id
        # The number of open alerts is 0 also where none can be open.
        assert all(math.isnan(sample.value) for sample in samples) or check.id == "critical_alerts", check.id


def _last() -> int:
    """Return a moment long after the last sample of the corpus."""
    return max(moments())


def promtool(image: str, files: dict[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    """Run promtool of the image on the files."""
    script = "".join(f"cat > /tmp/{name} <<'_end_of_file_'\n{text}\n_end_of_file_\n" for name, text in files.items())
    return subprocess.run(
        ["docker", "run", "--rm", "-i", "--entrypoint", "sh", image, "-es"],
        input=f"{script}cd /tmp\npromtool {' '.join(argv)}\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def rules() -> dict[str, Any]:
    return build_rules(lab_catalogue(), LIMITS.scrape_interval_seconds)


def test_promtool_takes_the_rules(image):
    checked = promtool(
        image, {"rules.yml": render_document(rules())}, "check", "rules", "--lint=all", "--lint-fatal", "rules.yml"
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(lab_catalogue()) + 1} rules found" in checked.stdout


def promtool_tests() -> list[dict[str, Any]]:
    """Return promtool's own tests of the rules: a healthy estate is silent, of an empty one every alert is raised."""
    names = [alert_name(check.id) for check in lab_catalogue()]
    healthy = [
        {
            "series": f"{metric.name}{{{','.join(f'{key}={json.dumps(text)}' for key, text in labels.items())}}}",
            "values": " ".join(repr(series_corpus.value(metric, labels, n)) for n in range(series_corpus.SCRAPES)),
        }
        for metric in series_corpus.metrics(0)
        for labels in metric.series
        if metric.name != "ALERTS"  # here the rules make them
    ]
    end = f"{series_corpus.SCRAPE_SECONDS * (series_corpus.SCRAPES - 2)}s"
    waiting = [{"eval_time": f"{check.for_seconds - 5}s", "alertname": alert_name(check.id)} for check in raised()]
    held = [alert_name(check.id) for check in lab_catalogue() if is_held_back(check)]
    silent = [_expect(f"{moment}s", name) for name in held for moment in (5, 10, 15, 20, 60, 300)]
    empty = [*waiting, *(_expect("300s", alert_name(c.id), c) for c in raised()), *silent]
    return [
        {"name": "healthy", "input_series": healthy, "alert_rule_test": [_expect(end, name) for name in names]},
        {"name": "empty", "alert_rule_test": empty},
    ]


def raised() -> list[Check]:
    """Return the checks that an empty estate raises an alert for.

    Two look at the rules, which are there; of a bot that is not seen only that is said.
    """
    said = {"watchdog_firing", "critical_alerts"}
    return [check for check in lab_catalogue() if check.id not in said and not is_held_back(check)]


def is_held_back(check: Check) -> bool:
    return check.group in {"bots", "strategy", "drift"} and check.id != "bot_seen"


def _expect(moment: str, name: str, check: Check | None = None) -> dict[str, Any]:
    """Return that nothing is raised, or what is for a check of which there is no data."""
    (rule,) = (rule for group in rules()["groups"] for rule in group["rules"] if rule["alert"] == name)
    alerts = []
    for series in check.expected if check else ():
        summary = rule["annotations"]["summary"].replace('{{ printf "%.6g" $value }}', "NaN")
        for label, text in series:
            summary = summary.replace(f"{{{{ $labels.{label} }}}}", text)
        annotations = {**rule["annotations"], "summary": summary}
        alerts.append({"exp_labels": {**rule["labels"], **dict(series)}, "exp_annotations": annotations})
    return {"eval_time": moment, "alertname": name, "exp_alerts": alerts}


def test_promtool_finds_a_healthy_estate_silent_and_every_alert_raised_for_an_empty_one(image):
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "5s", "tests": promtool_tests()}
    for each in tests["tests"]:
        each["interval"] = "5s"
    files = {"rules.yml": render_document(rules()), "tests.yml": json.dumps(tests)}
    tested = promtool(image, files, "test", "rules", "tests.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


def fires(check: str, moment: str, mode: str, count: int) -> dict[str, Any]:
    """Return promtool's question whether the alert of one bot fires."""
    query = f'count(ALERTS{{check="{check}",alertstate="firing",mode="{mode}"}}) or vector(0)'
    return {"expr": query, "eval_time": moment, "exp_samples": [{"labels": "{}", "value": count}]}


def test_promtool_stops_for_three_bad_samples_in_a_row_and_not_for_two(image):
    """At the lab's 5 s: bad from 5 s on, three evaluations at 5, 10 and 15 s; and twice bad, once good, twice bad."""
    labels = 'bot="b",host="lab2",mode="live",strategy="s"'
    seen = {"series": f"bot_equity_usdt{{{labels}}}", "values": "10000x20"}

    def case(name: str, values: str, *asked: dict[str, Any]) -> dict[str, Any]:
        series = [seen, {"series": f"bot_drawdown_max_ratio{{{labels}}}", "values": values}]
        return {"name": name, "interval": "5s", "input_series": series, "promql_expr_test": list(asked)}

    tests = [
        case(
            "three",
            "0 0.09x20",
            fires("live_drawdown", "10s", "live", 0),
            fires("live_drawdown", "15s", "live", 1),
        ),
        case(
            "two",
            "0 0.09 0.09 0 0.09 0.09 0 0 0",
            *(fires("live_drawdown", f"{at}s", "live", 0) for at in range(0, 40, 5)),
        ),
    ]
    _pass(image, tests)


def test_promtool_hides_no_loss_of_a_live_bot_behind_its_not_being_seen(image):
    """The bot comes and goes: it was away long enough for BotSeen, which outlasts that, and is back with a loss."""
    labels = 'bot="b",host="lab2",mode="live",strategy="s"'
    series = [
        {"series": f"bot_equity_usdt{{{labels}}}", "values": "10000 stale _x5 10000x20"},
        {"series": f"bot_drawdown_max_ratio{{{labels}}}", "values": "0 stale _x5 0.09x20"},
        {"series": f"bot_last_bar_timestamp_seconds{{{labels}}}", "values": "0x27"},
    ]
    asked = [
        fires("bot_seen", "15s", "live", 1),
        fires("live_drawdown", "35s", "live", 0),
        fires("bot_seen", "50s", "live", 1),
        fires("live_drawdown", "50s", "live", 1),
        # That it has no bar yet is no reason to stop it again.
        fires("bot_bar_age", "50s", "live", 0),
    ]
    _pass(image, [{"name": "back", "interval": "5s", "input_series": series, "promql_expr_test": asked}])


def _pass(image: str, tests: list[dict[str, Any]]) -> None:
    document = {"rule_files": ["rules.yml"], "evaluation_interval": "5s", "tests": tests}
    files = {"rules.yml": render_document(rules()), "tests.yml": json.dumps(document)}
    tested = promtool(image, files, "test", "rules", "tests.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr


FIRING = 'ALERTS{alertname="A",alertstate="firing",severity="critical",'
WATCHDOG_SERIES = 'ALERTS{alertname="Watchdog",alertstate="firing",group="watchdog",severity="none"}'
BUCKET = 'feed_transport_latency_ms_bucket{symbol="BTCUSDT",le='
SAID: dict[str, tuple[str, list[str], float]] = {
    "a running live bot at its limit": (
        "critical_alerts",
        [FIRING + 'group="bots",check="live_pnl_day",host="h",mode="live"} 1'],
        1,
    ),
    "a live bot that does not run": (
        "critical_alerts",
        [
            FIRING + 'group="bots",check="live_pnl_day",host="h",mode="live"} 1',
            FIRING + 'group="bots",check="bot_seen",host="h",mode="live"} 1',
        ],
        0,
    ),
    "a live bot at its limit while paper does not run": (
        "critical_alerts",
        [
            FIRING + 'group="bots",check="live_pnl_day",host="h",mode="live"} 1',
            FIRING + 'group="bots",check="bot_seen",host="h",mode="paper"} 1',
        ],
        1,
    ),
    "a feed": ("critical_alerts", [FIRING + 'group="feed",check="gaps"} 1'], 1),
    "a full disk of a trading host": (
        "critical_alerts",
        [FIRING + 'group="hosts",check="host_disk",host="lab1"} 1'],
        1,
    ),
    "a backup host that is off": (
        "critical_alerts",
        [FIRING + 'group="hosts",check="host_disk",host="lab-restore"} 1'],
        0,
    ),
    "an alert of the owner's": (
        "critical_alerts",
        ['ALERTS{alertname="Raid",alertstate="firing",severity="critical"} 1'],
        1,
    ),
    "a watchdog of the owner's beside ours": (
        "watchdog_firing",
        [f"{WATCHDOG_SERIES} 1", 'ALERTS{alertname="Watchdog",alertstate="firing",severity="none"} 1'],
        1,
    ),
    "buckets that end at ten": (
        "feed_latency_buckets",
        [f'{BUCKET}"5"}} 9', f'{BUCKET}"10"}} 9', f'{BUCKET}"+Inf"}} 9'],
        10,
    ),
    "buckets without a message": (
        "feed_latency_buckets",
        [f'{BUCKET}"5"}} 0', f'{BUCKET}"600"}} 0', f'{BUCKET}"+Inf"}} 0'],
        600,
    ),
    "a feed whose clock is slow": (
        "feed_bar_close_lag_least",
        ['feed_bar_close_lag_ms{symbol="BTCUSDT"} -1900'],
        -1900,
    ),
}


def test_promtool_says_of_single_series_what_the_checks_have_to_say(image):
    checks = {check.id: check for check in lab_catalogue()}
    tests = []
    for name, (check, series, value) in SAID.items():
        labels = "{}" if not checks[check].labels else '{symbol="BTCUSDT"}'
        expected = {"expr": checks[check].query, "eval_time": "0s", "exp_samples": [{"labels": labels, "value": value}]}
        inputs = [dict(zip(("series", "values"), one.rsplit(" ", 1), strict=True)) for one in series]
        tests.append({"name": name, "interval": "5s", "input_series": inputs, "promql_expr_test": [expected]})
    files = {"rules.yml": '{"groups": []}', "tests.yml": json.dumps({"rule_files": ["rules.yml"], "tests": tests})}
    tested = promtool(image, files, "test", "rules", "tests.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    fails = [name for name, (check, _, value) in SAID.items() if not checks[check].is_met(value)]
    assert fails == [
        "a running live bot at its limit",
        "a live bot at its limit while paper does not run",
        "a feed",
        "a full disk of a trading host",
        "an alert of the owner's",
        "buckets that end at ten",
        "a feed whose clock is slow",
    ]


def test_promtool_raises_the_alert_once_the_last_good_backup_or_restore_test_is_too_old(image):
    """The success is at 0 h, and after that nothing runs any more: what a masked timer leaves."""
    checks = [check for check in lab_catalogue() if check.group == "backup"]
    series = [{"series": f'{check.source}{{host="lab-control"}}', "values": "0x1000"} for check in checks]
    asked = []
    for check in checks:
        limit_hours = round(check.threshold / 3600)
        fires = f'count(ALERTS{{alertname="{alert_name(check.id)}",alertstate="firing"}}) or vector(0)'
        for hours, count in ((limit_hours - 1, 0), (limit_hours + 2, 1)):
            asked.append({"expr": fires, "eval_time": f"{hours}h", "exp_samples": [{"labels": "{}", "value": count}]})
    assert [each["eval_time"] for each in asked] == ["25h", "28h", "839h", "842h"]
    tests = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "1h",
        "tests": [{"interval": "1h", "input_series": series, "promql_expr_test": asked}],
    }
    rules_alone = build_rules(checks, LIMITS.scrape_interval_seconds)
    files = {"rules.yml": render_document(rules_alone), "tests.yml": json.dumps(tests)}
    tested = promtool(image, files, "test", "rules", "tests.yml")
    assert tested.returncode == 0, tested.stdout + tested.stderr
