"""A restore goes into what is empty, compares everything, and cannot take anything away."""

from __future__ import annotations

import hashlib
import io
import json
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from trading_ops.backup.checksums import EXTENSIONS_SQL
from trading_ops.backup.manifest import FileFacts, file_facts, render_manifest
from trading_ops.backup.restic import Repository
from trading_ops.host.programs import Ended, ProgramError
from trading_ops.restore.real import SCHEDULER, SESSIONS_SQL, Ports, Request, ensure_restored

from tests.postgres import server
from tests.unit.backup_samples import MANIFEST
from tests.unit.backup_world import snapshot
from tests.unit.fakes import FakeClock

SET = MANIFEST.id
CONTENT = {"trading.dump": b"PGDMP trading", "mlflow.dump": b"PGDMP mlflow", "roles.sql": b"CREATE ROLE trading;\n"}
MODEL = b"flavors"
LISTED = ";     dbname: trading\n3456; 1262 16385 DATABASE - trading trading\n"
TABLES = {"trading": ("bars", MANIFEST.databases["trading"].tables["public.bars"], "2.19.3")}
TABLES["mlflow"] = ("runs", MANIFEST.databases["mlflow"].tables["public.runs"], "")


def whole_manifest() -> str:
    """Return the sample manifest with the facts of CONTENT in it."""
    facts = {name: FileFacts(len(content), _sha(content)) for name, content in CONTENT.items()}
    databases = {
        name: replace(item, dump=replace(item.dump, facts=facts[item.dump.file]))
        for name, item in MANIFEST.databases.items()
    }
    roles = replace(MANIFEST.roles, facts=facts["roles.sql"])
    artifacts = {"1/model/MLmodel": FileFacts(len(MODEL), _sha(MODEL))}
    return render_manifest(replace(MANIFEST, databases=databases, roles=roles, artifacts=artifacts))


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class World:
    """A host with an empty database server, an MLflow that is made and does not run, and one set in the repository."""

    root: Path
    databases: dict[str, dict[str, Any]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=lambda: {"timescaledb": "running", "mlflow": "created"})
    set_files: dict[str, bytes] = field(default_factory=dict)
    artifacts: dict[str, bytes] = field(default_factory=dict)
    breaks: dict[str, Ended] = field(default_factory=dict)
    versions: tuple[str, ...] = ("2.19.3",)
    free: int = 10_000_000_000
    asked: list[str] = field(default_factory=list)
    listing: bytes | None = None
    max_workers: int = 16
    starts_workers: bool = True
    clock: FakeClock = field(default_factory=FakeClock)
    owners: dict[str, tuple[int, int]] = field(default_factory=dict)
    after_restore: Callable[[dict[str, Any]], None] = lambda _: None

    def __post_init__(self) -> None:
        self.set_files = {**CONTENT, "manifest.json": whole_manifest().encode(), "artifacts/1/model/MLmodel": MODEL}

    def containers(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        (service,) = [label.rpartition("=")[2] for label in labels if ".service=" in label]
        return [{"Id": service, "State": self.states[service]}] if service in self.states else []

    def restore(self, dry_run: bool = False, **more: Any) -> dict[str, Any]:
        request = Request(
            SET, SET, "trading-paper", "timescaledb", "mlflow", "postgres", {"trading": "trading", "mlflow": "mlflow"},
            "/mlartifacts", self.root / "scratch", 1_000_000, Repository("/repository", Path("/pw"), {}, None),
        )  # fmt: skip
        ports = Ports(lambda: self, self, lambda _: self.free, self.clock, self.clock.sleep, self.chown)
        return ensure_restored(replace(request, **more), ports, dry_run)

    def chown(self, path: Path, user: int, group: int) -> None:
        self.owners[path.relative_to(self.root / "scratch" / "restore" / "artifacts").as_posix()] = (user, group)

    def run(self, argv: Sequence[str], **more: Any) -> Ended:
        self.asked.append(" ".join(argv))
        if argv[0] == "restic":
            if "snapshots" in argv:
                return self.breaks.get("snapshots", Ended(0, json.dumps([snapshot(1, timedelta(0))]), ""))
            target = Path(next(word for word in argv if word.startswith("--target=")).partition("=")[2])
            for name, content in self.set_files.items():
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                (target / name).write_bytes(content)
            return self.breaks.get("restic restore", Ended(0, "", ""))
        assert argv[:2] == ["docker", "cp"]
        if argv[3].startswith("mlflow:"):
            for path in Path(argv[2]).rglob("*"):
                if path.is_file():
                    self.artifacts[path.relative_to(argv[2]).as_posix()] = path.read_bytes()
        else:
            for name, content in self.artifacts.items():
                (Path(argv[3]) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(argv[3]) / name).write_bytes(content)
        return Ended(0, "", "")

    def stream(self, argv: Sequence[str], take: Callable[[bytes], None]) -> Ended:
        if self.listing is not None:
            take(self.listing)
            return Ended(0, "", "")
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            folder = tarfile.TarInfo("./")
            folder.type, folder.uid, folder.gid = tarfile.DIRTYPE, 10001, 10002
            tar.addfile(folder)
            for name, content in self.artifacts.items():
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
        take(packed.getvalue())
        return Ended(0, "", "")

    def feed(self, argv: Sequence[str], source: Path) -> Ended:
        self.asked.append(" ".join(argv))
        assert source.exists()
        if "psql" in argv:
            return self.breaks.get("psql", Ended(0, "", 'ERROR:  role "postgres" already exists'))
        if "--list" in argv:
            return Ended(0, LISTED, "")
        name = argv[-1].partition("=")[2]
        if "pg_restore" in self.breaks:
            return self.breaks["pg_restore"]
        assert self.databases[name]["restoring"] == ("on" if "trading" in name else "off")
        table, facts, _ = TABLES["trading" if "trading" in name else "mlflow"]
        self.databases[name]["tables"] = {table: facts}
        self.after_restore(self.databases[name])
        return Ended(0, "", "")

    @contextmanager
    def talk(self, argv: Sequence[str]) -> Iterator[Conversation]:
        yield Conversation(self, argv[-1].rpartition("=")[2])


@dataclass
class Conversation:
    """psql on one database of the server."""

    world: World
    name: str
    is_in_transaction: bool = False

    def ask(self, text: str, mark: str) -> list[str]:
        sql = text.partition(";\n\\echo")[0].strip()
        self.world.asked.append(sql)
        return [line if isinstance(line, str) else json.dumps(line) for line in self._rows(sql)]

    def end(self) -> None: ...

    @staticmethod
    def _activity(database: dict[str, Any], is_scheduler: bool) -> list[str]:
        if is_scheduler:
            return ["4711"] if database["scheduler"] else []
        return list(database["sessions"])

    def _rows(self, sql: str) -> list[Any]:
        databases = self.world.databases
        if sql.startswith("SELECT datname"):
            wanted = sql.rpartition("= ")[2].strip("'")
            return [wanted] if wanted in databases else []
        if "pg_stat_activity" in sql:
            (wanted,) = re.findall(r"datname = '(\w+)'", sql)
            return self._activity(databases[wanted], is_scheduler=SCHEDULER in sql)
        if sql.startswith("CREATE DATABASE"):
            databases[sql.split('"')[1]] = empty_database()
            return []
        if sql == "BEGIN":
            self.is_in_transaction = True
            return []
        if sql == "COMMIT":
            self.is_in_transaction = False
            return []
        if sql.startswith(("SET", "ANALYZE")):
            return []
        if sql == "SHOW timescaledb.max_background_workers":
            return [str(self.world.max_workers)]
        if "pg_available_extension_versions" in sql:
            return list(self.world.versions)
        here = databases[self.name]
        if sql.startswith("SELECT extversion"):
            return [here["extension"]] if here["extension"] else []
        if sql.startswith("CREATE EXTENSION"):
            here["extension"] = sql.split("'")[1]
            here["scheduler"] = True
            return []
        if "background_workers()" in sql:
            here["scheduler"] = "start" in sql and self.world.starts_workers and self.world.max_workers > 0
            return ["t"]
        if "timescaledb_p" in sql:
            if sql in self.world.breaks:
                raise ProgramError("psql ended in the middle of an answer: must be superuser")
            here["restoring"] = "on" if "pre_restore" in sql else here.get("stuck", "off")
            here["scheduler"] = here.get("deaf", False) if "pre_restore" in sql else True
            if "post_restore" in sql and not self.is_in_transaction:
                here["tables"].clear()  # a retention job takes what it finds old, at once
            here["sessions"] = here["sessions"] or here.get("comes", [])
            return ["t"]
        if sql == "SHOW timescaledb.restoring":
            return [here["restoring"]]
        if sql == EXTENSIONS_SQL:
            return [{"name": "timescaledb", "version": here["extension"]}] if here["extension"] else []
        if "FROM pg_class" in sql:
            return [
                {
                    "schema": "public", "name": name, "columns": [], "partitioned": False,
                    "hypertable": {"chunks": table.chunks, "times": None} if table.is_hypertable else None,
                }
                for name, table in here["tables"].items()
            ]  # fmt: skip
        table = next(table for name, table in here["tables"].items() if f'"{name}"' in sql)
        return [{"rows": table.rows, "sum": str(int(table.checksum, 16)), "newest": []}]


def empty_database(**more: Any) -> dict[str, Any]:
    return {"tables": {}, "sessions": [], "extension": "", "restoring": "off", "scheduler": False, **more}


def live_database(**more: Any) -> dict[str, Any]:
    """Return an empty database as the page's own steps leave it: with the extension, and its scheduler at work."""
    return empty_database(extension="2.19.3", scheduler=True, **more)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def test_a_set_is_restored_into_new_databases_and_compared(world):
    seen = world.restore()
    assert (seen["outcome"], seen["changed"]) == ("proven", True)
    assert "2 tables with 9 rows and 1 artifacts are equal" in seen["summary"]
    assert world.artifacts == {"1/model/MLmodel": MODEL}
    assert 'CREATE DATABASE "trading" TEMPLATE template0 OWNER "trading"' in world.asked
    assert list((world.root / "scratch").iterdir()) == []


def test_a_database_that_is_there_and_empty_is_used_as_it_is(world):
    world.databases = {"trading": live_database(), "mlflow": empty_database()}
    assert world.restore(dry_run=True)["outcome"] == "planned"
    assert world.restore()["outcome"] == "proven"
    assert not [sql for sql in world.asked if sql.startswith("CREATE")]


def test_timescaledbs_workers_are_stopped_until_everything_is_compared_and_run_afterwards(world):
    world.databases = {"trading": live_database(), "mlflow": empty_database()}
    assert world.restore()["outcome"] == "proven"
    workers = [sql for sql in world.asked if "_restore()" in sql or "background_workers()" in sql or "cp" in sql]
    order = ["pre_restore", "post_restore", "stop_background", "docker cp", "docker cp", "start_background"]
    assert [part in sql for part, sql in zip(order, workers, strict=True)] == [True] * 6
    assert world.databases["trading"]["scheduler"]


def test_a_server_that_is_set_to_have_no_workers_gets_none(world):
    world.max_workers = 0
    assert world.restore()["outcome"] == "proven"
    assert not world.databases["trading"]["scheduler"]


def test_workers_that_do_not_start_again_are_told_and_the_data_are_not_called_unusable(world):
    world.starts_workers = False
    seen = world.restore()
    assert (seen["outcome"], seen["changed"]) == ("failed", True)
    assert seen["summary"] == "All is restored and equal, and TimescaleDB's scheduler does not run in trading."
    assert seen["next_command"].startswith("docker logs")


@pytest.mark.parametrize(
    ("more", "words"),
    [({"deaf": True}, "scheduler still runs"), ({"comes": ["bot of trading"]}, "1 session: bot of trading")],
)
def test_nothing_is_restored_beside_who_stays_or_comes(world, more, words):
    world.databases = {"trading": live_database(**more)}
    seen = world.restore()
    assert (seen["outcome"], words in seen["summary"]) == ("failed", True)
    assert not [line for line in world.asked if "pg_restore --exit" in line]


@pytest.mark.parametrize("listing", [b"", b"x" * 600, b"\0" * 10_240])
def test_a_folder_of_artifacts_that_cannot_be_looked_at_is_not_taken_for_an_empty_one(world, listing):
    world.listing = listing
    seen = world.restore()
    assert (seen["outcome"], "could not be read" in seen["summary"]) == ("failed", True)
    assert not [sql for sql in world.asked if sql.startswith("CREATE")]


def test_another_target_can_be_named(world):
    world.databases = {"trading": empty_database(tables={"bars": None})}
    seen = world.restore(targets={"trading": "trading_restored", "mlflow": "mlflow_restored"})
    assert (seen["outcome"], {*world.databases}) == ("proven", {"trading", "trading_restored", "mlflow_restored"})


def test_nothing_is_ever_dropped(world):
    world.restore()
    assert not [line for line in world.asked if re.search(r"\bDROP\b", line) or "--clean" in line]


def test_a_dry_run_restores_nothing(world):
    seen = world.restore(dry_run=True)
    assert (seen["outcome"], world.databases, world.artifacts) == ("planned", {}, {})
    assert not (world.root / "scratch").exists()


@pytest.mark.parametrize("confirmed", ["", "yes", "SET-20261121-023001"])
def test_without_the_same_id_twice_nothing_is_even_looked_at(world, confirmed):
    seen = world.restore(confirmed=confirmed)
    assert (seen["outcome"], world.asked) == ("usage", [])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda world: world.databases.update(trading=empty_database(tables=TABLES_THERE)), "trading is not empty"),
        (lambda world: world.databases.update(mlflow=empty_database(tables=TABLES_THERE)), "mlflow is not empty"),
        (
            lambda world: world.databases.update(trading=live_database(sessions=["psql of postgres"])),
            "has 1 session: psql of postgres.",
        ),
        (lambda world: world.artifacts.update(old=b"x"), "/mlartifacts in MLflow's container is not empty"),
        (lambda world: world.artifacts.update(old=b"x" * 3_000_000), "/mlartifacts in MLflow's container is not empty"),
        (lambda world: world.states.update(mlflow="running"), "not to run"),
        (lambda world: world.states.pop("mlflow"), "has to be made"),
        (lambda world: setattr(world, "free", 1_000_000), "are needed"),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_what_is_not_empty_is_refused_and_left_as_it_is(world, spoil, words, dry_run):
    spoil(world)
    seen = world.restore(dry_run)
    assert (seen["outcome"], seen["changed"], words in seen["summary"]) == ("refused", False, True)
    assert "./runbook restore" not in seen["next_command"]
    assert seen["next_command"]
    assert "{" not in seen["summary"]
    assert not [line for line in world.asked if line.startswith("CREATE") or "pg_restore" in line or "--target" in line]


