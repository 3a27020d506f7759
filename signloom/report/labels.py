"""Names and texts that the report shows, from labels.yaml."""

from pathlib import Path
from typing import Any

import yaml

TEMPLATES = Path(__file__).with_name("templates")
LABELS: dict[str, Any] = yaml.safe_load((TEMPLATES / "labels.yaml").read_text("utf-8"))
DATA: dict[str, str] = LABELS["data"]
DECODERS: dict[str, str] = LABELS["decoders"]
