"""What could start a bot again: containers with a way to the engine, unit files and crontabs as people write them."""

from __future__ import annotations

from typing import Any

import pytest
from trading_ops.core.starters import (
    POSSIBLE,
    PROBABLE,
    UNLIKELY,
    HostFiles,
    called_scripts,
    find_containers,
    find_in_files,
    start_command,
    way_to_engine,
)

SOCKET = "/var/run/docker.sock"
BOT = "trading-paper-bot-1"


def container(name: str, image: str = "other:1", state: str = "running", **more: Any) -> dict[str, Any]:
    mounts = [{"Type": "bind", "Source": path, "Destination": path} for path in more.get("mounts", ())]
    config = {"Image": image, "Labels": more.get("labels", {}), "Env": more.get("env", [])}
    return {"Id": name, "Name": f"/{name}", "State": {"Status": state}, "Config": config, "Mounts": mounts}


def find(*containers: dict[str, Any], others: tuple[str, ...] = ()) -> list[Any]:
    summaries = [{"Id": item["Id"], "State": item["State"]["Status"]} for item in containers]
    return find_containers(summaries, {item["Id"]: item for item in containers}, others)


def test_known_tool_is_named_with_the_command_that_holds_it_off():
    (found,) = find(container("doco-cd", "ghcr.io/kimdre/doco-cd:latest", mounts=[SOCKET]))
    assert found.sentence() == (
        "container doco-cd (its image is of doco-cd, it holds the engine's socket /var/run/docker.sock)"
    )
    assert (found.hold_off, found.rank) == ("docker stop doco-cd", PROBABLE)


@pytest.mark.parametrize(
    ("source", "place"),
    [
        (SOCKET, SOCKET),
        ("/run/docker.sock", "/docker.sock"),
        ("/run/user/1000/docker.sock", SOCKET),
        ("/opt/own.sock", "/tmp/docker.sock"),
        ("/run/podman/podman.sock", SOCKET),
        ("/var/run", "/host/run"),
        ("/run/", "/run"),
        ("/", "/rootfs"),
        ("/var", "/var"),
    ],
)
def test_a_way_to_the_socket_is_one_wherever_it_is_mounted(source, place):
    assert way_to_engine({"Mounts": [{"Source": source, "Destination": place, "RW": False}]})


@pytest.mark.parametrize("source", ["/var/runner", "/run/trading-core", "/srv/docker.sock.d", "/var/lib/docker", ""])
def test_another_mount_is_no_way(source):
    assert way_to_engine({"Mounts": [{"Source": source, "Destination": "/data"}]}) == ""


@pytest.mark.parametrize(
    ("variable", "is_way"),
    [
        ("DOCKER_HOST=tcp://proxy:2375", True),
        ("DOCKER_HOST=ssh://root:secret@nas", True),
        ("CONTAINER_HOST=tcp://x", True),
        ("DOCKER_HOST=unix:///var/run/docker.sock", False),
        ("DOCKER_HOST=", False),
        ("DOCKER_HOSTS=tcp://x", False),
    ],
)
def test_an_address_in_the_environment_is_a_way_and_never_shown(variable, is_way):
    seen = way_to_engine({"Config": {"Env": ["PATH=/bin", variable]}})
    assert (bool(seen), "secret" in seen) == (is_way, False)


def test_any_container_with_the_socket_is_possible_and_one_that_the_estate_knows_unlikely():
    own = container("reconciler", mounts=[SOCKET])
    exporter = container("node", labels={"com.docker.compose.service": "node_exporter"}, mounts=["/"])
    ranks = {found.what: found.rank for found in find(own, exporter, others=("node_exporter",))}
    assert ranks == {"container reconciler": POSSIBLE, "container node": UNLIKELY}


def test_no_name_of_the_estate_hides_a_known_tool():
    seen = container("watchtower", "containrrr/watchtower", mounts=[SOCKET])
    (found,) = find(seen, others=("watchtower",))
    assert found.rank == PROBABLE


@pytest.mark.parametrize("state", ["exited", "created", "dead"])
def test_what_does_not_run_starts_nothing(state):
    assert find(container("watchtower", "containrrr/watchtower", state, mounts=[SOCKET])) == []


