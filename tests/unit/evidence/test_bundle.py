"""Bundles: what was changed after the fact is named, and an archive is not believed."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from trading_ops.core.redaction import Redactor, build_rules
from trading_ops.evidence.bundle import (
    Bundle,
    BundleError,
    add_files,
    import_bundles,
    list_bundles,
    next_directory,
    pack,
    read_manifest,
    receive,
    safe_name,
    unpack,
    verify,
    write_missing,
)
from trading_ops.evidence.info import look


def make(root: Path, **texts: str) -> Path:
    bundle = Bundle(root, 10_000, Redactor(build_rules()), lambda: 0.0, 60.0)
    bundle.open()
    for name, text in (texts or {"log_bot": "stopped\n", "log_feed": "bars\n"}).items():
        bundle.add_text(name.replace("_", " "), f"logs/{name}.txt", text)
    bundle.note("log prometheus", "missing", "no container is called prometheus")
    bundle.close({"host": root.name, "finished_at": "2026-11-21T01:30:00.000Z"})
    return root


def test_untouched_bundle_is_well(tmp_path):
    assert verify(make(tmp_path / "lab1")) == []


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
    root = make(tmp_path / "lab1")
    tamper(root / "logs")
    (found,) = verify(root)
    assert words in found


def test_bundle_travels_and_is_never_replaced(tmp_path):
    pack(make(tmp_path / "a"), tmp_path / "a.tar.gz")
    evidence = tmp_path / "evidence"
    first = receive(tmp_path / "a.tar.gz", evidence, "lab1", 10**9)
    second = receive(tmp_path / "a.tar.gz", evidence, "lab1", 10**9)
    assert (first.name, second.name, verify(second)) == ("lab1", "lab1~2", [])
    assert [path.name for path in list_bundles(evidence, "lab1")] == ["lab1", "lab1~2"]
    assert list_bundles(evidence, "homelab") == []


def test_home_gets_what_it_has_not_got_and_keeps_what_it_has(tmp_path):
    copy, home = tmp_path / "copy", tmp_path / "home"
    home.mkdir()
    make(copy / "lab1")
    pack(copy, tmp_path / "1.tar.gz")
    assert import_bundles(tmp_path / "1.tar.gz", home, 10**9) == ["lab1"]
    assert import_bundles(tmp_path / "1.tar.gz", home, 10**9) == []
    other = tmp_path / "other"
    make(other / "lab1", log_bot="another one\n")
    pack(other, tmp_path / "2.tar.gz")
    assert import_bundles(tmp_path / "2.tar.gz", home, 10**9) == ["lab1~2"]
    assert sorted(path.name for path in home.iterdir()) == ["lab1", "lab1~2"]


def test_tampered_bundle_is_not_received(tmp_path):
    root = make(tmp_path / "a")
    (root / "logs/log_bot.txt").write_text("nothing happened\n")
    pack(root, tmp_path / "a.tar.gz")
    with pytest.raises(BundleError, match="was changed"):
        receive(tmp_path / "a.tar.gz", tmp_path / "evidence", "h", 10**9)


def entry(name: str, kind: bytes = tarfile.REGTYPE, size: int = 1) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size if kind == tarfile.REGTYPE else 0, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    "member",
    [
        entry("../x"),
        entry("/etc/x"),
        entry("a/../../x"),
        entry("x", tarfile.SYMTYPE),
        entry("x", tarfile.LNKTYPE),
        entry("x", tarfile.CHRTYPE),
        entry("x", size=2000),
    ],
    ids=["parent", "absolute", "hidden parent", "symbolic link", "hard link", "device", "too large"],
)
def test_archive_that_holds_what_no_bundle_holds_is_refused_as_a_whole(tmp_path, member):
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as tar:
        tar.addfile(entry("good"), io.BytesIO(b"y"))
        tar.addfile(member, io.BytesIO(b"y" * 2000))
    with pytest.raises(BundleError):
        unpack(tmp_path / "x.tar.gz", tmp_path / "out/x", 1000)
    assert list((tmp_path / "out").iterdir()) == []


def test_cut_archive_is_damaged(tmp_path):
    pack(make(tmp_path / "a"), tmp_path / "a.tar.gz")
    whole = (tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match="damaged"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out", 10**9)


def test_host_without_evidence_has_a_manifest_that_says_why(tmp_path):
    root = write_missing(tmp_path, "lab2", "INC-1", "2026-11-21T01:30:00Z", "lab2: it gave no answer")
    assert read_manifest(root)["items"][0]["reason"] == "lab2: it gave no answer"
    assert verify(root) == []
    assert next_directory(tmp_path, "lab2").name == "lab2~2"


def test_files_that_come_later_are_part_of_the_manifest(tmp_path):
    root = make(tmp_path / "lab1")
    (root / "plots").mkdir()
    (root / "plots/x.png").write_bytes(b"png")
    assert "was added" in verify(root)[0]
    add_files(root, {"picture": root / "plots/x.png"})
    assert verify(root) == []


def test_evidence_is_a_whole_bundle_with_a_log_of_each_host(tmp_path):
    make(tmp_path / "lab1")
    assert look(tmp_path, ["lab1"])["outcome"] == "proven"
    for hosts, words in ((["lab1", "lab2"], "lab2: no bundle"), ([], "no host")):
        seen = look(tmp_path, hosts)
        assert (seen["outcome"], words in seen["summary"]) == ("refused", True)


def test_bundle_that_is_empty_or_changed_is_no_evidence(tmp_path):
    write_missing(tmp_path, "lab1", "INC-1", "2026-11-21T01:30:00Z", "it gave no answer")
    seen = look(tmp_path, ["lab1"])
    assert (seen["outcome"], "it gave no answer" in seen["summary"]) == ("refused", True)
    make(tmp_path / "lab1~2")
    assert look(tmp_path, ["lab1"])["outcome"] == "proven"
    (tmp_path / "lab1~2/logs/log_bot.txt").write_text("x")
    assert "was changed" in look(tmp_path, ["lab1"])["summary"]


@pytest.mark.parametrize("text", ["", "..", ".", "a/b", "-x", ".x", "x" * 300, "a\nb", "ø.log"])
def test_name_of_a_file_is_safe_whatever_it_is_made_of(text):
    name = safe_name(text)
    assert name.isascii()
    assert not set(name) & set("/\n ")
    assert not name.startswith((".", "-"))
    assert 0 < len(name) < 120
    assert name != safe_name(f"{text}!")


def test_manifest_that_names_a_file_outside_is_none(tmp_path):
    root = make(tmp_path / "lab1")
    manifest = json.loads((root / "manifest.json").read_text())
    manifest["items"][0]["path"] = "../../etc/passwd"
    (root / "manifest.json").write_text(json.dumps(manifest))
    assert "an entry that is none" in verify(root)[0]
