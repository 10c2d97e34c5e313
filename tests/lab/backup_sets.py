"""Backup sets with one defect each, planted for real in a copy of a good one on the restore host."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from trading_ops.backup.checksums import SESSION_SQL, measure

from tests.lab.estate import Run, on, runbook, wait_until

HOST = "lab-restore"
FOLDER = "/var/lib/trading-core-test-sets"
GOOD = f"{FOLDER}/good"
PLANT = "planted-database"
SECRETS = "/etc/trading-core/backup"

_REHASH = """
import hashlib, json, os, sys
path = sys.argv[1] + "/manifest.json"
manifest = json.load(open(path))
for name in ("trading", "mlflow"):
    dump = manifest["databases"][name]["dump"]
    content = open(sys.argv[1] + "/" + dump["file"], "rb").read()
    dump.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
for name, facts in manifest["artifacts"]["files"].items():
    file = sys.argv[1] + "/artifacts/" + name
    if os.path.exists(file):
        content = open(file, "rb").read()
        facts.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
exec(sys.argv[2])
json.dump(manifest, open(path, "w"))
"""


def restic(arguments: str) -> str:
    """Return what restic says on the restore host, with the secrets that lie there."""
    repository = "rest:http://172.29.77.14:8000/trading-core"
    options = f"-q -r {repository} --password-file {SECRETS}/repository-password"
    return on(HOST, f"set -a; . {SECRETS}/credentials.env; restic {options} {arguments}")


def keep_good_set() -> None:
    """Lay the newest set of the repository where copies of it are made, and its databases into a server of ours."""
    on(HOST, f"rm -rf {FOLDER} && mkdir -m 0700 -p {GOOD}")
    restic(f"restore latest --target {GOOD}")
    image = on(HOST, "docker images --format '{{.Repository}}:{{.Tag}}' trading-core-lab/timescaledb | head -1").strip()
    passwords = " ".join(f"-e {name}=x" for name in ("POSTGRES_PASSWORD", "TRADING_DB_PASSWORD", "MLFLOW_DB_PASSWORD"))
    workers = "-c timescaledb.max_background_workers=0"
    on(HOST, f"docker rm -f -v {PLANT} 2>/dev/null; docker run -d --name {PLANT} {passwords} {image} {workers}")
    wait_until(
        lambda: "accepting" in on(HOST, f"docker exec {PLANT} pg_isready -h 127.0.0.1 || true"), 60, "a database"
    )
    for database in ("trading", "mlflow"):
        sql("postgres", f"DROP DATABASE {database}")
        sql("postgres", f"CREATE DATABASE good_{database} OWNER {database}")
    for statement in ("CREATE EXTENSION timescaledb", "SELECT timescaledb_pre_restore()"):
        sql("good_trading", statement)
    for database in ("trading", "mlflow"):
        on(HOST, f"docker exec -i {PLANT} pg_restore -e -U postgres -d good_{database} < {GOOD}/{database}.dump")
    sql("good_trading", "SELECT timescaledb_post_restore()")


def on_set(path: str, *more: str) -> Run:
    return runbook("restore_test", "-e", f"set_path={path}", *more)


def forget_sets() -> None:
    on(HOST, f"docker rm -f -v {PLANT}; rm -rf {FOLDER}")


def sql(database: str, statement: str) -> str:
    psql = f"docker exec {PLANT} psql -X -q -At -v ON_ERROR_STOP=1 -U postgres -d {database}"
    return on(HOST, f"{psql} -c {shlex.quote(statement)}")


def copy_of_good(name: str) -> str:
    """Return the path of a new copy."""
    path = f"{FOLDER}/{name}"
    on(HOST, f"rm -rf {path} && cp -a {GOOD} {path}")
    return path


def rehash(path: str, change: str = "") -> None:
    """Make the manifest honest about the set's files as they are now; `change` is Python that changes it further."""
    on(HOST, f"python3 -c {shlex.quote(_REHASH)} {path} {shlex.quote(change)}")


