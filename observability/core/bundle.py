"""The folder with the launcher, the pages and the sample fleet."""

from pathlib import Path

INSTALLED = Path(__file__).resolve().parents[1] / "bundle"
"""In an installed wheel, these files are inside the package; in a checkout, they are beside it."""


def bundle_folder() -> Path:
    """The folder that holds `app.py`, `pages/`, `sample_data/` and `.streamlit/`."""
    return INSTALLED if INSTALLED.is_dir() else INSTALLED.parents[1]
