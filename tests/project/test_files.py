"""The files themselves: what may import what, line ends, the lock, nothing of somebody's machine."""

from __future__ import annotations

import ast
import re
import tomllib

import pytest

from tests.project.repository import ROOT, files

PACKAGE = sorted((ROOT / "module_utils" / "trading_ops").rglob("*.py"))
TEXT_SUFFIXES = {".py", ".sh", ".yml", ".yaml", ".md", ".toml", ".txt", ".cfg", ".conf", ""}
MACHINE_WORDS = ["/" + "work/", "../" + "shared", "." + "library", "/tmp/" + "w/"]


def texts():
    return [path for path in files() if path.suffix in TEXT_SUFFIXES and path.name != "LICENSE"]


def test_there_is_something_to_look_at():
    assert len(texts()) > 50
    assert len(PACKAGE) > 5


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.stem)
def test_the_package_imports_nothing_from_ansible(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not any(name.partition(".")[0] == "ansible" for name in names)


def test_the_stops_port_cannot_create_start_pull_or_remove():
    tree = ast.parse((ROOT / "module_utils/trading_ops/host/engine.py").read_text(encoding="utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    dangerous = {"create_container", "start", "restart", "unpause", "pull", "remove_container", "prune_containers"}
    assert "stop" in used
    assert not used & dangerous


def test_lines_end_with_lf():
    assert [path for path in files() if path.suffix not in {".png", ".ico"} and b"\r" in path.read_bytes()] == []
    assert "* text=auto eol=lf" in (ROOT / ".gitattributes").read_text(encoding="utf-8")


@pytest.mark.parametrize("word", MACHINE_WORDS)
def test_no_file_names_a_path_of_the_machine_it_was_written_on(word):
    assert [path for path in texts() if word in path.read_text(encoding="utf-8", errors="replace")] == []


def test_nothing_is_left_for_later_in_the_code():
    marks = re.compile("\\b(" + "TO" + "DO|FIX" + "ME|XX" + "X)\\b")
    assert [path for path in texts() if marks.search(path.read_text(encoding="utf-8", errors="replace"))] == []


def test_the_lock_names_the_public_registry_only_and_a_hash_for_each_file():
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    bought = [package for package in lock["package"] if "virtual" not in package["source"]]
    assert len(bought) > 20
    for package in bought:
        assert package["source"] == {"registry": "https://pypi.org/simple"}, package["name"]
        wheels = package.get("wheels", []) + ([package["sdist"]] if "sdist" in package else [])
        assert wheels
        assert all(wheel["hash"].startswith("sha256:") for wheel in wheels), package["name"]


def test_the_package_that_comes_before_the_lock_is_pinned_by_hash():
    lines = (ROOT / "bootstrap.txt").read_text(encoding="utf-8").splitlines()
    assert sum(not line.startswith(("#", " ")) for line in lines if line) == 1
    assert any(re.match(r"uv==[\d.]+ ", line) for line in lines)
    assert any("--hash=sha256:" in line for line in lines)


@pytest.mark.parametrize("name", ["roles", "library", "module_utils"])
def test_playbooks_find_their_parts_from_any_directory(name):
    link = ROOT / "playbooks" / name
    assert link.is_symlink()
    assert link.resolve() == ROOT / name


def test_the_entry_script_is_executable_posix_shell():
    script = ROOT / "runbook"
    assert script.read_text(encoding="utf-8").startswith("#!/bin/sh\n")
    assert script.stat().st_mode & 0o111


def test_the_readme_lists_every_exit_code_from_the_most_serious():
    outcome = (ROOT / "module_utils/trading_ops/core/outcome.py").read_text(encoding="utf-8")
    codes = [int(code) for code in re.findall(r'^    "\w+": (\d+),', outcome, re.MULTILINE)]
    section = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Exit codes")[2].partition("\n## ")[0]
    assert len(codes) > 8
    assert [int(code) for code in re.findall(r"^\| (\d+) \|", section, re.MULTILINE)] == list(dict.fromkeys(codes))
