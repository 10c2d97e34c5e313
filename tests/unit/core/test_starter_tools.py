import pytest
from trading_ops.core.starter_tools import HOLD_OFF, TOOLS, tool_of_image, tool_of_unit


@pytest.mark.parametrize(
    ("reference", "tool"),
    [
        ("ghcr.io/kimdre/doco-cd:latest@sha256:f03ee9", "doco-cd"),
        ("ghcr.io/moghtech/komodo-periphery:2.3.1", "Komodo"),
        ("ghcr.io/moghtech/komodo-core:2", "Komodo"),
        ("ghcr.io/mbecker20/komodo:latest", "Komodo"),
        ("containrrr/watchtower", "Watchtower"),
        ("nickfedor/watchtower:1.19.0", "Watchtower"),
        ("registry.lan:5000/mirror/watchtower", "Watchtower"),
        ("portainer/portainer-ce:lts", "Portainer"),
        ("portainer/portainer-ee", "Portainer"),
        ("portainer/agent:2.21.0", "Portainer"),
        ("ghcr.io/getarcaneapp/arcane:latest", "Arcane"),
        ("ghcr.io/getarcaneapp/manager:latest", "Arcane"),
        ("ghcr.io/getarcaneapp/agent:v1.18.0", "Arcane"),
        ("fnsys/dockhand:v1.0.33", "Dockhand"),
        ("ghcr.io/finsys/hawser:latest", "Dockhand"),
        ("hummingbot/hummingbot-api:1.0.1", "hummingbot-api"),
        ("louislam/dockge:1", "Dockge"),
        ("getwud/wud:latest", "What's up Docker"),
        ("willfarrell/autoheal", "autoheal"),
        ("mcuadros/ofelia:latest", "Ofelia"),
        ("someone/agent:1", ""),
        ("hummingbot/hummingbot:latest", ""),
        ("trading-core-lab/bot:1", ""),
        ("watchtower/other", ""),
        ("sha256:0123456789", ""),
        ("", ""),
    ],
)
def test_a_tool_is_known_by_the_last_parts_of_its_image(reference, tool):
    assert tool_of_image(reference, {}) == tool


def test_an_image_of_another_name_is_known_by_the_label_it_was_built_with():
    labels = {"org.opencontainers.image.source": "https://github.com/kimdre/doco-cd"}
    assert tool_of_image("sha256:0123", labels) == "doco-cd"


@pytest.mark.parametrize(
    ("name", "tool"), [("periphery.service", "Komodo"), ("docker.service", ""), ("hawser.service", "Dockhand")]
)
def test_a_tool_that_is_no_container_is_known_by_its_unit(name, tool):
    assert tool_of_unit(name) == tool


def test_each_tool_stands_once_and_each_kind_has_its_command():
    assert len({tool.name for tool in TOOLS}) == len(TOOLS)
    assert all("{name}" in command for command in HOLD_OFF.values())
