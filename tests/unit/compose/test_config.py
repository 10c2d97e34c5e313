import json
import os
import sys
import time
from pathlib import Path

import pytest
from trading_ops.compose.config import (
    Command,
    CommandResult,
    ComposeError,
    Project,
    build_environment,
    compose_argv,
    format_command,
    hash_argv,
    parse_document,
    parse_error,
    parse_hashes,
    parse_services,
    parse_unset_variables,
    prune_missing_dependencies,
    read_services,
    run_command,
    unpause_argv,
    up_argv,
)

SAMPLES = Path(__file__).parents[1] / "samples" / "compose" / "2.26.1"
PROJECT = Project(
    Path("/opt/core"),
    ("ops/docker-compose.yml", "more.yml"),
    "trading-paper",
    ("paper",),
    ("a.env",),
    {"TRADING_MODE": "paper"},
)
SHARED = [
    *["docker", "compose", "--ansi", "never", "--progress", "plain"],
    *["--file", "ops/docker-compose.yml", "--file", "more.yml", "--env-file", "a.env", "--profile", "paper"],
]


def sample(name: str) -> str:
    return (SAMPLES / name).read_text(encoding="utf-8")


def test_command_lines_are_what_a_person_would_type():
    assert compose_argv(PROJECT) == SHARED
    assert hash_argv(PROJECT) == [*SHARED, "config", "--hash", "*"]
    assert up_argv(PROJECT, ["bot", "gui"]) == [
        *SHARED,
        *["up", "--detach", "--no-build", "--quiet-pull", "--", "bot", "gui"],
    ]
    assert unpause_argv(PROJECT, ["bot"]) == [*SHARED, "unpause", "--", "bot"]


def test_up_never_asks_for_what_recreates_or_fails_on_its_own():
    # --no-deps recreates a service that has dependencies; --wait fails on a one-shot (compose issue 10596).
    assert not {"--no-deps", "--wait", "--force-recreate", "--remove-orphans", "--dry-run", "--build"} & {
        *up_argv(PROJECT, ["bot"])
    }


def test_next_command_shows_no_value_of_a_variable():
    line = format_command(PROJECT, [*compose_argv(PROJECT), "pull", "my bot"])
    assert line == (
        "cd /opt/core && TRADING_MODE=… docker compose --file ops/docker-compose.yml --file more.yml "
        "--env-file a.env --profile paper pull 'my bot'"
    )


def test_nothing_of_the_surroundings_decides_what_starts():
    ambient = {"PATH": "/bin", "HOME": "/root", "TRADING_MODE": "live", "COMPOSE_FILE": "x", "DOCKER_HOST": "tcp://x"}
    assert build_environment(PROJECT, ambient) == {
        "PATH": "/bin",
        "HOME": "/root",
        "TRADING_MODE": "paper",
        "DOCKER_HOST": "unix:///var/run/docker.sock",
    }


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "missing_variable",
            "The compose file needs the variable TRADING_MODE, which was not given (say which mode).",
        ),
        ("missing_file", "Compose says: open /srv/compose-samples/nosuch.yml: no such file or directory."),
        ("no_file", "Compose says: no configuration file provided: not found."),
        ("yaml", "Compose says: yaml: line 1: did not find expected ',' or ']'."),
        (
            "schema",
            "Compose says: validating /srv/compose-samples/broken.yml: services.a Additional property imag is not "
            "allowed.",
        ),
        (
            "inactive_dependency",
            'Compose says: service "a" depends on undefined service "b": invalid compose project.',
        ),
        ("unknown_service", "Compose says: no such service: nosuch."),
        (
            "pull",
            'Compose says: Error response from daemon: Get "https://registry.invalid/v2/": dial tcp: lookup '
            "registry.invalid on 192.0.2.53:53: no such host.",
        ),
        (
            "no_build",
            "Compose says: Error response from daemon: no such image: sample-paper-built: No such image: "
            "sample-paper-built:latest.",
        ),
        (
            "no_engine",
            "Compose says: Cannot connect to the Docker daemon at unix:///nosuch.sock. Is the docker daemon running?",
        ),
        ("one_shot", 'Compose says: service "am_init" didn\'t complete successfully: exit 4.'),
        ("paused", "Compose says: Error response from daemon: cannot start a paused container, try unpause instead."),
    ],
)
def test_error_sentence_from_what_compose_2_26_prints(name, sentence):
    assert parse_error(sample(f"error_{name}.stderr")) == sentence


def test_error_sentence_of_a_taken_port_names_the_port():
    assert "Bind for 127.0.0.1:18998 failed: port is already allocated" in parse_error(sample("error_port.stderr"))


