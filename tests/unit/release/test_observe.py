"""What a release would change is planned from its own files, and what forbids it is named before anything changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from trading_ops.release.observe import read_supported_max
from trading_ops.release.request import build_stacks

from tests.unit.release_world import IDS, PROJECT, git, moves


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


def test_a_change_by_hand_that_the_release_would_undo_forbids_it_unless_it_brings_the_same(estate):
    name = estate.commit("one", **{"config/trading.yml": "a: 2\n"})
    git(estate.root, "checkout", "--quiet", "--detach", estate.first)
    (estate.root / "config/trading.yml").write_text("a: 7\n")
    refused = estate.release(name)
    assert (refused["outcome"], "was changed on this host" in refused["summary"]) == ("refused", True)
    assert "diff config/trading.yml" in refused["next_command"]
    (estate.root / "config/trading.yml").write_text("a: 2\n")
    assert (estate.release(name)["outcome"], estate.head()) == ("proven", name)


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


def test_two_images_that_ran_under_one_reference_cannot_both_come_back(estate, second):
    pins = {f"{PROJECT}/gui": f"app:1@{IDS['app:1']}", f"{PROJECT}/live_connector": f"app:1@{IDS['app:2']}"}
    refused = estate.release(estate.first, pins=pins)
    assert (refused["outcome"], "app:1 ran as more than one image" in refused["summary"]) == ("refused", True)


def test_a_pin_whose_reference_is_no_longer_configured_is_told(estate, second):
    refused = estate.release(second, pins={f"{PROJECT}/gui": f"app:9@{IDS['app:2']}"})
    assert (refused["outcome"], "the host's .env files now say app:2" in refused["summary"]) == ("refused", True)


def test_a_release_without_the_compose_file_is_refused(estate, second):
    assert estate.release(second, dry_run=True, texts={}, changes={})["outcome"] == "refused"


def test_a_text_that_lies_outside_of_the_checkout_is_not_written(estate, second, tmp_path):
    tried = estate.release(second, dry_run=True, texts={"../../x.yml": "x"}, changes={})
    assert tried["outcome"] == "failed"
