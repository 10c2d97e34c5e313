"""What is wrong with a backup, or with a restore test, planted for real: each is found, named, and nothing stays."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator

import pytest

from tests.lab.backup_sets import DEFECTS, FOLDER, GOOD, copy_of_good, on_set, point_registry_at
from tests.lab.estate import ROOT, Run, command, on, runbook
from tests.lab.test_restore_test import HOST, left, reported

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

TREE = "/opt/ai_trading_core/ops/compose/restore_test"


def assert_red(tested: Run, name: str) -> None:
    assert tested.code == 1
    assert re.search(rf"\b{name} \((data|environment) fault\)", tested.verdict)
    assert "NEXT: " in tested.verdict
    found, page = reported()
    assert found["failures"][0]["name"] == name
    assert f"| {name} |" in page
    assert left() == ""


@pytest.mark.parametrize("title", DEFECTS)
def test_a_defect_of_a_set_is_named_as_the_cause(good_set, title):
    name, plant = DEFECTS[title]
    path = copy_of_good("bad")
    plant(path)
    assert_red(on_set(path), name)


def test_an_old_set_is_red(good_set):
    assert_red(on_set(GOOD, "-e", "age_limit_seconds=5"), "set_too_old")


@pytest.fixture
def own_repository(good_set: None) -> Iterator[str]:
    """A copy of the repository on the restore host, which a test may damage."""
    path = f"{FOLDER}/repository"
    password = "--password-file /etc/trading-core/backup/repository-password"
    on(HOST, f"rm -rf {path}; cd {GOOD} && restic -q -r {path} {password} init")
    set_id = on(HOST, f"python3 -c \"import json; print(json.load(open('{GOOD}/manifest.json'))['id'])\"").strip()
    on(
        HOST,
        f"cd {GOOD} && restic -q -r {path} {password} backup --host lab1 --tag trading-core --tag set={set_id} .",
    )
    yield path
    on(HOST, f"rm -rf {path}")


def on_repository(path: str, *more: str) -> Run:
    return runbook("restore_test", "-e", f"trading_core_backup_repository={path}", *more)


_LARGEST_PACK = "$(find {path}/data -type f -printf '%s %p\\n' | sort -n | tail -1 | cut -d' ' -f2)"


@pytest.mark.parametrize(
    ("damage", "name"),
    [
        ("chmod u+w {pack}; printf XXXX | dd of={pack} bs=1 seek=4000 conv=notrunc", "repository_damaged"),
        ("rm -f {pack}", "pack_missing"),
        ("rm -rf {path}/config {path}/keys", "repository_missing"),
    ],
)
def test_a_damaged_repository_is_named(own_repository, damage, name):
    pack = _LARGEST_PACK.format(path=own_repository)
    on(HOST, damage.format(path=own_repository, pack=pack))
    assert_red(on_repository(own_repository), name)


def test_a_wrong_password_is_named(own_repository):
    on(HOST, f"umask 077; echo wrong > {FOLDER}/password")
    options = ("-e", f"trading_core_backup_password_path={FOLDER}/password")
    assert_red(on_repository(own_repository, *options), "wrong_password")


def test_a_full_disk_is_named(own_repository):
    small = "/var/lib/trading-core-small"
    on(HOST, f"mkdir -p {small} && mount -t tmpfs -o size=300k tmpfs {small}")
    options = (
        "-e",
        f"trading_core_restore_test_scratch_path={small}",
        "-e",
        "trading_core_restore_test_timeout_seconds=20",
    )
    try:
        assert_red(on_repository(own_repository, *options), "no_room")
    finally:
        on(HOST, f"umount {small} && rmdir {small}")


@pytest.mark.parametrize(
    ("function", "body", "name"),
    [
        ("timescaledb_pre_restore", "SELECT true", "pre_restore_failed"),
        ("timescaledb_post_restore", "SELECT 1 / 0 = 1", "post_restore_failed"),
    ],
)
def test_a_timescaledb_whose_pair_of_functions_does_nothing_is_named(good_set, function, body, name):
    image = on(HOST, f"sed -n s/LAB_IMAGE_TIMESCALEDB=//p {TREE}/images.env").strip()
    broken = "trading-core-lab/timescaledb:broken"
    head = f"CREATE OR REPLACE FUNCTION @extschema@.{function}() RETURNS BOOL AS"
    script = "$(ls /usr/share/postgresql/17/extension/timescaledb--?.??.?.sql | tail -1)"
    lines = [f"FROM {image}", "USER root", "COPY more.sql /more.sql", f"RUN cat /more.sql >> {script}", "USER postgres"]
    context = f"{FOLDER}/context"
    written = f"cat > {context}/Dockerfile <<'END'\n" + "\n".join(lines) + "\nEND\n"
    written += f"cat > {context}/more.sql <<'END'\n{head} 'BEGIN RETURN ({body}); END' LANGUAGE PLPGSQL;\nEND\n"
    on(HOST, f"mkdir -p {context}\n{written}DOCKER_BUILDKIT=0 docker build -q -t {broken} {context}")
    in_place = f"sed -i 's|^LAB_IMAGE_TIMESCALEDB=.*|LAB_IMAGE_TIMESCALEDB={{}}|' {TREE}/images.env"
    on(HOST, in_place.format(broken))
    try:
        assert_red(on_set(GOOD), name)
    finally:
        on(HOST, f"{in_place.format(image)}; docker rmi {broken}")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ("s|internal: true|internal: false|", "packets could leave"),
        ('s|    command: .trading_lab.exchange.|&\\n    ports: ["8900:8900"]|', "ports"),
        ("s|      - ./prometheus:|      - /var/lib/trading-core:|", "outside of"),
        (
            "s|  prometheus_data: .*|  prometheus_data: {external: true, name: ai_trading_core_prometheus_data}|",
            "external",
        ),
        ("s|    command: .trading_lab.exchange.|&\\n    network_mode: host|", "network_mode"),
    ],
)
def test_a_project_that_could_touch_anything_else_is_refused_before_anything_starts(good_set, edit, words):
    on(HOST, f"cp {TREE}/docker-compose.yml {FOLDER}/kept.yml && sed -i '{edit}' {TREE}/docker-compose.yml")
    try:
        checked, tested = runbook("restore_test", "--check"), on_set(GOOD)
    finally:
        on(HOST, f"cp {FOLDER}/kept.yml {TREE}/docker-compose.yml")
    assert tested.code == 13
    assert words in tested.verdict
    assert words in checked.verdict
    assert left() == ""


# ---- nothing leaves the test's network

DECOY = "172.29.77.14"
DECOY_PORT = 5999
_LISTEN = f"""
import socket
listener = socket.create_server(("", {DECOY_PORT}))
while True:
    connection, address = listener.accept()
    open("/run/decoy", "a").write(address[0] + "\\n")
    connection.close()
