"""Which pages are there, and what stands beside all of them?

The script that Streamlit reruns for each session: it finds the pages, draws the navigation and the one sidebar, and runs the page. It does not
stand beside pages/ on purpose (a first deep link would be called "not found" there).
"""

from pathlib import Path
from typing import Any

import streamlit as st

from observability.dashboard import frame, links, sidebar

ASSETS = Path(__file__).parent / "assets"
SECTIONS = {
    "overview": "Overview",
    "data": "Data",
    "training": "Training",
    "serving": "Serving",
    "trust": "Trust",
    "operations": "Operations",
}
ORDER = ("health", "model", "findings", "cases", "case")
"""Pages that come first in their section; the rest follow by name."""


def page_files() -> list[Path]:
    """Every page's file: pages/<section>/<name>.py."""
    return list(links.page_files().values())


def navigation() -> dict[str, list[Any]]:
    """Pages by section, in the order of the sections."""
    sections: dict[str, list[Any]] = {}
    for section, label in SECTIONS.items():
        files = [path for path in page_files() if path.parent.name == section]
        for path in sorted(files, key=lambda each: (ORDER.index(each.stem) if each.stem in ORDER else len(ORDER), each.stem)):
            title, icon, _ = links.about(path)
            page = st.Page(path, title=title, icon=icon, default=path.stem == links.DEFAULT_PAGE, url_path=path.stem)
            sections.setdefault(label, []).append(page)
    return sections


def main() -> None:
    """Draw the shell and run the page that was asked for."""
    st.set_page_config(page_icon=str(ASSETS / "icon.png"), layout="wide", initial_sidebar_state="auto")
    st.logo(str(ASSETS / "logo.svg"), icon_image=str(ASSETS / "icon.png"), size="large")
    page = st.navigation(navigation(), expanded=True)
    corrected = sidebar.corrected_address()
    if corrected:
        st.switch_page(page, query_params=corrected)
    links.remember(page.url_path)
    frame.arrive(page.url_path)
    sidebar.draw()
    page.run()


if __name__ == "__main__":
    main()
