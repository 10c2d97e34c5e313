"""The glossary: its words in order, each said briefly and linked; and the words that it replaced stay away."""

from __future__ import annotations

import re
from functools import cache

import pytest

from tests.project.repository import ROOT, files

PAGE = ROOT / "docs" / "glossary.md"
ENTRIES = re.findall(r"^- \*\*(.+?)\*\*: (.+?)(?=\n- |\Z)", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
WORDS = """
kill switch|halt|latch|lift the halt|scope|two waves|first wave|guard|lease|desired state|feed gate|metric gate
deploy gate|check catalogue|check|outcome|verdict|best effort|must_prove|drift log|timeline|evidence bundle|primary
local copy|unsynced|backup set|restore test|release|alert request|estate|inventory|lab|drill|paper mode|live mode|room
OOS|TE|DD|PSI|UNVERIFIED|proven
""".strip().replace("\n", "|")

REPLACED = {
    r"\bcan not\b": "cannot",
    r"\bfor ever\b": "forever",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"(?<![a-z])alarms?(?![a-z])": "alert",
    r"\bwhoever\b": "the operator, anyone who",
    r"side[_ ]job": "best_effort",
    r"stop_anyhow": "stop_with_fallback",
    r"(?<![a-z])ladder(?![a-z])": "fallback",
    r"(?<![a-z])exposures?(?![a-z])": "open_orders",
}
"""Pattern -> what to say instead. An underscore ends a word: names are held to it too."""

NOT_HELD = {"CHANGELOG.md", "uv.lock", "tests/project/test_glossary.py"}
"""History, other people's names, and this list."""


@cache
def held() -> list[tuple[str, str]]:
    """Return the name of each file, and the same with its text below it."""
    names = [path.relative_to(ROOT).as_posix() for path in files()]
    texts = {name: (ROOT / name).read_text(encoding="utf-8", errors="replace") for name in names}
    return [(name, f"{name}\n{text}") for name, text in texts.items() if name not in NOT_HELD]


def sentences(definition: str) -> list[str]:
    """Return the sentences of a definition without its links; a full stop inside `code` ends none."""
    text = re.sub(r"\[[^]]*\]\([^)]*\)|`[^`]*`", "", " ".join(definition.split())).strip()
    return [part for part in re.split(r"(?<=[.?!])\s+", text) if part]


def anchor(title: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def word(entry: tuple[str, str]) -> str:
    return entry[0].partition(" (")[0]


def test_every_word_that_needs_one_has_an_entry():
    assert set(WORDS.split("|")) <= set(map(word, ENTRIES))
    assert len(ENTRIES) == PAGE.read_text(encoding="utf-8").count("\n- ")


def test_words_are_in_order_and_stand_once():
    words = [word(entry).lower() for entry in ENTRIES]
    assert words == sorted(set(words))


@pytest.mark.parametrize("entry", ENTRIES, ids=word)
def test_a_word_has_at_most_two_sentences_and_a_link_that_leads_to_its_section(entry):
    assert 1 <= len(sentences(entry[1])) <= 2
    ((target,)) = re.findall(r"\]\(([^)]+)\)", entry[1])
    name, _, fragment = target.partition("#")
    path = PAGE.parent / name
    assert path.is_file()
    if fragment:
        titles = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert fragment in map(anchor, titles)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_the_first_screen_links_the_glossary(name):
    first_screen = (ROOT / name).read_text(encoding="utf-8").splitlines()[:30]
    assert any("](docs/glossary.md)" in line for line in first_screen)


@pytest.mark.parametrize("pattern", REPLACED)
def test_a_word_that_was_replaced_is_in_no_name_text_or_code(pattern):
    found = [f"{name}: {hit[0]}" for name, text in held() if (hit := re.search(f"(?im)^.*?(?:{pattern}).*$", text))]
    assert found == [], f"say: {REPLACED[pattern]}"


@pytest.mark.parametrize(
    ("pattern", "bad", "good"),
    [
        (r"\bcan not\b", "It can not.", "It cannot."),
        (r"\bmend(s|ed|ing)?\b", "mended", "recommended amendment"),
        (r"(?<![a-z])alarms?(?![a-z])", "alarm_path", "malarms"),
        (r"(?<![a-z])exposures?(?![a-z])", "read_exposure", "exposed"),
    ],
)
def test_a_pattern_finds_whole_words_only(pattern, bad, good):
    assert pattern in REPLACED
    assert re.search(pattern, bad)
    assert not re.search(pattern, good)
