"""Which machine a proof was made on, so that two names for one machine are never taken for two proofs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_ID: Final = re.compile(r"[0-9A-Za-z:-]{8,64}")
"""/etc/machine-id, a boot id, or an engine's ID in either of its forms; `halt-now` takes the same letters."""


@dataclass(frozen=True)
class Machine:
    """What a host says of itself: `machine_id` survives a boot, `boot_id` does not. Empty is not known.

    Clones share the first, containers of one kernel the second.
    """

    machine_id: str = ""
    boot_id: str = ""

    def may_be(self, other: Machine) -> bool:
        """Return whether both are one machine for all that they say; without a machine id nothing is said."""
        if not self.machine_id or self.machine_id != other.machine_id:
            return False
        return self.boot_id == other.boot_id or not (self.boot_id and other.boot_id)


def parse_id(value: object) -> str:
    """Return an id that a host told, empty where it is none."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def parse_machine(value: object) -> Machine:
    """Return what a host told of itself; what is no id is not known."""
    fields = value if isinstance(value, Mapping) else {}
    return Machine(parse_id(fields.get("machine_id")), parse_id(fields.get("boot_id")))


def parse_recorded(value: object) -> dict[str, str]:
    """Return the machine ids on record by name, without what is none."""
    fields = value if isinstance(value, Mapping) else {}
    return {str(name): found for name, told in fields.items() if (found := parse_id(told))}
