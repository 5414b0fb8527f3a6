"""The script that Streamlit runs again for each interaction of a session: it finds the pages, draws the scope bar and the menu, and runs
the page.

This file must not be in the folder pages/: Streamlit would then answer the first deep link of a session with "not found".
"""

from pathlib import Path
from typing import Any

import streamlit as st

from observability.core import telemetry
from observability.core.errors import ForbiddenError
from observability.dashboard import (
    empty_states,
    frame,
    links,
    live_range,
    menu,
    page_skeleton,
    scope_bar,
    sign_in,
    single_figure,
    start_page,
    tour,
)
from observability.dashboard.boards import board_view, pinning, shared_views
from observability.dashboard.scope import scope_from_state

ASSETS = Path(__file__).parent / "assets"


def pages() -> list[Any]:
    """Every page, for Streamlit's navigation. Streamlit's own menu is hidden (observability/dashboard/menu.py)."""
    found = []
    for path in links.page_files().values():
        title, icon, _ = links.page_description(path)
        found.append(st.Page(path, title=title, icon=icon, default=path.stem == links.DEFAULT_PAGE, url_path=path.stem))
    return found


def main() -> None:
    """Draw scope bar and menu, and run the requested page."""
    st.set_page_config(page_icon=str(ASSETS / "icon.png"), layout="wide", initial_sidebar_state="auto")
    page = st.navigation(pages(), position="hidden")
    corrected = scope_bar.corrected_address()
    if corrected:
        st.switch_page(page, query_params=corrected)
    if single_figure.draw_single_figure(page.url_path or links.DEFAULT_PAGE):
        return
    st.logo(str(ASSETS / "logo.svg"), icon_image=str(ASSETS / "icon.png"), size="large")
    start_page.begin_at_start_page(page.url_path)
    links.forget_choices_on_back()
    board_view.begin_in_own_scope(page.url_path)
    scope_bar.take_time_range(page.url_path)
    links.remember_page(page.url_path)
    frame.mark_page_change(page.url_path)
    with page_skeleton.page_skeleton():
        scope_bar.draw_scope_bar(page.url_path or links.DEFAULT_PAGE)
        menu.draw_menu(page.url_path or links.DEFAULT_PAGE)
        tour.draw_tour()
        sign_in.draw_person()
        menu.draw_tabs(page.url_path or links.DEFAULT_PAGE)
        live_range.draw_live_range(scope_from_state(st.session_state))
        pinning.asked_pin_dialog()
        shared_views.asked_share_dialog()
        with telemetry.PAGE_SECONDS.timed():
            try:
                page.run()
            except ForbiddenError as error:  # the role may not see something, such as a slice with few rows
                empty_states.error_state(error)


if __name__ == "__main__":
    main()
