"""Deploys on real hosts: a real checkout, real images, a feed that comes back by itself, and a pause that holds."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import state
from tests.lab.conftest import feed_troubles, flatten
from tests.lab.estate import FEED_HOST, ROOT, TRADING_HOSTS, Run, bots, command, containers, on, runbook, wait_until

PROJECT = "/opt/ai_trading_core"
COMPOSE = "ops/compose/docker-compose.yml"
FEED_IMAGE = "image: ${LAB_IMAGE_APP:?the lab renders it into .env}\n    container_name: live_connector"
CONTROL_FILES = "incidents releases.jsonl deploy_pause.json"
SHORT = ("-e", "trading_core_start_timeout_seconds=40")


class Source:
    """The operator's checkout, a clone of the lab's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.git("clone", "--quiet", str(state.lab_home() / "ai_trading_core"), str(path), cwd=path.parent)

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        identity = ["-c", "user.name=tester", "-c", "user.email=tester@localhost", "-c", "commit.gpgSign=false"]
        argv = ["git", *identity, *arguments]
        done = subprocess.run(argv, cwd=cwd or self.path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, name: str, *replaced: tuple[str, str], file: str = COMPOSE) -> str:
        """Commit the change on top of what the lab has, and return the commit's name."""
        self.git("checkout", "--quiet", "-B", name, "origin/main")
        path = self.path / file
        text = path.read_text()
        for old, new in replaced:
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)
        self.git("commit", "--quiet", "--all", "--message", name)
        return self.git("rev-parse", "HEAD")

    def deploy(self, revision: str, *options: str) -> Run:
        at = ("-e", f"trading_core_source_path={self.path}", "-e", f"revision={revision}", "-e", "reason=test")
        return runbook("deploy", *at, *SHORT, *options, timeout=600)


@pytest.fixture
def quiet_control(stacks: None) -> Iterator[None]:
    """No incident, release or pause of other tests; they are back afterwards."""
    aside = f"cd /var/lib/trading-core && mkdir -p aside && for each in {CONTROL_FILES}; do "
    on("lab-control", f"{aside} [ ! -e $each ] || mv $each aside/; done")
    yield
    on(
        "lab-control",
        f"cd /var/lib/trading-core && rm -rf {CONTROL_FILES} && find aside -mindepth 1 -exec mv {{}} . ';' -prune",
    )
    on("lab-control", "rmdir /var/lib/trading-core/aside")


@pytest.fixture
def source(quiet_control: None, repository: None, tmp_path: Path) -> Iterator[Source]:
    """A checkout to deploy from, and a young backup. The hosts are back at the lab's own revision afterwards."""
    if runbook("backup_info").code != 0:
        assert runbook("backup").code == 0
    yield Source(tmp_path / "source")
    for host in TRADING_HOSTS:
        on(host, f"cd {PROJECT} && runuser -u ops -- git checkout --quiet --force --detach refs/lab/main")
    assert runbook("observability_start").code == 0
    assert runbook("alerting_start").code == 0


@pytest.fixture
def images(stacks: None) -> Iterator[None]:
    """Two more images of the feed on its host: one that is as good, and one that runs and never says anything."""
    commit = "docker commit --pause=false --change"
    on(FEED_HOST, f"{commit} 'LABEL release=good' live_connector trading-core-lab/app:good")
    on(FEED_HOST, f"""{commit} 'ENTRYPOINT ["sh", "-c", "sleep 900"]' live_connector trading-core-lab/app:bad""")
    yield
    on(FEED_HOST, "docker rmi --force trading-core-lab/app:good trading-core-lab/app:bad || true")


def feed() -> dict[str, Any]:
    (seen,) = json.loads(on(FEED_HOST, "docker inspect live_connector"))
    return seen


def head(host: str) -> str:
    return on(host, f"git -c safe.directory='*' -C {PROJECT} rev-parse HEAD").strip()


