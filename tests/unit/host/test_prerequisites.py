"""What a host must have, each lack with the line that fixes it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from trading_ops.host.prerequisites import SeenHost, evaluate, format_result, free_bytes, parse_version

WELL = SeenHost(True, True, True, True, "1.45", "", "2.26.1-4", "", (("/var/lib/docker", 2_000_000_000),))


def test_host_with_everything_passes():
    assert evaluate(WELL, 1_000_000_000) == []
    assert format_result([], WELL, 1.0, 2.0)["outcome"] == "proven"


@pytest.mark.parametrize(
    ("change", "seen", "fix"),
    [
        ({"is_root": False}, "cannot become root", "ansible_become"),
        ({"has_systemd": False}, "systemd", "init"),
        ({"has_sudo": False}, "sudo is missing", "apt-get install sudo"),
        ({"has_yaml": False}, "YAML library is missing", "apt-get install python3-yaml"),
        ({"engine_api": "1.40"}, "seen: API 1.40", "docker.io"),
        ({"engine_api": "", "engine_error": "Python's Docker SDK is missing"}, "SDK is missing", "python3-docker"),
        ({"engine_api": ""}, "no answer", "docker.io"),
        ({"compose": "1.29.2"}, "seen: 1.29.2", "docker-compose"),
        ({"compose": "2.19.9"}, "seen: 2.19.9", "docker-compose"),
        ({"compose": "", "compose_error": "unknown command"}, "unknown command", "docker-compose"),
        ({"compose": "dev"}, "seen: dev", "docker-compose"),
        ({"free_bytes": (("/srv", 999_999_999),)}, "are free at /srv", "du -xh"),
        ({"free_bytes": (("/srv", float("nan")),)}, "are free at /srv", "du -xh"),
    ],
)
def test_each_lack_is_named_with_the_line_that_fixes_it(change, seen, fix):
    (lack,) = evaluate(replace(WELL, **change), 1_000_000_000)
    assert seen in lack.text
    assert fix in lack.fix
    result = format_result([lack], WELL, 1.0, 2.0)
    assert result["outcome"] == "refused"
    assert lack.text in result["summary"]
    assert lack.fix in result["summary"]


def test_everything_that_is_missing_is_named_at_once():
    nothing = SeenHost(False, False, False, False, "", "", "", "", (("/", 0),))
    assert len(evaluate(nothing, 1)) == 7


@pytest.mark.parametrize(
    ("text", "version"),
    [("2.26.1-4", (2, 26, 1)), ("v2.20.0", (2, 20, 0)), ("1.45\n", (1, 45)), ("", ()), ("dev", ())],
)
def test_version_is_read_from_what_tools_print(text, version):
    assert parse_version(text) == version


def test_free_space_is_looked_at_where_a_path_would_be_made():
    ((path, free),) = free_bytes([Path("/nosuch/folder"), Path("/nosuch/other")])
    assert (path, free > 0) == ("/", True)
