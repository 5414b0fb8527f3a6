"""The folder with the launcher, the pages and the sample fleet."""

from pathlib import Path

INSTALLED = Path(__file__).resolve().parents[1] / "bundle"
"""An installed wheel has these files inside the package; a checkout has them beside it."""


def bundle_folder() -> Path:
    """The folder that holds `app.py`, `pages/`, `sample_data/` and `.streamlit/`."""
    return INSTALLED if INSTALLED.is_dir() else INSTALLED.parents[1]
