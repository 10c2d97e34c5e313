"""What is asked of Git, on real repositories: looking writes nothing, no hook runs, changes by hand stay."""

from __future__ import annotations

import subprocess
import time

import pytest
from trading_ops.host.programs import LocalPrograms
from trading_ops.release.git import GONE, HOST_ENVIRONMENT, Repository, RepositoryError


def git(path, *arguments):
    done = subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments], cwd=path, check=True, capture_output=True
    )
    return done.stdout.decode().strip()


def commit(path, files, message="a change"):
    for name, text in files.items():
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if text is None:
            target.unlink()
        else:
            target.write_text(text)
    git(path, "add", "--all")
    git(path, "commit", "--quiet", "--message", message)
    return git(path, "rev-parse", "HEAD")


def open_at(path):
    return Repository(LocalPrograms(HOST_ENVIRONMENT, time.monotonic, 60), path)


def everything(path):
    return {str(item): (item.read_bytes(), item.stat().st_mtime_ns) for item in path.rglob("*") if item.is_file()}


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    commit(path, {"config/trading.yml": "a: 1\n", "ops/compose/docker-compose.yml": "x\n", "old": "1"}, "first")
    return path


@pytest.fixture
def host(source, tmp_path):
    git(tmp_path, "clone", "--quiet", str(source), "host")
    return tmp_path / "host"


def bring(source, host, name):
    bundle = host.parent / "release.bundle"
    open_at(source).bundle(name, bundle)
    open_at(host).fetch(bundle, name)


def test_a_branch_stands_for_its_commit_and_its_words(source):
    seen = open_at(source).resolve("main")
    assert (seen.name, seen.subject) == (git(source, "rev-parse", "HEAD"), "first")
    assert seen.committed_at[4] == "-"


@pytest.mark.parametrize("revision", ["", "--output=/tmp/x", "nosuch", "-n", "a b", "main:config"])
def test_what_is_no_revision_is_refused(source, revision):
    with pytest.raises(RepositoryError):
        open_at(source).resolve(revision)


def test_what_differs_is_told_with_the_content_it_gets(source):
    first = git(source, "rev-parse", "HEAD")
    second = commit(source, {"config/trading.yml": "a: 2\n", "old": None, "new å\n": "n"})
    changes = open_at(source).changes(first, second)
    assert changes.keys() == {"config/trading.yml", "old", "new å\n"}
    assert (changes["old"], changes["config/trading.yml"]) == (GONE, open_at(source).blob("config/trading.yml"))


def test_a_revision_reaches_a_host_through_a_file_and_nothing_on_disk_changes_by_that(source, host):
    second = commit(source, {"config/trading.yml": "a: 2\n"})
    before = git(source, "for-each-ref")
    assert not open_at(host).has(second)
    bring(source, host, second)
    assert open_at(host).has(second)
    assert (host / "config/trading.yml").read_text() == "a: 1\n"
    assert git(source, "for-each-ref") == before, "the operator's repository is left as it is"


def test_a_bundle_of_another_revision_is_noticed(source, host):
    first = git(source, "rev-parse", "HEAD")
    second = commit(source, {"old": "2"})
    open_at(source).bundle(second, host.parent / "b")
    with pytest.raises(RepositoryError):
        open_at(host).fetch(host.parent / "b", first)


def test_switching_keeps_what_was_changed_by_hand_where_the_revision_leaves_it_alone(source, host):
    second = commit(source, {"old": "2"})
    bring(source, host, second)
    (host / "config/trading.yml").write_text("a: 7\n")
    open_at(host).switch(second, [])
    assert (open_at(host).head(), open_at(host).modified()) == (second, ("config/trading.yml",))
    assert (host / "config/trading.yml").read_text() == "a: 7\n"


def test_where_both_changed_a_file_nothing_is_switched(source, host):
    second = commit(source, {"config/trading.yml": "a: 2\n"})
    bring(source, host, second)
    (host / "config/trading.yml").write_text("a: 7\n")
    with pytest.raises(RepositoryError):
        open_at(host).switch(second, [])
    assert open_at(host).head() != second


def test_a_change_by_hand_that_the_revision_brings_counts_as_taken_over(source, host):
    second = commit(source, {"config/trading.yml": "a: 2\n"})
    bring(source, host, second)
    (host / "config/trading.yml").write_text("a: 2\n")
    open_at(host).switch(second, ["config/trading.yml"])
    assert (open_at(host).head(), open_at(host).modified()) == (second, ())


def test_what_a_revision_took_over_stays_by_hand_on_the_way_back(source, host):
    first = git(source, "rev-parse", "HEAD")
    bring(source, host, second := commit(source, {"config/trading.yml": "a: 2\n"}))
    (host / "config/trading.yml").write_text("a: 2\n")
    open_at(host).switch(second, ["config/trading.yml"])
    open_at(host).switch(first, [], ["config/trading.yml"])
    assert (open_at(host).head(), open_at(host).modified()) == (first, ("config/trading.yml",))
    assert (host / "config/trading.yml").read_text() == "a: 2\n"
    assert git(host, "diff", "--cached", "--name-only") == ""


def test_no_hook_of_the_checkout_runs(source, host):
    second = commit(source, {"old": "2"})
    bring(source, host, second)
    hook = host / ".git/hooks/post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {host}/ran\n")
    hook.chmod(0o755)
    open_at(host).switch(second, [])
    assert not (host / "ran").exists()


def test_looking_writes_nothing(host):
    (host / "old").write_text("1")  # same content, other time: git status would refresh its index
    before = everything(host)
    repository = open_at(host)
    assert repository.modified() == ()
    repository.head(), repository.tracked(["old"]), repository.blob("old")
    repository.texts(repository.head(), ["ops"])
    assert everything(host) == before


def test_a_revision_that_nothing_else_holds_is_kept(source, host):
    git(source, "checkout", "--quiet", "--detach")
    second = commit(source, {"old": "2"})
    bring(source, host, second)
    git(host, "gc", "--quiet", "--prune=now")
    assert open_at(host).has(second)


def test_only_yaml_and_env_files_of_the_folders_are_read(source):
    name = commit(source, {"ops/compose/a.env": "A=1\n", "ops/compose/b.bin": "x", "config/c.yml": "c"})
    assert open_at(source).texts(name, ["ops/compose"]) == {
        "ops/compose/a.env": "A=1\n",
        "ops/compose/docker-compose.yml": "x\n",
    }
