"""Pages for people: every command they name exists, with variables that exist, on one line."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys

import pytest

from tests.project.repository import (
    PAGES,
    PLAYBOOKS,
    ROOT,
    commands,
    files,
    headings,
    play_options,
    plays,
    subcommands,
)

OWNERS_SECTIONS = {
    "Incident_Handling": ["1", "2", "3", "4", "4.1", "4.2", "4.3", "4.4", "4.5", "4.6", "4.7"],
    "LiveFeed_Runbook": ["7"],
    "Paper_And_Live_Bots": ["1", "2", "3", "4", "5", "6", "7"],
    "Oncall_Checkliste": ["1", "2", "2.1", "2.2", "2.3", "2.4", "2.5", "3", "4", "5"],
    "Backup_And_Restore": ["6"],
    "Deploy_Rollback": [],
}
PARTS_OF_A_STEP = ("**Purpose**", "**When**", "**Command**", "**Proof**", "**Way back**")

TEXTS = [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "inventories").rglob("*.md"))]
METAS = [path.with_suffix(".meta.yml") for path in PLAYBOOKS]
NAMED = [command for path in [*TEXTS, *METAS] for command in commands(path)]


def test_the_owners_pages_are_there():
    assert {path.stem for path in PAGES} == set(OWNERS_SECTIONS)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_the_owners_section_numbers_are_kept_in_order(page):
    numbers = [match.group(1) for title in headings(page) if (match := re.match(r"(\d+(?:\.\d+)?) ", title))]
    kept = [number for number in dict.fromkeys(numbers) if number in OWNERS_SECTIONS[page.stem]]
    assert kept == OWNERS_SECTIONS[page.stem]


def test_pages_name_commands():
    assert len(NAMED) > 30


@pytest.mark.parametrize("command", NAMED, ids=lambda command: f"{command.source}: {command.line}")
def test_a_named_command_exists_with_its_variables(command):
    procedures = {path.stem for path in PLAYBOOKS}
    if command.name not in procedures:
        assert command.name in subcommands()
        assert not command.variables
        return
    options = play_options(command.name)
    given = dict(command.variables)
    for key, value in given.items():
        assert key in options
        assert value in options[key].get("choices", [value])
    shows_nothing_else = "--help" in command.arguments
    required = {key for key, option in options.items() if option.get("required")}
    assert shows_nothing_else or required <= given.keys()


def shown_commands() -> list[tuple[str, str, str]]:
    """Return file, name and the rest of each `./runbook …` that code shows to people, `x` where a value is put in."""
    found = []
    for path in sorted((ROOT / "module_utils/trading_ops").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        nodes = list(ast.walk(ast.parse(source))) if "./runbook " in source else []
        joined = [node.values for node in nodes if isinstance(node, ast.JoinedStr)]
        inside = {id(part) for parts in joined for part in parts}
        alone = [[node] for node in nodes if isinstance(node, ast.Constant) and id(node) not in inside]
        for parts in [*joined, *alone]:
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
            # What stands in brackets goes on in words.
            if match := re.match(r"\./runbook ([a-z_-]+)(?= |$)([^(]*)", text):
                found.append((path.name, match[1], match[2]))
    return sorted(set(found))


@pytest.mark.parametrize(("source", "name", "rest"), shown_commands(), ids=str)
def test_a_command_that_code_shows_exists_with_its_variables(source, name, rest):
    assert name in {path.stem for path in PLAYBOOKS} | subcommands()
    if given := set(re.findall(r"-e (\w+)=", rest)):
        options = play_options(name)
        required = {key for key, option in options.items() if option.get("required")}
        assert required <= given <= options.keys()


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_every_procedure_is_named_by_a_page(playbook):
    assert playbook.stem in {command.name for page in PAGES for command in commands(page)}


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_stand_on_one_line(path):
    for line in path.read_text(encoding="utf-8").splitlines():
        assert not line.rstrip().endswith(("\\", " `")), line


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_the_section_of_a_step_tells_purpose_when_command_proof_and_way_back(playbook):
    for page in PAGES:
        for section in re.split(r"^(?=#{2,3} )", page.read_text(encoding="utf-8"), flags=re.MULTILINE):
            if f"**Command**: `./runbook {playbook.stem}" in section:
                assert [part for part in PARTS_OF_A_STEP if part not in section] == []
                return
    pytest.fail(f"no step gives ./runbook {playbook.stem} as its command")


@pytest.mark.parametrize(
    "path", [path for path in files() if path.suffix == ".md"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (path.parent / target).exists(), target


def test_a_refused_run_finds_the_section_of_its_step():
    path = ROOT / "playbooks" / "callback_plugins" / "verdict.py"
    spec = importlib.util.spec_from_file_location("verdict_of_the_pages", path)
    assert spec and spec.loader
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[spec.name]
    owing = [play for playbook in PLAYBOOKS for play in plays(playbook) if not play.get("vars", {}).get("best_effort")]
    assert [play["name"] for play in owing if not module._page_of(play["name"])] == []
    assert module._page_of("4 Restore for real") == "runbooks/Backup_And_Restore.md 4"
    assert [module._page_of(text) for text in ("", "Restore for real", "4 Restore")] == [""] * 3
