"""A restore host: engine, Compose, database, MLflow and bot in a throw-away stack. They work, break or lie as told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from trading_ops.backup.checksums import EXTENSIONS_SQL
from trading_ops.backup.manifest import MANIFEST_FILE, Manifest, file_facts, render_manifest
from trading_ops.checks.catalogue import parse_checks
from trading_ops.checks.evaluate import Limits
from trading_ops.host.programs import Ended, ProgramError
from trading_ops.restore.fetch import fetch_from_folder
from trading_ops.restore.request import Layout, Request
from trading_ops.restore.result import Report
from trading_ops.restore.systems import Model
from trading_ops.restore.trial import Tools, ensure_tested

from tests.unit.backup_samples import MANIFEST
from tests.unit.fake_prometheus import FakePrometheus, catalogue_item
from tests.unit.fakes import FakeClock

BEGIN = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
LABELS = {"trading-core.restore-test": "true"}
ROUTES = "Iface\tDestination\tGateway\neth0\t000012AC\t00000000\n"
OK = Ended(0, "", "")


@dataclass
class World:
    """`breaks` holds how a program ends instead, by words of its command line; `answers` the lines of a statement."""

    root: Path
    manifest: Manifest = MANIFEST
    breaks: dict[str, Ended] = field(default_factory=dict)
    answers: dict[str, list[str] | ProgramError] = field(default_factory=dict)
    document: Callable[[dict[str, Any]], None] = lambda _: None
    on_command: Callable[[str], None] = lambda _: None
    containers: list[str] = field(default_factory=list)
    volumes: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    rows_at_most: int = 1_000_000
    is_internal: bool = True
    prediction: list[Any] = field(default_factory=lambda: [0.75])
    routes: str = ROUTES
    free: int = 10**12
    commands: list[str] = field(default_factory=list)
    secrets_seen: set[str] = field(default_factory=set)
    clock: FakeClock = field(default_factory=FakeClock)
    bot_since: float | None = None
    restoring: str = "off"
    prometheus: FakePrometheus = field(init=False)

    def __post_init__(self) -> None:
        for path in ("config/trading.yml", "ops/compose/x.yml", "ops/compose/.env"):
            (self.checkout / path).parent.mkdir(parents=True, exist_ok=True)
            (self.checkout / path).write_text("secret: production")
        self.lay_set()
        self.prometheus = FakePrometheus(self, catalogue_item())  # type: ignore[arg-type]

    @property
    def checkout(self) -> Path:
        return self.root / "checkout"

    @property
    def source(self) -> Path:
        return self.root / "set"

    @property
    def scratch(self) -> Path:
        return self.root / "scratch"

    @property
    def state(self) -> Path:
        return self.root / "state"

    def lay_set(self) -> None:
        """Write the files of the set, and a manifest that is honest about them."""
        for name in self.manifest.files:
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
            (self.source / name).write_text("12345")
        facts = file_facts(self.source / "trading.dump")
        databases = {
            name: replace(database, dump=replace(database.dump, facts=facts))
            for name, database in self.manifest.databases.items()
        }
        self.manifest = replace(
            self.manifest,
            databases=databases,
            roles=replace(self.manifest.roles, facts=facts),
            artifacts=dict.fromkeys(self.manifest.artifacts, facts),
        )
        self.write_manifest()

    def write_manifest(self) -> None:
        (self.source / MANIFEST_FILE).write_text(render_manifest(self.manifest))

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.clock.now)

    def test(self, dry_run: bool = False, **changed: Any) -> dict[str, Any]:
        """Return the result of a restore test in this world."""
        tools = Tools(
            fetch=fetch_from_folder(self.source),
            now=self.now,
            clock=self.clock,
            sleep=self.clock.sleep,
            free_bytes=lambda _: self.free,
            token=lambda count: "ab" * count,
            programs=self.programs,
            metrics=lambda _: self.prometheus.fetch,
        )
        self.state.mkdir(exist_ok=True)
        return ensure_tested(self.request(**changed), tools, Report("2026-11-21T03:00:00.000Z", "reno"), dry_run)

    def request(self, **changed: Any) -> Request:
        databases = {"trading": "trading", "mlflow": "mlflow"}
        layout = Layout(
            self.checkout, ("config", "ops/compose"), ("ops/compose/x.yml",), (), databases, "timescaledb", "mlflow",
            ("exchange", "live_connector", "prometheus", "bot"), "prometheus", "postgres",
        )  # fmt: skip
        asked = Request(
            layout=layout,
            scratch_path=self.scratch,
            state_path=self.state,
            docker_url="unix:///x",
            set_id="",
            by="reno",
            model=Model("mlflow", "http://mlflow:5000", "RefStrat_01", "champion", {"range_atr": 1.0}),
            bot_tables=("bars",),
            bot_seconds=20,
            checks=parse_checks([catalogue_item()]),
            select={},
            limits=Limits(),
            checks_timeout_seconds=60,
            start_timeout_seconds=30,
            age_limit_seconds=3600,
            timeout_seconds=900,
        )
        return replace(asked, **changed)

    def left(self) -> list[str]:
        """Return what is there of a test, on engine and disk."""
        return [*self.containers, *self.volumes, *self.networks, *map(str, self.scratch.glob("*"))]

    # ---- the programs of the host

    def programs(
        self, environment: Mapping[str, str], clock: Callable[[], float], seconds: float, popen: Any = None
    ) -> FakePrograms:
        return FakePrograms(self, environment, clock() + seconds)


class FakePrograms:
    """Programs with one environment and one time limit."""

    def __init__(self, world: World, environment: Mapping[str, str], ends_at: float) -> None:
        self.world, self.environment, self.ends_at = world, environment, ends_at
        self.project = environment.get("RESTORE_TEST_PROJECT", "")

    def run(self, argv: Sequence[str], *, environment: Any = None, cwd: Path | None = None) -> Ended:
        return self._end(argv, lambda words: self._run(list(argv), words, cwd))

    def feed(self, argv: Sequence[str], source: Path) -> Ended:
        text = source.read_text()  # what is not there cannot be fed
        return self._end(argv, lambda words: self._feed(words, text))

    def stream(self, argv: Sequence[str], take: Any) -> Ended:
        raise AssertionError("a restore test streams nothing")

    @contextmanager
    def talk(self, argv: Sequence[str]) -> Iterator[Any]:
        database = next(word.removeprefix("--dbname=") for word in argv if word.startswith("--dbname="))
        yield _Session(self.world, database)

    def _end(self, argv: Sequence[str], answer: Callable[[str], Ended]) -> Ended:
        words = " ".join(argv)
        self.world.commands.append(words)
        self.world.secrets_seen.add(self.environment["RESTORE_TEST_SECRET"])
        self.world.on_command(words)
        if self.world.clock() >= self.ends_at:
            raise ProgramError(f"{argv[0]} did not end within the run's 900 s.")
        for part, ended in self.world.breaks.items():
            if part in words:
                return ended
        return answer(words)

    def _run(self, argv: list[str], words: str, cwd: Path | None) -> Ended:
        world = self.world
        if argv[:2] == ["docker", "compose"]:
            assert cwd is not None
            if "config" in argv:
                return Ended(0, json.dumps(self._document(cwd)), "")
            world.containers += [f"{self.project}-{name}-1" for name in argv[argv.index("--") + 1 :]]
            world.volumes = world.volumes or [f"{self.project}_data"]
            world.networks = world.networks or [f"{self.project}_default"]
            if "bot" in argv:
                world.bot_since = world.clock()
            return OK
        if argv[1] == "exec":
            return Ended(0, world.routes if "/proc/net/route" in words else "", "")
        if argv[1] == "inspect":
            return Ended(0, "10.0.0.2" if "--format" in argv else json.dumps(self._inspect(argv[2:])), "")
        return self._list_or_remove(argv)

    def _list_or_remove(self, argv: list[str]) -> Ended:
        world = self.world
        kind = "container" if argv[1] in {"ps", "rm"} else argv[1]
        things: list[str] = getattr(world, f"{kind}s", [])
        if "rm" in argv:
            things.remove(argv[-1])
            return OK
        if "--quiet" in argv:
            return Ended(0, "\n".join(things), "")
        lines = [self._listed(kind, name) for name in things] if "ls" in argv or argv[1] == "ps" else []
        return Ended(0, "\n".join(map(json.dumps, lines)), "")

    def _listed(self, kind: str, name: str) -> dict[str, str]:
        of_a_test = re.match(r"restoretest-[0-9]+-[0-9]+-[0-9a-f]+", name)
        labels = f"com.docker.compose.project={of_a_test[0]},trading-core.restore-test=true" if of_a_test else "a=b"
        names = {"Names": name, "ID": name} if kind == "container" else {"Name": name, "ID": name}
        return {**names, "Labels": labels}

    def _inspect(self, names: Sequence[str]) -> list[dict[str, Any]]:
        project, network = self.project, f"{self.project}_default"
        containers = {
            name: {
                "Name": f"/{name}",
                "Config": {"Labels": {**LABELS, "com.docker.compose.project": project}},
                "HostConfig": {},
                "NetworkSettings": {"Networks": {network: {}}},
            }
            for name in self.world.containers
        }
        return [
            containers.get(name, {"Name": name, "Internal": self.world.is_internal, "EnableIPv6": False})
            for name in names
        ]

    def _document(self, cwd: Path) -> dict[str, Any]:
        scratch = self.environment["RESTORE_TEST_SCRATCH"]
        service = {"image": "x", "labels": dict(LABELS), "restart": "no", "networks": {"default": None}}
        mount = {"type": "bind", "source": f"{scratch}/state", "target": "/run"}
        bot = service | {"environment": {"TRADING_MODE": self.environment["TRADING_MODE"]}, "volumes": [mount]}
        document = {
            "name": self.project,
            "services": {"timescaledb": service, "mlflow": service, "bot": bot},
            "networks": {"default": {"name": f"{self.project}_default", "internal": True, "labels": LABELS}},
            "volumes": {"data": {"name": f"{self.project}_data", "labels": LABELS}},
        }
        self.world.document(document)
        return document

    def _feed(self, words: str, text: str) -> Ended:
        if "pg_restore --list" in words:
            restored = sum("pg_restore --list" in command for command in self.world.commands)
            name = ("trading", "mlflow")[(restored - 1) % 2]
            return Ended(0, f";     dbname: {name}\n4; 1262 1 DATABASE - {name} {name}\n", "")
        if "python3 -" in words:
            registry = self.world.manifest.databases["mlflow"].registry
            assert registry is not None and "def list_registry" in text
            models = [
                {"name": item.name, "version": item.version, "aliases": list(item.aliases), "run_id": item.run_id}
                for item in registry.models
            ]
            said = {"experiments": registry.experiments, "runs": registry.runs, "models": models}
            return Ended(0, "a warning\n" + json.dumps(said | {"prediction": self.world.prediction, "error": ""}), "")
        return OK


@dataclass
class _Session:
    world: World
    database: str

    def ask(self, text: str, mark: str) -> list[str]:
        sql = text.partition(";\n\\echo")[0]
        self.world.commands.append(f"{self.database}: {sql}")
        for part, lines in self.world.answers.items():
            if part in sql:
                if isinstance(lines, ProgramError):
                    raise lines
                return lines
        return self._answer(sql)

    def _answer(self, sql: str) -> list[str]:
        database = self.world.manifest.databases.get(self.database)
        if "max_background_workers" in sql:
            return ["0"]
        if "pg_available_extension_versions" in sql:
            return ["2.19.2", "2.19.3"]
        if "timescaledb_pre_restore" in sql or "timescaledb_post_restore" in sql:
            self.world.restoring = "on" if "pre" in sql else "off"
            return [""]
        if sql == "SHOW timescaledb.restoring":
            return [self.world.restoring]
        if "restore_test.inserted')" in sql:
            return ["1"]
        if "count(*) FROM" in sql:
            begun = self.world.bot_since if self.world.bot_since is not None else self.world.clock()
            return [str(min(int(self.world.clock() - begun), self.world.rows_at_most))]
        if database is None:
            return []
        if sql == EXTENSIONS_SQL:
            return [json.dumps({"name": name, "version": item}) for name, item in database.extensions.items()]
        if "relkind" in sql:
            return [json.dumps(self._shape(title)) for title in database.tables]
        for title, table in database.tables.items():
            if sql.endswith('"{}"."{}"'.format(*title.split("."))):
                newest = [time for name, time in database.newest.items() if name.startswith(f"{title}.")]
                return [json.dumps({"rows": table.rows, "sum": str(int(table.checksum, 16)), "newest": newest})]
        return []

    def _shape(self, title: str) -> dict[str, Any]:
        database = self.world.manifest.databases[self.database]
        table = database.tables[title]
        times = [name.rpartition(".")[2] for name in database.newest if name.startswith(f"{title}.")]
        schema, name = title.split(".")
        hypertable = {"chunks": table.chunks, "times": times} if table.is_hypertable else None
        columns = [{"name": "time", "as_text": False}]
        return {"schema": schema, "name": name, "hypertable": hypertable, "partitioned": False, "columns": columns}

    def end(self) -> None:
        pass


def names(result):
    return [failure["name"] for failure in result["failures"]]


def position(world, part):
    return next(place for place, words in enumerate(world.commands) if part in words)
