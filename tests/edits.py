"""Manual edits of files."""

import json
from pathlib import Path
from typing import Any


def edit_json(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file, and remove its digest."""
    content = {**json.loads(path.read_text()), **changes}
    content.pop("sha256", None)
    path.write_text(json.dumps(content))
