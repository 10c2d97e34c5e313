"""The folder of an incident: below the directory of incidents, and nowhere else."""

from __future__ import annotations

import pytest
from trading_ops.incident.folder import FolderError, incident_path


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", "INC 1", "INC\n1", "-e", "a" * 200])
def test_an_id_that_leads_elsewhere_is_none(tmp_path, name):
    with pytest.raises(FolderError):
        incident_path(tmp_path, name)
