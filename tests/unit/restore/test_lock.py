import subprocess
import sys

import pytest
from trading_ops.restore.lock import RestoreTestLocked, hold, leashed


def test_the_second_is_told_whose_the_first_is_and_the_lock_is_free_afterwards(tmp_path):
    path = tmp_path / "state"
    with hold(path, "anna"), pytest.raises(RestoreTestLocked, match="anna"), hold(path, "reno"):
        pass
    with hold(path, "reno"), pytest.raises(RestoreTestLocked, match=r"^reno$"), hold(path, "anna"):
        pass


def test_a_program_of_a_run_that_is_gone_keeps_the_next_run_out_until_it_has_ended(tmp_path):
    path = tmp_path
    code = "import sys; sys.stdin.read()"
    with hold(path, "killed") as descriptor:
        program = leashed(descriptor)([sys.executable, "-c", code], stdin=subprocess.PIPE)
    with pytest.raises(RestoreTestLocked), hold(path, "next"):
        pass
    program.communicate(b"")
    with hold(path, "next"):
        pass


def test_a_program_ends_with_the_run_that_began_it(tmp_path):
    run = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from trading_ops.core import locks\n"
        "from trading_ops.restore.lock import hold, leashed\n"
        "locks.FOLDER = Path(sys.argv[2]) / 'lock' / 'trading-core'\n"
        "with hold(Path(sys.argv[2]), 'x') as descriptor:\n"
        "    leashed(descriptor)(['cat'])\n"
        "    print('begun', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    package = next(path for path in sys.path if path.endswith("module_utils"))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", run, package, str(tmp_path)], **pipes) as process:
        assert process.stdout.readline() == b"begun\n"
        process.kill()
        # The output ends when the last program that holds it has ended.
        assert process.stdout.read() == b""
