import pytest
from trading_ops.core.ids import build_incident_id, slug

NOW = "2026-11-21T01:30:07.123Z"


def test_id_carries_the_start_of_the_run_and_the_reason():
    assert build_incident_id("20261121-013000", "Bars look wrong!", NOW) == "INC-20261121-013000-bars-look-wrong"


@pytest.mark.parametrize("run_id", ["", "yesterday", "2026-11-21", "20261121-013000; rm"])
def test_hosts_own_time_serves_where_the_run_id_is_no_time(run_id):
    assert build_incident_id(run_id, "x", NOW) == "INC-20261121-013007-x"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "stop"),
        ("???", "stop"),
        ("Æbler på øen", "abler-pa-oen"),
        ("../../etc/passwd\n$(reboot)", "etc-passwd-reboot"),
        ("a" * 99, "a" * 32),
        ("x" * 31 + " y", "x" * 31),
        ("café crème", "caf-cr-me"),
        ("2 \N{KELVIN SIGN} too warm", "2-too-warm"),
    ],
)
def test_slug_is_a_short_safe_file_name(text, expected):
    assert slug(text) == expected
