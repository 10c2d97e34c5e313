"""What runs is brought to a release, what is stopped waits for its next start, and nothing is half done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from trading_ops.host.engine import EngineError
from trading_ops.release.ensure import ensure_release

from tests.unit.release_world import FEED, IDS, PROJECT, git, moves, spec


def test_what_runs_is_brought_to_the_release_and_the_checkout_too(estate, second):
    result = estate.release(second)
    assert (result["outcome"], result["changed"], estate.head()) == ("proven", True, second)
    assert moves(result) == {"live_connector": "recreate", "gui": "recreate"}
    assert result["images"][f"{PROJECT}/gui"] == f"app:2@{IDS['app:2']}"
    assert result["images_before"][f"{PROJECT}/gui"] == f"app:1@{IDS['app:1']}"
    assert (result["revision_before"], result["feed_runs"]) == (estate.first, True)
    assert '"revision changed"' in (estate.state / "audit.jsonl").read_text()


def test_a_second_time_nothing_is_left_to_do(estate, second):
    estate.release(second)
    before, ids = estate.files(), estate.ids()
    again = estate.release(second)
    assert (again["outcome"], again["changed"]) == ("proven", False)
    assert "nothing to do" in again["summary"]
    assert (estate.files(), estate.ids()) == (before, ids)


def test_the_way_back_brings_what_crashed_up_again_with_the_image_it_had(estate, second):
    estate.words["two"]["live_connector"] = spec("2", ends_with=1)
    tried = estate.release(second)
    assert (tried["outcome"], tried["changed"]) == ("failed", True)
    assert estate.one("live_connector").status == "exited"
    estate.engine.images["app:1"] = IDS["app:2"]  # a tag that moved on meanwhile
    back = estate.release(tried["revision_before"], pins=tried["images_before"])
    assert (back["outcome"], estate.head()) == ("proven", estate.first)
    assert estate.one("live_connector").status == "running"
    assert estate.one("gui").labels["com.docker.compose.image"] == IDS["app:1"]


def test_a_bot_that_would_be_recreated_forbids_it_and_nothing_is_changed(estate, second):
    estate.commit("three", {"live_connector": spec("1"), "gui": spec("1"), "bot": spec("3")})
    third = estate.head()
    git(estate.root, "checkout", "--quiet", "--detach", estate.first)
    estate.start("bot")
    before = estate.files()
    refused = estate.release(third)
    assert (refused["outcome"], refused["changed"], estate.files()) == ("refused", False, before)
    assert "bot-1 runs and would be recreated" in refused["summary"]
    assert "bot_stop" in refused["next_command"]


def test_a_bot_that_runs_and_is_left_alone_runs_on(estate, second):
    estate.start("bot")
    bot = estate.one("bot").id
    result = estate.release(second)
    assert (result["outcome"], estate.one("bot").id, moves(result)["bot"]) == ("proven", bot, "later")
    assert "next start" not in result["summary"]


def test_what_is_stopped_is_said_to_take_the_release_at_its_next_start(estate, second):
    estate.start("bot")
    estate.one("bot").die(0)
    third = estate.commit("three", {"live_connector": spec("1"), "gui": spec("1"), "bot": spec("3")})
    git(estate.root, "checkout", "--quiet", "--detach", estate.first)
    result = estate.release(third)
    assert (result["outcome"], estate.one("bot").status) == ("proven", "exited")
    assert f"at their next start: {PROJECT}/bot" in result["summary"]


@pytest.mark.parametrize("over_a_link", [False, True])
def test_configuration_that_a_running_bot_reads_does_not_change_under_it(estate, over_a_link):
    estate.start("bot")
    link = estate.root.with_name("link")
    link.symlink_to(estate.root)
    estate.mounts["bot"] = [str((link if over_a_link else estate.root) / "config")]
    name = estate.commit("one", **{"config/trading.yml": "a: 2\n"})
    git(estate.root, "checkout", "--quiet", "--detach", estate.first)
    refused = estate.release(name)
    assert (refused["outcome"], estate.head()) == ("refused", estate.first)
    assert "config/trading.yml, which changes under it" in refused["summary"]


def test_a_service_that_reads_changed_files_is_started_again(estate):
    estate.start("gui")
    estate.mounts["gui"] = [str(estate.root / "config")]
    name = estate.commit("one", **{"config/trading.yml": "a: 2\n"})
    git(estate.root, "checkout", "--quiet", "--detach", estate.first)
    estate.time.sleep(60)
    result = estate.release(name)
    assert (result["outcome"], moves(result)) == ("proven", {"gui": "restart"})
    assert estate.one("gui").started_at == estate.time.now()


def test_a_change_by_hand_stays_where_the_release_leaves_the_file_alone(estate, second):
    (estate.root / "config/trading.yml").write_text("a: 7\n")
    result = estate.release(second)
    assert (result["outcome"], result["kept"]) == ("proven", ["config/trading.yml"])
    assert (estate.root / "config/trading.yml").read_text() == "a: 7\n"


@pytest.mark.parametrize("bot_reads", [False, True])
def test_going_back_leaves_a_change_by_hand_that_the_release_had_taken_over(estate, bot_reads):
    name = estate.commit("one", **{"config/trading.yml": "a: 2\n"})
    git(estate.root, "checkout", "--quiet", "--detach", estate.first)
    if bot_reads:
        estate.start("bot")
        estate.mounts["bot"] = [str(estate.root / "config")]
    config = estate.root / "config/trading.yml"
    config.write_text("a: 2\n")
    written = config.stat().st_mtime_ns, config.stat().st_ino
    tried = estate.release(name)
    assert (tried["outcome"], tried["same"]) == ("proven", ["config/trading.yml"])
    for _ in range(2):
        back = estate.release(estate.first, keep=tuple(tried["same"]))
        assert (back["outcome"], back["kept"], estate.head()) == ("proven", tried["same"], estate.first)
        assert config.read_text() == "a: 2\n"
    assert (config.stat().st_mtime_ns, config.stat().st_ino) == written, "not even for a moment"


def test_an_image_that_is_not_here_fails_before_anything_is_touched(estate, second):
    del estate.engine.images["app:2"]
    planned = estate.release(second, dry_run=True)
    assert (planned["outcome"], "images to pull" in planned["summary"]) == ("planned", True)
    tried = estate.release(second)
    assert (tried["outcome"], estate.head()) == ("failed", estate.first)


def test_an_image_that_only_something_stopped_takes_holds_up_nothing(estate, second):
    estate.start("bot")
    estate.one("bot").die(0)
    services = {"live_connector": spec("2"), "gui": spec("1", "app:2"), "bot": spec("1", "app:3")}
    third = estate.commit("three", services)
    git(estate.root, "checkout", "--quiet", "--detach", estate.first)
    result = estate.release(third)
    assert (result["outcome"], result["images"][f"{PROJECT}/bot"]) == ("proven", "")


def test_a_tag_that_moved_goes_back_to_what_ran_under_it_and_what_is_stopped_follows(estate, second):
    estate.start("bot")
    estate.one("bot").die(0)
    estate.engine.images["app:1"] = IDS["app:2"]
    tried = estate.release(second)
    back = estate.release(tried["revision_before"], pins=tried["images_before"])
    assert (back["outcome"], estate.head()) == ("proven", estate.first), back["summary"]
    assert estate.engine.images["app:1"] == IDS["app:1"]
    assert estate.one("live_connector").labels["com.docker.compose.image"] == IDS["app:1"]
    assert set(back["images"].values()) == {f"app:1@{IDS['app:1']}"}


def test_what_crashed_comes_back_with_the_image_of_what_runs_under_its_reference(estate, second):
    estate.one("gui").die(1)
    estate.engine.images["app:1"] = IDS["app:2"]
    tried = estate.release(second)
    assert set(tried["images_before"].values()) == {f"app:1@{IDS['app:1']}"}
    back = estate.release(tried["revision_before"], pins=tried["images_before"])
    assert (back["outcome"], estate.head()) == ("proven", estate.first), back["summary"]


def test_what_a_release_does_not_pin_follows_the_reference_that_it_pins(estate, second):
    pins = estate.release(second)["images_before"]
    estate.engine.images["app:1"] = IDS["app:2"]
    back = estate.release(estate.first, pins={f"{PROJECT}/gui": pins[f"{PROJECT}/gui"]})
    assert back["outcome"] == "proven", back["summary"]
    assert estate.one("live_connector").labels["com.docker.compose.image"] == IDS["app:1"]


def test_pins_on_record_are_what_ran_here_though_another_host_ran_another_image(estate, second):
    pins = estate.release(second)["images_before"]
    back = estate.release(estate.first, pins=pins, pins_elsewhere=(f"app:1@{IDS['app:2']}",))
    assert back["outcome"] == "proven", back["summary"]


def test_files_that_come_out_otherwise_than_planned_are_a_failure(estate, second):
    texts = dict(estate.host().repository.texts(second, ["ops/compose"])) | {FEED: "one\n"}
    changes = estate.host().repository.changes(estate.first, second)
    tried = estate.release(second, texts=texts, changes=changes)
    assert (tried["outcome"], "comes out otherwise" in tried["summary"]) == ("failed", True)


def test_an_engine_that_does_not_answer_is_unknown_and_has_the_same_keys(estate, second):
    def away() -> Any:
        raise EngineError("The engine did not answer.")

    host = replace(estate.host(), tools=replace(estate.tools(), connect=away))
    unknown = ensure_release(estate.request(second), host, False)
    assert unknown["outcome"] == "unknown"
    assert unknown.keys() == estate.release(second, dry_run=True).keys()
    assert estate.head() == estate.first
