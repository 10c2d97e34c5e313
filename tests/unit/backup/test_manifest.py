"""The manifest: what is written is what is read, and nothing else is read."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from trading_ops.backup.manifest import (
    FileFacts,
    ManifestError,
    build_id,
    file_differences,
    file_facts,
    observe_files,
    parse_manifest,
    render_manifest,
)

from tests.unit.backup_samples import FACTS, MANIFEST


def test_a_manifest_survives_its_text():
    assert parse_manifest(render_manifest(MANIFEST)) == MANIFEST


def test_an_id_tells_when_in_utc():
    assert build_id(datetime(2026, 11, 21, 2, 30, 5, tzinfo=UTC)) == "SET-20261121-023005"


def test_rows_and_files_are_those_of_all_parts():
    assert MANIFEST.rows == 9
    assert list(MANIFEST.files) == ["trading.dump", "mlflow.dump", "roles.sql", "artifacts/1/model/MLmodel"]


def changed(**at: object) -> str:
    """Return the manifest's text with the value at each dotted key replaced."""
    said = json.loads(render_manifest(MANIFEST))
    for key, value in at.items():
        *names, last = key.split("__")
        item = said
        for name in names:
            item = item[name]
        item[last] = value
    return json.dumps(said)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "{}",
        render_manifest(MANIFEST)[:-3],
        changed(format=2),
        changed(id="SET-now"),
        changed(started_at="yesterday"),
        changed(databases={}),
        changed(databases__trading__dump__sha256="0"),
        changed(databases__trading__dump__bytes=-1),
        changed(databases__trading__dump__file="../../etc/passwd"),
        changed(databases__trading__dump__file="/etc/passwd"),
        changed(databases__trading__tables={"public.bars": {"rows": 1}}),
        changed(databases__mlflow__runs=True),
        changed(databases__mlflow__models=[{"name": "RefStrat_01"}]),
        changed(databases__mlflow__experiments=None),
        changed(artifacts={"files": {"../x": {"bytes": 1, "sha256": "0" * 64}}}),
        changed(versions={"postgresql": 17}),
    ],
)
def test_what_is_not_wholly_understood_is_no_manifest(text):
    with pytest.raises(ManifestError):
        parse_manifest(text)


def test_files_are_found_with_their_facts(tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "MLmodel").write_bytes(b"x" * 3_000_000)
    seen = observe_files(tmp_path)
    assert seen == {"1/MLmodel": file_facts(tmp_path / "1" / "MLmodel")}
    assert seen["1/MLmodel"].bytes == 3_000_000


def test_a_link_is_no_artifact(tmp_path):
    (tmp_path / "way-out").symlink_to("/etc/passwd")
    with pytest.raises(ManifestError, match="way-out"):
        observe_files(tmp_path)


def test_files_that_differ_are_named():
    other = FileFacts(FACTS.bytes, "1" * 64)
    assert file_differences(
        {"a": FACTS, "b": FACTS, "c": FACTS}, {"b": other, "c": FileFacts(1, "0" * 64), "d": FACTS}
    ) == (
        "a is missing",
        "b was changed: its SHA-256 is another one",
        f"c has 1 bytes, not {FACTS.bytes}",
        "d is not of the set",
    )
    assert file_differences(MANIFEST.files, MANIFEST.files) == ()
