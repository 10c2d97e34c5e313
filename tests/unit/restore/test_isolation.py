import copy

import pytest
from trading_ops.restore.isolation import Present, find_dangers, find_leaks, has_default_route

PROJECT = "restoretest-20261121-120000-abcdef"
SCRATCH = "/var/lib/trading-core-restore-test/x"
LABELS = {"trading-core.restore-test": "true"}
DOCUMENT = {
    "name": PROJECT,
    "x-labels": LABELS,
    "services": {
        "bot": {
            "image": "bot:1",
            "command": None,
            "entrypoint": None,
            "environment": {"TRADING_MODE": "paper"},
            "labels": {**LABELS, "trading-core.mode": "paper"},
            "networks": {"default": None},
            "restart": "no",
            "volumes": [
                {"type": "bind", "source": f"{SCRATCH}/project/config", "target": "/config", "read_only": True},
                {"type": "volume", "source": "data", "target": "/data", "volume": {}},
            ],
        }
    },
    "networks": {"default": {"name": f"{PROJECT}_default", "ipam": {}, "internal": True, "labels": LABELS}},
    "volumes": {"data": {"name": f"{PROJECT}_data", "labels": LABELS}},
}


NOTHING = Present()


def dangers(change=lambda document: None, present=NOTHING, project=PROJECT):
    document = copy.deepcopy(DOCUMENT)
    change(document)
    return find_dangers(document, project, SCRATCH, present)


def bot(**settings):
    return lambda document: document["services"]["bot"].update(settings)


def mount(**settings):
    return lambda document: document["services"]["bot"]["volumes"][0].update(settings)


def network(**settings):
    return lambda document: document["networks"]["default"].update(settings)


def volume(**settings):
    return lambda document: document["volumes"]["data"].update(settings)


def test_a_stack_of_its_own_may_start():
    assert dangers() == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (bot(ports=[{"target": 9200, "published": "9200"}]), "ports"),
        (bot(container_name="bot"), "container_name"),
        (bot(network_mode="host"), "network_mode"),
        (bot(network_mode="host", networks=None), "not on the project's network alone"),
        (bot(privileged=True), "privileged"),
        (bot(pid="host"), "pid"),
        (bot(devices=["/dev/sda"]), "devices"),
        (bot(cap_add=["NET_ADMIN"]), "cap_add"),
        (bot(extra_hosts=["feed=172.29.77.11"]), "extra_hosts"),
        (bot(secrets=[{"source": "s"}]), "secrets"),
        (bot(env_file=[".env"]), "env_file"),
        (bot(networks={"default": None, "trading-paper_default": None}), "not on the project's network alone"),
        (bot(restart="always"), "come back by itself"),
        (bot(restart=None), "come back by itself"),
        (bot(labels={"trading-core.mode": "paper"}), "lacks the label"),
        (bot(labels={**LABELS, "trading-core.mode": "live"}), "says 'live', not paper"),
        (bot(environment={"TRADING_MODE": "live"}), "says 'live', not paper"),
        (mount(source="/var/lib/trading-core"), "outside of"),
        (mount(source=f"{SCRATCH}/../other"), "outside of"),
        (mount(source=f"{SCRATCH}-2/config"), "outside of"),
        (mount(source=SCRATCH), "outside of"),
        (mount(source="/var/run/docker.sock"), "outside of"),
        (mount(type="npipe"), "a mount of type 'npipe'"),
        (mount(type="volume", source="trading-paper_timescaledb_data"), "is not the project's"),
        (network(internal=False), "packets could leave"),
        (network(internal="yes"), "packets could leave"),
        (network(external=True), "external"),
        (network(driver="macvlan"), "a driver or addresses of its own"),
        (network(ipam={"config": [{"subnet": "172.29.77.0/24"}]}), "a driver or addresses of its own"),
        (network(driver_opts={"parent": "eth0"}), "driver_opts"),
        (network(name="trading-paper_default"), "outside of the project"),
        (network(labels={}), "nothing would remove it"),
        (volume(external=True), "external"),
        (volume(driver_opts={"type": "none", "o": "bind", "device": "/"}), "driver_opts"),
        (volume(name="trading-paper_timescaledb_data"), "outside of the project"),
        (volume(labels=None), "nothing would remove it"),
        (lambda document: document.update(secrets={"s": {"file": "/etc/shadow"}}), "secrets"),
        (lambda document: document.update(configs={"c": {"file": "/etc/passwd"}}), "configs"),
        (lambda document: document["networks"].update(other=None), "2 networks"),
        (lambda document: document.update(networks={}), "0 networks"),
        (lambda document: document.update(services={}), "no service"),
        (lambda document: document.update(name="trading-paper"), "named 'trading-paper'"),
    ],
)
def test_what_could_touch_anything_else_is_refused_by_name(change, words):
    found = dangers(change)
    assert [item for item in found if words in item], found


