#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_test
short_description: Restore a backup set into a throw-away stack, prove that the systems run on it, and remove it again
description:
  - Fetches a set, holds every file against the manifest, restores both databases in TimescaleDB's order, compares rows
    and checksums of every table, has amcheck look at the indexes, inserts a row into every hypertable and rolls it
    back, has MLflow list what it has and the registered model predict, and lets a paper bot trade on a replayed feed
    until it has written rows and the checks pass.
  - The stack is a Compose project of its own on an internal network, with secrets made up for it. Before anything
    starts, its configuration is held against what such a stack may say; afterwards engine and containers are asked.
  - What it made is removed in every case, also when the caller's connection ends, and that nothing is left is
    demanded. What a run that was killed has left is removed by the next one.
  - Refused on a host whose halt latch is engaged. One test at a time runs on a host.
requirements:
  - restic 0.17 or newer, the docker client with Compose v2 and setpriv (util-linux) on the host
options:
  set:
    description: Id of the set, as in V(SET-20261121-023000). Empty for the newest.
    type: str
    default: ""
  set_path:
    description: A directory of the host that holds a set, in place of a repository.
    type: str
    default: ""
  repository:
    description: The repository's address as this host reaches it, as restic takes it, without a password.
    type: str
    default: ""
  password_path:
    description: File with the repository's password, mode 0400.
    type: path
    default: /etc/trading-core/restic-password
  credentials_path:
    description: File with C(NAME=value) lines for the way to the repository, mode 0400. Empty for none.
    type: str
    default: ""
  project_src:
    description: Checkout of AI_TRADING_CORE on the host.
    type: path
    required: true
  tree:
    description: What of the checkout the project is made of. It is copied; files named C(.env) are left out.
    type: list
    elements: str
    required: true
  files:
    description: Compose files of the throw-away project, relative to O(project_src).
    type: list
    elements: str
    required: true
  env_files:
    description:
      - Files with its variables, relative to O(project_src). They may use C(RESTORE_TEST_SCRATCH) and
        C(RESTORE_TEST_SECRET), which this module sets, as it sets C(RESTORE_TEST_PROJECT) and C(TRADING_MODE=paper).
    type: list
    elements: str
    default: []
  database_service:
    description: Service of the database server.
    type: str
    default: timescaledb
  registry_service:
    description: Service of the MLflow server.
    type: str
    default: mlflow
  systems:
    description: Services that are started last, the bot among them.
    type: list
    elements: str
    default: [exchange, live_connector, prometheus, bot]
  prometheus_service:
    description: Service of Prometheus.
    type: str
    default: prometheus
  superuser:
    description: The database's superuser, who needs no password on the socket in the container.
    type: str
    default: postgres
  trading_database:
    description: Name of the trading database.
    type: str
    default: trading
  mlflow_database:
    description: Name of MLflow's database.
    type: str
    default: mlflow
  model_service:
    description: Service whose container has what the model needs.
    type: str
    default: mlflow
  registry_url:
    description: MLflow as O(model_service) reaches it.
    type: str
    default: http://mlflow:5000
  model_name:
    description: The registered model.
    type: str
    required: true
  model_alias:
    description: Its alias.
    type: str
    required: true
  model_features:
    description: One row of features, all numbers, that the model is asked with.
    type: dict
    required: true
  bot_tables:
    description: Tables of the trading database that have to grow while the bot runs.
    type: list
    elements: str
    default: [orders, equity]
  bot_seconds:
    description: How long the bot is watched.
    type: int
    default: 60
  checks:
    description: Checks of the catalogue that have to pass on the throw-away stack.
    type: list
    elements: dict
    required: true
  checks_select:
    description: Labels of the bot that it stands for, as in M(metric_checks_info).
    type: dict
    default: {}
  checks_timeout_seconds:
    description: How long the checks may take to pass, all at once.
    type: int
    default: 300
  scrape_interval_seconds:
    description: How often the stack's Prometheus looks at its targets. A sample may be two intervals old.
    type: float
    default: 15
  start_timeout_seconds:
    description: How long services may take to become healthy.
    type: int
    default: 180
  age_limit_seconds:
    description: How old the newest data of the set may be.
    type: int
    default: 93600
  timeout_seconds:
    description: Bound for the whole test, without its removal.
    type: int
    default: 3600
  scratch_path:
    description: Directory for the set and the project, this module's alone.
    type: path
    default: /var/lib/trading-core-restore-test
  by:
    description: The person, not only the account.
    type: str
    default: not given
extends_documentation_fragment: [host_state, engine]
attributes:
  check_mode:
    support: full
    description: Looks at halt latch and configuration, and refuses what a real run would refuse.
  diff_mode:
    support: none
    description: Nothing of it stays.
"""

EXAMPLES = r"""
- name: Test the newest backup
  restore_test:
    repository: rest:http://control1:8000/
    project_src: /opt/ai_trading_core
    tree: [config, ops/compose]
    files: [ops/compose/restore_test/docker-compose.yml]
    model_name: RefStrat_01
    model_alias: champion
    model_features: {ema_spread_atr: 0, return_atr: 0, range_atr: 1}
    checks: "{{ check_catalogue_checks }}"
