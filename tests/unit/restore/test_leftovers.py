import json

import pytest
from trading_ops.host.programs import ProgramError
from trading_ops.restore.faults import RestoreFault
from trading_ops.restore.leftovers import observe_things, present_of, remove_all

PROJECT = "restoretest-20261121-120000-abcdef"
OTHERS = "restoretest-20261001-120000-000000"


class FakeDocker:
    """An engine's lists, and removal by key. `stubborn` stays, whatever is asked; for one of `refuses` it says so."""

    def __init__(self, *things):
        self.things, self.stubborn, self.refuses, self.calls = list(things), set(), set(), []

    def __call__(self, arguments):
        self.calls.append(list(arguments))
        kind = {"ps": "container", "rm": "container"}.get(arguments[0], arguments[0])
        if "ls" in arguments or arguments[0] == "ps":
            return "\n".join(json.dumps(item) for of, item in self.things if of == kind)
        key = arguments[-1]
        if key in self.refuses:
            raise ProgramError("removal is already in progress")
        self.things = [(of, item) for of, item in self.things if key in self.stubborn or key not in item.values()]
        return ""


def thing(kind, name, project=PROJECT, is_of_a_test=True):
    labels = f"com.docker.compose.project={project},a=b" + (",trading-core.restore-test=true" if is_of_a_test else "")
    names = {"Names": name, "ID": f"id-{name}"} if kind == "container" else {"Name": name, "ID": f"id-{name}"}
    return kind, {**names, "Labels": labels}


def left_by_a_test():
    return [
        thing("container", "bot", OTHERS),
        thing("volume", f"{PROJECT}_data"),
        thing("network", f"{PROJECT}_default"),
        thing("container", f"{PROJECT}-bot-1"),
    ]


def test_everything_that_tests_left_is_removed_containers_first(tmp_path):
    docker = FakeDocker(*left_by_a_test())
    (tmp_path / PROJECT / "set").mkdir(parents=True)
    removed = remove_all(docker, tmp_path)
    assert docker.things == []
    assert not list(tmp_path.iterdir())
    assert [words.split()[0] for words in removed] == [
        "container",
        "container",
        "volume",
        "network",
        str(tmp_path / PROJECT),
    ]


@pytest.mark.parametrize(
    "kept",
    [
        thing("container", "trading-paper-bot-1", "trading-paper", is_of_a_test=False),
        thing("container", "mislabelled", "trading-paper"),
        thing("container", "misnamed", PROJECT, is_of_a_test=False),
        thing("volume", "restoretest-mine_data", "restoretest-mine"),
        thing("network", "x", f"{PROJECT}-2"),
    ],
)
def test_what_lacks_the_label_or_the_name_of_a_test_stays(tmp_path, kept):
    docker = FakeDocker(kept)
    (tmp_path / "somebody's").mkdir()
    assert remove_all(docker, tmp_path) == []
    assert docker.things == [kept]
    assert list(tmp_path.iterdir())


def test_what_does_not_go_away_is_a_failure_that_names_it(tmp_path):
    docker = FakeDocker(*left_by_a_test())
    docker.stubborn = {f"{PROJECT}_data"}
    with pytest.raises(RestoreFault, match=f"left_behind: .*volume {PROJECT}_data"):
        remove_all(docker, tmp_path)


def test_one_that_the_engine_refuses_to_remove_keeps_no_other(tmp_path):
    docker = FakeDocker(*left_by_a_test())
    docker.refuses = {"id-bot"}
    with pytest.raises(RestoreFault, match=r"container bot \(removal is already in progress\)$"):
        remove_all(docker, tmp_path)
    assert [item["Names"] for _, item in docker.things] == ["bot"]


def test_nothing_left_is_nothing_removed(tmp_path):
    assert remove_all(FakeDocker(), tmp_path / "never made") == []


def test_a_list_that_is_not_understood_is_an_engine_that_is_away():
    with pytest.raises(RestoreFault, match="engine_away"):
        observe_things(lambda _: "garbage")


def test_names_that_a_new_project_must_not_meet():
    present = present_of(observe_things(FakeDocker(*left_by_a_test())))
    assert present.projects == {PROJECT, OTHERS}
    assert (present.volumes, present.networks) == ({f"{PROJECT}_data"}, {f"{PROJECT}_default"})