def test_a_name_that_is_no_throw_away_one_is_refused_also_where_it_was_asked_for():
    assert dangers(lambda document: document.update(name="trading-paper"), project="trading-paper")


@pytest.mark.parametrize(
    "present",
    [
        Present(projects=frozenset({PROJECT})),
        Present(volumes=frozenset({f"{PROJECT}_data"})),
        Present(networks=frozenset({f"{PROJECT}_default"})),
    ],
)
def test_what_is_there_already_is_not_used_again(present):
    assert "is there already" in dangers(present=present)[0]


CONTAINER = {
    "Name": f"/{PROJECT}-bot-1",
    "Config": {"Labels": {**LABELS, "com.docker.compose.project": PROJECT}},
    "HostConfig": {"PortBindings": {}, "Privileged": False},
    "NetworkSettings": {"Networks": {f"{PROJECT}_default": {}}},
}
NETWORK = {"Name": f"{PROJECT}_default", "Internal": True, "EnableIPv6": False}


def test_the_engine_shows_a_started_stack_that_is_kept_apart():
    assert find_leaks([CONTAINER], [NETWORK], PROJECT) == []


@pytest.mark.parametrize(
    ("container", "networks", "words"),
    [
        ({}, [NETWORK | {"Internal": False}], "not one internal one"),
        ({}, [NETWORK | {"Internal": None}], "not one internal one"),
        ({}, [NETWORK | {"EnableIPv6": True}], "may speak IPv6"),
        ({}, [NETWORK | {"EnableIPv6": None}], "may speak IPv6"),
        ({}, [], "not one internal one"),
        ({}, [NETWORK, NETWORK | {"Name": "second"}], "not one internal one"),
        ({"NetworkSettings": {"Networks": {"bridge": {}}}}, [NETWORK], "on another network"),
        ({"NetworkSettings": {}}, [NETWORK], "on another network"),
        ({"HostConfig": {"PortBindings": {"9200/tcp": [{}]}}}, [NETWORK], "published ports"),
        ({"HostConfig": {"Privileged": True}}, [NETWORK], "privileges"),
        ({"Config": {"Labels": {}}}, [NETWORK], "labels of the test"),
    ],
)
def test_what_the_engine_shows_otherwise_is_a_leak(container, networks, words):
    assert words in " ".join(find_leaks([CONTAINER | container], networks, PROJECT))


def test_no_container_at_all_proves_nothing():
    assert "has no container" in " ".join(find_leaks([], [NETWORK], PROJECT))


HEAD = "Iface\tDestination\tGateway \tFlags\n"


@pytest.mark.parametrize(
    ("routes", "way_out"),
    [
        (HEAD + "eth0\t000012AC\t00000000\t0001\n", False),
        (HEAD, False),
        (HEAD + "eth0\t00000000\t010012AC\t0003\n", True),
        (HEAD + "garbage\n", True),
        ("", True),
        ("cat: no such file\n", True),
    ],
)
def test_a_default_route_or_a_table_nobody_can_read_is_a_way_out(routes, way_out):
    assert has_default_route(routes) is way_out
