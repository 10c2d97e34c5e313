import json
from pathlib import Path

import pytest
from trading_ops.backup.restic import Repository, ResticError
from trading_ops.host.programs import Ended
from trading_ops.restore.faults import RestoreFault
from trading_ops.restore.fetch import fetch_from_folder, fetch_from_repository, repository_fault

REPOSITORY = Repository("rest:http://user:secret@lab-control:8000/x", Path("/pw"), {"RESTIC_REST_USERNAME": "u"}, None)
SNAPSHOTS = [
    {
        "id": name * 8,
        "short_id": name,
        "time": f"2026-11-2{name}T02:30:00Z",
        "hostname": "lab1",
        "tags": ["trading-core", f"set=SET-2026112{name}-023000"],
        "summary": {"total_bytes_processed": 1000},
    }
    for name in ("1", "2")
]


GOOD_END = Ended(0, "", "")


class FakeRestic:
    """A repository with two sets. `ends` is how the restore ends."""

    def __init__(self, ends=GOOD_END, snapshots=SNAPSHOTS):
        self.ends, self.snapshots, self.restored = ends, snapshots, []

    def run(self, argv, *, environment=None, cwd=None):
        if "snapshots" in argv:
            return Ended(0, json.dumps(self.snapshots), "")
        self.restored.append(argv[argv.index("restore") + 1])
        return self.ends


def fetch(restic, wanted="", free=10**9):
    fetch_from_repository(REPOSITORY, lambda _: free)(restic, wanted, Path("/scratch/set"))
    return restic.restored


def test_the_newest_set_is_fetched_unless_one_is_named():
    assert fetch(FakeRestic()) == ["22222222"]
    assert fetch(FakeRestic(), "SET-20261121-023000") == ["11111111"]


@pytest.mark.parametrize(("wanted", "snapshots"), [("SET-20200101-000000", SNAPSHOTS), ("", [])])
def test_a_set_that_is_not_there_is_no_set(wanted, snapshots):
    with pytest.raises(RestoreFault, match="no_set"):
        fetch(FakeRestic(snapshots=snapshots), wanted)


def test_a_set_that_does_not_fit_is_not_begun():
    restic = FakeRestic()
    with pytest.raises(RestoreFault, match="no_room"):
        fetch(restic, free=999)
    assert restic.restored == []


@pytest.mark.parametrize(
    ("code", "words", "name"),
    [
        (10, "repository does not exist", "repository_missing"),
        (11, "unable to create lock", "repository_locked"),
        (12, "wrong password", "wrong_password"),
        (1, "write /scratch/x: no space left on device", "no_room"),
        (1, "dial tcp 172.29.77.14:8000: connect: connection refused", "repository_away"),
        (1, "open /repo/data/ab/abcd: no such file or directory", "pack_missing"),
        (1, "unexpected HTTP response (404): 404 Not Found", "pack_missing"),
        (1, "ciphertext verification failed", "repository_damaged"),
        (3, "something nobody has seen", "repository_damaged"),
    ],
)
def test_every_end_of_restic_has_the_name_of_its_cause(code, words, name):
    with pytest.raises(RestoreFault, match=name) as raised:
        fetch(FakeRestic(Ended(code, "", f"Fatal: {words}")))
    assert "secret" not in str(raised.value)
    assert repository_fault(ResticError(words, code)).failures[0].name == name


def test_a_set_in_a_directory_is_copied_and_stays_as_it_is(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "artifacts").mkdir(parents=True)
    (source / "artifacts" / "model").write_text("x")
    target.mkdir()
    fetch_from_folder(source)(FakeRestic(), "", target)
    assert (target / "artifacts" / "model").read_text() == "x"
    with pytest.raises(RestoreFault, match="no_set"):
        fetch_from_folder(tmp_path / "nothing")(FakeRestic(), "", target)
