"""Each test is a module's first run."""

import ansible.module_utils._internal
import ansible.module_utils.common.warnings
import pytest


@pytest.fixture(autouse=True)
def no_warning_of_another_test(monkeypatch):
    """A module on a host begins without warnings; here they would pass from one to the next."""
    monkeypatch.setattr(ansible.module_utils.common.warnings, "_global_warnings", {})
    # Another test of this process may have imported Ansible's controller, which shows warnings instead.
    monkeypatch.setattr(ansible.module_utils._internal, "is_controller", False)
