"""The page Cleaning shows the results of an audit of data, even without other records."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.trust.audits import WORDS
from observability.dashboard import load, load_findings
from observability.dashboard.data.data_audit import effect_rows, found_rows
from observability.dashboard.scope import Scope
from observability.metrics import audit_model
from observability.metrics.audited_data import AuditedData, data_audits
from observability.metrics.table_audit import LabelledRows, audit_rows
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, unfolded_words, words

END = datetime(2026, 3, 16, tzinfo=UTC)


def people(rows: int = 240) -> pd.DataFrame:
    """People with a label. Twelve rows are duplicated, twelve rows are repeated with the other label, and one age is extreme."""
    rng = np.random.default_rng(6)
    table = pd.DataFrame({"income": rng.normal(size=rows), "age": rng.normal(40, 9, rows)})
    table["late"] = np.where(table["income"] + rng.normal(0, 0.5, rows) > 0, "yes", "no")
    table.loc[200, "age"] = 400.0
    other = table.iloc[20:32].assign(late=lambda part: part["late"].map({"yes": "no", "no": "yes"}))
    return pd.concat([table, table.iloc[:12], other], ignore_index=True)


@pytest.fixture(scope="module")
def audit() -> AuditedData:
    """The audit of these people with held-out rows, a quarter of which are training rows. The models have few trees."""
    table = people()
    held = pd.concat([table.iloc[:30], people(330).iloc[240:330]], ignore_index=True)
    own = {"US over 50": (table["age"] > 50).to_numpy(), "nobody": np.zeros(len(table), bool)}
    rows = LabelledRows(table[["income", "age"]], table["late"], held_out=(held[["income", "age"]], held["late"]), rules=own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(audit_model, "TREES", 4)
        content, _ = audit_rows(rows)
    frame = pd.DataFrame({"dataset": ["people"], "version": ["2"], "at": [END - timedelta(days=1)], "rows": [len(table)]})
    ((found, _),) = data_audits(frame.assign(extra=[{"data_audit": content}]))
    return found


@pytest.fixture
def audited(audit: AuditedData, empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """The store after only `audit-data` has run: it has the dataset and its proposed rules."""
    about = {"dataset": "people", "version": "2", "at": audit.at.isoformat()}
    lines = [{"kind": "dataset", **about, "rows": audit.rows, "data_audit": dict(audit.content)}]
    for rule in audit.rules:
        run = {"kind": "cleaning", "rule": f"audit: {rule.name}", **about, "rows_in": audit.rows, "rows_changed": 0, "proposed": True}
        lines.append(run | {"rows_dropped": rule.found})
    land(empty, lines, tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    yield empty


def test_the_cleaning_page_works_with_only_an_audit(audit: AuditedData, audited: Database) -> None:
    app = opened("cleaning")
    said, shown = words(app).replace("`", ""), tables(app)
    assert "**1 dataset** audited" in said and "1 dataset needs attention" in said and "No cleaning" not in said
    assert "30 of 120 held-out rows (25 %; 18.1 % to 33.4 %) have the features of a training row, 30 with its label" in said
    assert "24 of 264 rows (9.09 %" in said and "have the features of a row with another label" in said
    rows = {row["cells"]["check"]["t"]: row["cells"] for row in shown["Checks of people"]["rows"]}
    assert {name: cells["rows"]["t"] for name, cells in rows.items()} == {rule.title: f"{rule.found:,}" for rule in audit.rules}
    assert rows["US over 50"]["rows"]["t"] == str(int((people()["age"] > 50).sum())) and rows["US over 50"]["gap"]["t"] != "–"
    assert rows["nobody"]["gap"]["t"] == "–" and "The rule nobody drops no row: its effect on a model was not measured." in said
    assert rows["Exact duplicates"]["rows"]["t"] == "12" == str(int(people().duplicated().sum()))
    assert rows["Conflicting labels"]["status"]["s"] == "watch" and rows["Outliers"]["before"]["t"] != "–"
    examples = [{key: cell["t"] for key, cell in row["cells"].items()} for row in shown["Rows that checks found in people"]["rows"]]
    assert {"check": "Exact duplicates", "row": "row 241", "with": "row 1", "what": "nothing"} in examples
    assert {"check": "Outliers", "row": "row 201", "with": "–", "what": "age 400.0"} in examples
    assert shown["Outliers of people by column"]["rows"][0]["cells"]["rows"]["t"] == "1"
    assert unfolded_words(app) <= 250


def test_group_rows_of_each_check_come_from_the_newest_proposed_rule(audited: Database) -> None:
    """24 of 264 rows have a conflicting label, 18 of them among the 66 rows of the north. The test computes Wilson's interval by hand."""
    about = {
        "kind": "cleaning",
        "rule": "audit: conflicting labels",
        "dataset": "people",
        "version": "2",
        "rows_in": 264,
        "rows_changed": 0,
    }
    counts = {"north": {"in": 66, "dropped": 18}, "south": {"in": 198, "dropped": 6}}
    run = about | {"at": (END - timedelta(hours=9)).isoformat(), "rows_dropped": 24, "groups": {"region": counts}}
    older = {"at": (END - timedelta(days=3)).isoformat(), "groups": {"region": {"north": {"in": 66, "dropped": 60}}}, "proposed": True}
    removed = {"at": (END - timedelta(hours=1)).isoformat(), "groups": {"region": {"north": {"in": 66, "dropped": 50}}}}
    audited.write_records([run | {"proposed": True}, run | older, run | removed, run | {"version": "1", "proposed": True}])
    audited.load_landing()
    shown = [row["cells"] for row in tables(opened("cleaning", dataset="people"))["Rows of each check by group"]["rows"]]
    assert [tuple(cells[key]["t"] for key in ("check", "group", "found", "rows")) for cells in shown] == [
        ("Conflicting labels", "region = north", "18", "66"),
        ("Conflicting labels", "region = south", "6", "198"),
    ]
    z, n, p = 1.959964, 66, 18 / 66
    centre, half = (p + z * z / (2 * n)) / (1 + z * z / n), z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    share = shown[0]["share"]
    assert (round(centre - half, 3), round(centre + half, 3)) == (0.18, 0.39)
    assert (share["t"], share["sub"]) == ("27.3 %", "18 % to 39 %")


