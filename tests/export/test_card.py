"""The model card states what the tables state, before and after a review, and escapes foreign names."""

from datetime import timedelta

import pytest

from observability.core.errors import NotFoundError
from observability.export import card as export_card
from observability.review import freeze
from tests.support import review_world
from tests.support.html_rules import invalid
from tests.support.review_world import WEEKS

NOW = WEEKS[-1].end + timedelta(days=7)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with review_world.build(tmp_path_factory.mktemp("card")) as opened:
        yield opened


def test_the_card_before_and_after_a_review(store):
    early = export_card.model_card_html(store, "eta", NOW)
    assert "Not reviewed yet" in early
    assert "600 held-out rows" in early
    body = freeze.freeze(store, WEEKS[2], author="ann", now=NOW)
    store.write_records(
        [{"kind": "signature", "author": "<i>ann</i>", "model": "eta", "subject": "bias", "until": NOW, "at": NOW, "note": "known"}]
    )
    late = export_card.model_card_html(store, "eta", NOW)
    assert f"As reviewed in week {WEEKS[2]}" in late
    mae = body["models"][0]["strip"]["performance"]
    assert f"{mae['value']:.2f}" in late
    assert "&lt;i&gt;ann&lt;/i&gt; accepts bias until" in late
    assert "<script" not in late
    assert invalid(early) == invalid(late) == []


def test_a_file_name_holds_no_path():
    assert export_card.card_file_name("../../x y", NOW) == f"model-card-x-y-{NOW:%Y-%m-%d}.html"


def test_a_model_that_is_not_there(store):
    with pytest.raises(NotFoundError):
        export_card.model_card_html(store, "nobody", NOW)