@pytest.mark.parametrize("name", ["x; rm -rf /", "-a", "$(id)", "a b", "x" * 400, "../x"])
def test_a_name_that_is_none_to_type_stands_in_no_command(name):
    (found,) = find(container(name, mounts=[SOCKET]))
    assert found.hold_off == ""
    assert len(found.what) < 100


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("/usr/bin/docker compose up", "docker compose up"),
        ("-/usr/bin/docker compose -f /opt/a/compose.yml --profile live up -d bot", "docker compose up"),
        ("/usr/local/bin/docker-compose -p trading up --detach", "docker-compose up"),
        ("@reboot docker start trading-paper-bot-1", "docker start"),
        ("*/5 * * * * root /usr/bin/docker container restart bot >/dev/null 2>&1", "docker container restart"),
        ("/bin/sh -c 'cd /srv && docker compose up -d'", "docker compose up"),
        ("/usr/bin/podman start trading", "podman start"),
        ("/usr/bin/podman $LOGGING start --all --filter restart-policy=always", "podman start"),
        ("/usr/bin/podman kube play /etc/bot.yaml", "podman kube play"),
        ("/usr/bin/podman auto-update", "podman auto-update"),
        ("docker rm -f bot; docker run -d --name bot img", "docker run"),
        ("docker stack deploy -c a.yml trading", "docker stack deploy"),
        ('subprocess.run(["docker", "start", name])', "docker start"),
        ("sudo docker unpause bot", "docker unpause"),
        ("/usr/bin/docker exec bot start", ""),
        ("docker compose down", ""),
        ("docker compose logs -f run", ""),
        ("docker pull img && echo start", ""),
        ("/usr/bin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock", ""),
        ("docker update --restart=no bot", ""),
        ("run-parts /etc/cron.daily", ""),
        ("", ""),
    ],
)
def test_a_command_that_starts_containers_is_known_in_any_dress(line, command):
    assert start_command(line) == command


COMPOSE_UNIT = """[Unit]
Description=trading stack
Requires=docker.service
After=docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
WorkingDirectory=/opt/trading
# ExecStart=/usr/bin/docker start old-bot
ExecStart=/usr/bin/docker compose \\
    --profile live up -d
ExecStop=/usr/bin/docker compose down

[Install]
WantedBy=multi-user.target
"""
PODMAN_UNIT = "[Service]\nRestart=on-failure\nExecStart=/usr/bin/podman start trading-paper-bot-1\nType=forking\n"
QUADLET = "[Container]\nImage=docker.io/freqtradeorg/freqtrade:stable\n\n[Install]\nWantedBy=default.target\n"
PERIPHERY = """[Unit]
Description=Agent to connect with Komodo Core

[Service]
ExecStart=/bin/sh -lc "/usr/local/bin/periphery --config-path /etc/komodo/periphery.config.toml"
Restart=on-failure

[Install]
WantedBy=default.target
"""
ETC = "/etc/systemd/system"


def units(texts: dict[str, str], *live: str, names: tuple[str, ...] = (BOT,)) -> dict[str, tuple[str, int]]:
    return {
        found.what: (found.hold_off, found.rank) for found in find_in_files(HostFiles(texts, frozenset(live)), names)
    }


def test_unit_with_compose_is_named_while_it_is_enabled_or_runs_and_not_otherwise():
    texts = {f"{ETC}/trading.service": COMPOSE_UNIT}
    assert units(texts, "trading.service") == {"unit trading.service": ("systemctl stop trading.service", POSSIBLE)}
    assert units(texts, "other.service") == {}


def test_unit_that_names_the_bot_is_probable():
    texts = {f"{ETC}/container-bot.service": PODMAN_UNIT}
    seen = units(texts, "container-bot.service")
    assert seen == {"unit container-bot.service": ("systemctl stop container-bot.service", PROBABLE)}
    longer = {f"{ETC}/container-bot.service": PODMAN_UNIT.replace(BOT, f"{BOT}0")}
    assert units(longer, "container-bot.service")["unit container-bot.service"][1] == POSSIBLE


def test_a_timer_is_stopped_with_its_service():
    texts = {f"{ETC}/up.timer": "[Timer]\nOnCalendar=minutely\n", f"{ETC}/up.service": COMPOSE_UNIT}
    assert units(texts, "up.timer") == {"unit up.service": ("systemctl stop up.timer up.service", POSSIBLE)}
    texts = {f"{ETC}/x.path": "[Path]\nPathChanged=/x\nUnit=up.service\n", f"{ETC}/up.service": COMPOSE_UNIT}
    assert units(texts, "x.path") == {"unit up.service": ("systemctl stop x.path up.service", POSSIBLE)}


def test_a_template_is_named_by_what_was_made_of_it():
    seen = units({f"{ETC}/compose@.service": COMPOSE_UNIT}, "compose@trading.service", "composer@x.service")
    assert seen == {"unit compose@trading.service": ("systemctl stop compose@trading.service", POSSIBLE)}


def test_masked_unit_and_one_whose_drop_in_takes_the_command_back_are_not_named():
    masked = {f"{ETC}/a.service": "", "/usr/lib/systemd/system/a.service": COMPOSE_UNIT}
    assert units(masked, "a.service") == {}
    dropped = {f"{ETC}/a.service": COMPOSE_UNIT, f"{ETC}/a.service.d/off.conf": "[Service]\nExecStart=\n"}
    assert units(dropped, "a.service") == {}
    added = {f"{ETC}/a.service": "", f"{ETC}/a.service.d/on.conf": "[Service]\nExecStartPost=docker start x\n"}
    assert list(units(added, "a.service")) == ["unit a.service"]


