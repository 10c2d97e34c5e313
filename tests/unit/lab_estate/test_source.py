from __future__ import annotations

import subprocess

from lab import project_tree, source


def git(path, *arguments):
    return subprocess.run(
        ["git", "-C", str(path), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def files(tmp_path, **texts):
    folder = tmp_path / "files"
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {f"config/{name}": folder / name for name in texts}


def test_the_repository_holds_exactly_these_files_and_only_a_change_is_a_new_commit(tmp_path):
    first, _ = source.ensure_repository(tmp_path, files(tmp_path, a="1", b="1"))
    assert source.ensure_repository(tmp_path, files(tmp_path, a="1", b="1"))[0] == first
    second, _ = source.ensure_repository(tmp_path, files(tmp_path, a="2"))
    root = tmp_path / source.FOLDER
    assert git(root, "ls-tree", "-r", "--name-only", second) == "config/a"
    assert git(root, "rev-parse", f"{second}^") == first


def test_a_host_becomes_a_checkout_of_it_without_a_change_of_its_files(tmp_path):
    first, bundle = source.ensure_repository(tmp_path, files(tmp_path, a="1"))
    host = tmp_path / "host"
    (host / "config").mkdir(parents=True)
    (host / "config/a").write_text("1")
    (tmp_path / "bundle").write_bytes(bundle)
    # The command of the host itself needs its account and its /run; these are its three steps.
    steps = [line.partition("-- ")[2] for line in source.HOST_COMMAND.splitlines() if line.startswith("runuser")]
    for step in steps:
        subprocess.run(step.replace("/run/lab.bundle", str(tmp_path / "bundle")), shell=True, check=True, cwd=host)
    assert len(steps) == 3
    assert (git(host, "rev-parse", "HEAD"), git(host, "status", "--porcelain")) == (first, "")


def test_what_belongs_to_one_host_is_not_in_git():
    assert not [
        name for name in project_tree.tracked_files() if name.endswith((".env", ".log")) and "restore_test" not in name
    ]
    assert "ops/compose/restore_test/images.env" not in project_tree.tracked_files()
