"""Archives of bundles: what comes from a host is not believed, and nothing that is there is replaced."""

from __future__ import annotations

import io
import tarfile

import pytest
from trading_ops.evidence.archive import import_bundles, pack, receive, unpack
from trading_ops.evidence.manifest import BundleError, list_bundles, verify

from tests.unit.evidence_world import make_bundle


def test_bundle_travels_and_is_never_replaced(tmp_path):
    pack(make_bundle(tmp_path / "a"), tmp_path / "a.tar.gz")
    evidence = tmp_path / "evidence"
    first = receive(tmp_path / "a.tar.gz", evidence, "lab1", 10**9)
    second = receive(tmp_path / "a.tar.gz", evidence, "lab1", 10**9)
    assert (first.name, second.name, verify(second)) == ("lab1", "lab1~2", [])
    assert [path.name for path in list_bundles(evidence, "lab1")] == ["lab1", "lab1~2"]
    assert list_bundles(evidence, "homelab") == []


def test_home_gets_what_it_has_not_got_and_keeps_what_it_has(tmp_path):
    copy, home = tmp_path / "copy", tmp_path / "home"
    home.mkdir()
    make_bundle(copy / "lab1")
    pack(copy, tmp_path / "1.tar.gz")
    assert import_bundles(tmp_path / "1.tar.gz", home, 10**9) == ["lab1"]
    assert import_bundles(tmp_path / "1.tar.gz", home, 10**9) == []
    other = tmp_path / "other"
    make_bundle(other / "lab1", log_bot="another one\n")
    pack(other, tmp_path / "2.tar.gz")
    assert import_bundles(tmp_path / "2.tar.gz", home, 10**9) == ["lab1~2"]
    assert sorted(path.name for path in home.iterdir()) == ["lab1", "lab1~2"]


def test_tampered_bundle_is_not_received(tmp_path):
    root = make_bundle(tmp_path / "a")
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
    pack(make_bundle(tmp_path / "a"), tmp_path / "a.tar.gz")
    whole = (tmp_path / "a.tar.gz").read_bytes()
    (tmp_path / "a.tar.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match="damaged"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out", 10**9)
