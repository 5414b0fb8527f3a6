"""Write files that only their owner may read."""

import os
import tempfile
from pathlib import Path


def replace_private_file(path: Path, content: str) -> None:
    """Replace a file in one step (write, sync, rename), readable by its owner only. Raises OSError; the old file then stays."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except OSError:
        Path(draft).unlink(missing_ok=True)
        raise
