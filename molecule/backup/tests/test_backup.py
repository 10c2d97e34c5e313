"""The host itself says what a backup left on it, and what it may do to the repository."""

import json

SECRETS = "/etc/trading-core/backup"
REPOSITORY = "rest:http://172.29.77.14:8000/trading-core"


def restic(host, arguments):
    options = f"--quiet --no-cache -r {REPOSITORY} --password-file {SECRETS}/repository-password"
    return host.run(f"set -a; . {SECRETS}/credentials.env; restic {options} {arguments}")


def snapshots(host):
    return [item["id"] for item in json.loads(restic(host, "snapshots --json").stdout)]


def test_nothing_that_was_staged_is_left_also_not_by_a_killed_one(host):
    names = host.check_output("ls -A /var/lib/trading-core-backup").split()
    assert [name for name in names if name.startswith("SET-")] == []


def test_the_secrets_are_roots_alone(host):
    for name in ("repository-password", "credentials.env"):
        file = host.file(f"{SECRETS}/{name}")
        assert (file.mode, file.user) == (0o400, "root")


def test_the_host_adds_to_the_repository_and_removes_nothing(host):
    before = snapshots(host)
    assert len(before) >= 2
    restic(host, f"forget {before[0]}")
    assert snapshots(host) == before
