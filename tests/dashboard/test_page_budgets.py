"""Every page of the sample fleet is short as it opens: few sentences before its first figure, and few on the whole page. Pages about
systems are filled with records.

Words of headings, paragraphs, captions and messages count if they are shown without a click. Texts that are no sentences do not count:
cells of tables, axes and legends of charts, labels of controls, and logged texts. Nor do folded texts and texts behind a question mark. The
number of words does not depend on the width.
"""

from pathlib import Path

import pytest

from observability.dashboard import links
from tests.support.capability_rows import capability_pages
from tests.support.dashboard_pages import PAGES, by_name, opened, sentence_words, tables, words

ALL, ABOVE_FIGURE = 250, 60
SYSTEMS = capability_pages()
"""Titles of pages on which docs/capabilities.md shows a system."""
SENTENCES = {
    "personal_data": "the sample has none, which is said with the number of texts",
    "access": "nobody signs in to the sample",
    "query": "nothing is asked before a person types",
    "explanations": "the dashboard computes them when it is idle, which is off here",
}
"""Pages of systems that show no figure of the sample right after loading, each with the reason."""
FROM_START = {"window": "Everything"}
VIEWS = {
    "health": {},
    "case": {"model": "flights-late", "id": "20131231-EWR-UA1631"},
    "incident": {"model": "flights-late", "id": "97971f2bf2656738"},
    "model": {"model": "flights-delay"},
    "devices": {"window": "Chosen dates", "from": "2013-02-10", "to": "2013-02-17"},
    "edge_fleet": {"window": "Chosen dates", "from": "2013-11-27", "to": "2014-01-01"},
    "lineage": {"thing": "version:flights-late/1"},
    "fairness": {"model": "employment"},
    "audits": {"model": "employment"},
    "live_guard": {"model": "employment"},
    "trade_offs": {"model": "employment"},
    "personal_data": {"model": "sentiment", **FROM_START},
    "annotate": {"project": "sentiment"},
    "label_quality": {"project": "sentiment"},
    "labelling": {},
    "runs": {"run": "flights-delay-fold-3"},
    "compare_runs": {"run": ["sentiment-fold-1", "sentiment-fold-2"]},
    "distributed": {"run": "flights-late-mlp-4-processes", **FROM_START},
    "compare": {"model": "flights-late", "b_version": "reference of 1"},
    **dict.fromkeys(("batches", "cleaning", "vendors", "datasets", "changes", "studies", "exports", "controllers"), FROM_START),
}
"""The parameters of the link to each page; pages that are not listed get the model `flights-late`."""


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_a_page_is_short_until_unfolded_and_a_page_of_a_system_is_fully_shown(path: Path, sample: Path) -> None:
    app = opened(path.stem, **VIEWS.get(path.stem, {"model": "flights-late"}))
    every, above = sentence_words(app)
    if links.page_description(path)[0] in SYSTEMS and path.stem not in SENTENCES:
        assert (app.get("plotly_chart") or tables(app)) and ":material/inbox:" not in words(app), (
            "the page shows an empty state instead of figures or tables"
        )
    assert above <= ABOVE_FIGURE, f"{above} words above the first figure: fold them, or put the method behind a question mark"
    assert every <= ALL, f"{every} words on the page"


def test_every_view_names_an_existing_page() -> None:
    assert VIEWS.keys() <= links.page_files().keys()
