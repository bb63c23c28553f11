"""The vendors' documents the emulator answers and judges by, cut to what it has."""

import json
from pathlib import Path
from typing import Any


def load(name: str) -> dict[str, Any]:
    """One of the JSON files of this folder."""
    document: dict[str, Any] = json.loads(Path(__file__).with_name(name).read_text())
    return document