TABLES_THERE = {"bars": MANIFEST.databases["trading"].tables["public.bars"]}


def test_a_set_that_is_not_there_is_no_other_one(world):
    world.breaks["snapshots"] = Ended(0, json.dumps([snapshot(1, timedelta(days=1))]), "")
    seen = world.restore()
    assert (seen["outcome"], f"no set {SET}" in seen["summary"]) == ("failed", True)


@pytest.mark.parametrize("name", ["trading.dump", "roles.sql", "artifacts/1/model/MLmodel"])
def test_a_damaged_set_is_not_begun_with(world, name):
    world.set_files[name] += b"x"
    seen = world.restore()
    assert (seen["outcome"], world.databases) == ("failed", {})
    assert "is damaged" in seen["summary"]
    del world.set_files[name]
    assert f"{name} is missing" in world.restore()["summary"]


def test_a_server_without_the_timescaledb_of_the_backup_gets_nothing(world):
    world.versions = ("2.20.0",)
    seen = world.restore()
    assert (seen["outcome"], "no TimescaleDB 2.19.3" in seen["summary"]) == ("refused", True)
    assert (seen["changed"], world.databases) == (False, {})


def test_a_database_with_another_timescaledb_gets_nothing(world):
    world.databases = {"trading": empty_database(extension="2.18.0")}
    seen = world.restore()
    assert (seen["outcome"], "has TimescaleDB 2.18.0" in seen["summary"]) == ("refused", True)
    assert not [line for line in world.asked if "psql" in line or "pg_restore" in line]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda world: world.breaks.update(pg_restore=Ended(1, "", "pg_restore: error: end of file")), "end of file"),
        (lambda world: world.breaks.update(psql=Ended(0, "", "ERROR:  syntax error")), "syntax error"),
        (
            lambda world: world.breaks.update({"SELECT timescaledb_pre_restore()": Ended(1, "", "")}),
            "must be superuser",
        ),
        (
            lambda world: world.databases.update(trading=empty_database(stuck="on")),
            "timescaledb.restoring on, where off",
        ),
    ],
)
def test_a_failure_half_way_says_what_was_begun_and_takes_nothing_away(world, spoil, words):
    spoil(world)
    seen = world.restore()
    assert (seen["outcome"], seen["changed"], words in seen["summary"]) == ("failed", True, True)
    assert "Begun and not usable: roles" in seen["summary"]
    assert list((world.root / "scratch").iterdir()) == []


