"""What in an estate does not match what the stop and the checks rely on, each with the line that fixes it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from ..core.bots import (
    CANCELS_ORDERS_LABEL,
    MODE_LABEL,
    MODES,
    NOT_RUNNING,
    PROJECT_LABEL,
    RESTORE_TEST_LABEL,
    SERVICE_LABEL,
    Bot,
    BotRules,
    select_bots,
)
from ..core.containers import odd_words
from ..core.labels import FOLDER_PROJECT
from ..core.result import build_result
from ..core.starters import UNLIKELY, HostFiles, find_containers, find_in_files
from ..core.unexpected import Beyond, Unexpected, find_beyond
from ..host.engine import Engine, EngineError, describe_all
from ..host.http import HttpError
from ..state.latch import latch_path
from ..stop.by_engine import restart_policy

LEVELS: Final = frozenset({"mismatch", "note"})
MODE_VARIABLE: Final = "TRADING_MODE"
LONGEST_GRACE_SECONDS: Final = 20

FEED_METRICS: Final = (
    "feed_transport_latency_ms",
    "feed_bar_close_lag_ms",
    "feed_bars_total",
    "feed_reconnects_total",
    "gaps_total",
    "nan_records_total",
)
FIXED_NAMES: Final = ("live_connector", "prometheus", "grafana", "alertmanager")
"""Container names that the owner's commands use (`docker logs live_connector`)."""

FEED_SERVICE: Final = "live_connector"


@dataclass(frozen=True)
class Finding:
    """One thing that was `seen`, what is `expected` instead, and the line that fixes it. `level` is one of LEVELS."""

    level: str
    about: str
    seen: str
    expected: str
    fix: str

    def sentence(self) -> str:
        """Return the finding in words."""
        return f"{self.about}: {self.seen}; expected: {self.expected}; fix: {self.fix}"


@dataclass(frozen=True)
class Estate:
    """What the inventory says of this host: what is a bot and what is not, paths and names."""

    rules: BotRules
    project_prefix: str
    state_path: str
    is_feed_host: bool
    feed_project: str
    is_trading_host: bool = True


def evaluate_bots(
    summaries: Sequence[Mapping[str, Any]], described: Sequence[Mapping[str, Any]], estate: Estate, is_guarded: bool
) -> list[Finding]:
    """Return the findings on bots and on what looks like one; `described` is the engine's word on every container."""
    by_id = {str(item["Id"]): item for item in described}
    bots = select_bots(summaries, estate.rules)
    found = [each for bot in bots if bot.id in by_id for each in _of_bot(bot, by_id[bot.id], estate, is_guarded)]
    listed = [item for item in summaries if str(item["Id"]) in by_id]
    beyond = find_beyond(listed, by_id, estate.rules)
    # What looks like our bot is named in any state: it may run tomorrow.
    ever = find_beyond([{**item, "State": "running"} for item in listed], by_id, estate.rules).unexpected
    running = {each.id for each in beyond.unexpected}
    strays = [each for each in ever if each.id in running or not each.is_by_image_alone]
    return found + list(map(_of_unexpected, strays)) + list(_of_others(beyond, estate, bool(bots)))


def evaluate_feed(described: Sequence[Mapping[str, Any]], estate: Estate, fetch: Callable[[], str]) -> list[Finding]:
    """Return the findings on names and metrics of a feed host. `fetch` gives the metrics page or raises HttpError."""
    found = []
    of_service = {_label(item, SERVICE_LABEL): item for item in described if _is_of(item, FOLDER_PROJECT)}
    of_service |= {_label(item, SERVICE_LABEL): item for item in described if _is_of(item, estate.feed_project)}
    for name in FIXED_NAMES:
        if name in of_service and _name(of_service[name]) != name:
            fix = f"container_name: {name} in the service, then docker compose up -d {name}"
            found.append(_mismatch(_name(of_service[name]), "the container is named otherwise", name, fix))
    feed = of_service.get(FEED_SERVICE)
    status = ((feed or {}).get("State") or {}).get("Status", "not there")
    if status in NOT_RUNNING or feed is None:
        text = f"the container is {status}, so its metrics were not looked at"
        return [*found, _note(FEED_SERVICE, text, "a look once it runs", "./runbook feed_start")]
    try:
        missing = sorted(set(FEED_METRICS) - parse_metric_names(fetch()))
    except (OSError, ValueError, HttpError) as error:
        fix = "trading_core_feed_metrics_url in the inventory"
        return [*found, _mismatch(FEED_SERVICE, f"its metrics could not be read: {error}", "an answer", fix)]
    if missing:
        fix = "emit them under these names; the checks read nothing else"
        found.append(_mismatch(FEED_SERVICE, f"metrics are missing: {', '.join(missing)}", "all of them", fix))
    return found