@pytest.mark.parametrize(
    ("stderr", "sentence"),
    [
        ("", "Compose gave no reason."),
        (" Container a  Starting\n", "Compose gave no reason."),
        (
            "required variable X is missing a value\n",
            "The compose file needs the variable X, which was not given.",
        ),
    ],
)
def test_error_sentence_where_compose_says_little(stderr, sentence):
    assert parse_error(stderr) == sentence


def test_unset_variables_are_found_in_the_warnings():
    assert parse_unset_variables(sample("error_unset_variable.stderr")) == ["TAG", "WORDS"]
    assert parse_unset_variables('The "A" variable is not set. Defaulting to a blank string.') == ["A"]
    assert parse_unset_variables("nothing of the kind") == []


def services_of(profile: str):
    return parse_services(
        parse_document(sample(f"config_{profile}.stdout")), parse_hashes(sample(f"hash_{profile}.stdout"))
    )


def test_services_of_a_recorded_project():
    paper = services_of("paper")
    assert sorted(paper) == ["bot", "db", "gui"]
    assert paper["bot"].depends_on == {"db": "service_healthy"}
    assert paper["bot"].image == "recording/box:1"
    assert [paper[name].replicas for name in ("bot", "db", "gui")] == [1, 1, 2]
    assert services_of("alerting")["alertmanager"].replicas == 1
    assert services_of("alerting")["alertmanager"].depends_on == {"am_init": "service_completed_successfully"}
    assert services_of("built")["built"].image == "sample-paper-built"


def test_shared_namespace_is_named_as_not_supported():
    assert services_of("sidecar")["sidecar"].unsupported == "network_mode: service:base"
    assert services_of("sidecar")["base"].unsupported == ""


@pytest.mark.parametrize(
    ("setting", "word"),
    [
        ({"ipc": "service:a"}, "ipc: service:a"),
        ({"pid": "service:a"}, "pid: service:a"),
        ({"volumes_from": ["a"]}, "volumes_from"),
        ({"network_mode": "host"}, ""),
    ],
)
def test_settings_that_put_a_container_id_into_the_hash(setting, word):
    document = {"name": "p", "services": {"b": {"image": "i"} | setting}}
    assert parse_services(document, {"b": "0" * 64})["b"].unsupported == word


def test_hash_after_pruning_is_the_one_that_the_container_has():
    # The quirk: `config --hash` counts an optional dependency on an inactive service, `up` does not.
    label = json.loads(sample("inspect_live_bot.json"))["Config"]["Labels"]["com.docker.compose.config-hash"]
    assert parse_hashes(sample("hash_live.stdout"))["bot"] != label
    assert parse_hashes(sample("pruned_hash_live.stdout"))["bot"] == label
    pruned = prune_missing_dependencies(parse_document(sample("config_live.stdout")))
    assert "depends_on" not in pruned["services"]["bot"]


def test_pruning_leaves_a_complete_project_as_it_is():
    document = parse_document(sample("config_paper.stdout"))
    assert prune_missing_dependencies(document) == document


def test_pruning_keeps_the_dependencies_that_are_there():
    document = {"services": {"a": {"depends_on": {"b": {"condition": "x"}, "gone": {"condition": "x"}}}, "b": {}}}
    assert prune_missing_dependencies(document)["services"]["a"]["depends_on"] == {"b": {"condition": "x"}}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"name": "x"}', '{"services": {}}', '{"name": "x", "services": []}']
)
def test_configuration_that_is_none_is_an_error(text):
    with pytest.raises(ComposeError):
        parse_document(text)


@pytest.mark.parametrize("text", ["bot\n", "bot 123\n", f"bot {'0' * 64} more\n", "time=… level=warning\n"])
def test_hash_line_that_is_none_is_an_error(text):
    with pytest.raises(ComposeError):
        parse_hashes(text)


def test_service_without_a_hash_is_an_error():
    with pytest.raises(ComposeError, match="no configuration hash for db"):
        parse_services({"name": "p", "services": {"db": {"image": "i"}}}, {})


class Recorded:
    """Answers with recorded output, and remembers what was asked."""

    def __init__(self, *answers: CommandResult) -> None:
        self.answers = list(answers)
        self.asked: list[Command] = []

    def __call__(self, command: Command) -> CommandResult:
        self.asked.append(command)
        return self.answers.pop(0)


def said(name: str) -> CommandResult:
    return CommandResult(0, sample(f"{name}.stdout"), "")


def project(tmp_path: Path, name: str, *profiles: str, **more) -> Project:
    (tmp_path / "docker-compose.yml").write_text("", encoding="utf-8")
    return Project(tmp_path, ("docker-compose.yml",), name, profiles, **more)


def test_services_are_read_with_two_questions(tmp_path: Path):
    run = Recorded(said("config_paper"), said("hash_paper"))
    services = read_services(project(tmp_path, "sample-paper", "paper"), run)
    assert services["bot"].config_hash == parse_hashes(sample("hash_paper.stdout"))["bot"]
    assert [command.cwd for command in run.asked] == [tmp_path, tmp_path]


