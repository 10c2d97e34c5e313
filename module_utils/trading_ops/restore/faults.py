"""What a restore test can find wrong: each fault has a name, says what to do, and whether waiting may cure it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

NEW_BACKUP: Final = "take a new backup (./runbook backup), test that one, and look for what damaged this one"
OTHER_SET: Final = "name another set (-e set=…), and take a new backup"


@dataclass(frozen=True)
class Fault:
    """One name of the taxonomy. `kind` is `environment` (the test could not be made) or `data` (the backup is bad).

    `may_pass`: trying again within the same run is worth it. A data fault is final at once.
    """

    kind: str
    what_to_do: str
    may_pass: bool = False


FAULTS: Final[dict[str, Fault]] = {
    # Of the repository and the place where the test is made.
    "no_room": Fault("environment", "make room on the restore host, or give the scratch directory another disk", True),
    "engine_away": Fault("environment", "look at the engine of the restore host: systemctl status docker", True),
    "repository_away": Fault("environment", "look at the repository's host and the way to it", True),
    "repository_locked": Fault("environment", "wait for the run that holds it: restic list locks, on its host", True),
    "repository_missing": Fault("environment", "look at the repository's address; ./runbook backup_setup makes one"),
    "wrong_password": Fault("environment", "put the repository's password into its file on the restore host"),
    "image_missing": Fault("environment", "load the estate's image on the restore host, then start again"),
    "service_unhealthy": Fault(
        "environment", "read what the service says (it is in the failure), and start again", True
    ),
    "time_limit": Fault("environment", "look at what was slow (phases in the report), or raise the limit"),
    "workers_on": Fault("environment", "start the database with timescaledb.max_background_workers=0"),
    "not_isolated": Fault("environment", "look at the compose file of the restore test and at the engine's firewall"),
    "left_behind": Fault("environment", "remove by hand what is named, then start again"),
    "interrupted": Fault("environment", "start again; what was left is removed first"),
    # Of the backup.
    "no_set": Fault("data", "take a backup: ./runbook backup"),
    "repository_damaged": Fault("data", f"restic check --read-data on the repository's host; {NEW_BACKUP}"),
    "pack_missing": Fault("data", f"restic repair index, then check, on the repository's host; {NEW_BACKUP}"),
    "manifest_missing": Fault("data", f"this is no backup set; {OTHER_SET}"),
    "manifest_damaged": Fault("data", OTHER_SET),
    "set_too_old": Fault("data", "look why there is no newer backup: ./runbook backup_info"),
    "dump_missing": Fault("data", NEW_BACKUP),
    "dump_truncated": Fault("data", NEW_BACKUP),
    "dump_changed": Fault("data", NEW_BACKUP),
    "wrong_database": Fault("data", f"look at the backup's settings: it took another database; {NEW_BACKUP}"),
    "roles_damaged": Fault("data", NEW_BACKUP),
    "extension_version": Fault("data", "restore with an image that has this version of the extension, or upgrade both"),
    "pre_restore_failed": Fault("data", "look at the image's TimescaleDB: timescaledb_pre_restore() has no effect"),
    "restore_failed": Fault("data", NEW_BACKUP),
    "post_restore_failed": Fault("data", "look at the image's TimescaleDB: timescaledb_post_restore() has no effect"),
    "empty_database": Fault("data", f"look at what the backup was taken of; {NEW_BACKUP}"),
    "table_missing": Fault("data", NEW_BACKUP),
    "table_unexpected": Fault("data", NEW_BACKUP),
    "rows_missing": Fault("data", NEW_BACKUP),
    "rows_unexpected": Fault("data", NEW_BACKUP),
    "values_changed": Fault("data", NEW_BACKUP),
    "hypertable_lost": Fault("data", NEW_BACKUP),
    "chunk_missing": Fault("data", NEW_BACKUP),
    "index_damaged": Fault("data", "REINDEX in production (amcheck there first), then take a new backup"),
    "insert_failed": Fault("data", f"the restored database can be read and not written; {NEW_BACKUP}"),
    "artifact_missing": Fault("data", NEW_BACKUP),
    "artifact_changed": Fault("data", NEW_BACKUP),
    "artifact_unexpected": Fault("data", NEW_BACKUP),
    "registry_differs": Fault("data", f"MLflow's database and the manifest disagree; {NEW_BACKUP}"),
    "model_unusable": Fault(
        "data", "look at the model and its artifacts in production's MLflow, then take a new backup"
    ),
    "bot_silent": Fault("data", "read the bot's last lines (in the failure): it does not run on the restored data"),
    "checks_failed": Fault("data", "look at the named checks: the restored system does not behave"),
}

# Several faults of one cause are found together; the cause stands first.
_ORDER: Final = {name: place for place, name in enumerate(FAULTS)}


@dataclass(frozen=True)
class Failure:
    """One fault that was found, with what was seen, as text."""

    name: str
    detail: str

    @property
    def fault(self) -> Fault:
        return FAULTS[self.name]

    def as_result(self) -> dict[str, str]:
        """Return it as modules and reports have it."""
        return {
            "name": self.name,
            "kind": self.fault.kind,
            "detail": self.detail,
            "what_to_do": self.fault.what_to_do,
        }


class RestoreFault(Exception):
    """The restore test is red. Carries every failure that was found together, at least one."""

    def __init__(self, *failures: Failure) -> None:
        super().__init__("; ".join(f"{failure.name}: {failure.detail}" for failure in failures))
        self.failures = failures


def fault(name: str, detail: str) -> RestoreFault:
    """Return the exception for one failure."""
    return RestoreFault(Failure(name, " ".join(detail.split())))


def by_cause(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """Return the failures, causes before what follows from them; of two kinds the data fault first."""
    return tuple(sorted(failures, key=lambda item: (item.fault.kind != "data", _ORDER[item.name])))


def may_pass(failures: Iterable[Failure]) -> bool:
    """Return whether trying again is worth it: every failure, at least one, is of a kind that passes by itself."""
    found = list(failures)
    return bool(found) and all(failure.fault.may_pass for failure in found)
