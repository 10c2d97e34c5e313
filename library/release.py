#!/usr/bin/python
# Copyright: the AI_TRADING_CORE runbook authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Bring a host to a release and prove it
description:
  - Checks a revision of AI_TRADING_CORE out in O(root_path), and brings to it what runs of the feed stack and of the
    trading stacks, or what an operator started and no one stopped. What is stopped takes it at its next start.
  - Services that Compose would recreate are recreated, ones that only have changed files mounted are started again.
  - Never starts, recreates or restarts a bot. Refused where a bot runs that the release would touch, where it would
    touch the feed while one of O(bots) runs anywhere, and where it would change a file that was changed on the host.
  - Files that were changed on the host, and that the release leaves alone, stay as they are.
  - Images and revision have to be on the host already, see M(release_fetch).
requirements:
  - git, Docker SDK for Python and Docker Compose 2.26 on the host
options:
  root_path:
    description: Checkout of AI_TRADING_CORE.
    type: path
    required: true
  revision:
    description: Full name of the commit.
    type: str
    required: true
  groups:
    description: The host's inventory groups; they say which stacks it has.
    type: list
    elements: str
    required: true
  feed_project_name:
    description: Compose project of the feed stack.
    type: str
    default: ai_trading_core
  feed_files:
    description: Its compose files, relative to O(root_path).
    type: list
    elements: str
    default: [ops/compose/docker-compose.yml]
  trading_project_prefix:
    description: What the project of a trading stack begins with; its mode follows.
    type: str
    default: trading-
  trading_files:
    description: Its compose files, relative to O(root_path).
    type: list
    elements: str
    default: [ops/compose/trading/docker-compose.yml]
  feed_service:
    description: The feed.
    type: str
    default: live_connector
  bot_services:
    description: Compose service names of bots, with wildcards.
    type: list
    elements: str
    default: [bot]
  bots:
    description: Result of M(kill_switch_info) by host, of every host.
    type: dict
    default: {}
  bots_before:
    description: The same as looked at before, with the host as C(item). They count for a host that no longer says it.
    type: list
    elements: dict
    default: []
  source:
    description:
      - RV(source_revision_info#module:texts) as C(texts) and the entry of RV(source_revision_info#module:changes) for
        this host's revision as C(changes). Without it the revision is read from the host's own repository.
    type: dict
    default: {}
  pins:
    description: Images by C(project/service), as in RV(images); without one its reference says which.
    type: dict
    default: {}
  pins_elsewhere:
    description: Pins of other hosts; one reference has to be one image everywhere.
    type: list
    elements: str
    default: []
  keep:
    description:
      - Files that stay as they are though the revision changes them, as in RV(same) of the release that is undone. They
        were changed on the host before that, and are so again.
    type: list
    elements: str
    default: []
  schema_versions:
    description: Schema of each database, as RV(schema_info#module:version). Empty where none is kept.
    type: list
    elements: raw
    default: []
  schema_supported_max:
    description: Newest schema that the release supports; without it what C(schema.yml) of the revision says.
    type: int
  schema_waived:
    description: Whether the database is replaced by a backup anyway.
    type: bool
    default: false
  timeout_seconds:
    description: Time for each stack, health included.
    type: int
    default: 180
  by:
    description: The person, not only the account.
    type: str
    default: not given
  why:
    description: Why, in words.
    type: str
    default: not given
extends_documentation_fragment: [host_state, engine]
attributes:
  check_mode:
    support: full
    description: >-
      Reads the release's compose files from a scratch folder, as if they lay in the checkout, and asks Compose for
      their hashes. Changes no container, image or file.
  diff_mode:
    support: full
    description: Revision, configuration and image of each service, before and after.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Bring the host to the release
  release:
    root_path: /opt/ai_trading_core
    revision: 8c3e0a4a4a1b3c9f6b0f1d2e3c4b5a6978877665
    groups: "{{ group_names }}"
    by: reno
    why: faster bars
"""

RETURN = r"""
outcome:
  description: >-
    V(proven), or V(planned) in check mode. Otherwise V(refused) (nothing was changed), V(failed), V(unknown) (the
    engine could not be asked), V(running).
  returned: always
  type: str
summary:
  description: What was (would be) changed, or why nothing was.
  returned: always
  type: str
next_command:
  description: What to type next, empty where nothing is left to do.
  returned: always
  type: str
revision:
  description: As asked for.
  returned: always
  type: str
revision_before:
  description: What was checked out before.
  returned: always
  type: str
moves:
  description: One entry per service with C(project), C(service), C(action) and C(reason).
  returned: always
  type: list
  elements: dict
images:
  description: Image of each service by the release, C(reference@sha256:…) by C(project/service); empty while not here.
  returned: always
  type: dict
images_before:
  description: The same, as they ran before; of what did not run, as what ran from the same reference or a start had it.
  returned: always
  type: dict
config:
  description: Compose's hash of each service by the release.
  returned: always
  type: dict
config_before:
  description: The same by the checkout as it was.
  returned: always
  type: dict
references:
  description: The image references of the release on this host.
  returned: always
  type: list
  elements: str
missing:
  description: Those of them that something that is to run needs, and that are neither here nor pinned.
  returned: always
  type: list
  elements: str
schema_supported_max:
  description: Newest schema that the release supports, none where it does not say.
  returned: always
  type: int
feed_runs:
  description: Whether the feed runs on this host, or is to run.
  returned: always
  type: bool
kept:
  description: Files that were changed on this host and stay so.
  returned: always
  type: list
  elements: str
same:
  description: Files that were changed on this host into what the release holds, and belong to it now.
  returned: always
  type: list
  elements: str
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.trading_ops.compose.request import Tools
from ansible.module_utils.trading_ops.compose.services import ensure_services
from ansible.module_utils.trading_ops.core.arguments import ENGINE_ARGUMENTS, STATE_ARGUMENTS
from ansible.module_utils.trading_ops.core.clock import utc_now
from ansible.module_utils.trading_ops.core.result import build_result, finish
from ansible.module_utils.trading_ops.host.engine import docker_engine
from ansible.module_utils.trading_ops.host.programs import LocalPrograms, ProgramError
from ansible.module_utils.trading_ops.release.ensure import ensure_release
from ansible.module_utils.trading_ops.release.git import HOST_ENVIRONMENT, Repository, owner_of
from ansible.module_utils.trading_ops.release.images import DockerImages
from ansible.module_utils.trading_ops.release.request import Host, parse_request

ARGUMENT_SPEC = {
    "root_path": {"type": "path", "required": True},
    "revision": {"type": "str", "required": True},
    "groups": {"type": "list", "elements": "str", "required": True},
    "feed_project_name": {"type": "str", "default": "ai_trading_core"},
    "feed_files": {"type": "list", "elements": "str", "default": ["ops/compose/docker-compose.yml"]},
    "trading_project_prefix": {"type": "str", "default": "trading-"},
    "trading_files": {"type": "list", "elements": "str", "default": ["ops/compose/trading/docker-compose.yml"]},
    "feed_service": {"type": "str", "default": "live_connector"},
    "bot_services": {"type": "list", "elements": "str", "default": ["bot"]},
    "bots": {"type": "dict", "default": {}},
    "bots_before": {"type": "list", "elements": "dict", "default": []},
    "source": {"type": "dict", "default": {}},
    "pins": {"type": "dict", "default": {}},
    "pins_elsewhere": {"type": "list", "elements": "str", "default": []},
    "keep": {"type": "list", "elements": "str", "default": []},
    "schema_versions": {"type": "list", "elements": "raw", "default": []},
    "schema_supported_max": {"type": "int"},
    "schema_waived": {"type": "bool", "default": False},
    "timeout_seconds": {"type": "int", "default": 180},
    **STATE_ARGUMENTS,
    "by": {"type": "str", "default": "not given"},
    "why": {"type": "str", "default": "not given"},
    **ENGINE_ARGUMENTS,
}
OBSERVE_SECONDS = 300


def main() -> None:
    module = AnsibleModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    params, root = module.params, Path(module.params["root_path"])
    tools = Tools(connect=lambda: docker_engine(params["docker_url"]))
    try:
        owner = owner_of(root)
    except ProgramError as error:
        finish(module, build_result("failed", str(error)))
    # One limit for all of git and docker, from now on: three stacks and the restarts have their own in between.
    seconds = OBSERVE_SECONDS + 4 * params["timeout_seconds"]
    host = Host(
        repository=Repository(LocalPrograms(HOST_ENVIRONMENT, time.monotonic, seconds, owner), root),
        images=DockerImages(LocalPrograms({}, time.monotonic, seconds), params["docker_url"]),
        tools=tools,
        ensure=lambda wanted: ensure_services(wanted, tools, False),
        now=utc_now,
    )
    result = ensure_release(parse_request(params), host, module.check_mode)
    finish(module, result)


if __name__ == "__main__":
    main()
