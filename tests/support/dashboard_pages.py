"""Open a page of the dashboard as a browser session does, and read its tables and texts."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import wait
from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block, Node

from observability.dashboard import application, background_findings, links

PAGES = list(links.page_files().values())
WHOLE = {"from": "2026-03-02T00:00", "to": "2026-03-16T00:00", "window": "Chosen dates"}
"""The page parameters for the whole window of tests/support/dashboard_world.py."""


def by_name(path: Path) -> str:
    """The name of a page, for the ids of tests."""
    return path.stem


def opened(page: str, *, within: float = 300, whole: bool = True, **parameters: str | list[str]) -> AppTest:
    """The page, opened by a link with these parameters. within: seconds until the test fails. whole: whether to wait for the findings if
    the page is drawn before they are known.
    """
    app = AppTest.from_file(str(application.SHELL), default_timeout=within)
    for key, value in parameters.items():
        app.query_params[key] = value
    if page != links.DEFAULT_PAGE:
        app.switch_page(str(links.page_files()[page]))
    app.run()
    if whole:
        run_until_findings_are_known(app)
    assert not app.exception, [each.message for each in app.exception]
    return app


def are_findings_pending(app: AppTest) -> bool:
    """Whether the page was drawn before its findings were known."""
    return any("Findings pending" in each.value for each in app.caption)


def run_until_findings_are_known(app: AppTest) -> None:
    """Draw the page again once its findings are computed. In a browser the page does this by itself."""
    while are_findings_pending(app):
        wait([*background_findings._under_way.values()])
        app.run()


def tables(app: AppTest) -> dict[str, dict]:
    """The tables of a page, by caption."""
    found = [data for each in app.get("bidi_component") if {"rows", "text"} & (data := json.loads(each.proto.json)).keys()]
    return {each["caption"]: each for each in found}


def words(app: AppTest) -> str:
    """All text that a page shows, without escape characters and with ordinary spaces."""
    parts = [
        each.value
        for kind in ("title", "header", "markdown", "caption", "warning", "error", "success", "info")
        for each in getattr(app, kind)
    ]
    return (
        "\n".join(parts).replace("\\", "").replace("\u2060", "").replace("\u00a0", " ") + "\n" + json.dumps(tables(app), ensure_ascii=False)
    )


FOLDED = ("expander", "expandable", "popover", "status")
"""Blocks whose content is hidden until a reader opens them."""


def unfolded_words(app: AppTest, *, before: str | None = None) -> int:
    """The number of words, from the title on, that a page shows without a click. Logged texts do not count.

    before: count only what is above the first element of this type.
    """
    total = 0
    for element in _shown(app.main):
        if element.type == "title":
            total = 0
        if element.type == before:
            return total
        total += sum(any(sign.isalnum() for sign in word) for word in _element_text(element).split())
    return total


SENTENCES = ("title", "header", "subheader", "markdown", "caption", "warning", "error", "success", "info")
"""Elements that contain headings and sentences, but not labels of controls, cells of tables or axes."""


def sentence_words(app: AppTest) -> tuple[int, int]:
    """The number of words of headings and sentences that a page shows without a click: on the whole page, and above its first chart or
    table (0 if it has neither).
    """
    total, above = 0, None
    for element in _shown(app.main):
        if element.type == "title":
            total = 0
        if above is None and (element.type == "plotly_chart" or _is_table(element)):
            above = total
        if element.type in SENTENCES:
            total += sum(any(sign.isalnum() for sign in word) for word in _element_text(element).split())
    return total, above or 0


def _is_table(element: Node) -> bool:
    return element.type in ("arrow_data_frame", "table") or (
        element.type == "bidi_component" and "columns" in json.loads(element.proto.json)
    )


def _shown(block: Block) -> Iterator[Node]:
    """The elements of a block in the order of the page, without those inside folded blocks."""
    for child in block.children.values():
        if not isinstance(child, Block):
            yield child
        elif child.type not in FOLDED:
            yield from _shown(child)
        elif isinstance(label := getattr(child, "label", None), str):
            yield Folded(label)


class Folded:
    """The label of a folded block, which is visible to a reader."""

    type = "folded"

    def __init__(self, label: str) -> None:
        self.value = label


def _element_text(element: Node) -> str:
    """The words of an element: of a table those in its titles and cells, of other elements the text or label without icons and colours."""
    if element.type == "bidi_component":
        data = json.loads(element.proto.json)
        cells = [
            cell
            for row in data.get("rows", [])
            for cell in (row["cells"].values() if "cells" in row else [{"t": row["name"], "sub": row["word"]}])
        ]
        notes = [row["note"] for row in data.get("rows", []) if row.get("note")]
        texts = [str(cell.get(part) or "") for cell in (*cells, *notes) for part in ("t", "sub", "mark")]
        return " ".join([*(column["label"] for column in data.get("columns", [])), *texts])
    kinds = ("title", "header", "subheader", "markdown", "caption", "warning", "error", "success", "info", "folded")
    text = element.value if element.type in kinds else getattr(element, "label", "")
    return re.sub(r":material/\w+:|:[a-z]+(?:-badge)?(?=\[)|[\[\]*]", " ", str(text or "").replace("\\", ""))