def test_one_row_less_is_a_failure(world):
    def lose(database: dict[str, Any]) -> None:
        database["tables"] = {name: replace(table, rows=table.rows - 1) for name, table in database["tables"].items()}

    world.after_restore = lose
    seen = world.restore()
    assert (seen["outcome"], "public.bars: 6 rows, not 7" in seen["summary"]) == ("failed", True)


def test_artifacts_get_the_owner_of_the_folder_that_they_are_copied_into(world):
    assert world.restore()["outcome"] == "proven"
    assert world.owners.keys() >= {".", "1", "1/model", "1/model/MLmodel"}
    assert {*world.owners.values()} == {(10001, 10002)}


def test_an_artifact_that_came_back_another_is_a_failure(world, monkeypatch):
    run = world.run

    def spoil(argv, **more):
        ended = run(argv, **more)
        if argv[-1].startswith("mlflow:"):
            world.artifacts["1/model/MLmodel"] = b"FLAVORS"
        return ended

    monkeypatch.setattr(world, "run", spoil)
    seen = world.restore()
    assert (seen["outcome"], "1/model/MLmodel was changed" in seen["summary"]) == ("failed", True)


def test_the_samples_files_have_the_facts_that_a_real_file_has(tmp_path):
    (tmp_path / "x").write_bytes(MODEL)
    assert file_facts(tmp_path / "x") == FileFacts(len(MODEL), _sha(MODEL))


