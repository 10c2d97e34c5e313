from trading_ops.core.arguments import BOT_ARGUMENTS, ENGINE_ARGUMENTS, STATE_ARGUMENTS
from trading_ops.core.bots import BotRules
from trading_ops.guard.service import parse_settings
from trading_ops.guard.this_host import SYSTEM_ENGINES


def test_no_value_of_a_bot_argument_is_refused_before_a_stop_reads_it():
    assert {argument["type"] for argument in BOT_ARGUMENTS.values()} == {"raw"}


def test_what_is_not_given_means_the_same_to_a_module_and_to_the_rules_for_bots():
    lists = {name: argument["default"] for name, argument in BOT_ARGUMENTS.items() if name != "stop_unexpected"}
    defaults = {name: tuple(value) for name, value in lists.items()}
    rules = BotRules()
    assert defaults == {
        "bot_services": rules.services,
        "bot_projects": rules.projects,
        "bot_images": rules.images,
        "other_services": rules.others,
    }
    assert BOT_ARGUMENTS["stop_unexpected"]["default"] is rules.stop_unexpected


def test_what_is_not_given_means_the_same_to_a_module_and_to_the_guard():
    settings, _ = parse_settings({})
    assert str(settings.state_path) == STATE_ARGUMENTS["state_path"]["default"]
    assert settings.docker_url == ENGINE_ARGUMENTS["docker_url"]["default"]
    assert settings.docker_url in SYSTEM_ENGINES
