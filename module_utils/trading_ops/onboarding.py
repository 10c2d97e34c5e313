"""What a host has that the stop and the checks could not rely on, each with the line that mends it. Reads only.

Two levels: a `mismatch` would make a stop miss a bot, bring one back, or leave a check blind; a `note` costs comfort.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from .bots import (
    CANCELS_ORDERS_LABEL,
    MODE_LABEL,
    MODES,
    PROJECT_LABEL,
    RESTORE_TEST_LABEL,
    SERVICE_LABEL,
    BotRules,
    select_bots,
)
from .engine import Engine, EngineError
from .kill_switch import MAX_GRACE_SECONDS

MODE_VARIABLE: Final = "TRADING_MODE"
LATCH_TARGET: Final = "/run/trading-core"

ALWAYS_THERE: Final = ("live_connector", "prometheus")


class MetricsError(Exception):
    """The feed's metrics could not be read. The text is a sentence."""


@dataclass(frozen=True)
class Finding:
    """One thing that does not match. `level` is `mismatch` or `note`; `mend` is the line that mends it."""

    level: str
    subject: str
    seen: str
    expected: str
    mend: str

    def sentence(self) -> str:
        """Return it in one sentence."""
        return f"{self.subject}: {self.seen}, expected {self.expected}. Mend: {self.mend}"


@dataclass(frozen=True)
class Expectations:
    """What a host should hold. An empty `metrics_url` and `feed_project` mean that the feed does not run there."""

    rules: BotRules
    project_prefix: str
    base_services: tuple[str, ...]
    state_path: str
    feed_project: str = ""
    feed_containers: tuple[str, ...] = ()
    metrics_url: str = ""
    metrics: tuple[str, ...] = ()


def report(
    connect: Callable[[], Engine], fetch_metrics: Callable[[], str], wanted: Expectations, trades: bool
) -> dict[str, Any]:
    """Return the module result: every finding; `failed` where one is a mismatch, `unknown` without the engine.

    `fetch_metrics` returns the text of the feed's metrics page and may raise MetricsError.
    """
    try:
        engine = connect()
        summaries = engine.containers()
        described = [seen for item in summaries if (seen := engine.inspect(item["Id"])) is not None]
    except EngineError as error:
        return _result("unknown", f"Nothing is known of the containers: {error}", [])
    findings = check_bots(described, summaries, wanted) if trades else []
    if wanted.feed_project:
        findings += check_feed_containers(summaries, wanted)
        findings += check_metrics(fetch_metrics, wanted)
    wrong = [finding for finding in findings if finding.level == "mismatch"]
    notes = [finding for finding in findings if finding.level == "note"]
    counts = f"{len(wrong)} mismatch{'es' * (len(wrong) != 1)}, {len(notes)} note{'s' * (len(notes) != 1)}"
    words = [f"({number}) {finding.sentence()}" for number, finding in enumerate(wrong + notes, 1)]
    return _result("failed" if wrong else "proven", "; ".join([counts, *words]), wrong + notes)


def check_bots(
    described: Iterable[Mapping[str, Any]], summaries: Sequence[Mapping[str, Any]], wanted: Expectations
) -> list[Finding]:
    """Return what is wrong with the bots, and with containers that look like one and are found by no rule."""
    known = {bot.id: bot for bot in select_bots(summaries, wanted.rules)}
    findings: list[Finding] = []
    for seen in described:
        config = seen.get("Config") or {}
        labels = config.get("Labels") or {}
        if labels.get(RESTORE_TEST_LABEL) == "true":
            continue
        name = str(seen.get("Name", "")).lstrip("/") or str(seen["Id"])[:12]
        if seen["Id"] in known:
            findings += _check_bot(name, seen, labels, wanted)
        elif (mode := _environment(config).get(MODE_VARIABLE)) and labels.get(
            SERVICE_LABEL
        ) not in wanted.base_services:
            findings.append(_missed(name, mode, labels, wanted.rules))
    return findings


def check_feed_containers(summaries: Sequence[Mapping[str, Any]], wanted: Expectations) -> list[Finding]:
    """Return which services of the feed stack run under another container name than the runbooks' commands use."""
    names: dict[str, list[str]] = {}
    for item in summaries:
        labels = item.get("Labels") or {}
        if labels.get(PROJECT_LABEL) == wanted.feed_project:
            names.setdefault(str(labels.get(SERVICE_LABEL)), []).append(str((item.get("Names") or [""])[0]).lstrip("/"))
    findings = []
    for service in wanted.feed_containers:
        if service in names and service not in names[service]:
            mend = f"container_name: {service} in the compose file, then ./runbook observability_start"
            findings.append(Finding("mismatch", service, f"its container is {names[service][0]}", service, mend))
        elif service not in names and service in ALWAYS_THERE:
            level = "mismatch" if names else "note"
            seen = f"no container of this service in project {wanted.feed_project}"
            mend = "./runbook feed_start, or call the service so in the compose file"
            findings.append(Finding(level, service, seen, "one", mend))
    return findings


