"""How long backup and restore of a large hypertable take, beside the bare tools: `./runbook bench restore`.

Two database servers, a repository on disk, and one container with restic for all ways alike. Every round runs every way
once: backups in random order, then restores in random order.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks import results
from benchmarks.results import ROOT
from lab.estate import ensure_images
from lab.images import BuildFailed
from lab.machines import EstateError, run

LEAST_ROWS = 10_000_000
LABEL = "trading-core.bench=restore"
SOURCE, TARGET, TOOLS = "trading-core-bench-source", "trading-core-bench-target", "trading-core-bench-tools"
STEP_SECONDS = 3600

OURS_BACKUP, BARE_BACKUP, RESTIC_BACKUP = "ours: backup", "bare: backup", "restic: backup"
OURS_RESTORE, BARE_RESTORE, RESTIC_RESTORE, COPY = "ours: restore", "bare: restore", "restic: restore", "copy"
TITLES = {
    OURS_BACKUP: "ours: the module `backup`",
    BARE_BACKUP: "`pg_dump -Fc -Z0` piped into `restic backup --stdin`",
    RESTIC_BACKUP: "restic alone: `restic backup` of a dump that lies there",
    OURS_RESTORE: "ours: the module `restore`, every row compared",
    BARE_RESTORE: "`restic dump` piped into `pg_restore`, nothing compared",
    RESTIC_RESTORE: "restic alone: `restic restore` of the dump",
    COPY: "no repository: `pg_dump -Fc -Z0` piped into `pg_restore`, nothing compared",
}
TARGETS = (
    ("backup: ours to the pipe", OURS_BACKUP, BARE_BACKUP, 1.3),
    ("restore: ours to the pipe", OURS_RESTORE, BARE_RESTORE, 1.5),
)

# A hypertable as the lab's bots fill it, other columns than the time's with values that hardly compress.
_TRADING_SQL = """
CREATE TABLE bars (
    time timestamptz NOT NULL, mode text NOT NULL, symbol text NOT NULL,
    open double precision NOT NULL, high double precision NOT NULL, low double precision NOT NULL,
    close double precision NOT NULL, volume double precision NOT NULL,
    PRIMARY KEY (mode, symbol, time));
SELECT create_hypertable('bars', 'time', chunk_time_interval => interval '7 days');
INSERT INTO bars SELECT now() - number / 4 * interval '1 s', 'paper', 'SYMBOL' || number % 4,
  price, price + random(), price - random(), price + random() - 0.5, random() * 1000
