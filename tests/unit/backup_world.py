"""A host to back up: database and MLflow in containers, and restic. They work, break or lie as told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from trading_ops.backup import take as backup
from trading_ops.backup.checksums import EXTENSIONS_SQL
from trading_ops.backup.restic import Repository
from trading_ops.backup.take import Ports, Request
from trading_ops.host.programs import Ended, ProgramError

from tests.unit.fakes import FakeClock

NOW = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)
TABLES = {"trading": ["bars", "orders"], "mlflow": ["runs"]}
REGISTRY = {
    "experiments": 1,
    "runs": 2,
    "models": [{"name": "m", "version": 1, "run_id": "r", "aliases": ["champion"]}],
}


@dataclass
class FakeEngine:
    """An engine that knows one running container for each service."""

    services: dict[str, list[str]] = field(default_factory=lambda: {"timescaledb": ["running"], "mlflow": ["running"]})

    def containers(self, labels: Sequence[str] = ()) -> list[dict[str, Any]]:
        (service,) = [label.rpartition("=")[2] for label in labels if ".service=" in label]
        return [{"Id": f"{service}-{state}", "State": state} for state in self.services.get(service, [])]


@dataclass
class World:
    """What the programs of the host answer. `breaks` holds, by a program's name, how it ends instead."""

    root: Path
    tables: dict[str, list[str]] = field(default_factory=lambda: {name: list(items) for name, items in TABLES.items()})
    artifacts: dict[str, bytes] = field(default_factory=lambda: {"1/model/MLmodel": b"flavors"})
    breaks: dict[str, Ended] = field(default_factory=dict)
    snapshots: dict[str, dict[str, bytes]] = field(default_factory=dict)
    listed: list[dict[str, Any]] = field(default_factory=list)
    free: int = 10_000_000_000
    asked: list[str] = field(default_factory=list)
    staged: list[str] = field(default_factory=list)
    open_snapshots: int = 0
    on_dump: Callable[[], None] = lambda: None
    forgets: Callable[[], None] = lambda: None
    engine: FakeEngine = field(default_factory=FakeEngine)

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    def back_up(self, dry_run: bool = False) -> dict[str, Any]:
        clock = FakeClock()
        ports = Ports(lambda: self.engine, self, lambda: NOW, clock, lambda _: self.free)
        return backup.ensure_backup(self.request(), ports, dry_run)

    def request(self) -> Request:
        names = {"trading": "trading", "mlflow": "mlflow"}
        return Request(
            "trading-paper", "timescaledb", "mlflow", "postgres", names, "/mlartifacts", self.scratch, 1_000_000_000,
            self.repository(), "lab1", 3600,
        )  # fmt: skip

    def repository(self) -> Repository:
        return Repository("rest:http://user:secret@lab-control:8000/trading-core", Path("/pw"), {}, None)

    def old_snapshots(self) -> list[dict[str, Any]] | None:
        """Return what a plan for 90 days would remove; restic says null for nothing."""
        limit = (NOW - timedelta(days=90)).isoformat()
        return [item for item in self.listed if item["time"] < limit] or None

    def run(
        self, argv: Sequence[str], *, environment: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> Ended:
        self.asked.append(" ".join(argv))
        name = self._name(argv)
        if name in self.breaks:
            return self.breaks[name]
        match name:
            case "restic version":
                return Ended(0, "restic 0.18.0 compiled with go1.24", "")
            case "pg_dump --version":
                return Ended(0, "pg_dump (PostgreSQL) 17.6 (Debian 17.6-1)\n", "")
            case "python3":
                return Ended(0, "3.17.0\n", "")
            case "du":
                return Ended(0, "12\t/mlartifacts\n", "")
            case "docker cp":
                for path, content in self.artifacts.items():
                    target = Path(argv[-1]) / path
                    target.parent.mkdir(parents=True)
                    target.write_bytes(content)
                return Ended(0, "", "")
            case "restic backup":
                assert cwd
                files = {
                    path.relative_to(cwd).as_posix(): path.read_bytes() for path in cwd.rglob("*") if path.is_file()
                }
                self.snapshots["5e7a1b2c3d"] = files
                self.staged.append(oct(cwd.stat().st_mode & 0o777))
                return Ended(
                    0, '{"message_type":"status"}\n{"message_type":"summary","snapshot_id":"5e7a1b2c3d"}\n', ""
                )
            case "restic ls":
                nodes = [{"message_type": "snapshot"}] + [
                    {"message_type": "node", "type": "file", "path": f"/{path}", "size": len(content)}
                    for path, content in self.snapshots[argv[-1]].items()
                ]
                return Ended(0, "".join(json.dumps(node) + "\n" for node in nodes), "")
            case "restic dump":
                return Ended(0, self.snapshots[argv[-2]][argv[-1]].decode(), "")
            case "restic snapshots":
                return Ended(0, json.dumps(self.listed), "")
            case "restic forget":
                if "--dry-run" in argv:
                    return Ended(0, json.dumps([{"keep": [], "remove": self.old_snapshots()}]), "")
                self.forgets()
                return Ended(0, "text that is no JSON", "")
            case "restic cat" | "restic unlock" | "restic check":
                return Ended(0, "", "")
        raise AssertionError(f"nobody expected {argv}")

    def stream(self, argv: Sequence[str], take: Callable[[bytes], None]) -> Ended:
        self.asked.append(" ".join(argv))
        name = self._name(argv)
        if name == "pg_dump":
            assert self.open_snapshots == 1
            self.on_dump()
        for _ in range(3):
            take(b"x" * 1000)
        return self.breaks.get(name, Ended(0, "", "pg_dump: warning: circular foreign-key constraints"))

    def feed(self, argv: Sequence[str], source: Path) -> Ended:
        raise AssertionError(f"a backup feeds nothing: {argv}")

    @contextmanager
    def talk(self, argv: Sequence[str]) -> Iterator[Conversation]:
        yield Conversation(self, argv[-1].rpartition("=")[2])
        self.open_snapshots = 0

    @staticmethod
    def _name(argv: Sequence[str]) -> str:
        if argv[0] == "restic":
            return "restic " + next(word for word in argv[1:] if not word.startswith("--"))
        if argv[:2] == ["docker", "cp"]:
            return "docker cp"
        program, *more = argv[3:]
        return "pg_dump --version" if more == ["--version"] else program


@dataclass
class Conversation:
    """psql on one database."""

    world: World
    database: str
    is_ended: bool = False

    def ask(self, text: str, mark: str) -> list[str]:
        sql = text.partition(";\n\\echo")[0]
        self.world.asked.append(sql)
        if self.is_ended or sql in self.world.breaks:
            raise ProgramError("psql ended in the middle of an answer: FATAL")
        return [json.dumps(item) for item in self._rows(sql)]

    def end(self) -> None:
        self.is_ended = True

    def _rows(self, sql: str) -> list[Any]:
        if sql.startswith(("SET", "BEGIN")):
            return []
        if "pg_export_snapshot" in sql:
            self.world.open_snapshots += 1
            return [{"snapshot": "00000003-1", "server": "17.6", "at": "2026-11-21T02:30:00.000Z"}]
        if "pg_database_size" in sql:
            return [{"bytes": 1_000_000, "names": sorted(self.world.tables)}]
        if sql == EXTENSIONS_SQL:
            return [{"name": "timescaledb", "version": "2.19.3"}] if self.database == "trading" else []
        if sql == backup.REGISTRY_SQL:
            return [REGISTRY]
        if "FROM pg_class" in sql:
            return [
                {"schema": "public", "name": name, "hypertable": None, "partitioned": False, "columns": []}
                for name in self.world.tables[self.database]
            ]
        return [{"rows": 5, "sum": "17", "newest": []}]


def snapshot(number: int, age: timedelta, host: str = "lab1", **more: Any) -> dict[str, Any]:
    """Return a set as `restic snapshots --json` shows it."""
    at = NOW - age
    return {
        "time": at.strftime("%Y-%m-%dT%H:%M:%S.123456789Z"),
        "hostname": host,
        "tags": ["trading-core", f"set={at:SET-%Y%m%d-%H%M%S}"],
        "summary": {"total_bytes_processed": 5_000_000},
        "id": f"{number:064x}",
        "short_id": f"{number:08x}",
        **more,
    }
