"""Modules import the package as Ansible gives it to them; here it is this checkout's."""

from pathlib import Path

import ansible.module_utils

ansible.module_utils.__path__.append(str(Path(__file__).parents[2] / "module_utils"))