FROM (SELECT number, 60000 + 5000 * random() AS price FROM generate_series(1, {rows}) AS number) AS made;
VACUUM ANALYZE bars;
CHECKPOINT"""
_MLFLOW_SQL = """
CREATE TABLE experiments (lifecycle_stage text);
CREATE TABLE runs (lifecycle_stage text);
CREATE TABLE model_versions (name text, version int, run_id text, current_stage text);
CREATE TABLE registered_model_aliases (name text, version int, alias text);
INSERT INTO experiments VALUES ('active')"""
_DUMP = f"docker exec {SOURCE} pg_dump -Fc -Z0 -U postgres -d trading"
_RESTIC = "restic --quiet --no-cache --password-file /bench/password --repo"
_PG_RESTORE = f"docker exec -i {TARGET} pg_restore -e -U postgres -d trading"


@dataclass(frozen=True)
class Measurement:
    """One run of one way; `parts` are the seconds of what it is made of, where the way tells them."""

    way: str
    round: int
    seconds: float
    parts: dict[str, float] = field(default_factory=dict)


def medians(measurements: Sequence[Measurement]) -> dict[str, float]:
    """Return the median seconds of each way that was measured."""
    ways = dict.fromkeys(each.way for each in measurements)
    return {way: median(each.seconds for each in measurements if each.way == way) for way in ways}


def parts(measurements: Sequence[Measurement], way: str) -> dict[str, float]:
    """Return the median seconds of each part of a way, the longest first."""
    runs = [each.parts for each in measurements if each.way == way]
    found = {name: median(one.get(name, 0.0) for one in runs) for name in {name for one in runs for name in one}}
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def render_markdown(measurements: Sequence[Measurement], rows: int, circumstances: str) -> str:
    """Return the page: the table, the targets, and where ours spends its time."""
    seconds = medians(measurements)
    lines = ["# How long backup and restore take", "", circumstances, ""]
    lines += ["| way | s | fastest–slowest |", "|---|---|---|"]
    for way in TITLES:
        if way in seconds:
            own = [each.seconds for each in measurements if each.way == way]
            lines.append(f"| {TITLES[way]} | {seconds[way]:.1f} | {min(own):.1f}–{max(own):.1f} |")
    lines += ["", "## Targets", "", "| target | measured | at most | |", "|---|---|---|---|"]
    for title, ours, bare, limit in TARGETS:
        ratio = seconds[ours] / seconds[bare]
        word = "met" if ratio <= limit and rows >= LEAST_ROWS else "missed"
        lines.append(f"| {rows:,} rows, {title}, ratio | {ratio:.2f} | {limit:.1f} | {word} |")
    lines += ["", "## Where ours spends its time", ""]
    lines += ["Parts run side by side where the code says so: they do not add up to the whole.", ""]
    lines += ["| way | part | s |", "|---|---|---|"]
    for way in (OURS_BACKUP, OURS_RESTORE):
        lines += [f"| {way} | {name} | {took:.1f} |" for name, took in parts(measurements, way).items() if took >= 0.05]
    return "\n".join([*lines, ""])


# ---- the world


def prepare(rows: int) -> None:
    """Start two servers, the tools, and what stands for MLflow; fill the source."""
    host_image, references = ensure_images(print)
    for name, project in ((SOURCE, "bench-source"), (TARGET, "bench-target")):
        secrets = [f"{key}=bench" for key in ("POSTGRES_PASSWORD", "TRADING_DB_PASSWORD", "MLFLOW_DB_PASSWORD")]
        options = [word for secret in secrets for word in ("--env", secret)]
        start(name, project, "timescaledb", [*options, references["timescaledb"], "-c", "max_wal_size=4GB"])
        verb = "run" if name == SOURCE else "create"  # a restore demands that MLflow does not run
        start(f"{name}-mlflow", project, "mlflow", ["--entrypoint", "sleep", references["app"], "infinity"], verb)
    mounts = ["/var/run/docker.sock:/var/run/docker.sock", f"{ROOT}:/project:ro", "/bench"]
    options = [word for mount in mounts for word in ("--volume", mount)]
    start(TOOLS, "bench-tools", "tools", [*options, "--entrypoint", "sleep", host_image, "infinity"])
    inside("umask 077; echo bench >/bench/password")
    for name in (SOURCE, TARGET):
        wait_for_database(name)
    sql(SOURCE, "trading", _TRADING_SQL.format(rows=rows))
    sql(SOURCE, "mlflow", _MLFLOW_SQL)
    run(["docker", "exec", f"{SOURCE}-mlflow", "sh", "-c", "head -c 1000000 /dev/urandom >/mlartifacts/model"])


def start(name: str, project: str, service: str, arguments: Sequence[str], verb: str = "run") -> None:
    """Make a container as Compose would label it."""
    labels = [LABEL, f"com.docker.compose.project={project}", f"com.docker.compose.service={service}"]
    labels += ["com.docker.compose.oneoff=False"]
    options = ["--name", name, *(word for label in labels for word in ("--label", label))]
    run(["docker", verb, *(["--detach"] if verb == "run" else []), *options, *arguments])


def remove_all() -> None:
    """Remove every container of this benchmark, with its data."""
    if found := run(["docker", "ps", "--all", "--quiet", "--filter", f"label={LABEL}"]).split():
        run(["docker", "rm", "--force", "--volumes", *found])


def wait_for_database(name: str, ready_timeout_seconds: float = 120) -> None:
    """Return once the server takes connections over TCP, which it does not before it is complete."""
    until = time.monotonic() + ready_timeout_seconds
    while True:
        try:
            run(["docker", "exec", name, "pg_isready", "--quiet", "--host=127.0.0.1"])
            return
        except EstateError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def sql(container: str, database: str, statements: str) -> str:
    """Return what the last of some statements answers."""
    psql = ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database]
    argv = ["docker", "exec", "-i", container, *psql]
    return run(argv, stdin=statements.encode(), timeout_seconds=STEP_SECONDS).strip()


def inside(script: str, stdin: bytes = b"") -> str:
    """Return what a script in the tool container says; every program of a pipe has to end with 0."""
    argv = ["docker", "exec", "-i", TOOLS, "bash", "-e", "-o", "pipefail", "-c", script]
    return run(argv, stdin=stdin, timeout_seconds=STEP_SECONDS)


# ---- the ways


def ours(what: str, target: str, more: dict[str, object]) -> dict[str, float]:
    """Run one of our modules' code; return its parts. EstateError unless it was proven."""
    params = {
        "repository": "/bench/ours",
        "password_path": "/bench/password",
        "credentials_path": "",
        "project_name": target,
        "database_service": "timescaledb",
        "mlflow_service": "mlflow",
        "superuser": "postgres",
        "trading_database": "trading",
        "mlflow_database": "mlflow",
        "artifacts_path": "/mlartifacts",
        "scratch_path": "/bench/scratch",
        "reserve_bytes": 0,
        "timeout_seconds": STEP_SECONDS,
        "docker_url": "unix:///var/run/docker.sock",
        **more,
    }
    ended = json.loads(inside(f"python3 /project/benchmarks/restore_ours.py {what}", json.dumps(params).encode()))
    if ended["outcome"] != "proven":
        raise EstateError(f"{what}: {ended['outcome']}: {ended['summary']}")
    return {str(name): float(took) for name, took in ended["parts"].items()}


