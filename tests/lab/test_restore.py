"""The real restore by its page, into the live database and beside it; the repository checked and pruned by hand."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from tests.lab.conftest import PAPER, pass_gate
from tests.lab.estate import ROOT, on, runbook, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1200)]

HOST, CONTROL = "lab1", "lab-control"
CHECKOUT = "/opt/ai_trading_core"
COMPOSE = "env TRADING_MODE=paper docker compose -f ops/compose/trading/docker-compose.yml --profile paper"
DATABASE = "trading-paper-timescaledb-1"
KEY = "/etc/trading-core/backup/control-password"
ACCOUNT = "restic-rest-server"
PAGE = "runbooks/Backup_And_Restore.md"
TABLES = ("bars", "orders", "trades", "equity")
BESIDE = ("-e", "trading_database=trading_restored", "-e", "mlflow_database=mlflow_restored")


def commands_before_a_restore() -> list[str]:
    """Return what the page has one type on the host before a restore, as it stands there."""
    section = (ROOT / PAGE).read_text(encoding="utf-8").partition("\n## 4 ")[2].partition("\n## ")[0]
    found = re.findall(r"`(env TRADING_MODE=paper docker compose [^`]+)`", section)
    assert len(found) == 2, found
    return found


def sql(statement: str, database: str = "trading") -> str:
    """Return what the database itself says."""
    return on(HOST, f'docker exec {DATABASE} psql -XqAt -U postgres -d {database} -c "{statement}"').strip()


def content(database: str = "trading") -> dict[str, str]:
    """Return each table's rows and what they add up to, counted otherwise than the backup counts."""
    every = "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '') FROM {} t"
    return {table: sql(every.format(table), database) for table in TABLES}


def schedulers(database: str = "trading") -> str:
    kind = "TimescaleDB Background Worker Scheduler"
    counted = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND backend_type = '{kind}'"
    return sql(counted, "postgres")


def restic(arguments: str) -> str:
    """Return what restic says on the control host, with this host's own key."""
    options = f"-q -r /srv/trading-core-backup/trading-core --password-file {KEY} --no-cache"
    return on(CONTROL, f"runuser -u {ACCOUNT} -- restic {options} {arguments}")


def sets() -> list[str]:
    found = json.loads(restic("snapshots --json --tag trading-core"))
    return sorted(tag.removeprefix("set=") for item in found for tag in item["tags"] if tag.startswith("set="))


@pytest.fixture
def lost(repository: None, trading: None) -> Iterator[tuple[str, dict[str, str]]]:
    """A set, and what was in the database when it was taken; then all of it is lost, and the page's steps are done."""
    for mode in ("paper", "live"):
        assert runbook("bot_stop", "-e", f"mode={mode}").is_proven_stop
    taken = runbook("backup")
    assert taken.code == 0
    (set_id,) = set(re.findall(r"SET-\d{8}-\d{6}", taken.verdict))
    before = content()
    on(HOST, f"cd {CHECKOUT} && {COMPOSE} down -v")
    for line in commands_before_a_restore():
        on(HOST, f"cd {CHECKOUT} && {line}")
    ready = f"docker exec {DATABASE} pg_isready -q -h 127.0.0.1 -d trading && echo yes || true"
    wait_until(lambda: on(HOST, ready).strip() == "yes", 120, "an empty database")
    yield set_id, before
    # Whatever became of it, the tests after this one have a paper stack.
    pass_gate()
    assert runbook(*PAPER).code == 0


def test_restore_into_the_live_database_and_beside_it_by_the_page(lost):
    set_id, before = lost
    named = ("restore", "-e", f"set={set_id}", "-e", f"confirm_restore={set_id}")
    wait_until(lambda: schedulers() == "1", 60, "TimescaleDB's scheduler in the empty database")

    on(HOST, f'docker exec -d -e PGAPPNAME=a-person {DATABASE} psql -U postgres -d trading -c "SELECT pg_sleep(600)"')
    refused = runbook(*named)
    assert (refused.code, "has 1 session: a-person of postgres" in refused.verdict) == (13, True)
    assert refused.verdict.endswith(f"NEXT: {PAGE} 4")
    sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'a-person'", "postgres")

    dry = runbook(*named, "--check")
    assert (dry.code, "DRY RUN: nothing was changed" in dry.verdict) == (0, True)
    assert sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"

    beside = runbook(*named, *BESIDE)
    assert (beside.code, "PROVEN" in beside.verdict) == (0, True)
    assert content("trading_restored") == before
    for database in ("trading_restored", "mlflow_restored"):
        sql(f"DROP DATABASE {database} WITH (FORCE)", "postgres")
    full = runbook(*named)
    assert (full.code, "/mlartifacts in MLflow's container is not empty" in full.verdict) == (13, True)
    on(HOST, "docker rm -f trading-paper-mlflow-1 && docker volume rm trading-paper_mlflow_artifacts")
    on(HOST, f"cd {CHECKOUT} && {commands_before_a_restore()[1]}")

    restored = runbook(*named)
    assert (restored.code, "are equal to the manifest" in restored.verdict) == (0, True)
    assert content() == before
    assert (sql("SHOW timescaledb.restoring"), schedulers()) == ("off", "1")
    again = runbook(*named)
    assert (again.code, "Database trading is not empty" in again.verdict) == (13, True)
    assert content() == before

    pass_gate()
    assert runbook(*PAPER).code == 0  # MLflow is healthy only with the model that came back
    wait_until(lambda: content()["bars"] != before["bars"], 120, "rows of a bot in the restored database")
    assert runbook("backup").code == 0


@pytest.fixture
def old_set(repository: None, stacks: None) -> str:
    """A set of today, and one of the same host that is too old; the id of that one."""
    assert runbook("backup").code == 0
    host = json.loads(restic("snapshots --json --tag trading-core"))[-1]["hostname"]
    old = "SET-20260101-000000"
    tags = f"--tag trading-core --tag set={old} --time '2026-01-01 00:00:00'"
    restic(f"backup --host {host} {tags} /etc/hostname")
    assert old in sets()
    return old


def test_check_and_prune_by_hand_are_proven_and_the_repository_shows_it(old_set):
    checked = runbook("backup_check")
    assert (checked.code, " is whole: " in checked.verdict) == (0, True), checked.verdict
    dry = runbook("backup_prune", "--check")
    assert (dry.code, "would forget 1 of " in dry.verdict, old_set in sets()) == (0, True, True), dry.verdict
    before = sets()
    pruned = runbook("backup_prune")
    assert (pruned.code, "1 forgotten" in pruned.verdict) == (0, True), pruned.verdict
    assert sets() == sorted({*before} - {old_set})
    restic("check")
    foreign = f"find /srv/trading-core-backup ! -user {ACCOUNT}"
    assert on(CONTROL, foreign) == "", "what root left there the server could not read"


@pytest.mark.parametrize(
    ("spoil", "found"),
    [(f"chmod 0440 {KEY}", "has mode 0440"), (f"chown root {KEY}", f"belongs to root, not to {ACCOUNT}")],
)
def test_a_key_that_is_not_its_readers_alone_is_named_and_the_setup_mends_it(repository, spoil, found):
    on(CONTROL, spoil)
    for name in ("backup_check", "backup_prune"):
        refused = runbook(name)
        assert (refused.code, found in refused.verdict) == (13, True), refused.verdict
        assert refused.verdict.endswith(f"NEXT: {PAGE} 3.1")
    assert runbook("backup_setup").code == 0
    assert on(CONTROL, f"stat -c '%U %a' {KEY}").strip() == f"{ACCOUNT} 400"
    assert runbook("backup_check").code == 0
