from __future__ import annotations

import pytest

from tests.unit.release_world import Estate, git, spec


@pytest.fixture
def estate(tmp_path):
    made = Estate(tmp_path)
    made.commit(
        "one", {"live_connector": spec("1"), "gui": spec("1"), "bot": spec("1")}, **{"config/trading.yml": "a: 1\n"}
    )
    made.first = made.head()
    return made


@pytest.fixture
def second(estate):
    """Another environment for the feed, another image for the gui; the checkout is back at the first."""
    name = estate.commit("two", {"live_connector": spec("2"), "gui": spec("1", "app:2"), "bot": spec("1")})
    git(estate.root, "checkout", "--quiet", "--detach", estate.first)
    estate.start("live_connector", "gui")
    return name
