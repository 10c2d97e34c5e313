"""An outer engine with a memory: it knows the commands the lab uses, and says what it was told to do."""

from __future__ import annotations

from collections.abc import Sequence

from lab.machines import NETWORK, SPECIFICATION_LABEL, SUBNET, EstateError, Machine, Observed, specification


class FakeDocker:
    def __init__(self) -> None:
        self.containers: dict[str, Observed] = {}
        self.volumes: set[str] = set()
        self.networks: dict[str, str] = {}
        self.copied: dict[str, bytes] = {}
        self.addresses: dict[str, str] = {}
        self.refuses_to_start: set[str] = set()

    def add(self, machine: Machine, state: str, networks: tuple[str, ...] = (NETWORK,)) -> None:
        self.containers[machine.name] = Observed(state, specification(machine), networks)
        self.addresses[machine.name] = machine.address

    def run(self, argv: Sequence[str], stdin: bytes = b"", timeout_seconds: float = 0) -> str:
        match list(argv)[1:]:
            case ["ps", *_]:
                rows = [(n, o.state, o.specification, ",".join(o.networks)) for n, o in self.containers.items()]
                return "".join("\t".join(row) + "\n" for row in rows)
            case ["create", *options]:
                self._create(options)
            case ["cp", "-", target]:
                self.copied[target.partition(":")[0]] = stdin
            case ["start", name]:
                if name in self.refuses_to_start:
                    raise EstateError(f"`docker start {name}` ended with 1: no")
                self._set(name, "running", self.containers[name].networks)
            case ["unpause", name]:
                self._set(name, "running", self.containers[name].networks)
            case ["network", "connect", "--ip", _, network, name]:
                self._set(name, self.containers[name].state, (network,))
            case ["rm", "--force", "--volumes", name]:
                del self.containers[name]
                self.addresses.pop(name, None)
            case ["volume", "rm", "--force", name]:
                self.volumes.discard(name)
            case ["network", "ls", *_]:
                return "".join(f"{name}\n" for name in self.networks)
            case ["network", "create", *_, "--subnet", subnet, name]:
                self.networks[name] = subnet
            case ["network", "inspect", *_, name]:
                return self.networks[name] + "\n"
            case unknown:
                raise AssertionError(f"the fake engine was asked for something new: {unknown}")
        return ""

    def _create(self, options: Sequence[str]) -> None:
        name = options[options.index("--name") + 1]
        address = options[options.index("--ip") + 1]
        assert name not in self.containers, "a real engine refuses a second container of this name"
        assert address not in self.addresses.values(), "a real engine refuses to start a second one at this address"
        self.addresses[name] = address
        label = next(option for option in options if option.startswith(f"{SPECIFICATION_LABEL}="))
        self.containers[name] = Observed("created", label.partition("=")[2], (NETWORK,))
        self.volumes |= {
            option.split(",")[1].partition("=")[2] for option in options if option.startswith("type=volume")
        }

    def _set(self, name: str, state: str, networks: tuple[str, ...]) -> None:
        self.containers[name] = Observed(state, self.containers[name].specification, networks)


LAB_NETWORK = {NETWORK: SUBNET}
