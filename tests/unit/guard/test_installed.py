"""Is the guard there, alive, and of this very version?"""

from __future__ import annotations

import json

import pytest
from trading_ops.core.clock import uptime
from trading_ops.core.package import loaded_sources
from trading_ops.guard.installed import (
    GUARD_STATES,
    Heartbeat,
    digest,
    installed_sources,
    judge_guard,
    observe_guard,
    parse_heartbeat,
)

SOURCES = {"a.py": "A = 1\n", "b.py": "B = 1\n"}
ALIVE = Heartbeat(100.0, digest(SOURCES))


def put(package):
    for name, source in loaded_sources().items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(source)


@pytest.mark.parametrize(
    ("loaded", "installed", "heartbeat", "state"),
    [
        (SOURCES, SOURCES, ALIVE, "active"),
        ({"a.py": "A = 1\n"}, SOURCES, ALIVE, "active"),
        (SOURCES, {}, None, "absent"),
        (SOURCES, {}, ALIVE, "absent"),
        (SOURCES, SOURCES, None, "stale"),
        (SOURCES, SOURCES, Heartbeat(85.4, digest(SOURCES)), "stale"),
        (SOURCES, SOURCES, Heartbeat(85.6, digest(SOURCES)), "active"),
        (SOURCES, SOURCES, Heartbeat(100.6, digest(SOURCES)), "stale"),
        (SOURCES, SOURCES, Heartbeat(float("nan"), digest(SOURCES)), "stale"),
        ({"a.py": "A = 2\n"}, SOURCES, ALIVE, "other version"),
        ({**SOURCES, "c.py": ""}, SOURCES, ALIVE, "active"),  # what the asking module has beside it
        (SOURCES, SOURCES, Heartbeat(100.0, "before"), "other version"),
        ({"guard/a.py": "A = 1\n"}, SOURCES, ALIVE, "other version"),  # a flat copy, as before the rooms
        ({"a.py": "A = 1\n"}, {**SOURCES, "b.py": "B = 2\n"}, ALIVE, "other version"),
    ],
)
def test_only_a_living_guard_of_this_version_is_active(loaded, installed, heartbeat, state):
    seen = judge_guard(loaded, installed, heartbeat, 100.5)
    assert seen["state"] == state
    assert seen["state"] in GUARD_STATES
    assert state == "active" or "./runbook host_setup" in seen["summary"]


def test_digest_tells_every_difference():
    texts = [SOURCES, {"a.py": "A = 1\n"}, {"a.py": "A = 1\nB = 1\n", "b.py": ""}, {**SOURCES, "b.py": "B = 2\n"}]
    assert len({digest(sources) for sources in texts}) == len(texts)


@pytest.mark.parametrize("text", ["", "garbage", "[]", "{}", '{"uptime": 1}', '{"uptime": "x", "digest": "d"}'])
def test_sign_of_life_that_is_not_the_guards_is_none(tmp_path, text):
    with pytest.raises(ValueError, match=r".*"):
        parse_heartbeat(text)
    (tmp_path / "guard.json").write_text(text)
    package = tmp_path / "trading_ops"
    put(package)
    assert observe_guard(package, tmp_path / "guard.json")["state"] == "stale"


def test_loaded_modules_are_compared_with_what_is_installed(tmp_path):
    package = tmp_path / "trading_ops"
    package.mkdir()
    heartbeat = tmp_path / "guard.json"
    assert observe_guard(package, heartbeat)["state"] == "absent"
    put(package)
    alive = {"uptime": uptime(), "digest": digest(installed_sources(package))}
    heartbeat.write_text(json.dumps(alive))
    assert observe_guard(package, heartbeat)["state"] == "active"
    (package / "stop" / "by_engine.py").write_text("# another day's stop\n")
    assert "stop/by_engine.py" in observe_guard(package, heartbeat)["summary"]


def test_two_files_of_one_name_are_two_and_each_counts(tmp_path):
    for room in ("state", "alerts"):
        (tmp_path / room).mkdir()
        (tmp_path / room / "history.py").write_text(f"ROOM = '{room}'\n")
    found = installed_sources(tmp_path, tmp_path / "bots.conf")
    assert found == {"state/history.py": "ROOM = 'state'\n", "alerts/history.py": "ROOM = 'alerts'\n"}
    (tmp_path / "state" / "history.py").write_text("ROOM = 'other'\n")
    assert digest(installed_sources(tmp_path, tmp_path / "bots.conf")) != digest(found)


def test_files_that_cannot_be_read_are_another_version(tmp_path):
    (tmp_path / "a.py").mkdir()
    assert observe_guard(tmp_path, tmp_path / "guard.json")["state"] == "other version"


def test_a_guard_that_was_not_restarted_after_its_settings_changed_is_another(tmp_path):
    package, settings = tmp_path / "trading_ops", tmp_path / "bots.conf"
    package.mkdir()
    assert installed_sources(package, settings) == {}
    (package / "stop.py").write_text("pass\n")
    settings.write_text("TRADING_CORE_BOT_SERVICES=bot\n")
    heartbeat = Heartbeat(100.0, digest(installed_sources(package, settings)))
    assert judge_guard({}, installed_sources(package, settings), heartbeat, 100.0)["state"] == "active"
    settings.write_text("TRADING_CORE_BOT_SERVICES=trader\n")
    assert judge_guard({}, installed_sources(package, settings), heartbeat, 100.0)["state"] == "other version"
