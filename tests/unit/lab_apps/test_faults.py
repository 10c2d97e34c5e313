import pytest
from trading_lab.faults import FaultBoard
from trading_lab.web import BadRequest


@pytest.fixture
def board():
    return FaultBoard({"slow": {"seconds": 3.0}, "down": {}})


def test_true_takes_the_defaults_and_an_object_replaces_them(board):
    board.change({"slow": True})
    assert board.parameters("slow") == {"seconds": 3.0}
    board.change({"slow": {"seconds": 1}})
    assert board.engaged() == {"slow": {"seconds": 1}}


@pytest.mark.parametrize("off", [False, None])
def test_false_and_null_switch_off(board, off):
    board.change({"down": True, "slow": True})
    board.change({"slow": off})
    assert board.engaged() == {"down": {}}


def test_clear_switches_all_off(board):
    board.change({"down": True, "slow": True})
    board.clear()
    assert board.engaged() == {}


@pytest.mark.parametrize("wanted", [{"fire": True}, {"slow": 5}, {"slow": {"minutes": 1}}, {"slow": True, "x": 1}])
def test_a_wrong_change_changes_nothing(board, wanted):
    with pytest.raises(BadRequest):
        board.change(wanted)
    assert board.engaged() == {}