def test_quadlets_are_named_by_the_service_that_is_made_of_them():
    folder = "/etc/containers/systemd"
    assert units({f"{folder}/bot.container": QUADLET}) == {"unit bot.service": ("systemctl stop bot.service", POSSIBLE)}
    assert units({f"{folder}/bot.container": QUADLET.replace("WantedBy", "#WantedBy")}) == {}
    assert units({f"{folder}/bot.container": QUADLET.partition("[Install]")[0]}, "bot.service") != {}
    assert list(units({f"{folder}/all.pod": QUADLET, f"{folder}/k.kube": "ServiceName=own\n" + QUADLET})) == [
        "unit all-pod.service",
        "unit own.service",
    ]


def test_a_users_unit_is_stopped_as_that_user():
    texts = {
        "/home/reno/.config/systemd/user/bot.service": PODMAN_UNIT,
        "/root/.config/containers/systemd/b.container": QUADLET,
        "/etc/systemd/user/c.service": COMPOSE_UNIT,
    }
    found = find_in_files(
        HostFiles({f"{ETC}/bot.service": "[Service]\n", **texts}, frozenset(["bot.service", "c.service"]))
    )
    assert [each.hold_off for each in found] == [
        "systemctl --user --machine=reno@ stop bot.service",
        "systemctl --user --machine=root@ stop b.service",
        "systemctl --user stop c.service",
    ]


def test_tool_that_runs_as_a_unit_is_known():
    assert units({f"{ETC}/periphery.service": PERIPHERY}, "periphery.service") == {
        "unit periphery.service": ("systemctl stop periphery.service", PROBABLE)
    }


def test_engine_guard_and_what_only_looks_are_no_starters():
    texts = {
        "/usr/lib/systemd/system/docker.service": "[Service]\nExecStart=/usr/bin/dockerd -H fd://\n",
        f"{ETC}/trading-core-guard.service": "[Service]\nExecStart=/usr/bin/docker start x\n",
        f"{ETC}/logs.service": "[Service]\nExecStart=/usr/bin/docker logs -f bot\n",
        f"{ETC}/prune.service": "[Service]\nExecStart=/usr/bin/docker system prune -f\n",
    }
    assert units(texts, *(path.rpartition("/")[2] for path in texts)) == {}


def test_script_that_a_unit_or_a_cron_line_calls_is_followed():
    shell = "#!/bin/sh\nwhile sleep 1; do\n  docker inspect bot || docker start trading-paper-bot-1\ndone\n"
    python = '"docker.sock"\nhttp.request("POST", f"/containers/{name}/start")\n'
    texts = {
        f"{ETC}/watch.service": "[Service]\nExecStart=-/usr/local/bin/watch.sh --all\n",
        "/var/spool/cron/crontabs/root": "* * * * * /opt/keep.py\n* * * * * /opt/other.sh\n",
    }
    assert called_scripts(texts) == {"/usr/local/bin/watch.sh", "/opt/keep.py", "/opt/other.sh"}
    texts |= {"/usr/local/bin/watch.sh": shell, "/opt/keep.py": python, "/opt/other.sh": "#docker start x\n"}
    found = find_in_files(HostFiles(texts, frozenset({"watch.service"})))
    assert [each.sentence() for each in found] == [
        "unit watch.service (it runs docker start in /usr/local/bin/watch.sh; /etc/systemd/system/watch.service)",
        "cron line 1 of /var/spool/cron/crontabs/root (it runs a start through the engine's API in /opt/keep.py)",
    ]


CRONTAB = """# m h dom mon dow command
SHELL=/bin/sh
17 * * * * root cd / && run-parts --report /etc/cron.hourly
# * * * * * root docker start trading-paper-bot-1
@reboot root docker start trading-paper-bot-1
*/10 * * * * ops cd /opt/trading && docker compose up -d   # keep it up
0 4 * * * root docker system prune -f
"""


def test_lines_of_a_crontab_are_named_by_their_number_and_comments_are_not():
    assert units({"/etc/crontab": CRONTAB, "/etc/cron.d/none": "#docker start x\n"}) == {
        "cron line 5 of /etc/crontab": ("sed -i '5s/^/#/' /etc/crontab", PROBABLE),
        "cron line 6 of /etc/crontab": ("sed -i '6s/^/#/' /etc/crontab", POSSIBLE),
    }


def test_script_in_a_folder_of_cron_is_held_off_as_a_whole():
    path = "/etc/cron.daily/bots"
    assert units({path: "#!/bin/sh\n# docker stop x\ndocker restart trading-paper-bot-1\n"}) == {
        f"cron script {path}": (f"chmod a-x {path}", PROBABLE)
    }


def test_path_that_is_none_to_type_stands_in_no_command():
    seen = units({"/etc/cron.d/x'; id": "* * * * * root docker start x\n"})
    assert [hold_off for hold_off, _ in seen.values()] == [""]
