import pytest
from trading_ops.core.bots import BotRules, in_scope, select_bots

from tests.unit.fakes import FakeContainer, FakeEngine, bot

RULES = BotRules(images=("trading-core-lab/bot:*", "*/refstrat*"))


def found(*containers: FakeContainer, rules: BotRules = RULES) -> list[tuple[str, str, str]]:
    return [(b.name, b.mode, b.found_by) for b in select_bots(FakeEngine(*containers).containers(), rules)]


def test_bot_of_a_trading_project_is_found_in_every_state():
    for status in ("running", "paused", "restarting", "created", "exited", "dead", "removing"):
        assert found(bot("a", status=status)) == [("a", "paper", "label")]


@pytest.mark.parametrize("label", ["", "Live", "stage", None])
def test_bot_without_a_known_mode_counts_as_live(label):
    assert found(bot("a", mode=label)) == [("a", "live", "label")]


def test_one_off_and_orphan_bots_are_found_by_their_labels():
    one_off = bot("a", labels={"com.docker.compose.oneoff": "True"}, image="anything")
    assert found(one_off) == [("a", "paper", "label")]


def test_bot_service_of_another_project_is_left_alone():
    assert found(bot("chat", project="discord", image="chat:1")) == []


def test_other_service_of_a_trading_project_is_left_alone():
    assert found(bot("db", labels={"com.docker.compose.service": "db"}, image="postgres")) == []


def test_pattern_for_every_project_does_not_match_a_container_without_labels():
    assert found(FakeContainer("db", image="postgres"), rules=BotRules(services=("*",), projects=("*",))) == []


def test_stray_without_labels_is_found_by_its_image_and_counts_as_live():
    assert found(FakeContainer("stray", image="ghcr.io/refstrat:2")) == [("stray", "live", "image")]


def test_no_image_pattern_means_no_stray():
    assert found(FakeContainer("db", image="postgres"), rules=BotRules()) == []


RESTORE_TEST = {"trading-core.restore-test": "true"}


def test_restore_test_bot_never_counts():
    assert found(bot("a", project="restoretest-20261121-013000-0a1b2c", labels=RESTORE_TEST)) == []


@pytest.mark.parametrize(
    "project",
    [
        "trading-live",
        "trading-restoretest-20261121-013000-0a1b2c",
        "restoretest-20261121-013000-0a1b2c-x",
        "restoretest",
    ],
)
def test_the_label_of_a_restore_test_alone_exempts_no_bot(project):
    rules = BotRules(projects=("*",))
    assert found(bot("a", project=project, labels=RESTORE_TEST), rules=rules) == [("a", "paper", "label")]


def test_the_project_of_a_restore_test_alone_exempts_no_bot():
    rules = BotRules(projects=("*",))
    assert found(bot("a", project="restoretest-20261121-013000-0a1b2c"), rules=rules) == [("a", "paper", "label")]


def test_owners_own_command_makes_a_project_that_the_default_rules_know():
    assert found(bot("a", project="trading"), rules=BotRules()) == [("a", "paper", "label")]


@pytest.mark.parametrize("label", ["", "false", "True", "1"])
def test_bot_whose_restore_test_label_is_not_the_word_true_counts(label):
    assert found(bot("a", labels={"trading-core.restore-test": label})) == [("a", "paper", "label")]


def test_null_labels_and_missing_names_of_the_engine_are_survived():
    summary = {"Id": "f" * 64, "Names": None, "Labels": None, "Image": "trading-core-lab/bot:1", "State": "running"}
    (seen,) = select_bots([summary], RULES)
    assert (seen.name, seen.mode) == ("f" * 12, "live")


def test_scope_live_spares_paper_bots_only():
    paper, live, unclear = select_bots(
        FakeEngine(bot("a"), bot("b", mode="live"), bot("c", mode=None)).containers(), RULES
    )
    assert [in_scope(b, "live") for b in (paper, live, unclear)] == [False, True, True]
    assert all(in_scope(b, "all") for b in (paper, live, unclear))
