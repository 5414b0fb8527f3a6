"""The flow of rows through cleaning adds up, by rule and by group."""

from datetime import datetime, timedelta

import pandas as pd

from observability.dashboard.charts.collection import cleaning_flow
from observability.dashboard.data.cleaning_flow import flow_by_group, flow_by_rule, rule_chain, runs_of_dataset

AT = datetime(2026, 3, 2)


def runs(version: str | None = "1") -> pd.DataFrame:
    """Two rules one after the other on 100 rows: the first drops 10 rows, the second 5. And an older run of another version."""
    first = {"sex": {"F": {"in": 40, "dropped": 8}, "M": {"in": 60, "dropped": 2}}}
    second = {"sex": {"F": {"in": 32, "dropped": 0}, "M": {"in": 58, "dropped": 5}}}
    rows = [
        ("adults", "0", -1, 70, 7, None),
        ("adults", version, 0, 100, 10, first),
        ("complete", version, 0, 90, 5, second),
    ]
    return pd.DataFrame(
        [
            {"rule": rule, "subject": f"dataset:p/rule:{rule}", "dataset": "p", "version": of, "at": AT + timedelta(days=day), "rows_in": n}
            | {"rows_dropped": gone, "groups": groups}
            for rule, of, day, n, gone, groups in rows
        ]
    )


def test_consecutive_rules_form_one_flow() -> None:
    chain = rule_chain(runs(), "dataset:p/rule:adults")
    assert chain["rule"].tolist() == ["adults", "complete"]
    table = flow_by_group(chain, "sex")
    wide = table.pivot_table(index="group", columns="outcome", values="rows", aggfunc="sum")
    assert wide.loc["F"].to_dict() == {"dropped: adults": 8, "dropped: complete": 0, "kept": 32}
    assert wide.loc["M"].to_dict() == {"dropped: adults": 2, "dropped: complete": 5, "kept": 53}
    assert flow_by_group(chain, None)["rows"].tolist() == [10, 5, 85]


def test_rules_that_are_not_consecutive_are_shown_separately() -> None:
    apart = runs().assign(rows_in=[70, 100, 100])
    assert rule_chain(apart, "dataset:p/rule:adults")["rule"].tolist() == ["adults"]
    assert rule_chain(runs(None), "dataset:p/rule:complete")["rows_in"].tolist() == [90]
    assert flow_by_group(rule_chain(runs(), "dataset:p/rule:adults"), "age").empty


def test_the_figure_holds_every_row_of_its_table() -> None:
    table = flow_by_group(rule_chain(runs(), "dataset:p/rule:adults"), "sex")
    table = table[table["rows"] > 0]
    (sankey,) = cleaning_flow(table).data
    assert sum(sankey.link.value) == 100 and list(sankey.node.label)[:3] == ["F (40)", "M (60)", "kept (85)"]


def test_rules_of_a_data_set_are_shown_by_rule_and_group_over_all_runs() -> None:
    other = runs("2").assign(dataset="q", subject="dataset:q/rule:adults")
    apart = pd.concat([runs().assign(rows_in=[70, 100, 100]), other], ignore_index=True)
    found = runs_of_dataset(apart, "dataset:p/rule:adults")
    assert found["rule"].tolist() == ["adults", "adults", "complete"] and set(found["dataset"]) == {"p"}
    table = flow_by_rule(found, "sex")
    wide = table.pivot_table(index="group", columns="outcome", values="rows", aggfunc="sum").fillna(0)
    assert wide.loc["adults: F"].to_dict() == {"dropped: adults": 8, "dropped: complete": 0, "kept": 32}
    assert wide.loc["complete: M"].to_dict() == {"dropped: adults": 0, "dropped: complete": 5, "kept": 53}
    assert wide.loc["adults: not counted"].to_dict() == {"dropped: adults": 7, "dropped: complete": 0, "kept": 63}
    assert table["rows"].sum() == found["rows_in"].sum() and set(flow_by_rule(found, None)["group"]) == {"adults", "complete"}
    assert list(runs_of_dataset(runs().assign(dataset=None), "dataset:p/rule:complete")["rule"]) == ["complete"]


def test_only_the_largest_of_many_groups_are_named() -> None:
    levels = {f"g{place:02}": {"in": 10 + place, "dropped": 1} for place in range(9)}
    one = runs().tail(1).assign(groups=[{"carrier": levels}], rows_in=sum(each["in"] for each in levels.values()), rows_dropped=9)
    table = flow_by_rule(one, "carrier")
    table = table[table["rows"] > 0]
    assert set(table["group"]) == {*(f"complete: g{place:02}" for place in range(3, 9)), "complete: 3 more"}
    assert table["rows"].sum() == one["rows_in"].sum()


def test_labels_of_a_flow_are_wrapped_so_that_two_fit_side_by_side_on_a_phone() -> None:
    rule = "time zone of an airport that the table lacks"
    table = pd.DataFrame([[f"{rule}: EWR", "kept", 90], [f"{rule}: EWR", f"dropped: {rule}", 10]], columns=["group", "outcome", "rows"])
    (sankey,) = (figure := cleaning_flow(table)).data
    lines = [label.split("<br>") for label in sankey.node.label]
    assert max(len(line) for label in lines for line in label) <= 22 and max(map(len, lines)) > 1
    assert sankey.node.pad >= 12 * max(map(len, lines)) and figure.layout.height > sankey.node.pad * 2