def releases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in on("lab-control", "cat /var/lib/trading-core/releases.jsonl").splitlines()]


def everything(host: str) -> set[str]:
    """Return what containers, images and files a host has; the guard's own sign of life left out."""
    listed_files = f"find {PROJECT} /var/lib/trading-core -type f ! -name 'guard*' -printf '%p %T@ %s %m %u\\n' | sort"
    listed_containers = "docker ps -a --no-trunc --format '{{.ID}} {{.State}}'"
    listed_images = "docker images -a --no-trunc --format '{{.ID}} {{.Repository}}:{{.Tag}}'"
    return set(on(host, f"{listed_containers}; {listed_images}; {listed_files}").splitlines())


@pytest.mark.faults
def test_a_dry_run_shows_the_change_and_changes_no_container_image_or_file(idle, source):
    name = source.commit("other", (FEED_IMAGE, FEED_IMAGE + "\n    labels: {release: other}"))
    before = {host: everything(host) for host in (*TRADING_HOSTS, "lab-control")}
    planned = source.deploy("other", "--check", "--diff")
    assert (planned.code, "DRY RUN: nothing was changed" in planned.verdict) == (0, True), planned.verdict
    assert f"+revision: {name}" in planned.output
    assert "ai_trading_core/live_connector: would recreate (its configuration changed)" in planned.output
    changed = {line for host, lines in before.items() for line in lines ^ everything(host)}
    assert changed == set()


@pytest.mark.faults
def test_parity_out_of_bounds_refuses_a_deploy_and_pauses_all_until_a_person_lifts_it(source, trading):
    metrics = "curl -s http://127.0.0.1:9200/metrics | grep ^bot_tracking_error_ratio"
    for host in TRADING_HOSTS:
        wait_until(
            lambda host=host: (seen := on(host, f"{metrics} || true")) and "nan" not in seen.lower(),
            180,
            "a tracking error",
        )
    flatten()
    off = ("-e", json.dumps({"trading_core_tracking_error_limit_ratio": -1}))
    before = {host: containers(host) for host in TRADING_HOSTS}
    refused = source.deploy("main", *off)
    assert refused.code == 13, refused.verdict
    assert "Tracking error against the backtest of" in refused.verdict
    assert "NEXT: ./runbook deploy_resume" in refused.verdict
    assert "backlog: Analyse fill engine, strategy and feed again" in refused.output
    # It lasts, whatever the next look says.
    assert source.deploy("main").code == 13
    assert "Deploys are paused" in runbook("releases").verdict
    assert {host: containers(host) for host in TRADING_HOSTS} == before
    assert runbook("deploy_resume", "-e", "reason=test").code == 0
    assert "deploys are not paused" in runbook("releases").verdict


@pytest.mark.faults
def test_a_bot_that_runs_keeps_the_feed_from_being_touched(source, trading):
    source.commit("other", (FEED_IMAGE, FEED_IMAGE + "\n    labels: {release: other}"))
    flatten()
    before = feed()["Id"]
    refused = source.deploy("other")
    assert refused.code == 13, refused.verdict
    assert "live_connector would recreate" in refused.verdict or "parity is not known" in refused.verdict
    assert feed()["Id"] == before


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_a_feed_that_never_becomes_healthy_brings_the_old_digests_back_by_itself(idle, source, images):
    source.commit("bad", (FEED_IMAGE, "image: trading-core-lab/app:bad\n    container_name: live_connector"))
    image, revision = feed()["Image"], head(FEED_HOST)
    stopped = {host: [(bot.id, bot.started_at, bot.status) for bot in bots(host)] for host in TRADING_HOSTS}
    failed = source.deploy("bad")
    assert failed.code == 1, failed.verdict
    assert "what ran before runs again, and the feed is well" in failed.verdict
    assert (feed()["Image"], feed()["State"]["Health"]["Status"]) == (image, "healthy")
    assert {head(host) for host in TRADING_HOSTS} == {revision}
    assert feed_troubles() == {}
    assert {host: [(bot.id, bot.started_at, bot.status) for bot in bots(host)] for host in TRADING_HOSTS} == stopped
    assert [release["result"] for release in releases()] == ["found", "failed"]
    for host in TRADING_HOSTS:
        assert on(host, "ls /var/lib/trading-core/lease.json 2>/dev/null || true") == ""


