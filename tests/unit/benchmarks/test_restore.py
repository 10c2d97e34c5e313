from __future__ import annotations

import pytest

from benchmarks.restore import BARE_BACKUP, BARE_RESTORE, OURS_BACKUP, OURS_RESTORE, Measurement, parts, render_markdown
from benchmarks.restore_ours import program_of


def rounds(our_backup: float, our_restore: float, number: int = 1) -> list[Measurement]:
    return [
        Measurement(OURS_BACKUP, number, our_backup, {"pg_dump": our_backup / 2, "restic ls": 0.01}),
        Measurement(BARE_BACKUP, number, 10.0),
        Measurement(OURS_RESTORE, number, our_restore, {"pg_restore": our_restore}),
        Measurement(BARE_RESTORE, number, 10.0),
    ]


@pytest.mark.parametrize(
    ("backup", "restore", "rows", "words"),
    [(13.0, 15.0, 10_000_000, ["met", "met"]), (13.1, 15.1, 10_000_000, ["missed", "missed"]),
     (13.0, 15.1, 10_000_000, ["met", "missed"]), (13.0, 15.0, 9_999_999, ["missed", "missed"])],
)  # fmt: skip
def test_the_targets_are_met_at_their_ratios_and_with_enough_rows_only(backup, restore, rows, words):
    page = render_markdown(rounds(backup, restore), rows, "Here.")
    assert [line.split(" | ")[-1].strip(" |") for line in page.splitlines() if ", ratio |" in line] == words


def test_a_part_is_summed_up_by_its_median_the_longest_first_and_what_is_nothing_is_left_out():
    measured = [*rounds(20, 30, 1), *rounds(40, 30, 2), *rounds(60, 30, 3)]
    assert list(parts(measured, OURS_BACKUP).items()) == [("pg_dump", 20), ("restic ls", 0.01)]
    page = render_markdown(measured, 10_000_000, "Here.")
    assert "| ours: backup | pg_dump | 20.0 |" in page
    assert "restic ls" not in page


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["restic", "--repo=/r", "--no-cache", "backup", "--json", "."], "restic backup"),
        (["docker", "exec", "--interactive", "c1", "pg_restore", "-e"], "pg_restore"),
        (["docker", "exec", "--interactive", "c1", "pg_restore", "--list"], "pg_restore --list"),
        (["docker", "exec", "c1", "pg_dump"], "pg_dump"),
        (["docker", "cp", "c1:/x", "-"], "docker cp"),
    ],
)
def test_a_program_has_the_name_that_a_reader_knows(argv, name):
    assert program_of(argv) == name
