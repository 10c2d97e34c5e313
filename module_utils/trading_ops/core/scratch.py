"""Names of scratch folders on a host, by which a later run finds what a killed one left."""

from typing import Final

SCRATCH_PREFIX: Final = "trading-core-evidence-"
