import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from trading_ops.host import connection_end
from trading_ops.host.connection_end import Interrupted, find_session, interrupted_with_connection, is_there, parse_stat


def process(proc, pid, name, parent, started="77"):
    (proc / str(pid)).mkdir(parents=True)
    fields = ["S", str(parent), *["0"] * 17, started, "0"]
    (proc / str(pid) / "stat").write_text(f"{pid} ({name}) {' '.join(fields)}")


@pytest.fixture
def proc(tmp_path):
    process(tmp_path, 1, "systemd", 0)
    process(tmp_path, 50, "sshd", 1, "5")
    process(tmp_path, 60, "sshd-session", 50, "6")
    process(tmp_path, 61, "sshd-session", 60, "7")
    process(tmp_path, 62, "sudo) (x", 61, "8")
    process(tmp_path, 63, "python3", 62, "9")
    return tmp_path


def test_the_session_of_a_run_over_ssh_is_the_nearest_sshd_and_not_the_listener(proc):
    assert find_session(63, proc) == (61, "7")


def test_without_ssh_it_is_the_outermost_process_before_init(tmp_path):
    process(tmp_path, 70, "ansible-playbook", 1, "5")
    process(tmp_path, 71, "python3", 70, "6")
    assert find_session(71, tmp_path) == (70, "5")


def test_a_way_up_that_cannot_be_read_leads_to_nobody(proc):
    (proc / "62" / "stat").write_text("garbage")
    assert find_session(63, proc) is None


def test_a_process_of_the_same_number_is_another_one(proc):
    assert is_there((61, "7"), proc)
    assert not is_there((61, "8"), proc)
    assert not is_there((99, "7"), proc)


def test_a_stat_file_is_read_as_the_manual_has_it():
    assert parse_stat("7 (a) b) S 3 " + " ".join(map(str, range(2, 22)))) == ("a) b", 3, "19")
    with pytest.raises(ValueError):
        parse_stat("7 (a) S 3")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_interrupts_once_and_the_handlers_are_put_back(number):
    before = signal.getsignal(number)
    with pytest.raises(Interrupted), interrupted_with_connection(lambda _: None):
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)  # comes while things are removed, and changes nothing
    assert signal.getsignal(number) is before


def test_the_end_of_the_callers_process_interrupts(monkeypatch):
    monkeypatch.setattr(connection_end, "POLL_SECONDS", 0.01)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as caller:
        session = find_session(caller.pid)
        assert session is not None
        own = (caller.pid, parse_stat(Path(f"/proc/{caller.pid}/stat").read_text())[2])
        with pytest.raises(Interrupted), interrupted_with_connection(lambda _: own):
            caller.communicate(b"\n")
            signal.pause()


def test_a_run_that_ends_by_itself_is_not_interrupted():
    with interrupted_with_connection():
        pass