@pytest.mark.faults
@pytest.mark.timeout(900)
def test_a_good_release_is_on_record_and_a_rollback_has_the_old_digests_run_within_half_a_minute(idle, source, images):
    good = "image: trading-core-lab/app:good\n    container_name: live_connector"
    name = source.commit("good", (FEED_IMAGE, good))
    image = feed()["Image"]
    deployed = source.deploy("good")
    assert deployed.code == 0, deployed.verdict
    assert feed()["Config"]["Labels"]["release"] == "good"
    found, release = releases()
    assert (found["result"], release["result"], release["revision"]) == ("found", "deployed", name)
    assert release["gate"]["outcome"] == "pass"
    assert release["images"]["ai_trading_core/live_connector"] == f"trading-core-lab/app:good@{feed()['Image']}"
    assert {head(host) for host in TRADING_HOSTS} == {name}
    again = source.deploy("good")
    assert (again.code, "changed=1" in again.output) == (0, False), again.verdict
    assert len(releases()) == 2

    begun = on(FEED_HOST, "date +%s.%N")
    back = runbook("rollback", "-e", f"release={found['id']}", "-e", "reason=test", *SHORT, timeout=600)
    assert back.code == 0, back.verdict
    assert feed()["Image"] == image
    assert {head(host) for host in TRADING_HOSTS} == {found["revision"]}
    ran_at = on(FEED_HOST, f"date -d {feed()['State']['StartedAt']} +%s.%N")
    assert float(ran_at) - float(begun) <= 30
    assert [entry["result"] for entry in releases()] == ["found", "deployed", "rolled_back"]


@pytest.mark.faults
@pytest.mark.timeout(600)
def test_a_rollback_stops_at_a_newer_schema_and_goes_on_with_a_backup_that_is_named(idle, source):
    name = source.commit("other", ("PROMETHEUS_RETENTION:-7d", "PROMETHEUS_RETENTION:-8d"))
    assert source.deploy("other").code == 0
    (found, _) = releases()
    comment = 'docker exec trading-paper-timescaledb-1 psql -U postgres -d trading -c "COMMENT ON TABLE equity IS {}"'
    on(FEED_HOST, comment.format("'schema 2'"))
    try:
        refused = runbook("rollback", "-e", f"release={found['id']}", "-e", "reason=test")
        assert (refused.code, "the database has schema 2" in refused.verdict) == (13, True), refused.verdict
        assert head(FEED_HOST) == name
        newest = re.findall(r"SET-\d{8}-\d{6}", runbook("backup_info").output)[-1]
        named = ("-e", f"restore_set={newest}", *SHORT)
        back = runbook("rollback", "-e", f"release={found['id']}", "-e", "reason=test", *named, timeout=600)
        assert back.code == 0, back.verdict
        assert head(FEED_HOST) == found["revision"]
    finally:
        on(FEED_HOST, comment.format("NULL"))


@pytest.mark.faults
def test_raw_ansible_refuses_as_well_and_needs_no_directory_of_its_own(source, tmp_path):
    assert runbook("deploy_pause", "-e", "reason=test").code == 0
    argv = [str(ROOT / ".venv/bin/ansible-playbook"), "-i", str(ROOT / "inventories/lab")]
    argv += ["-e", f"trading_core_source_path={source.path}", "-e", "revision=main"]
    refused = command(*argv, str(ROOT / "playbooks/deploy.yml"), cwd=tmp_path)
    assert (refused.code, "Deploys are paused" in refused.verdict) == (13, True), refused.verdict
