"""What is named beside the bots, what can be exempted, and what cannot. The table of signs is in tests/breakglass."""

from __future__ import annotations

from typing import Any

import pytest
from trading_ops.core.bots import BotRules
from trading_ops.core.unexpected import Beyond, find_beyond, wanted_ids

from tests.unit.fakes import FakeContainer, FakeEngine, bot

COMMAND = ("python", "-m", "trading_lab.bot")
DEFAULT = BotRules()
FREQTRADE = "freqtradeorg/freqtrade:stable"


def beyond(*containers: FakeContainer, rules: BotRules = DEFAULT, images: dict[str, str] | None = None) -> Beyond:
    engine = FakeEngine(*containers)
    engine.images = images or {}
    described = {item.id: seen for item in containers if (seen := engine.inspect(item.id))}
    return find_beyond(engine.containers(), described, rules)


def service(name: str, project: str, image: str = "other:1", **more: Any) -> FakeContainer:
    labels = {"com.docker.compose.service": name, "com.docker.compose.project": project}
    return FakeContainer(f"{project}-{name}-1", labels | more.pop("labels", {}), image, **more)


def whys(seen: Beyond) -> dict[str, str]:
    return {found.name: found.why for found in seen.unexpected}


def test_nothing_but_bots_leaves_nothing_to_say():
    seen = beyond(bot("a"), bot("b", status="exited"))
    assert (seen, seen.doubts, seen.notes()) == (Beyond(bots=2), [], [])


def test_each_sign_of_a_bot_is_said_and_the_state_is_any_that_runs():
    seen = beyond(
        bot("a", command=COMMAND, status="exited"),
        FakeContainer("label", {"trading-core.mode": "paper"}, "x"),
        FakeContainer("variable", {}, "x", environment=("TRADING_MODE=live",), status="paused"),
        FakeContainer("program", {}, "foo:1", command=COMMAND, status="restarting"),
        FakeContainer("framework", {}, FREQTRADE),
        FakeContainer("test", {"trading-core.restore-test": "true"}, "x"),
        FakeContainer("over", {"trading-core.mode": "live"}, FREQTRADE, status="exited"),
        FakeContainer("never", {"trading-core.mode": "live"}, FREQTRADE, status="created"),
    )
    assert whys(seen) == {
        "label": "it carries the label trading-core.mode",
        "variable": "it has TRADING_MODE in its environment",
        "program": "it has image and command of the bot a",
        "framework": f"its image {FREQTRADE} is of freqtrade",
        "test": "it bears the label trading-core.restore-test and is no restore test's",
    }
    assert {found.name: found.mode for found in seen.unexpected}["label"] == "paper"
    assert {found.mode for found in seen.unexpected if found.name != "label"} == {"live"}
    assert len(seen.doubts) == 5


@pytest.mark.parametrize(
    "container",
    [
        FakeContainer("web", {}, "trading-core-lab/bot:1", command=("python", "-m", "trading_lab.gui")),
        FakeContainer("feed", {}, "trading-core-lab/bot:1"),
        FakeContainer("other-image", {}, "other:1", command=COMMAND),
    ],
    ids=lambda item: item.name,
)
def test_image_or_command_of_a_bot_alone_names_nothing(container):
    seen = beyond(bot("a", command=COMMAND), container, images={"other:1": "sha256:2"})
    assert (seen.unexpected, seen.unnamed) == ((), (container.name,))


def test_two_containers_without_a_command_that_is_known_are_not_alike():
    assert beyond(bot("a"), FakeContainer("b", {}, "x")).unexpected == ()


def test_estate_takes_a_service_and_a_container_without_one_out_of_the_count():
    seen = beyond(bot("a"), service("gui", "x"), FakeContainer("prometheus"), FakeContainer("nas"), service("web", "y"))
    assert seen.unnamed == ("nas", "y-web-1")
    assert seen.notes() == ["2 other containers run: nas, y-web-1"]


