"""Which machine each proof was made on: what of it cannot be believed, in words. Pure.

What a host says of machines can only ever take something away: a name whose machine nobody recorded is believed as far
as nothing speaks against it, and one answer alone never makes another one good.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ..core.machine import Machine

REMAKE_ID: Final = "rm /etc/machine-id && systemd-machine-id-setup"


@dataclass(frozen=True)
class Witness:
    """A proof from `host`: the machine that gave it, and the machine ids that are on record there, by name."""

    host: str
    machine: Machine
    recorded: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Controller:
    """The machine that the command runs on, and the hosts that the inventory says are this one."""

    machine: Machine = field(default_factory=Machine)
    local_hosts: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Doubt:
    """Why nothing is proven of `hosts`, and what to do about it. `text` names them where they are several."""

    hosts: tuple[str, ...]
    text: str
    fix: str


def find_doubts(
    witnesses: Sequence[Witness], records: Iterable[Mapping[str, str]], controller: Controller
) -> list[Doubt]:
    """Return what speaks against taking each witness for a proof of its own host; at most one doubt a host.

    records: every record that came with the run, by name; each of them has to agree with what a host says of itself.
    """
    known = list(records)
    doubts = _shared(witnesses)
    doubted = {host for doubt in doubts for host in doubt.hosts}
    for witness in witnesses:
        if witness.host not in doubted and (doubt := _of_one(witness, known, controller)):
            doubts.append(doubt)
            doubted.add(witness.host)
    return doubts


def find_clones(witnesses: Sequence[Witness]) -> list[Doubt]:
    """Return which machines have one machine id although they are several, as clones of one disk have it."""
    names: dict[str, list[str]] = {}
    for witness in witnesses:
        if witness.machine.machine_id:
            names.setdefault(witness.machine.machine_id, []).append(witness.host)
    fix = f"{REMAKE_ID} (on each of them but one), then ./runbook host_setup"
    return [
        Doubt(tuple(hosts), f"{_and(hosts)} have the same machine id {machine_id}, as clones have it; fix: {fix}", fix)
        for machine_id, hosts in names.items()
        if len(hosts) > 1
    ]


def _shared(witnesses: Sequence[Witness]) -> list[Doubt]:
    """Return the names that lead to one machine."""
    groups: list[list[Witness]] = []
    for witness in witnesses:
        for group in groups:
            if any(witness.machine.may_be(other.machine) for other in group):
                group.append(witness)
                break
        else:
            groups.append([witness])
    return [
        Doubt(
            tuple(hosts),
            f"{_and(hosts)} are one machine (machine id {group[0].machine.machine_id}), "
            "so only one of them was reached",
            "again once the inventory leads each of these names to a machine of its own",
        )
        for group in groups
        if len(hosts := [witness.host for witness in group]) > 1
    ]


def _of_one(witness: Witness, records: Sequence[Mapping[str, str]], controller: Controller) -> Doubt | None:
    name, told = witness.host, witness.machine.machine_id
    on_record = sorted({record[name] for record in records if name in record})
    if others := [machine_id for machine_id in on_record if machine_id != told]:
        seen = f"answers from another machine (machine id {told})" if told else "does not tell its machine id"
        return Doubt(
            (name,),
            f"{seen} than the one that host_setup recorded for it ({', '.join(others)})",
            "again once the inventory leads to the machine on record; a new one is recorded by "
            f"""./runbook host_setup -e '{{"forget_hosts": ["{name}"]}}'""",
        )
    is_known = witness.recorded.get(name) == told or name in controller.local_hosts
    if witness.machine.may_be(controller.machine) and not is_known:
        return Doubt(
            (name,),
            f"answers from the very machine that this runs on (machine id {told}), and neither host_setup has recorded "
            "that nor does the inventory say ansible_connection: local",
            "again once its address is right; where this machine does trade: ./runbook host_setup",
        )
    return None


def _and(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