def test_who_is_connected_is_told_by_a_real_server():
    with server() as real:
        real.ask("postgres", "CREATE DATABASE trading")
        sql = SESSIONS_SQL.format(name="'trading'")
        assert real.ask("postgres", sql) == []
        assert real.ask("trading", sql) == []  # who asks is none of them
        # What a client calls itself changes nothing: TimescaleDB's workers are known by their type.
        for name in ("bot", SCHEDULER, "Retention Policy [1000]"):
            argv = real.psql("trading", name)
            with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
                assert client.stdin and client.stdout
                client.stdin.write("SELECT 1;\n")
                client.stdin.flush()
                client.stdout.readline()
                assert real.ask("postgres", sql) == [f"{name} of postgres"]
                client.stdin.close()
        kinds = (
            "(SELECT 1 AS pid, 'trading' AS datname, 'x' AS usename, '' AS application_name, {} AS backend_type) AS a"
        )
        for kind, is_session in (
            ("autovacuum worker", False),
            ("parallel worker", False),
            (SCHEDULER, False),
            ("Job History Log Retention Policy [3]", False),
            ("client backend", True),
            ("walsender", True),
            ("logical replication worker", True),
            ("pg_cron", True),
        ):
            found = real.ask("postgres", sql.replace("pg_stat_activity", kinds.format(f"'{kind}'")))
            assert (found != []) is is_session, kind