"""

RETURN = r"""
outcome:
  description:
    - V(proven), or V(planned) in check mode. Otherwise V(refused) (halted, or not kept apart), V(locked), V(usage), or
      V(failed), with RV(failures).
  returned: always
  type: str
summary:
  description: What was shown, in numbers; or the cause.
  returned: always
  type: str
next_command:
  description: What to do next, empty where nothing is left to do.
  returned: always
  type: str
set:
  description: Id of the set.
  returned: always
  type: str
failures:
  description: C(name), C(kind) (V(data) or V(environment)), C(detail) and C(what_to_do) of each, the cause first.
  returned: always
  type: list
  elements: dict
phases:
  description: Seconds of each phase.
  returned: always
  type: dict
bytes:
  description: Size of the set.
  returned: always
  type: int
rpo_seconds:
  description: How old the newest time inside the trading data was.
  returned: always
  type: float
rto_seconds:
  description: What fetching, restoring and starting took together, without the comparisons; none unless proven.
  returned: always
  type: float
tables:
  description: How many tables were compared.
  returned: always
  type: int
rows:
  description: How many rows the manifest has in them.
  returned: always
  type: int
comparison:
  description: C(database), C(table), C(rows) and C(is_equal) of each table.
  returned: always
  type: list
  elements: dict
model:
  description: C(name), C(alias), C(version) and C(prediction).
  returned: always
  type: dict
bot:
  description: How many C(seconds) it was watched, and how many C(rows) it wrote by table.
  returned: always
  type: dict
checks:
  description: C(id), C(outcome) and C(value) of each check.
  returned: always
  type: list
  elements: dict
versions:
  description: Versions that the manifest names.
  returned: always
  type: dict
manifest_sha256:
  description: SHA-256 of the manifest, which signs for all of the set.
  returned: always
  type: str
attempts:
  description: How often the test was begun.
  returned: always
  type: int
removed:
  description: What was removed.
  returned: always
  type: list
  elements: str
by:
  description: The person.
  returned: always
  type: str
started_at:
  description: When it began, ISO 8601 UTC.
  returned: always
  type: str
finished_at:
  description: When it was over.
  returned: always
  type: str
lines:
  description: Phases and failures for people.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.outcome import GOOD
from ansible.module_utils.trading_ops.core.result import finish
from ansible.module_utils.trading_ops.host.connection_end import interrupted_with_connection
from ansible.module_utils.trading_ops.restore.trial import run_restore_test

ARGUMENT_SPEC = {
    "set": {"type": "str", "default": ""},
    "set_path": {"type": "str", "default": ""},
    "repository": {"type": "str", "default": ""},
    "password_path": {"type": "path", "default": "/etc/trading-core/restic-password", "no_log": False},
    "credentials_path": {"type": "str", "default": ""},
    "project_src": {"type": "path", "required": True},
    "tree": {"type": "list", "elements": "str", "required": True},
    "files": {"type": "list", "elements": "str", "required": True},
    "env_files": {"type": "list", "elements": "str", "default": []},
    "database_service": {"type": "str", "default": "timescaledb"},
    "registry_service": {"type": "str", "default": "mlflow"},
    "systems": {"type": "list", "elements": "str", "default": ["exchange", "live_connector", "prometheus", "bot"]},
    "prometheus_service": {"type": "str", "default": "prometheus"},
    "superuser": {"type": "str", "default": "postgres"},
    "trading_database": {"type": "str", "default": "trading"},
    "mlflow_database": {"type": "str", "default": "mlflow"},
    "model_service": {"type": "str", "default": "mlflow"},
    "registry_url": {"type": "str", "default": "http://mlflow:5000"},
    "model_name": {"type": "str", "required": True},
    "model_alias": {"type": "str", "required": True},
    "model_features": {"type": "dict", "required": True},
    "bot_tables": {"type": "list", "elements": "str", "default": ["orders", "equity"]},
    "bot_seconds": {"type": "int", "default": 60},
    "checks": {"type": "list", "elements": "dict", "required": True},
    "checks_select": {"type": "dict", "default": {}},
    "checks_timeout_seconds": {"type": "int", "default": 300},
    "scrape_interval_seconds": {"type": "float", "default": 15},
    "start_timeout_seconds": {"type": "int", "default": 180},
    "age_limit_seconds": {"type": "int", "default": 93600},
    "timeout_seconds": {"type": "int", "default": 3600},
    "scratch_path": {"type": "path", "default": "/var/lib/trading-core-restore-test"},
    **STATE_ARGUMENTS,
    **ENGINE_ARGUMENTS,
    "by": {"type": "str", "default": "not given"},
}


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    with interrupted_with_connection():
        result = run_restore_test(module.params, module.check_mode)
    # A test that found a fault has done its work: the verdict is red, and the report is still written.
    finish(module, result, good=GOOD | {"failed"})


if __name__ == "__main__":
    main()
