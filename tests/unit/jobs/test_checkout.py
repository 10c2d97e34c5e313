"""A checkout packed here and unpacked there: whole, beside the one before, changed over in one step."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from trading_ops.jobs.checkout import CheckoutError, digest_of, ensure_release, inventory_name, list_files, pack


def run(argv):
    return subprocess.run(argv, check=True, capture_output=True).stdout


@pytest.fixture
def project(tmp_path) -> Path:
    """A checkout with a link, a secret that Git ignores, a new file and one that was deleted."""
    root = tmp_path / "project"
    (root / "inventories" / "lab").mkdir(parents=True)
    (root / "inventories" / "lab" / "hosts.yml").write_text("all: {}\n")
    (root / "runbook").write_text("#!/bin/sh\n")
    (root / "runbook").chmod(0o755)
    (root / "roles").mkdir()
    (root / "roles" / "main.yml").write_text("---\n")
    (root / "playbooks").mkdir()
    (root / "playbooks" / "roles").symlink_to("../roles")
    (root / ".gitignore").write_text("vault.yml\n")
    (root / "gone").write_text("x")
    run(["git", "-C", str(root), "init", "-q"])
    run(["git", "-C", str(root), "add", "."])
    (root / "gone").unlink()
    (root / "new").write_text("not yet in Git")
    (root / "vault.yml").write_text("secret")
    return root


def packed(root: Path, inventory: Path | None = None) -> bytes:
    return pack(root, list_files(run, root), inventory or root / "inventories" / "lab")


def names(archive: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {member.name: member for member in tar.getmembers()}


def test_what_is_or_would_be_in_git_is_packed_and_nothing_else(project):
    found = names(packed(project))
    assert found.keys() == {
        ".gitignore",
        "inventories/lab/hosts.yml",
        "new",
        "playbooks/roles",
        "roles/main.yml",
        "runbook",
    }
    assert found["playbooks/roles"].linkname == "../roles"
    assert (found["runbook"].mode, found["new"].mode) == (0o755, 0o644)
    assert {(member.uid, member.uname, member.mtime) for member in found.values()} == {(0, "root", 0)}


def test_the_same_files_give_the_same_release_whatever_their_times(project):
    before = packed(project)
    (project / "new").touch()
    assert packed(project) == before
    (project / "new").write_text("changed")
    assert digest_of(packed(project)) != digest_of(before)


def test_an_inventory_from_elsewhere_goes_along_under_its_own_name(project, tmp_path):
    elsewhere = tmp_path / "estate"
    (elsewhere / "group_vars").mkdir(parents=True)
    (elsewhere / "hosts.yml").write_text("all: {}\n")
    (elsewhere / "group_vars" / "all.yml").write_text("a: 1\n")
    found = names(packed(project, elsewhere))
    assert {"inventories/estate/hosts.yml", "inventories/estate/group_vars/all.yml"} <= found.keys()
    assert inventory_name(project, elsewhere) == Path("inventories/estate")


def test_an_inventory_that_git_ignores_is_refused(project):
    (project / ".gitignore").write_text("inventories/own\n")
    (project / "inventories" / "own").mkdir()
    (project / "inventories" / "own" / "hosts.yml").write_text("all: {}\n")
    with pytest.raises(CheckoutError, match="ignored by Git"):
        packed(project, project / "inventories" / "own")


def test_what_is_no_checkout_is_not_packed(tmp_path):
    run(["git", "-C", str(tmp_path), "init", "-q"])
    with pytest.raises(CheckoutError, match="no Git checkout with files"):
        list_files(run, tmp_path)


class Target:
    """A control host's folder and an archive for it."""

    def __init__(self, root: Path) -> None:
        self.path, self.archive_path = root / "opt", root / "archive"
        self.prepared: list[str] = []
        self.trouble = ""

    def prepare(self, release: Path) -> None:
        current = self.path / "current"
        before = current.resolve().name if current.is_symlink() else "none"
        self.prepared.append(f"{release.name} while {before} is current")
        if self.trouble:
            raise CheckoutError(self.trouble)

    def ensure(self, archive: bytes, dry_run: bool = False, digest: str = "") -> dict:
        self.archive_path.write_bytes(archive)
        return ensure_release(self.archive_path, digest or digest_of(archive), self.path, self.prepare, dry_run)

    def releases(self) -> set[str]:
        return {path.name for path in (self.path / "releases").iterdir()}


@pytest.fixture
def target(tmp_path):
    return Target(tmp_path)


def test_check_run_check_run_changes_over_once(project, target):
    archive = packed(project)
    looked = target.ensure(archive, dry_run=True)
    assert (looked["outcome"], looked["changed"], target.path.exists()) == ("planned", True, False)
    first = target.ensure(archive)
    assert (first["outcome"], first["changed"]) == ("proven", True)
    current = target.path / "current"
    assert (current / "playbooks" / "roles" / "main.yml").read_text() == "---\n"
    assert current.resolve().stat().st_mode & 0o777 == 0o700
    looked, second = target.ensure(archive, dry_run=True), target.ensure(archive)
    assert (looked["changed"], second["outcome"], second["changed"]) == (False, "proven", False)


def test_a_release_is_made_ready_before_a_job_can_start_from_it(project, target):
    first, second = (packed(project), _other(project))
    target.ensure(first)
    target.ensure(second)
    old, new = digest_of(first), digest_of(second)
    assert target.prepared == [f"{old} while none is current", f"{new} while {old} is current"]


def test_one_that_cannot_be_made_ready_leaves_the_one_before_current(project, target):
    target.ensure(first := packed(project))
    target.trouble = "no network"
    failed = target.ensure(_other(project))
    assert (failed["outcome"], "no network" in failed["summary"]) == ("failed", True)
    assert (target.path / "current").resolve().name == digest_of(first)


def test_a_damaged_archive_is_not_unpacked(project, target):
    archive = packed(project)
    damaged = target.ensure(archive[:-1], digest=digest_of(archive))
    assert (damaged["outcome"], (target.path / "current").exists()) == ("failed", False)


def test_a_half_unpacked_release_is_unpacked_anew(project, target):
    archive = packed(project)
    (target.path / "releases" / digest_of(archive)).mkdir(parents=True)
    assert target.ensure(archive)["outcome"] == "proven"
    assert (target.path / "current" / "runbook").exists()


def test_the_release_before_is_kept_and_older_ones_go(project, target):
    digests = []
    for content in "abcd":
        (project / "new").write_text(content)
        archive = packed(project)
        digests.append(digest_of(archive))
        target.ensure(archive)
    assert target.releases() == set(digests[-2:])


def _other(project: Path) -> bytes:
    (project / "new").write_text("changed")
    return packed(project)