def test_framework_that_is_no_bot_is_exempted_by_all_three_words_and_listed():
    rules = BotRules(others=(f"ui/web/{FREQTRADE}",))
    seen = beyond(bot("a"), service("web", "ui", FREQTRADE), service("web", "ui2", FREQTRADE), rules=rules)
    assert list(whys(seen)) == ["ui2-web-1"]
    assert seen.exempted == (f"ui-web-1 (ui/web/{FREQTRADE})",)
    assert seen.notes() == [f"exempted by the estate: ui-web-1 (ui/web/{FREQTRADE})"]


@pytest.mark.parametrize("words", ["web", "ui", FREQTRADE, "ui/web", "ui/web/*", "*", f"*/web/{FREQTRADE}", "ui-web-1"])
def test_no_shorter_word_and_no_pattern_exempts_a_framework(words):
    assert len(beyond(bot("a"), service("web", "ui", FREQTRADE), rules=BotRules(others=(words,))).unexpected) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"labels": {"trading-core.mode": "live"}},
        {"labels": {"trading-core.restore-test": "true"}},
        {"environment": ("TRADING_MODE=live",)},
        {"command": COMMAND},
    ],
    ids=["label", "label of a restore test", "variable", "program"],
)
def test_no_word_of_the_estate_hides_what_looks_like_our_bot(more):
    rules = BotRules(others=("web", f"ui/web/{FREQTRADE}"))
    assert len(beyond(bot("a", command=COMMAND), service("web", "ui", FREQTRADE, **more), rules=rules).unexpected) == 1


def test_no_word_of_the_estate_hides_what_a_rule_matches():
    rules = BotRules(others=("bot", "trading-paper/bot/trading-core-lab/bot:1", "a"))
    assert beyond(bot("a"), rules=rules).bots == 1


def test_no_bot_while_others_run_is_a_doubt():
    seen = beyond(FakeContainer("tv"), FakeContainer("nas"), FakeContainer("off", status="exited"))
    assert seen.doubts == ["no bot found, and 2 other containers run: nas, tv"]
    assert beyond(FakeContainer("nas")).doubts == ["no bot found, and 1 other container runs: nas"]
    assert beyond(FakeContainer("nas"), bot("a", status="exited")).doubts == []
    assert beyond(FakeContainer("prometheus")).doubts == []


def test_many_are_counted_and_ten_named():
    seen = beyond(*(FakeContainer(f"n{number:02}") for number in range(12)))
    assert seen.doubts[0].startswith("no bot found, and 12 other containers run: n00, n01")
    assert seen.doubts[0].endswith("n09, …")
    strays = beyond(*(FakeContainer(f"s{number:02}", {}, FREQTRADE) for number in range(12)))
    assert (len(strays.doubts), strays.doubts[-1]) == (11, "and 2 more unexpected bots")


@pytest.mark.parametrize("description", [None, {}, {"Config": None}, {"Config": "x"}])
def test_container_that_nobody_describes_is_named(description):
    engine = FakeEngine(FakeContainer("nas"), bot("a"))
    nas = engine.containers()[0]["Id"]
    described = {} if description is None else {nas: description}
    assert find_beyond(engine.containers(), described, BotRules()).doubts == ["nas runs and could not be looked at"]


def test_bot_with_the_label_of_a_restore_test_is_a_bot_and_named():
    seen = beyond(bot("a", labels={"trading-core.restore-test": "true"}))
    assert (seen.bots, seen.doubts, seen.mislabelled) == (1, [], ("a",))
    assert seen.notes() == ["a bears the label trading-core.restore-test and is no restore test's"]


def test_only_what_runs_and_no_rule_matches_and_the_bots_have_to_be_described():
    engine = FakeEngine(bot("a", status="exited"), FakeContainer("nas"), FakeContainer("off", status="exited"))
    by_id = {item.id: item.name for item in engine.by_id.values()}
    assert [by_id[name] for name in wanted_ids(engine.containers(), BotRules())] == ["a", "nas"]