def test_pruned_project_is_hashed_from_standard_input(tmp_path: Path):
    run = Recorded(said("config_live"), said("pruned_hash_live"))
    services = read_services(project(tmp_path, "sample-live", "live"), run)
    assert run.asked[1].argv[run.asked[1].argv.index("--file") + 1] == "-"
    assert "depends_on" not in json.loads(run.asked[1].stdin)["services"]["bot"]
    assert services["bot"].config_hash == parse_hashes(sample("pruned_hash_live.stdout"))["bot"]


def test_other_project_name_is_refused(tmp_path: Path):
    with pytest.raises(ComposeError, match="make project 'sample-live', not 'sample-paper'") as caught:
        read_services(project(tmp_path, "sample-paper", "live"), Recorded(said("config_live")))
    assert caught.value.outcome == "refused"


def test_unset_variable_is_an_error_not_an_empty_string(tmp_path: Path):
    answer = CommandResult(0, sample("config_paper.stdout"), sample("error_unset_variable.stderr"))
    with pytest.raises(ComposeError, match="TAG, WORDS are used in the compose files and not set"):
        read_services(project(tmp_path, "sample-paper"), Recorded(answer))


def test_compose_that_hangs_is_an_error(tmp_path: Path):
    with pytest.raises(ComposeError, match="did not read its files within 30 s"):
        read_services(project(tmp_path, "sample-paper"), Recorded(CommandResult(None, "", "")))


def test_failing_compose_names_the_line_to_type(tmp_path: Path):
    answer = CommandResult(15, "", sample("error_missing_variable.stderr"))
    with pytest.raises(ComposeError, match="TRADING_MODE") as caught:
        read_services(project(tmp_path, "sample-paper"), Recorded(answer))
    assert caught.value.next_command.endswith("docker compose --file docker-compose.yml config --format json")


def test_missing_files_are_named_before_compose_is_asked(tmp_path: Path):
    run = Recorded()
    with pytest.raises(ComposeError, match="directory /nosuch does not exist"):
        read_services(Project(Path("/nosuch"), (), "p"), run)
    with pytest.raises(ComposeError, match=r"a\.yml does not exist on this host"):
        read_services(Project(tmp_path, ("a.yml",), "p"), run)
    with pytest.raises(ComposeError, match=r"b\.env does not exist on this host"):
        read_services(project(tmp_path, "p", env_files=("b.env",)), run)


def command(tmp_path: Path, program: str, timeout_seconds: float = 20, stdin: str = "") -> Command:
    return Command([sys.executable, "-c", program], tmp_path, {"ONLY": "this"}, timeout_seconds, stdin)


def test_command_runs_in_its_directory_with_its_environment_alone(tmp_path: Path):
    program = "import os, sys; print(os.getcwd(), sorted(os.environ), sys.stdin.read()); sys.exit(3)"
    result = run_command(command(tmp_path, program, stdin="text"))
    assert result.exit_code == 3
    assert result.stdout.startswith(f"{os.path.realpath(tmp_path)} ['")
    assert "ONLY" in result.stdout
    assert "PATH" not in result.stdout
    assert "text" in result.stdout


def test_command_and_its_children_end_at_the_time_limit(tmp_path: Path):
    program = (
        "import pathlib, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "pathlib.Path('child').write_text(str(child.pid))\n"
        "print('said', flush=True)\n"
        "time.sleep(60)\n"
    )
    begun = time.monotonic()
    result = run_command(command(tmp_path, program, timeout_seconds=1.0))
    assert result.exit_code is None
    assert time.monotonic() - begun < 15
    assert is_gone(int((tmp_path / "child").read_text(encoding="utf-8")))


def is_gone(pid: int) -> bool:
    for _ in range(50):
        stat = Path(f"/proc/{pid}/stat")
        if not stat.exists() or stat.read_text(encoding="utf-8").split()[2] == "Z":
            return True
        time.sleep(0.1)
    return False


def test_deaf_command_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("trading_ops.compose.config.TERMINATE_SECONDS", 0.2)
    program = (
        "import os, pathlib, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "pathlib.Path('deaf').write_text(str(os.getpid()))\n"
        "time.sleep(60)\n"
    )
    begun = time.monotonic()
    assert run_command(command(tmp_path, program, timeout_seconds=1.0)).exit_code is None
    assert time.monotonic() - begun < 15
    assert is_gone(int((tmp_path / "deaf").read_text(encoding="utf-8")))


def test_missing_program_is_a_sentence(tmp_path: Path):
    with pytest.raises(ComposeError, match="docker-nosuch could not be run on this host"):
        run_command(Command(["docker-nosuch"], tmp_path, {}, 1))
