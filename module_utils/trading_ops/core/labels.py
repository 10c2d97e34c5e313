"""Labels that Compose gives a container, and a project name that it makes up."""

from typing import Final

ONE_OFF_LABEL: Final = "com.docker.compose.oneoff"

FOLDER_PROJECT: Final = "compose"
"""The feed's project where the owner's own command starts it (ops/compose/docker-compose.yml) from a file without a
name: Compose takes the folder's."""
