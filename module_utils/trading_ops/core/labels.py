"""Labels that Compose gives a container."""

from typing import Final

ONE_OFF_LABEL: Final = "com.docker.compose.oneoff"
