"""Open a page of the dashboard as a session does, and read its tables and texts."""

import json
from pathlib import Path

from streamlit.testing.v1 import AppTest

from observability.dashboard import application, links

PAGES = list(links.page_files().values())
WHOLE = {"from": "2026-03-02T00:00", "to": "2026-03-16T00:00", "window": "Chosen dates"}
"""The whole window of tests/support/dashboard_world.py."""


def by_name(path: Path) -> str:
    """The name of a page, for the ids of tests."""
    return path.stem


def opened(page: str, **parameters: str) -> AppTest:
    """The page as a link with these parameters opens it."""
    app = AppTest.from_file(str(application.SHELL), default_timeout=60)
    for key, value in parameters.items():
        app.query_params[key] = value
    if page != links.DEFAULT_PAGE:
        app.switch_page(str(links.page_files()[page]))
    app.run()
    assert not app.exception, [each.message for each in app.exception]
    return app


def tables(app: AppTest) -> dict[str, dict]:
    """The tables of a page by their caption."""
    found = [json.loads(each.proto.json) for each in app.get("bidi_component")]
    return {each["caption"]: each for each in found}


def words(app: AppTest) -> str:
    """All text that a page shows, without escapes."""
    parts = [
        each.value
        for kind in ("title", "header", "markdown", "caption", "warning", "error", "success", "info")
        for each in getattr(app, kind)
    ]
    return "\n".join(parts).replace("\\", "").replace("\u2060", "") + "\n" + json.dumps(tables(app), ensure_ascii=False)