def test_rules_that_an_audit_proposes_are_a_flow_by_rule_and_group(audited: Database) -> None:
    """Counted by hand: 24 of 264 rows have a conflicting label (18 of 66 in the north, 6 of 198 in the south), and 12 rows are repeated,
    without counts by group.
    """
    about = {"kind": "cleaning", "dataset": "people", "version": "2", "rows_in": 264, "rows_changed": 0, "proposed": True}
    counts = {"region": {"north": {"in": 66, "dropped": 18}, "south": {"in": 198, "dropped": 6}}}
    run = about | {"rule": "audit: conflicting labels", "at": (END - timedelta(hours=9)).isoformat(), "rows_dropped": 24}
    audited.write_records([run | {"groups": counts}])
    audited.load_landing()
    app = opened("cleaning", dataset="people")
    flows = [trace for chart in app.get("plotly_chart") for trace in json.loads(chart.proto.spec)["data"] if trace["type"] == "sankey"]
    (flow,) = flows
    labels = [label.replace("<br>", " ") for label in flow["node"]["label"]]
    rows = zip(flow["link"]["source"], flow["link"]["target"], flow["link"]["value"], strict=True)
    drawn = {(labels[source], labels[target].rpartition(" (")[0]): value for source, target, value in rows}
    assert drawn[("conflicting labels: north (66)", "kept")] == 48 and drawn[("conflicting labels: south (198)", "kept")] == 192
    assert drawn[("conflicting labels: north (66)", "would drop: conflicting labels")] == 18
    assert drawn[("exact duplicates (264)", "kept")] == 252 and not any("near-duplicates" in label for label in labels)
    said = next(line for line in words(app).splitlines() if line.startswith("Of 264 rows each rule alone would drop: "))
    assert "conflicting labels 24, " in said and "exact duplicates 12, " in said and said.endswith(". None was removed.")
    assert unfolded_words(app) <= 250


def test_the_pictures_hold_the_figures_of_the_audit(audit: AuditedData) -> None:
    shares, effects = found_rows(audit), effect_rows(audit)
    assert shares.iloc[0][["name", "value", "severity", "limit"]].tolist() == ["Held-out overlap", 0.25, "act", 0.05]
    assert shares["value"].is_monotonic_decreasing and len(shares) == 8
    of = audit.content["effects"]["conflicting labels"]
    row = effects.set_index("name").loc["Conflicting labels"]
    assert row["value"] == of["after"] - of["before"] and (row["low"], row["high"]) == (of["low"], of["high"])
    assert "Near-duplicates" not in set(effects["name"]), "a rule that drops no row has no effect"


def test_a_finding_link_opens_the_audit_even_if_rules_ran_much_earlier(audited: Database, tmp_path: Path) -> None:
    """The rule ran long before the audit. The date of the audit must not limit the window of the rules."""
    ran = {"kind": "cleaning", "rule": "adults", "at": (END - timedelta(days=90)).isoformat(), "rows_in": 100, "rows_changed": 0}
    audited.write_records([ran | {"rows_dropped": 3}])
    audited.load_landing()
    assert "Cleaning rules and their effect" in tables(opened("cleaning"))
    assert "Checks of people" in tables(opened("cleaning", dataset="people"))


def test_label_leakage_of_a_models_columns_is_shown_as_a_link_to_its_audit(
    audit: AuditedData, empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = {"rows": 400, "in_training": 60, "same_label": 50, "chance": 0.0}
    content = {**audit.content, "model": ["loan", "2"], "held_out": held}
    line = {"kind": "dataset", "dataset": "people", "version": "2", "at": audit.at.isoformat(), "rows": audit.rows, "data_audit": content}
    empty.write_records([line])
    monkeypatch.setattr(load, "page_clock", lambda: END)
    app = opened("cleaning")
    (address,) = re.findall(r"\]\(\./audits\?([^)]+)\)", words(app))
    chosen = dict(parse_qsl(address))
    assert (chosen["model"], chosen["version"]) == ("loan", "2")
    assert chosen["kind"] == WORDS["leakage"], "Regression: the page knows a kind by its words and opened another audit"
    assert "Label predictability of each column alone" not in [each.label for each in app.expander]
    assert "judges how well each column alone predicts the label, and which held-out rows are training rows." in words(app)
    assert {"audited_leak", "audited_overlap"}.isdisjoint(
        {finding.metric for finding in load_findings.scope_record_findings(Scope(), "data/cleaning")}
    )
