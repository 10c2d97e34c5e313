import pytest

from tests.unit.compose_world import PROJECT, World, ensure


def test_summary_and_rows_follow_the_request(world: World):
    result = ensure(world, "bot")
    assert result["summary"] == "bot running; db running and healthy after 2.0 s"
    assert [row["service"] for row in result["services"]] == ["bot", "db"]
    bot = result["services"][0]
    assert (bot["project"], bot["state"], bot["health"], bot["exit_code"]) == (PROJECT, "running", "", None)
    assert bot["container_ids"] == [world.one("bot").id]
    assert result["next_command"] == ""
    assert ensure(world, "bot")["summary"] == "bot running; db running and healthy, nothing to do"


def test_diff_names_what_differs(world: World):
    ensure(world, "bot")
    world.services["bot"].environment = "new"
    diff = ensure(world, "bot", dry_run=True)["diff"]
    assert diff["before"].startswith("bot: running, config ")
    assert "(its configuration changed)" in diff["after"]
    assert diff["before"].split("config ")[1][:12] != diff["after"].split("config ")[1][:12]


def test_logs_are_bounded_in_bytes(world: World):
    world.services["bot"].ends_with = 1
    world.engine.log_text = "ø" * 100_000
    (line,) = ensure(world, "bot")["logs"]["bot"]
    assert 8000 < len(line.encode()) <= 8192


def test_secrets_in_the_last_lines_of_a_failed_start_are_not_shown(world: World):
    world.services["bot"].ends_with = 1
    world.engine.log_text = "connect pl4nted-Val9 failed\ntoken=abc-def-123\n"
    world.during_up = lambda: setattr(world.one("bot"), "environment", ("DB_PASSWORD=pl4nted-Val9",))
    result = ensure(world, "bot")
    assert result["logs"]["bot"] == ["connect (redacted: known: DB_PASSWORD) failed", "token=(redacted: assignment)"]


@pytest.mark.parametrize(
    ("text", "broken", "line"),
    [("", None, "(its log is empty)"), ("x", "no such driver", "(its log could not be read: no such driver)")],
)
def test_missing_logs_are_said(world: World, text, broken, line):
    world.services["bot"].ends_with = 1
    world.engine.log_text = text
    if broken:
        world.engine.broken["logs"] = broken
    assert ensure(world, "bot")["logs"] == {"bot": [line]}