def our_backup() -> dict[str, float]:
    """Take a set."""
    return ours("backup", "bench-source", {"host": "bench"})


def our_restore() -> dict[str, float]:
    """Restore the set and compare all of it."""
    (tags,) = json.loads(inside(f"{_RESTIC} /bench/ours snapshots --json"))
    name = next(tag.removeprefix("set=") for tag in tags["tags"] if tag.startswith("set="))
    return ours("restore", "bench-target", {"set": name, "confirm_restore": name})


def piped_backup() -> dict[str, float]:
    """Store a dump that never touches the disk."""
    inside(f"{_DUMP} | {_RESTIC} /bench/bare backup --stdin --stdin-filename trading.dump")
    return {}


def piped_restore() -> dict[str, float]:
    """Restore a dump that never touches the disk."""
    return into_new_database(f"{_RESTIC} /bench/bare dump latest /trading.dump | {_PG_RESTORE}")


def copy() -> dict[str, float]:
    """Copy the database without a repository."""
    return into_new_database(f"{_DUMP} | {_PG_RESTORE}")


def into_new_database(pipe: str) -> dict[str, float]:
    """Run a pipe into `pg_restore`, between TimescaleDB's two functions, without which it does not go in."""
    sql(TARGET, "postgres", "CREATE DATABASE trading TEMPLATE template0")
    sql(TARGET, "trading", "CREATE EXTENSION timescaledb; SELECT timescaledb_pre_restore()")
    inside(pipe)
    sql(TARGET, "trading", "SELECT timescaledb_post_restore()")
    return {}


def restic_backup() -> dict[str, float]:
    """Store a dump that lies there."""
    inside(f"{_RESTIC} /bench/alone backup /bench/dump/trading.dump")
    return {}


def restic_restore() -> dict[str, float]:
    """Lay the stored dump onto the disk."""
    inside(f"{_RESTIC} /bench/bare restore latest --target /bench/restored")
    return {}


BACKUPS: dict[str, Callable[[], dict[str, float]]] = {
    OURS_BACKUP: our_backup,
    BARE_BACKUP: piped_backup,
    RESTIC_BACKUP: restic_backup,
}
RESTORES: dict[str, Callable[[], dict[str, float]]] = {
    OURS_RESTORE: our_restore,
    BARE_RESTORE: piped_restore,
    RESTIC_RESTORE: restic_restore,
    COPY: copy,
}


def empty_repositories() -> None:
    """Make every repository anew, and the dump that restic alone gets."""
    inside("rm -rf /bench/ours /bench/bare /bench/alone /bench/restored /bench/dump && mkdir /bench/dump")
    for name in ("ours", "bare", "alone"):
        inside(f"{_RESTIC} /bench/{name} init")
    inside(f"{_DUMP} >/bench/dump/trading.dump; sync")


