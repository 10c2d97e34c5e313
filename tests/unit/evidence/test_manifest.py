"""Manifests: what was changed after the fact is named."""

from __future__ import annotations

import json

import pytest
from trading_ops.evidence.archive import write_missing
from trading_ops.evidence.manifest import add_files, next_directory, read_manifest, safe_name, verify

from tests.unit.evidence_world import make_bundle


@pytest.mark.parametrize(
    ("tamper", "words"),
    [
        (lambda logs: (logs / "log_bot.txt").write_text("Stopped\n"), "lab1/logs/log_bot.txt was changed"),
        (lambda logs: (logs / "log_bot.txt").unlink(), "lab1/logs/log_bot.txt is missing"),
        (lambda logs: (logs / "more.txt").write_text("x"), "lab1/logs/more.txt was added"),
        (lambda logs: (logs / "log_bot.txt").rename(logs / "b.txt"), "log_bot.txt was renamed to logs/b.txt"),
        (lambda logs: (logs / "link").symlink_to("/etc/passwd"), "lab1/logs/link was added"),
        (lambda logs: (logs.parent / "manifest.json").unlink(), "lab1 has no manifest"),
        (lambda logs: (logs.parent / "manifest.json").write_text('{"items": [{}]}'), "cannot be understood"),
    ],
    ids=["byte flipped", "removed", "added", "renamed", "link", "no manifest", "no items"],
)
def test_what_was_changed_after_the_fact_is_named(tmp_path, tamper, words):
    root = make_bundle(tmp_path / "lab1")
    tamper(root / "logs")
    (found,) = verify(root)
    assert words in found


def test_host_without_evidence_has_a_manifest_that_says_why(tmp_path):
    root = write_missing(tmp_path, "lab2", "INC-1", "2026-11-21T01:30:00Z", "lab2: it gave no answer")
    assert read_manifest(root)["items"][0]["reason"] == "lab2: it gave no answer"
    assert verify(root) == []
    assert next_directory(tmp_path, "lab2").name == "lab2~2"


def test_files_that_come_later_are_part_of_the_manifest(tmp_path):
    root = make_bundle(tmp_path / "lab1")
    (root / "plots").mkdir()
    (root / "plots/x.png").write_bytes(b"png")
    assert "was added" in verify(root)[0]
    add_files(root, {"picture": root / "plots/x.png"})
    assert verify(root) == []


@pytest.mark.parametrize("text", ["", "..", ".", "a/b", "-x", ".x", "x" * 300, "a\nb", "ø.log"])
def test_name_of_a_file_is_safe_whatever_it_is_made_of(text):
    name = safe_name(text)
    assert name.isascii()
    assert not set(name) & set("/\n ")
    assert not name.startswith((".", "-"))
    assert 0 < len(name) < 120
    assert name != safe_name(f"{text}!")


def test_manifest_that_names_a_file_outside_is_none(tmp_path):
    root = make_bundle(tmp_path / "lab1")
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["items"][0]["path"] = "../../etc/passwd"
    (root / "manifest.json").write_text(json.dumps(manifest))
    assert "an entry that is none" in verify(root)[0]
