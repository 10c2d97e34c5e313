from __future__ import annotations

import io
import tarfile

from lab import project_tree

IMAGES = {"LAB_IMAGE_APP": "trading-core-lab/app:abc"}
ENVIRONMENT = project_tree.build_environment(
    IMAGES, "172.29.77.11", "172.29.77.20", "172.29.77.14", "http://172.29.77.21:8910/on-call"
)


def paths(environment: dict[str, str]) -> dict[str, project_tree.Entry]:
    return {entry.path: entry for entry in project_tree.build_entries(environment, IMAGES)}


def test_a_host_gets_the_compose_files_at_the_owners_paths_and_the_runbooks_but_no_logs():
    seen = paths(ENVIRONMENT)
    for name in ("ops/compose/docker-compose.yml", "ops/compose/trading/docker-compose.yml"):
        assert f"opt/ai_trading_core/{name}" in seen
    assert "opt/ai_trading_core/runbooks/Incident_Handling.md" in seen
    assert "opt/ai_trading_core/config" in seen
    assert not [path for path in seen if "logs" in path.split("/")]


def test_the_latch_folder_is_roots_and_nobody_else_writes_it():
    entry = paths({})["var/lib/trading-core"]
    assert (entry.owner, entry.group, entry.mode, entry.content) == ("root", "docker", 0o755, None)


def test_only_hosts_that_run_stacks_get_env_files_and_only_the_engine_group_reads_them():
    env_files = {path: entry for path, entry in paths(ENVIRONMENT).items() if path.endswith("/.env")}
    assert sorted(env_files) == ["opt/ai_trading_core/ops/compose/.env", "opt/ai_trading_core/ops/compose/trading/.env"]
    assert {(entry.mode, entry.group) for entry in env_files.values()} == {(0o640, "docker")}
    assert not [path for path in paths({}) if path.endswith("/.env")]


def test_a_host_without_stacks_knows_the_images_of_a_restore_test_and_no_secret():
    entry = paths({})["opt/ai_trading_core/ops/compose/restore_test/images.env"]
    assert b"LAB_IMAGE_APP=trading-core-lab/app:abc" in entry.content
    assert b"PASSWORD" not in entry.content


def test_the_mode_is_never_in_an_env_file():
    assert "TRADING_MODE" not in project_tree.render_environment(ENVIRONMENT)


def test_feed_database_and_registry_are_the_paper_hosts_also_for_live():
    assert ENVIRONMENT["FEED_URL"] == "http://172.29.77.11:8000"
    assert "@172.29.77.11:5432/trading" in ENVIRONMENT["DATABASE_URL"]
    assert ENVIRONMENT["MLFLOW_TRACKING_URI"] == "http://172.29.77.11:5000"
    assert ENVIRONMENT["VENUE_URL"] == "http://172.29.77.20:8900"


def test_alerts_go_to_people_and_to_the_control_host():
    assert ENVIRONMENT["ALERT_WEBHOOK_URL"] == "http://172.29.77.21:8910/on-call"
    assert ENVIRONMENT["ALERT_CONTROL_URL"] == "https://172.29.77.14:9095/alerts"


def test_the_digest_changes_with_content_and_mode_and_not_with_time():
    entry = project_tree.Entry("a", 0o644, b"x")
    assert project_tree.entries_digest([entry]) == project_tree.entries_digest([project_tree.Entry("a", 0o644, b"x")])
    for other in (project_tree.Entry("a", 0o644, b"y"), project_tree.Entry("a", 0o755, b"x")):
        assert project_tree.entries_digest([entry]) != project_tree.entries_digest([other])


def test_the_tar_holds_owners_by_name_so_that_the_hosts_own_ids_apply():
    entries = (project_tree.Entry("opt/d", 0o755, None), project_tree.Entry("opt/d/f", 0o640, b"text", group="docker"))
    with tarfile.open(fileobj=io.BytesIO(project_tree.build_tar(entries))) as tar:
        folder, file = tar.getmembers()
        assert folder.isdir()
        assert (file.uname, file.gname, file.mode) == ("ops", "docker", 0o640)
        assert tar.extractfile(file).read() == b"text"
