import pytest
from trading_ops.guard.this_host import this_host
from trading_ops.host.cgroups import CgroupError, ForeignEngine, HostCgroups
from trading_ops.host.starter_files import read_starter_files

A = "a" * 64


@pytest.mark.parametrize(
    ("docker_url", "kind"),
    [
        ("unix:///var/run/docker.sock", HostCgroups),
        ("unix:///run/docker.sock", HostCgroups),
        ("unix:///run/user/1000/docker.sock", ForeignEngine),
        ("tcp://elsewhere:2376", ForeignEngine),
    ],
)
def test_kernel_of_this_host_proves_nothing_about_another_engine(tmp_path, docker_url, kind):
    seen = this_host(docker_url, tmp_path).cgroups
    assert isinstance(seen, kind)
    if kind is ForeignEngine:
        for ask in (seen.containers, seen.processes, lambda: seen.kill(A)):
            with pytest.raises(CgroupError, match="not this host's own"):
                ask()


def test_what_starts_a_bot_again_is_looked_for_in_the_files_of_this_host(tmp_path):
    assert this_host("unix:///var/run/docker.sock", tmp_path).read_files is read_starter_files
