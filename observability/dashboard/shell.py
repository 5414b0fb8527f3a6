"""The script that Streamlit reruns for each session: it finds the pages, draws the navigation and the sidebar, and runs the page.

It must not stand beside pages/, where Streamlit answers a first deep link with "not found".
"""

from pathlib import Path
from typing import Any

import streamlit as st

from observability.core import telemetry
from observability.dashboard import frame, links, sidebar, sign_in

ASSETS = Path(__file__).parent / "assets"
SECTIONS = {
    "overview": "Overview",
    "data": "Data",
    "training": "Training",
    "serving": "Serving",
    "trust": "Trust",
    "operations": "Operations",
}
ORDER = ("health", "model", "findings", "incident", "cases", "case")
"""Pages that come first in their section; the others follow by name."""


def navigation() -> dict[str, list[Any]]:
    """Pages by section, in the order of the sections."""
    sections: dict[str, list[Any]] = {}
    for section, label in SECTIONS.items():
        files = [path for path in links.page_files().values() if path.parent.name == section]
        for path in sorted(files, key=lambda path: (ORDER.index(path.stem) if path.stem in ORDER else len(ORDER), path.stem)):
            title, icon, _ = links.page_description(path)
            page = st.Page(path, title=title, icon=icon, default=path.stem == links.DEFAULT_PAGE, url_path=path.stem)
            sections.setdefault(label, []).append(page)
    return sections


def main() -> None:
    """Draw navigation and sidebar, and run the requested page."""
    st.set_page_config(page_icon=str(ASSETS / "icon.png"), layout="wide", initial_sidebar_state="auto")
    st.logo(str(ASSETS / "logo.svg"), icon_image=str(ASSETS / "icon.png"), size="large")
    page = st.navigation(navigation(), expanded=True)
    corrected = sidebar.corrected_address()
    if corrected:
        st.switch_page(page, query_params=corrected)
    links.forget_choices_on_back()
    links.remember_page(page.url_path)
    frame.mark_page_change(page.url_path)
    sidebar.draw_sidebar(page.url_path)
    sign_in.draw_person()
    with telemetry.PAGE_SECONDS.timed():
        page.run()


if __name__ == "__main__":
    main()