"""


@pytest.fixture
def decoy(good_set: None) -> Iterator[str]:
    """A listener at an address of production that counts who comes; a set whose MLflow points there."""
    on("lab-control", "rm -f /run/decoy")
    unit = "systemd-run --quiet --collect --unit=restore-test-decoy"
    on("lab-control", f"{unit} python3 -c '{_LISTEN}'")
    path = copy_of_good("pointing")
    point_registry_at(path, f"http://{DECOY}:{DECOY_PORT}/api/2.0/mlflow-artifacts/artifacts")
    yield path
    on("lab-control", "systemctl stop restore-test-decoy; rm -f /run/decoy")


def visits() -> int:
    return len(on("lab-control", "cat /run/decoy 2>/dev/null || true").split())


def test_no_packet_reaches_production_where_a_restored_registry_points_at_it(decoy):
    tested = on_set(decoy)
    assert_red(tested, "model_unusable")
    assert visits() == 0


def test_the_decoy_is_reached_where_isolation_is_taken_off(decoy, tmp_path):
    """The same test by a copy of this project without its preflight and its proof, on a network that leads out."""
    for name in ("playbooks", "roles", "library", "module_utils"):
        shutil.copytree(ROOT / name, tmp_path / name, symlinks=True)
    path = tmp_path / "module_utils" / "trading_ops" / "restore" / "isolation.py"
    text = path.read_text()
    for name, sees_nothing in (("find_dangers", "[]"), ("find_leaks", "[]"), ("has_default_route", "False")):
        assert f"def {name}(" in text
        text = text.replace(f"def {name}(", f"def original_{name}(") + f"\n\n{name} = lambda *_: {sees_nothing}\n"
    path.write_text(text)
    leads_out = f"sed -i 's|internal: true|internal: false|' {TREE}/docker-compose.yml"
    on(HOST, f"cp {TREE}/docker-compose.yml {FOLDER}/kept.yml && {leads_out}")
    playbook = [str(ROOT / ".venv/bin/ansible-playbook"), str(tmp_path / "playbooks" / "restore_test.yml")]
    try:
        command(*playbook, "-i", str(ROOT / "inventories/lab"), "-e", f"set_path={decoy}", cwd=tmp_path, timeout=600)
    finally:
        on(HOST, f"cp {FOLDER}/kept.yml {TREE}/docker-compose.yml")
    assert visits() > 0