def redump(path: str, *statements: str, database: str = "trading") -> None:
    """Put a dump into the set that was made after these statements, as a backup would have made it."""
    sql("postgres", f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
    sql("postgres", f"CREATE DATABASE {database} TEMPLATE good_{database} OWNER {database}")
    for statement in statements:
        sql(database, statement)
    on(HOST, f"docker exec {PLANT} pg_dump -U postgres -Fc -Z0 {database} > {path}/{database}.dump")
    rehash(path)


def point_registry_at(path: str, url: str) -> None:
    """Have every artifact location of the set's MLflow lead to `url`, and the manifest be honest about it."""
    columns = {
        "runs": "artifact_uri",
        "experiments": "artifact_location",
        "logged_models": "artifact_location",
        "model_versions": "storage_location",
    }
    changes = [
        f"UPDATE {table} SET {column} = replace({column}, 'mlflow-artifacts:/', '{url}/')"
        for table, column in columns.items()
    ]
    redump(path, *changes, database="mlflow")

    def ask(statement: str) -> list[str]:
        return sql("mlflow", f"{SESSION_SQL}; {statement}").splitlines()

    tables = {
        title: {"rows": table.rows, "checksum": table.checksum, "hypertable": False, "chunks": 0}
        for title, table in measure(ask).tables.items()
    }
    rehash(path, f"manifest['databases']['mlflow']['tables'] = {tables!r}")


def _shell(command: str) -> Callable[[str], None]:
    def plant(path: str) -> None:
        on(HOST, command.format(path=path))

    return plant


def _honest(command: str, change: str = "") -> Callable[[str], None]:
    def plant(path: str) -> None:
        on(HOST, command.format(path=path))
        rehash(path, change)

    return plant


def _sql(*statements: str) -> Callable[[str], None]:
    return lambda path: redump(path, *statements)


_CHUNK = "SELECT c FROM show_chunks('bars') AS c ORDER BY 1 LIMIT 1"

DEFECTS: dict[str, tuple[str, Callable[[str], None]]] = {
    "dump cut off after it was hashed": ("dump_truncated", _shell("truncate -s -2000 {path}/trading.dump")),
    "dump cut off before it was hashed": ("dump_truncated", _honest("truncate -s -2000 {path}/trading.dump")),
    "dump changed": ("dump_changed", _shell("printf X | dd of={path}/mlflow.dump bs=1 seek=5000 conv=notrunc")),
    "dump missing": ("dump_missing", _shell("rm {path}/mlflow.dump")),
    "one row deleted": (
        "rows_missing",
        _sql("DELETE FROM orders WHERE (bot, order_id, time) IN (SELECT bot, order_id, time FROM orders LIMIT 1)"),
    ),
    "one value changed": (
        "values_changed",
        _sql("UPDATE equity SET equity = equity + 0.01 WHERE time = (SELECT max(time) FROM equity)"),
    ),
    "one chunk missing": (
        "chunk_missing",
        _sql(f"DO $$ BEGIN EXECUTE format('DROP TABLE %s', ({_CHUNK})); END $$"),
    ),
    "a table missing": ("table_missing", _sql("DROP TABLE trades")),
    "a table nobody knows": ("table_unexpected", _sql("CREATE TABLE public.surprise AS SELECT 1 AS one")),
    "all rows gone": ("empty_database", _sql("TRUNCATE bars, orders, trades, equity")),
    "nothing was backed up, and the manifest says so": (
        "empty_database",
        _honest(
            "true",
            "for t in manifest['databases']['trading']['tables'].values(): t.update(rows=0, checksum='0' * 32)",
        ),
    ),
    "another TimescaleDB version (a manifest that names one there is none of)": (
        "extension_version",
        _honest("true", "manifest['databases']['trading']['extensions']['timescaledb'] = '2.18.0'"),
    ),
    "another database in its place": ("wrong_database", _honest("cp {path}/mlflow.dump {path}/trading.dump")),
    "an artifact missing": ("artifact_missing", _shell("find {path}/artifacts -name MLmodel -delete")),
    "an artifact changed": (
        "artifact_changed",
        _shell("find {path}/artifacts -name model.json -exec sed -i s/1/2/ {{}} +"),
    ),
    "an artifact too many": ("artifact_unexpected", _shell("touch {path}/artifacts/stranger")),
    "a model that cannot be loaded": (
        "model_unusable",
        _honest("find {path}/artifacts -name model.json -exec sh -c 'echo no > $0' {{}} \\;"),
    ),
    "a bot that may not write": ("bot_silent", _sql("REVOKE INSERT ON orders FROM trading")),
    "no manifest": ("manifest_missing", _shell("rm {path}/manifest.json")),
    "half a manifest": ("manifest_damaged", _shell("truncate -s 1000 {path}/manifest.json")),
    "roles damaged": ("roles_damaged", _shell("echo 'CREATE ROLE' >> {path}/roles.sql")),
}
"""What is wrong -> the name that the report gives it, and what plants it in the set at a path."""
