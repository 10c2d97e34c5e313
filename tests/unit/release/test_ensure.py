"""A host brought to a release: a real checkout, a Compose that reads the files it is given, and images that move."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from trading_ops.compose.config import Command, CommandResult
from trading_ops.compose.services import ensure_services
from trading_ops.host.engine import EngineError
from trading_ops.host.programs import LocalPrograms
from trading_ops.release.ensure import ensure_release
from trading_ops.release.git import HOST_ENVIRONMENT, Repository
from trading_ops.release.images import Image
from trading_ops.release.observe import read_supported_max
from trading_ops.release.plan import Rules
from trading_ops.release.request import Host, Request, Stack, build_stacks

from tests.unit.compose_world import ServiceSpec, World

FEED = "ops/compose/docker-compose.yml"
PROJECT = "ai_trading_core"
NOW = "2026-11-21T08:00:00.000Z"
IDS = {"app:1": f"sha256:{'1' * 64}", "app:2": f"sha256:{'2' * 64}"}


def git(path, *arguments):
    identity = ["-c", "user.name=t", "-c", "user.email=t@t"]
    done = subprocess.run(["git", *identity, *arguments], cwd=path, check=True, capture_output=True, text=True)
    return done.stdout.strip()


class Estate(World):
    """A host whose compose file is a word, which stands for services. The first line of the file is that word."""

    def __init__(self, root: Path) -> None:
        (root / "unused").mkdir(parents=True)
        super().__init__(root / "unused")
        self.root, self.name = root / "checkout", PROJECT
        self.state = root / "state"
        self.state.mkdir()
        self.root.mkdir()
        git(self.root, "init", "--quiet", "--initial-branch=main")
        self.words: dict[str, dict[str, ServiceSpec]] = {}
        self.engine.images = dict(IDS)
        self.mounts: dict[str, list[str]] = {}
        self.scratch_folders: list[str] = []
        inspect = self.engine.inspect

        def with_mounts(container_id: str) -> dict[str, Any] | None:
            described = inspect(container_id)
            if described:
                service = described["Config"]["Labels"].get("com.docker.compose.service", "")
                described["Mounts"] = [{"Type": "bind", "Source": path} for path in self.mounts.get(service, [])]
            return described

        self.engine.inspect = with_mounts  # type: ignore[method-assign]

    def commit(self, word: str, services: dict[str, ServiceSpec] | None = None, **files: str) -> str:
        if services:
            self.words[word] = services
        for name, text in {FEED: f"{word}\n", **files}.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--allow-empty", "--message", word)
        return git(self.root, "rev-parse", "HEAD")

    def run(self, command: Command) -> CommandResult:
        argv = list(command.argv)
        file = argv[argv.index("--file") + 1] if "--file" in argv else ""
        if "--project-directory" in argv:
            assert argv[argv.index("--project-directory") + 1] == str(self.root / "ops/compose")
            self.scratch_folders.append(file)
        if file != "-":
            self.services = self.words[(self.root / file).read_text().split()[0]]
        return super().run(command)

    def start(self, *services: str) -> None:
        self.name = PROJECT
        params = self.params(*services, project_src=str(self.root), files=[FEED], project_name=PROJECT, profiles=[])
        assert ensure_services(params | {"state_path": str(self.state)}, self.tools(), False)["outcome"] == "proven"
        self.commands.clear()

    def host(self) -> Host:
        tools = self.tools()
        return Host(
            repository=Repository(LocalPrograms(HOST_ENVIRONMENT, time.monotonic, 60), self.root),
            images=HostImages(self.engine),
            tools=tools,
            ensure=lambda params: ensure_services(params, tools, False),
            now=lambda: NOW,
        )

    def request(self, revision: str, **more: Any) -> Request:
        plain = Request(
            revision=revision,
            stacks=(Stack(PROJECT, (FEED,), ()),),
            rules=Rules(("bot",), "live_connector", ()),
            state_path=self.state,
            docker_url="unix:///s",
            timeout_seconds=10,
            by="reno",
            why="test",
        )
        return replace(plain, **more)

    def release(self, revision: str, dry_run: bool = False, **more: Any) -> dict[str, Any]:
        return ensure_release(self.request(revision, **more), self.host(), dry_run)

    def head(self) -> str:
        return git(self.root, "rev-parse", "HEAD")

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.root.parent.rglob("*") if path.is_file()}

    def ids(self) -> dict[str, str]:
        return {container.name: container.id for container in self.engine.by_id.values()}


class HostImages:
    """Images of a host, over the same table that the fake Compose takes them from."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine

    def find(self, reference: str) -> Image | None:
        found = self.engine.images.get(reference) or (reference if reference in IDS.values() else None)
        return Image(found) if found else None

    def tag(self, image_id: str, reference: str) -> None:
        self.engine.images[reference] = image_id


