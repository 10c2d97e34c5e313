"""A walk over runbooks and playbooks: each requirement leads to a step, each step to a command, and back to its page.

`test_runbooks.py` judges each command, page and section by itself, `test_requirements.py` the list; here they meet.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.project.repository import PAGES, PLAYBOOKS, ROOT, load_yaml, plays
from tests.project.test_requirements import BUILT
from tests.project.test_runbooks import OWNERS_SECTIONS

HAS_NO_STEP = {"RB-2"}
"""Requirements on how pages are written, which no command meets."""


@dataclass(frozen=True)
class Section:
    """One numbered heading of a page with the text below it, that of deeper headings included."""

    page: str
    title: str
    text: str

    @property
    def number(self) -> str:
        return self.title.split(" ")[0]

    @property
    def calls(self) -> set[str]:
        return set(re.findall(r"\./runbook ([a-z][a-z_-]*)", self.text))


@cache
def sections(page: Path) -> tuple[Section, ...]:
    text = page.read_text(encoding="utf-8")
    found = [(len(m[1]), m[2], m.start()) for m in re.finditer(r"^(#{2,5}) (\d\S* .*)$", text, re.MULTILINE)]
    result = []
    for place, (depth, title, begin) in enumerate(found):
        end = next((at for other, _, at in found[place + 1 :] if other <= depth), len(text))
        result.append(Section(page.stem, title.strip(), text[begin:end]))
    return tuple(result)


EVERY = [section for page in PAGES for section in sections(page)]
SITUATIONS = [path.stem for path in PLAYBOOKS]


def place(number: str) -> list[int]:
    return [int(part) for part in number.rstrip(".").split(".")]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_sections_of_a_page_stand_in_the_order_of_their_numbers_each_under_its_own(page):
    # "3 Paper bot and 4 Live bot, start" belongs to both.
    own = [section for section in sections(page) if not re.search(r" and \d", section.title)]
    numbers = [section.number for section in own]
    assert numbers
    assert all(re.fullmatch(r"\d+(\.\d+)*", number) for number in numbers)
    assert numbers == sorted(numbers, key=place)
    titles = [section.title for section in sections(page)]
    assert len(titles) == len(set(titles))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_what_the_owners_fragments_do_not_show_is_marked_as_this_projects(page):
    own = {section.number for section in sections(page)} - set(OWNERS_SECTIONS[page.stem])
    assert not own or "this project's" in page.read_text(encoding="utf-8").lower()


@pytest.mark.parametrize("row", [row for row in BUILT if row[0] not in HAS_NO_STEP], ids=lambda row: row[0])
def test_a_requirement_leads_to_a_command(row):
    called = set()
    for name, number in re.findall(r"([A-Z]\w+) (\d[\d.]*)", row[4]):
        found = [section for section in EVERY if (section.page, section.number) == (name, number)]
        assert found, f"{name} {number}"
        called |= {call for section in found for call in section.calls}
    assert called, f"no step of {row[0]} names a command"


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=lambda path: path.stem)
def test_the_section_of_a_step_names_its_command_and_each_of_its_plays_has_one(playbook):
    first, *others = dict.fromkeys(play["name"] for play in plays(playbook))
    # What a step reads before it acts stands in a part of its section: "2.5.1 Take an alert (which one)".
    step = [section for section in EVERY if section.title in {first, first.partition(" (")[0]}]
    around = [section for section in EVERY if any(part.text in section.text for part in step)]
    assert playbook.stem in {call for section in [*step, *around] for call in section.calls}, first
    for title in others:
        assert len({section.page for section in EVERY if section.title == title}) == 1, title


def listed() -> dict[str, tuple[str, str]]:
    """Return what ./runbook list says, by procedure: situation, and page with section."""
    done = subprocess.run([str(ROOT / "runbook"), "list"], capture_output=True, text=True, check=True, cwd="/")
    found = {}
    for block in done.stdout.split("\n\n")[1:]:
        situation, command, *_, where = block.strip().splitlines()
        found[command.split()[1]] = (situation, where.strip())
    return found


def test_the_list_of_situations_is_that_of_the_playbooks_and_leads_to_their_pages():
    seen = listed()
    assert sorted(seen) == sorted(SITUATIONS)
    assert next(iter(seen)) == "failsafe_stop", "what one needs at night is first"
    for name, (situation, where) in seen.items():
        specs = load_yaml(ROOT / "playbooks" / f"{name}.meta.yml")["argument_specs"]
        title, first = next(iter(specs.items()))
        assert situation == first["short_description"]
        page, _, number = where.removeprefix("runbooks/").partition(".md ")
        assert (page, title) in {(section.page, section.title) for section in EVERY if section.number == number}, where
