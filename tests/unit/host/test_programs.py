"""Programs end within their limit, and say how."""

from __future__ import annotations

import os
import pwd
import time
from pathlib import Path

import pytest
from trading_ops.host.programs import LocalPrograms, ProgramError, checked


def programs(timeout_seconds: float = 20, **environment: str) -> LocalPrograms:
    return LocalPrograms(environment, time.monotonic, timeout_seconds)


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_a_program_is_run_to_its_end_with_its_words_apart():
    ended = programs(GREETING="hello").run(sh("echo $GREETING; echo oh >&2; exit 3"))
    assert (ended.code, ended.stdout, ended.stderr) == (3, "hello\n", "oh\n")
    with pytest.raises(ProgramError, match="it ended with 3: oh"):
        checked("it", ended)


def test_of_a_program_that_said_much_the_last_whole_lines_are_kept():
    ended = programs().run(sh('for n in $(seq 100 999); do echo "$n: open /repo/data/ab: no such file" >&2; done'))
    first, *_, last = ended.stderr.splitlines()
    assert first.partition(": ")[2] == last.partition(": ")[2] == "open /repo/data/ab: no such file"
    assert (len(first), last[:3]) == (len(last), "999")


def test_a_program_gets_no_variable_that_nobody_gave_it(monkeypatch):
    monkeypatch.setenv("A_SECRET_OF_THE_OPERATOR", "x")
    assert "A_SECRET" not in programs().run(["env"]).stdout


def test_a_program_that_is_not_there_is_named():
    with pytest.raises(ProgramError, match="nosuchprogram"):
        programs().run(["nosuchprogram"])


def test_what_a_program_writes_is_handed_on_in_pieces():
    pieces: list[bytes] = []
    assert programs().stream(sh("head -c 3000000 /dev/zero"), pieces.append).code == 0
    assert sum(map(len, pieces)) == 3_000_000
    assert len(pieces) > 1


def test_anyone_who_takes_the_pieces_can_end_the_program():
    def refuse(_: bytes) -> None:
        raise OSError("disk full")

    begun = time.monotonic()
    with pytest.raises(OSError, match="disk full"):
        programs().stream(["yes"], refuse)
    assert time.monotonic() - begun < 5


def test_a_program_reads_the_file_it_is_fed(tmp_path: Path):
    (tmp_path / "in").write_bytes(b"x" * 1_000_000)
    assert programs().feed(["wc", "-c"], tmp_path / "in").stdout.strip() == "1000000"


def test_a_program_and_what_it_started_end_at_the_limit(tmp_path: Path):
    with pytest.raises(ProgramError, match=r"within the run's 0\.3 s"):
        programs(0.3).run(sh(f"(sleep 1; touch {tmp_path}/late) & sleep 30"))
    assert not (tmp_path / "late").exists()


def test_a_program_answers_line_by_line():
    with programs().talk(["cat"]) as conversation:
        assert conversation.ask("a\nb\n--\n", "--") == ["a", "b"]
        assert conversation.ask("c\n--\n", "--") == ["c"]


def test_a_program_that_ends_in_the_middle_of_an_answer_is_an_error_with_its_last_words():
    with (
        programs().talk(sh("read line; echo half; echo FATAL >&2")) as conversation,
        pytest.raises(ProgramError, match=r"in the middle.*FATAL"),
    ):
        conversation.ask("x\n", "--")


def test_a_program_that_does_not_answer_in_time_is_an_error():
    with (
        programs(0.3).talk(["sleep", "30"]) as conversation,
        pytest.raises(ProgramError, match="did not answer"),
    ):
        conversation.ask("x\n", "--")


def test_a_conversation_can_be_ended_at_once():
    with programs().talk(["cat"]) as conversation:
        conversation.end()
        with pytest.raises(ProgramError):
            conversation.ask("x\n", "--")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
def test_a_program_runs_as_another_account_in_the_group_that_account_has():
    """An account's own group need not be called like it: nobody's is nogroup."""
    as_nobody = LocalPrograms({}, time.monotonic, 20, "nobody")
    account = pwd.getpwnam("nobody")
    assert as_nobody.run(["id", "-u"]).stdout.strip() == str(account.pw_uid)
    assert as_nobody.run(["id", "-G"]).stdout.split() == [str(account.pw_gid)]
    with pytest.raises(ProgramError):
        LocalPrograms({}, time.monotonic, 20, "no-such-account").run(["id"])