def spec(environment="", image="app:1", **more):
    return ServiceSpec(image=image, environment=environment, health="healthy", **more)


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


def moves(result):
    return {move["service"]: move["action"] for move in result["moves"]}


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


def test_a_dry_run_says_all_of_it_from_the_releases_files_and_changes_nothing(estate, second):
    before, ids = estate.files(), estate.ids()
    planned = estate.release(second, dry_run=True)
    assert (planned["outcome"], planned["changed"]) == ("planned", True)
    assert "live_connector: would recreate" in planned["summary"]
    assert planned["diff"]["before"] != planned["diff"]["after"]
    assert (estate.files(), estate.ids()) == (before, ids)
    assert "up" not in estate.commands
    assert estate.scratch_folders
    assert not any(Path(folder).exists() for folder in estate.scratch_folders), "the scratch folder is gone"


def test_a_revision_that_the_host_does_not_have_yet_is_planned_from_what_the_operator_has(estate, second):
    repository = estate.host().repository
    texts, changes = repository.texts(second, ["ops/compose"]), repository.changes(estate.first, second)
    unknown = "f" * 40
    planned = estate.release(unknown, dry_run=True, texts=texts, changes=changes)
    assert (planned["outcome"], moves(planned)["gui"]) == ("planned", "recreate")
    assert estate.release(unknown, dry_run=True)["outcome"] == "failed"


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


def test_a_change_by_hand_that_the_release_would_undo_forbids_it_unless_it_brings_the_same(estate):
    name = estate.commit("one", **{"config/trading.yml": "a: 2\n"})
    git(estate.root, "checkout", "--quiet", "--detach", estate.first)
    (estate.root / "config/trading.yml").write_text("a: 7\n")
    refused = estate.release(name)
    assert (refused["outcome"], "was changed on this host" in refused["summary"]) == ("refused", True)
    assert "diff config/trading.yml" in refused["next_command"]
    (estate.root / "config/trading.yml").write_text("a: 2\n")
    assert (estate.release(name)["outcome"], estate.head()) == ("proven", name)


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


def test_what_changes_in_the_configuration_is_named(estate):
    name = estate.commit("one", **{"config/trading.yml": "a: 2\n"})
    assert "changes config/trading.yml" in estate.release(estate.first, dry_run=True)["summary"]
    assert estate.head() == name


def test_a_file_without_git_in_the_way_forbids_it(estate):
    name = estate.commit("one", **{"config/new.yml": "b: 1\n"})
    git(estate.root, "checkout", "--quiet", "--detach", estate.first)
    (estate.root / "config/new.yml").write_text("mine\n")
    assert "without Git" in estate.release(name)["summary"]
    assert (estate.root / "config/new.yml").read_text() == "mine\n"


def test_a_desired_state_that_cannot_be_read_forbids_it(estate, second):
    (estate.state / "desired.json").write_text("garbage")
    refused = estate.release(second)
    assert (refused["outcome"], estate.head()) == ("refused", estate.first)


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


def test_what_is_to_run_and_is_not_here_is_named_to_be_brought(estate, second):
    pins = estate.release(second)["images_before"]
    del estate.engine.images["app:1"], pins[f"{PROJECT}/gui"], pins[f"{PROJECT}/live_connector"]
    planned = estate.release(estate.first, dry_run=True, pins=pins)
    assert (planned["outcome"], planned["missing"]) == ("planned", ["app:1"])


