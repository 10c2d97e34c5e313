"""A small backup set, as a backup would describe it."""

from trading_ops.backup.checksums import Table
from trading_ops.backup.manifest import Database, Dump, FileFacts, Manifest, ModelVersion, Registry

FACTS = FileFacts(5, "a" * 64)
MANIFEST = Manifest(
    id="SET-20261121-023000",
    host="lab1",
    started_at="2026-11-21T02:30:00.000Z",
    finished_at="2026-11-21T02:30:09.000Z",
    versions={"postgresql": "17.6", "timescaledb": "2.19.3", "mlflow": "3.17.0", "restic": "0.18.0", "pg_dump": "17.6"},
    databases={
        "trading": Database(
            dump=Dump("trading.dump", FACTS),
            snapshot_at="2026-11-21T02:30:01.000Z",
            extensions={"timescaledb": "2.19.3"},
            tables={"public.bars": Table(7, "b" * 32, True, 3)},
            newest={"public.bars.time": "2026-11-21T02:30:00.5+00:00"},
        ),
        "mlflow": Database(
            dump=Dump("mlflow.dump", FACTS),
            snapshot_at="2026-11-21T02:30:02.000Z",
            extensions={},
            tables={"public.runs": Table(2, "c" * 32, False, 0)},
            newest={},
            registry=Registry(1, 2, (ModelVersion("RefStrat_01", 3, ("champion",), "4711"),)),
        ),
    },
    roles=Dump("roles.sql", FACTS),
    artifacts={"1/model/MLmodel": FACTS},
)
