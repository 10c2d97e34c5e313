"""What a run may know of the shell or unit it was started from."""

from __future__ import annotations

import os
import re

from trading_ops.jobs.job import Jobs

# ansible-runner writes the environment of each run to its folder.
_PASSED_ON = re.compile(
    r"PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_\w+|TERM|TZ|SSL_CERT_FILE|ANSIBLE_VAULT_PASSWORD_FILE|TRADING_CORE_\w+"
)


def adopt_environment(jobs: Jobs) -> None:
    """Make this process' environment that of a job. By hand it is as under systemd, its inventory the host's."""
    for name in [name for name in os.environ if not _PASSED_ON.fullmatch(name)]:
        del os.environ[name]
    os.environ.update(jobs.environment)