def check_metrics(fetch_metrics: Callable[[], str], wanted: Expectations) -> list[Finding]:
    """Return which of the feed's metrics are not there: a check on them would have no data for ever."""
    try:
        present = parse_metric_names(fetch_metrics())
    except MetricsError as error:
        mend = "./runbook feed_start, or set trading_core_feed_metrics_url in the inventory"
        return [Finding("mismatch", wanted.metrics_url, str(error), "the feed's metrics", mend)]
    return [
        Finding(
            "mismatch", name, f"not among the metrics at {wanted.metrics_url}", "it", f"export {name} in live_connector"
        )
        for name in wanted.metrics
        if name not in present
    ]


def parse_metric_names(text: str) -> set[str]:
    """Return the names of the metrics in a page of the Prometheus text format, histograms by their base name."""
    samples = {line.split("{")[0].split(" ")[0] for line in text.splitlines() if line and not line.startswith("#")}
    return samples | {name.removesuffix("_bucket") for name in samples}


def _check_bot(
    name: str, seen: Mapping[str, Any], labels: Mapping[str, str], wanted: Expectations
) -> Iterable[Finding]:
    config, host_config = seen.get("Config") or {}, seen.get("HostConfig") or {}
    mode, configured = labels.get(MODE_LABEL), _environment(config).get(MODE_VARIABLE)
    if mode not in MODES:
        mend = f"labels: {{{MODE_LABEL}: ${{{MODE_VARIABLE}}}}} for the bot in the compose file"
        yield Finding("mismatch", name, f"mode label {mode!r}, so it counts as live", "paper or live", mend)
    elif configured is not None and configured != mode:
        mend = f"{MODE_VARIABLE} and label {MODE_LABEL} from one variable in the compose file"
        yield Finding("mismatch", name, f"label {mode} and {MODE_VARIABLE}={configured}", "the same mode in both", mend)
    policy = (host_config.get("RestartPolicy") or {}).get("Name") or "no"
    if policy != "no":
        mend = f'docker update --restart=no {name}, and restart: "no" in the compose file'
        yield Finding("mismatch", name, f"restart policy {policy}, so a reboot starts trading", "no", mend)
    project, service = labels.get(PROJECT_LABEL, ""), labels.get(SERVICE_LABEL, "")
    if mode in MODES and service and project != f"{wanted.project_prefix}{mode}":
        mend = f"name: {wanted.project_prefix}{mode} in the compose file"
        yield Finding("mismatch", name, f"Compose project {project}", f"{wanted.project_prefix}{mode}", mend)
    if labels.get(CANCELS_ORDERS_LABEL) != "true":
        mend = f'label {CANCELS_ORDERS_LABEL}: "true", once its exit code 0 means that the venue confirmed it'
        yield Finding(
            "note", name, "it does not promise to cancel its orders", "the promise, or UNVERIFIED orders", mend
        )
    patience = config.get("StopTimeout")
    if patience is not None and not 0 <= patience <= MAX_GRACE_SECONDS:
        mend = f"stop_grace_period: {MAX_GRACE_SECONDS}s or less in the compose file"
        yield Finding("note", name, f"asks for {patience} s to stop", f"at most {MAX_GRACE_SECONDS} s are given", mend)
    if not any(mount.get("Source") == wanted.state_path for mount in seen.get("Mounts") or []):
        mend = f"volumes: [{wanted.state_path}:{LATCH_TARGET}:ro], and a look at halt.json before each order"
        yield Finding("note", name, "it can not see the halt latch", "the latch's folder mounted", mend)


def _missed(name: str, mode: str, labels: Mapping[str, str], rules: BotRules) -> Finding:
    service, project = labels.get(SERVICE_LABEL), labels.get(PROJECT_LABEL)
    seen = f"it trades ({MODE_VARIABLE}={mode}) as service {service} of project {project}, and the stop would miss it"
    if not service:
        mend = "its image in trading_core_bot_images in the inventory"
    else:
        mend = f"trading_core_bot_services: {[*rules.services, service]} in the inventory"
        if not select_bots([{"Id": "x", "Labels": {SERVICE_LABEL: rules.services[0], PROJECT_LABEL: project}}], rules):
            mend = f"trading_core_bot_projects: {[*rules.projects, project]}, and {mend}"
    return Finding("mismatch", name, seen, "a rule that finds it", mend)


def _environment(config: Mapping[str, Any]) -> dict[str, str]:
    pairs = (str(item).partition("=") for item in config.get("Env") or [])
    return {name: value for name, _, value in pairs}


def _result(outcome: str, summary: str, findings: Sequence[Finding]) -> dict[str, Any]:
    return {
        "changed": False,
        "outcome": outcome,
        "summary": summary,
        "next_command": "" if outcome == "proven" else "./runbook host_setup --check (again, once it is mended)",
        "findings": [asdict(finding) for finding in findings],
    }
