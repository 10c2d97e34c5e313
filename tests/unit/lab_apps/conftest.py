"""The applications import each other as they do in their image: with lab/images/app on the path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3] / "lab/images/app"))
