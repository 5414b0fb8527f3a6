"""The page Studies shows the effects of augmentations of training data, with the figures of their audits."""

from dataclasses import replace
from datetime import UTC, timedelta
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import pytest

from observability.dashboard import load
from observability.dashboard.charts import layout
from observability.dashboard.training.augmentation_decisions import measured_since
from observability.metrics.augmentation import augmentation_audits
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.augmentation_audits import NOW, audit_row, simulated_audit
from tests.support.dashboard_pages import opened, tables, words


@pytest.fixture
def measured(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The store that this process owns, with audits of two augmentations for the model `loan`."""
    rows = [simulated_audit(1, gain=0.1), simulated_audit(3, gain=0.15, harm=0.12)]
    rows[1] = audit_row(rows[1]["results"], augmentation="swap")
    records = [{**row, "kind": "audit", "at": row["at"].replace(tzinfo=UTC).isoformat(), "expires": None} for row in rows]
    land(empty, [{key: value for key, value in record.items() if value is not None} for record in records], tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: NOW)
    return empty


def test_the_page_tells_the_effect_of_each_augmentation_and_the_harmed_group(measured: Database) -> None:
    app = opened("studies")
    rows = {row["cells"]["name"]["t"]: row["cells"] for row in tables(app)["Augmentations and their effects"]["rows"]}
    assert rows["jitter"]["effect"]["t"] == "Helps" and rows["jitter"]["gain"]["t"].startswith("+")
    assert float(rows["jitter"]["diversity"]["t"]) == pytest.approx(1.2, abs=0.03)
    assert rows["jitter"]["name"]["sub"] == "loan 3, in use"
    assert "lowers accuracy in region south" in words(app).replace("`", "")
    app.selectbox(key="augmentation-box").set_value("loan 3 swap").run()
    assert not app.exception
    assert "2 augmentations measured" in words(app)
    assert (rows["jitter"]["verdict"]["t"], rows["swap"]["verdict"]["t"]) == ("Keep", "Drop")
    assert rows["swap"]["verdict"]["sub"] == "It lowers accuracy in region south"


def test_a_decision_about_an_augmentation_is_kept_and_followed_up(measured: Database, tmp_path: Path) -> None:
    app = opened("studies")
    app.text_input(key="augmentation-author-box").set_value("Ada").run()
    app.selectbox(key="augmentation-name-0").set_value("swap of loan 3").run()
    assert app.radio(key="augmentation-choice-0-swap of loan 3").value == "drop"
    app.text_input(key="augmentation-reason-0").set_value("south loses").run()
    app.button(key="augmentation-save").click().run()
    assert not app.exception
    (made,) = measured.decisions("loan")
    assert (made.id, made.fields["choice"], made.last.author) == ("augmentation:loan:3:swap", "reject", "Ada")
    (row,) = tables(app)["Decisions about augmentations"]["rows"]
    assert (
        row["cells"]["what"]["t"] == "Drop augmentation swap of loan 3: south loses" and row["cells"]["since"]["t"] == "not measured again"
    )
    audit = augmentation_audits(pd.DataFrame([audit_row(simulated_audit(3)["results"], augmentation="swap", in_use=False)]))[0]
    later = replace(audit, version="4", at=made.last.at + timedelta(days=1))
    assert measured_since(made, [audit, later]).endswith("with version 4: not in use")


def test_names_of_marks_at_one_height_do_not_cover_each_other() -> None:
    figure = go.Figure()
    layout.add_names(figure, ["high", "level", "lower"], [0.6, 1.0, 0.65], [0.991, 0.9909, 0.981])
    shifts = {note.text: (note.xanchor, note.yanchor) for note in figure.layout.annotations}
    assert shifts["high"] == ("left", "bottom") and shifts["level"] == ("right", "top"), "the second text is below its mark"
    assert [note.y for note in figure.layout.annotations] == [0.991, 0.9909, 0.981]