@pytest.mark.parametrize(
    ("versions", "supported", "waived", "outcome"),
    [
        ((), None, False, "planned"),
        ((2,), 2, False, "planned"),
        ((1, 3), 2, False, "refused"),
        ((1, None), 2, False, "refused"),
        ((1,), None, False, "refused"),
        ((3,), 2, True, "planned"),
    ],
)
def test_a_database_that_is_newer_or_not_known_forbids_it(estate, second, versions, supported, waived, outcome):
    seen = estate.release(
        second, dry_run=True, schema_versions=versions, schema_supported_max=supported, schema_waived=waived
    )
    assert seen["outcome"] == outcome


def test_a_schema_that_nobody_knows_names_the_database_that_has_to_run(estate, second):
    refused = estate.release(second, dry_run=True, schema_versions=(None,), schema_supported_max=2)
    assert "start" in refused["next_command"]


def test_the_schema_that_a_release_supports_stands_beside_its_compose_file():
    stacks = build_stacks(["paper_hosts"], "f", ["f/docker-compose.yml"], "trading-", ["t/docker-compose.yml"])
    assert read_supported_max(stacks, {"t/schema.yml": "# newest\nschema_supported_max: 4 # tables\n"}) == 4
    assert read_supported_max(stacks, {"t/schema.yml": "schema_supported_max: x\n"}) is None


def test_one_reference_is_one_image_on_every_host(estate, second):
    elsewhere = (f"app:2@sha256:{'9' * 64}",)
    assert "another image on another host" in estate.release(second, pins_elsewhere=elsewhere)["summary"]


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


def test_two_images_that_ran_under_one_reference_cannot_both_come_back(estate, second):
    pins = {f"{PROJECT}/gui": f"app:1@{IDS['app:1']}", f"{PROJECT}/live_connector": f"app:1@{IDS['app:2']}"}
    refused = estate.release(estate.first, pins=pins)
    assert (refused["outcome"], "app:1 ran as more than one image" in refused["summary"]) == ("refused", True)


def test_a_pin_whose_reference_is_no_longer_configured_is_told(estate, second):
    refused = estate.release(second, pins={f"{PROJECT}/gui": f"app:9@{IDS['app:2']}"})
    assert (refused["outcome"], "the host's .env files now say app:2" in refused["summary"]) == ("refused", True)


def test_files_that_come_out_otherwise_than_planned_are_a_failure(estate, second):
    texts = dict(estate.host().repository.texts(second, ["ops/compose"])) | {FEED: "one\n"}
    changes = estate.host().repository.changes(estate.first, second)
    tried = estate.release(second, texts=texts, changes=changes)
    assert (tried["outcome"], "comes out otherwise" in tried["summary"]) == ("failed", True)


def test_a_release_without_the_compose_file_is_refused(estate, second):
    assert estate.release(second, dry_run=True, texts={}, changes={})["outcome"] == "refused"


def test_a_text_that_lies_outside_of_the_checkout_is_not_written(estate, second, tmp_path):
    tried = estate.release(second, dry_run=True, texts={"../../x.yml": "x"}, changes={})
    assert tried["outcome"] == "failed"


def test_an_engine_that_does_not_answer_is_unknown_and_has_the_same_keys(estate, second):
    def away() -> Any:
        raise EngineError("The engine did not answer.")

    host = replace(estate.host(), tools=replace(estate.tools(), connect=away))
    unknown = ensure_release(estate.request(second), host, False)
    assert unknown["outcome"] == "unknown"
    assert unknown.keys() == estate.release(second, dry_run=True).keys()
    assert estate.head() == estate.first


def test_a_host_has_the_stacks_of_its_groups_as_their_starts_call_them():
    stacks = build_stacks(["feed_hosts", "paper_hosts", "trading_hosts"], "f", ["a"], "trading-", ["b"])
    assert [(stack.name, stack.profiles, dict(stack.variables)) for stack in stacks] == [
        ("f", ("ui", "alerting"), {}),
        ("trading-paper", ("paper",), {"TRADING_MODE": "paper"}),
    ]
