"""The tables in lab/README.md and what the applications expose are the same list."""

import re
from pathlib import Path

import pytest
from trading_lab.bot_metrics import BotMetrics
from trading_lab.live_connector import FeedMetrics

README = Path(__file__).parents[3] / "lab/README.md"
_ROW = re.compile(r"^\| `(?P<name>\w+)` \| (?P<type>\w+) \| (?P<unit>[^|]+) \| (?P<labels>[^|]+) \|")


def documented(heading):
    """Name -> (type, labels) of the table under a heading."""
    section = README.read_text(encoding="utf-8").split(f"\n### {heading}\n", 1)[1].split("\n#", 1)[0]
    rows = filter(None, map(_ROW.match, section.splitlines()))
    return {row["name"]: (row["type"], frozenset(re.findall(r"`(\w+)`", row["labels"]))) for row in rows}


def exposed(registry):
    """Name -> (type, labels) of what a registry exposes; a counter is known by its name with _total."""
    found = {}
    for family in registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels}
        found[name] = (family.type, frozenset(labels - {"le"}))
    return found


def bot_registry():
    metrics = BotMetrics({"bot": "b", "mode": "paper", "strategy": "s"})
    metrics.set_psi("return_atr", 0.1, 500)
    return metrics.registry


@pytest.mark.parametrize(
    ("heading", "registry"),
    [("Bot metrics", bot_registry()), ("Feed metrics", FeedMetrics(["BTCUSDT"]).registry)],
    ids=["bot", "feed"],
)
def test_the_table_is_what_the_code_exposes(heading, registry):
    assert documented(heading) == exposed(registry)


def test_the_table_finder_finds_rows():
    assert len(documented("Feed metrics")) == 6