def parse_metric_names(text: str) -> set[str]:
    """Return the names of all metrics with a sample on a page of Prometheus' text format, histograms by their own."""
    names = set(re.findall(r"^([a-zA-Z_:][\w:]*)(?=[{ ])", text, re.MULTILINE))
    return names | {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def evaluate_starters(
    summaries: Sequence[Mapping[str, Any]],
    described: Sequence[Mapping[str, Any]],
    estate: Estate,
    files: HostFiles,
) -> list[Finding]:
    """Return a note on each thing that could start a bot again after a stop, with the command that holds it off.

    What only could by the way it is mounted, and the estate names as no bot, is left out.
    """
    by_id = {str(item["Id"]): item for item in described}
    bots = {_name(by_id[bot.id]) for bot in select_bots(summaries, estate.rules) if bot.id in by_id}
    found = find_containers(summaries, by_id, estate.rules.others)
    kept = [each for each in found if each.rank < UNLIKELY] + find_in_files(files, bots)
    expected = "nothing that starts a bot again after a stop; the guard stops it as often"
    return [
        _note(each.what, each.why, expected, f"while halted: {each.hold_off or 'stop it by hand'} (on the host)")
        for each in sorted(kept, key=lambda each: each.rank)
    ]


def observe_onboarding(
    connect: Callable[[], Engine],
    fetch: Callable[[], str],
    estate: Estate,
    guard: Mapping[str, str],
    files: HostFiles,
) -> dict[str, Any]:
    """Return the module result: every finding on this host. Only reads. Unknown where the engine does not answer."""
    try:
        engine = connect()
        summaries = engine.containers()
        described, silent = describe_all(engine, summaries)
    except EngineError as error:
        return _result("unknown", f"nothing is known of the containers: {error}", [])
    is_guarded = guard["state"] == "active"
    found = evaluate_bots(summaries, described, estate, is_guarded)
    if estate.is_feed_host:
        found += evaluate_feed(described, estate, fetch)
    found += evaluate_starters(summaries, described, estate, files)
    for item in summaries:
        if why := silent.get(str(item["Id"])):
            found.append(_mismatch(str(item["Id"])[:12], why, "a description", f"docker inspect {item['Id'][:12]}"))
    found += [
        _note(_name(seen), odd, "fields as Docker has them", "") for seen in described if (odd := odd_words(seen))
    ]
    if not is_guarded:
        found.append(_note("guard", guard["summary"], "an active guard", "./runbook host_setup"))
    wrong = [finding.sentence() for finding in found if finding.level == "mismatch"]
    notes = [finding.sentence() for finding in found if finding.level == "note"]
    numbered = [f"{number}) {text}" for number, text in enumerate(wrong, start=1)]
    count = f"{len(wrong)} mismatch{'es' * (len(wrong) != 1)}" if wrong else "nothing here contradicts the stop"
    parts = [": ".join([count, " ".join(numbered)]) if wrong else count, *(f"note: {text}" for text in notes)]
    return _result("failed" if wrong else "proven", "; ".join(parts), found)


def _of_bot(bot: Bot, seen: Mapping[str, Any], estate: Estate, is_guarded: bool) -> list[Finding]:
    found = []
    label, variable = _label(seen, MODE_LABEL), _environment(seen).get(MODE_VARIABLE, "")
    if label not in MODES:
        text = f"label {MODE_LABEL} is {label!r}" if label else f"label {MODE_LABEL} is missing, so it counts as live"
        wanted = variable if variable in MODES else "paper or live, which it is"
        fix = f"labels: {{{MODE_LABEL}: {wanted}}} in the service, then start it again"
        found.append(_mismatch(bot.name, text, "paper or live", fix))
    elif variable != label:
        text = f"label {MODE_LABEL} says {label}, its environment {MODE_VARIABLE}={variable or '(nothing)'}"
        fix = f"{MODE_LABEL}: ${{{MODE_VARIABLE}}} in the service, then start it again"
        found.append(_mismatch(bot.name, text, "the same mode in both", fix))
    if bot.project and bot.project != f"{estate.project_prefix}{bot.mode}":
        fix = f"name: {estate.project_prefix}${{{MODE_VARIABLE}}} in its compose file, then start it again"
        text = f"its Compose project is {bot.project}"
        found.append(_mismatch(bot.name, text, f"{estate.project_prefix}{bot.mode}", fix))
    policy = restart_policy(dict(seen))
    if policy != "no" and not is_guarded:
        fix = f'docker update --restart=no {bot.name}, and restart: "no" in the service'
        found.append(_mismatch(bot.name, f"restart policy {policy}", "no: a reboot never starts trading", fix))
    promise = _label(seen, CANCELS_ORDERS_LABEL)
    if promise != "true":
        fix = f'labels: {{{CANCELS_ORDERS_LABEL}: "true"}} where it cancels its orders on SIGTERM, else "false"'
        text = f"label {CANCELS_ORDERS_LABEL} is {promise or 'missing'}, so its orders end UNVERIFIED"
        found.append((_note if promise == "false" else _mismatch)(bot.name, text, "true or false, on purpose", fix))
    timeout = (seen.get("Config") or {}).get("StopTimeout")
    if isinstance(timeout, int) and not 0 <= timeout <= LONGEST_GRACE_SECONDS:
        fix = f"stop_grace_period: {LONGEST_GRACE_SECONDS}s in the service, then start it again"
        text = f"its stop timeout is {timeout} s"
        found.append(_mismatch(bot.name, text, f"0 to {LONGEST_GRACE_SECONDS} s, the longest a stop waits", fix))
    return [*found, *_of_mounts(bot.name, seen, Path(estate.state_path))]


def _of_mounts(name: str, seen: Mapping[str, Any], state_path: Path) -> Iterator[Finding]:
    sources = {Path(str(mount["Source"])) for mount in seen.get("Mounts") or [] if mount.get("Source")}
    folder = latch_path(state_path).parent
    fix = f"volumes: [{folder}:/run/trading-core:ro] in the service, then start it again"
    if whole := [source for source in sources if source in (state_path, *state_path.parents)]:
        yield _note(name, f"it mounts {whole[0]}, and so sees all that is kept there", f"{folder} alone", fix)
    elif folder not in sources:
        yield _note(name, "it cannot see the halt latch", "a bot that looks at the latch before each order", fix)


def _of_unexpected(found: Unexpected) -> Finding:
    """Return the finding on a container that looks like a bot and that no rule matches: a stop would miss it."""
    place = f"service {found.service or 'none'}, project {found.project or 'none'}, image {found.image}"
    text = f"{found.why}, and no rule takes it for a bot ({place}), so a stop would miss it"
    fix = f'add "{found.image}" to trading_core_bot_images'
    if found.service and found.project:
        fix = f'add "{found.service}" to trading_core_bot_services and "{found.project}" to trading_core_bot_projects'
    if found.is_by_image_alone:
        fix += f'; where it is no bot, "{found.key}" to trading_core_other_services'
    return _mismatch(found.name, text, "a rule that matches", f"{fix} in the inventory")


def _of_others(beyond: Beyond, estate: Estate, has_bots: bool) -> Iterator[Finding]:
    again = "./runbook host_setup --check"
    for name in beyond.mislabelled:
        text = f"it bears the label {RESTORE_TEST_LABEL} and is no restore test's: it is a bot and is stopped as one"
        yield _mismatch(name, text, "no such label", f"take {RESTORE_TEST_LABEL} out of its service and its image")
    for text in beyond.exempted:
        yield _note(text, "the estate says that it is no bot", "that it is none", "trading_core_other_services")
    if beyond.has_no_bot and estate.is_trading_host:
        fix = "trading_core_bot_services and trading_core_bot_projects, or name what is no bot in"
        yield _mismatch(
            "bots", beyond.without_a_bot(), "rules that match the bots", f"{fix} trading_core_other_services"
        )
    elif not has_bots:
        text = "no bot container is here yet, so nothing shows that the rules for bots match"
        yield _note("bots", text, "a look once they are there", again)
    elif beyond.unnamed:
        text = f"they are not stopped by us: {', '.join(beyond.unnamed)}"
        yield _note(f"{len(beyond.unnamed)} other containers", text, "no bot among them", "trading_core_other_services")


def _mismatch(about: str, seen: str, expected: str, fix: str) -> Finding:
    return Finding("mismatch", about, seen, expected, fix)


def _note(about: str, seen: str, expected: str, fix: str) -> Finding:
    return Finding("note", about, seen, expected, fix)


def _name(seen: Mapping[str, Any]) -> str:
    return str(seen.get("Name", "")).lstrip("/")


def _label(seen: Mapping[str, Any], label: str) -> str:
    return str(((seen.get("Config") or {}).get("Labels") or {}).get(label, ""))


def _is_of(seen: Mapping[str, Any], project: str) -> bool:
    return _label(seen, PROJECT_LABEL) == project


def _environment(seen: Mapping[str, Any]) -> dict[str, str]:
    items = (seen.get("Config") or {}).get("Env") or []
    return {key: value for key, _, value in (str(item).partition("=") for item in items)}


def _result(outcome: str, summary: str, found: Sequence[Finding]) -> dict[str, Any]:
    again = "./runbook host_setup --check (again once these are fixed)" if outcome == "failed" else ""
    return build_result(outcome, summary, next_command=again, findings=[asdict(finding) for finding in found])
