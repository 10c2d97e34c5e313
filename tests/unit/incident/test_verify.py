"""Verifying an incident's folder: each thing that is not as it was is named."""

from __future__ import annotations

import hashlib
import json

import pytest
from trading_ops.incident.record import SyncRequest, ensure_synced
from trading_ops.incident.timeline import Entry, as_dict
from trading_ops.incident.verify import observe

ID = "INC-20261121-080000-gaps"
NOW = "2026-11-21T08:00:00.000Z"
LOGS = {"logs/live_connector.log": b"a gap\n", "logs/prometheus.log": b"scraped\n", "host.json": b"{}"}
PLOTS = {"latency.png": b"png one", "pnl.png": b"png two"}


def digest(content):
    return hashlib.sha256(content).hexdigest()


def collect(folder, files):
    """Write files with their manifest; return the manifest's hash."""
    items = [{"name": path, "path": path, "status": "complete", "sha256": digest(files[path])} for path in files]
    items.append({"name": "bot", "path": "logs/bot.log", "status": "missing", "reason": "no such container"})
    for path, content in {**files, "manifest.json": json.dumps({"items": items}).encode()}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return digest((folder / "manifest.json").read_bytes())


@pytest.fixture
def folder(tmp_path):
    """An incident at home with the evidence of a host, whose plots were drawn on the controller."""
    evidence = tmp_path / ID / "evidence" / "lab1"
    manifests = {"lab1": collect(evidence, LOGS), "lab1/plots": collect(evidence / "plots", PLOTS)}
    entries = [
        as_dict(Entry(f"run-{number}", NOW, NOW, kind, text=kind, facts=facts))
        for number, kind, facts in [
            (1, "detection", {"record": {"reason": "gaps"}}),
            (2, "evidence", {"manifests": manifests}),
            (3, "note", {}),
        ]
    ]
    ensure_synced(SyncRequest(tmp_path, ID, entries, {}, "a draft\n", "reno", "reno@laptop"), NOW, False)
    return tmp_path / ID


def verify(folder, head="", is_copy=False):
    return observe(folder.parent, ID, head, is_copy)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_what_is_as_it_was_is_proven_with_its_head(folder):
    seen = verify(folder)
    assert (seen["outcome"], seen["defects"]) == ("proven", [])
    assert "5 entries and 9 files are what they were" in seen["summary"]
    assert verify(folder, head=seen["head"])["outcome"] == "proven"
    assert verify(folder, head=seen["head"][:12].upper())["outcome"] == "proven"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda f: flip(f / "evidence/lab1/logs/live_connector.log"), "logs/live_connector.log: it was changed"),
        (lambda f: flip(f / "evidence/lab1/plots/pnl.png"), "lab1/plots/pnl.png: it was changed"),
        (lambda f: (f / "evidence/lab1/host.json").unlink(), "evidence/lab1/host.json: it was removed"),
        (lambda f: (f / "evidence/lab1/new.log").write_text("x"), "evidence/lab1/new.log: it was added"),
        (lambda f: (f / "loose.txt").write_text("x"), "loose.txt: it was added"),
        (
            lambda f: (f / "evidence/lab1/host.json").rename(f / "evidence/lab1/h.json"),
            "evidence/lab1/host.json: it was renamed to evidence/lab1/h.json",
        ),
        (lambda f: (f / "evidence/lab1/manifest.json").unlink(), "lab1/manifest.json: it was removed"),
        (
            lambda f: collect(f / "evidence/lab1", {**LOGS, "host.json": b"{1}"}),
            "evidence/lab1/manifest.json: it was changed",
        ),
        (lambda f: collect(f / "evidence/lab2", LOGS), "lab2/manifest.json: no entry of the timeline vouches"),
        (lambda f: (f / "link").symlink_to("/etc/hostname"), "link: it is neither a file nor a directory"),
        (lambda f: (f / "incident.yml").unlink(), "incident.yml: it was removed"),
        (lambda f: flip(f / "timeline.jsonl"), "timeline.jsonl line 3: "),
        (lambda f: (f / "timeline.jsonl").unlink(), "timeline.jsonl: there is nothing in it"),
        (lambda f: (f / "pending.jsonl").write_text("x\n"), "pending.jsonl line 1: "),
    ],
    ids=[
        *"byte,byte of a plot,removed,added,added beside,renamed,manifest removed,manifest rewritten".split(","),
        *"host added,link,record removed,line edited,timeline removed,pending edited".split(","),
    ],
)
def test_whatever_is_not_as_it_was_is_named(folder, change, named):
    change(folder)
    seen = verify(folder)
    assert seen["outcome"] == "failed"
    assert any(named in words for words in seen["defects"]), seen["defects"]


def test_one_file_that_was_renamed_is_one_defect(folder):
    (folder / "evidence/lab1/host.json").rename(folder / "evidence/lab1/h.json")
    assert len(verify(folder)["defects"]) == 1


def test_a_record_that_was_edited_by_hand_is_named(folder):
    path = folder / "incident.yml"
    path.write_text(path.read_text().replace("reason: gaps", "reason: nothing"))
    assert verify(folder)["defects"] == ["incident.yml: it is not what the entries of the timeline add up to"]
    path.write_text("{")
    assert "cannot be read" in verify(folder)["summary"]


def test_a_timeline_that_was_rewritten_to_its_end_is_noticed_by_the_hash_that_somebody_kept(folder, tmp_path):
    kept = verify(folder)["head"]
    evidence = json.loads((folder / "timeline.jsonl").read_text().splitlines()[3])
    (folder / "timeline.jsonl").unlink()
    again = [{key: value for key, value in evidence.items() if key not in {"hash", "previous"}}]
    ensure_synced(SyncRequest(tmp_path, ID, again, {}, "", "mallory", "x@y"), NOW, False)
    assert verify(folder)["outcome"] == "proven", "sound in itself"
    seen = verify(folder, head=kept)
    assert (seen["outcome"], "it was rewritten, or cut before that line" in seen["summary"]) == ("failed", True)


def test_a_copy_need_not_be_there_nor_hold_the_evidence_and_the_home_has_to(folder, tmp_path):
    for path in sorted((folder / "evidence").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (folder / "evidence").rmdir()
    assert "the evidence is not in this copy" in verify(folder, is_copy=True)["summary"]
    assert verify(folder)["outcome"] == "failed"
    assert observe(tmp_path, "INC-none", "", True)["outcome"] == "proven"
    assert observe(tmp_path, "INC-none", "", False)["outcome"] == "unknown"


def test_a_manifest_that_cannot_be_understood_is_named_and_nothing_raises(folder):
    for text in ("garbage", "[]", '{"items": 3}', '{"items": [{"sha256": "x"}]}', '{"items": [3]}'):
        (folder / "evidence/lab1/manifest.json").write_text(text)
        assert any("cannot be understood" in words for words in verify(folder)["defects"]), text


def test_people_may_edit_the_post_mortem(folder):
    (folder / "post_mortem.md").write_text("now with a cause\n")
    assert verify(folder)["outcome"] == "proven"
