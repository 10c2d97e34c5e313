"""The host itself says what is left of a restore test."""


def test_nothing_is_left_of_any_test(host):
    for kind in ("ps --all", "volume ls", "network ls"):
        assert host.check_output(f"docker {kind} --quiet --filter name=restoretest-") == ""
    assert host.check_output("ls -A /var/lib/trading-core-restore-test") == ""


def test_what_only_looks_like_a_tests_is_still_there(host):
    assert host.check_output("docker ps --all --quiet --filter name=^molecule-production-gui-1$")
