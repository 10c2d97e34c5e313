import json

import pytest
from trading_lab.latch import RELEASED, read_latch


@pytest.fixture
def path(tmp_path):
    return tmp_path / "halt.json"


def test_no_file_is_released(path):
    assert read_latch(path) == RELEASED
    assert not read_latch(path).halts("live")


@pytest.mark.parametrize(
    ("content", "halts_paper", "halts_live"),
    [
        ('{"scope": "all", "incident_ids": ["INC-1"], "reason": "test"}', True, True),
        ('{"scope": "live", "incident_ids": ["INC-1"], "reason": "test"}', False, True),
        ('{"scope": "paper"}', True, True),
        ('{"scope": ["live"]}', True, True),
        ('{"incident_ids": []}', True, True),
        ("{}", True, True),
        ("", True, True),
        ("released", True, True),
        ('{"scope": "live"', True, True),
        ("null", True, True),
        ("[]", True, True),
        ('"live"', True, True),
        ("\xff\xfe", True, True),
        ("[" * 60_000, True, True),
        ('{"scope": "live", "reason": "' + "x" * 70_000 + '"}', True, True),
    ],
)
def test_a_file_halts_all_unless_it_says_live_and_nothing_is_odd(path, content, halts_paper, halts_live):
    path.write_bytes(content.encode("latin-1"))
    latch = read_latch(path)
    assert (latch.halts("paper"), latch.halts("live")) == (halts_paper, halts_live)


def test_a_mode_that_is_not_known_is_halted_by_scope_live(path):
    path.write_text('{"scope": "live"}')
    assert read_latch(path).halts("")


def test_a_directory_is_engaged(path):
    path.mkdir()
    assert read_latch(path).halts("paper")


def test_a_file_in_the_place_of_the_folder_is_engaged(path):
    path.write_text("")
    assert read_latch(path / "halt.json").halts("paper")


def test_the_reason_is_read(path):
    path.write_text(json.dumps({"scope": "all", "reason": "feed corrupt"}))
    assert read_latch(path).reason == "feed corrupt"
