"""A revision against what hosts run, and a checkout that cannot be read."""

from __future__ import annotations

import time

import pytest
from trading_ops.host.programs import LocalPrograms
from trading_ops.release.git import HOST_ENVIRONMENT, Repository
from trading_ops.release.source import ensure_bundled, observe, observe_checkout

from tests.unit.release_world import git


def programs(owner=""):
    return LocalPrograms(HOST_ENVIRONMENT, time.monotonic, 60, owner)


@pytest.mark.parametrize("folder", ["", "none"])
def test_what_is_no_checkout_is_unknown(tmp_path, folder):
    seen = observe_checkout(tmp_path / folder, programs)
    assert (seen["outcome"], seen["revision"], seen["modified"]) == ("unknown", "", [])


def test_a_checkout_has_its_revision_and_names_what_was_changed_there(tmp_path):
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a.yml").write_text("a: 1\n")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    (tmp_path / "a.yml").write_text("a: 2\n")
    seen = observe_checkout(tmp_path, programs)
    assert (seen["outcome"], seen["revision"]) == ("proven", git(tmp_path, "rev-parse", "HEAD"))
    assert (seen["modified"], "changed here: a.yml" in seen["summary"]) == (["a.yml"], True)


def test_a_revision_that_is_not_there_is_neither_deployed_nor_packed(tmp_path):
    git(tmp_path, "init", "--quiet")
    repository = Repository(programs(), tmp_path)
    assert observe(repository, "main", [], [])["outcome"] == "refused"
    assert ensure_bundled(repository, "f" * 40, tmp_path / "bundle", dry_run=False)["outcome"] == "failed"