def empty_target() -> None:
    """Take away what an earlier restore made."""
    for name in ("trading", "mlflow"):
        sql(TARGET, "postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    sql(TARGET, "postgres", "CHECKPOINT")
    run(["docker", "rm", "--volumes", f"{TARGET}-mlflow"])
    image = run(["docker", "inspect", "--format={{.Config.Image}}", f"{SOURCE}-mlflow"]).strip()
    start(f"{TARGET}-mlflow", "bench-target", "mlflow", ["--entrypoint", "sleep", image, "infinity"], "create")
    inside("rm -rf /bench/restored; sync")


def demand_rows(way: str, rows: int) -> None:
    """Raise EstateError unless a restore brought every row."""
    if way != RESTIC_RESTORE and (seen := sql(TARGET, "trading", "SELECT count(*) FROM bars")) != str(rows):
        raise EstateError(f"{way} brought {seen} of {rows} rows")


def measure(way: str, number: int, does: Callable[[], dict[str, float]]) -> Measurement:
    """Run one way once."""
    begun = time.monotonic()
    found = does()
    measured = Measurement(way, number, round(time.monotonic() - begun, 3), found)
    print(f"round {number}: {way:16} {measured.seconds:8.1f} s", flush=True)
    return measured


def write_results(measured: Sequence[Measurement], rows: int, repeat: int, seed: int, output: Path) -> None:
    """Write raw data and page."""
    size = int(inside("stat -c %s /bench/dump/trading.dump"))
    tools = {"restic": inside("restic version").split()[1], "load": round(os.getloadavg()[2], 1)}
    made_on = results.made_on(seed) | tools
    found = {"made_on": made_on, "rows": rows, "dump_bytes": size, "measurements": [asdict(each) for each in measured]}
    circumstances = (
        f"A hypertable of {rows:,} rows, {size / 1e6:.0f} MB as a dump. Medians of {repeat} rounds; in each every way"
        " ran once, backups first, in random order, each into an empty repository and a new database. All ways use the"
        " same restic, the same two PostgreSQL servers with TimescaleDB and the same disk; ours also backs up and"
        " restores a small MLflow database and artifacts. Without Ansible's own start, and without what a restore test"
        " does beyond the data: MLflow, model, bot and checks, which take as long whatever the size (its report has"
        " every phase)."
        f" A machine with {made_on['cpus']} processors and a load of {made_on['load']} over the last 15 minutes,"
        f" restic {made_on['restic']}, commit {made_on['commit']},"
        f" {made_on['time']}. {results.how_to_repeat('restore')}"
    )
    results.write("restore", found, render_markdown(measured, rows, circumstances), output)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and write; return 0 only when every round ran."""
    parser = argparse.ArgumentParser(prog="./runbook bench restore", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--repeat", type=int, default=3, help="rounds; default: 3")
    parser.add_argument("--rows", type=int, default=LEAST_ROWS, help=f"of the hypertable; default: {LEAST_ROWS}")
    parser.add_argument("--seed", type=int, default=0, help="of the random order; default: from the clock")
    parser.add_argument("--output", type=Path, default=results.PAGES, help="default: docs/benchmarks")
    options = parser.parse_args(arguments)
    seed = options.seed or int(time.time())
    order = random.Random(seed)
    measured: list[Measurement] = []
    try:
        remove_all()
        prepare(options.rows)
        for number in range(1, options.repeat + 1):
            empty_repositories()
            for way in order.sample(list(BACKUPS), len(BACKUPS)):
                measured.append(measure(way, number, BACKUPS[way]))
            for way in order.sample(list(RESTORES), len(RESTORES)):
                empty_target()
                measured.append(measure(way, number, RESTORES[way]))
                demand_rows(way, options.rows)
        write_results(measured, options.rows, options.repeat, seed, options.output)
    except (EstateError, BuildFailed) as error:
        print(f"FAILED: {error}")
        return 1
    finally:
        remove_all()
    return 0


if __name__ == "__main__":
    sys.exit(main())
