"""`profile` and `audit-data` write records that the store accepts, with figures that pandas confirms."""

import json
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.data.cleaning import CLEANINGS
from observability.cli.commands_data import capture_span, column_range, held_out_rows
from observability.cli.execute import execute
from observability.core.errors import UsageError
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.detection.audited_data_claims import data_audit_lines, rule_gain
from observability.importers.source_records import zone_named
from observability.metrics.audited_data import DATA_AUDITS, data_audits
from observability.metrics.cleaning_effect import stated_effect
from observability.store.engine import Store
from tests.support.new_store import new_store


def measured(path: Path, rows: int = 300) -> pd.DataFrame:
    """A file of hourly rows with a label; thirty rows are duplicates."""
    rng = np.random.default_rng(4)
    table = pd.DataFrame({"t": rng.normal(20, 3, rows), "h": rng.uniform(0, 1, rows), "region": rng.choice(["N", "S"], rows)})
    table["hot"] = np.where(table["t"] + rng.normal(0, 1, rows) > 20, "yes", "no")
    table["time"] = pd.date_range("2026-03-01", periods=rows, freq="h", tz="UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    table.loc[3, "t"] = None
    table = pd.concat([table, table.iloc[:30]], ignore_index=True)
    table.to_csv(path, index=False)
    return table


def answer(store: Store, *argv: object) -> dict:
    """The JSON output of a command that succeeds."""
    outcome = execute(store, [*map(str, argv), "--json"], lambda _: None)
    assert outcome.exit_code == 0, outcome.error
    return json.loads(outcome.out)


def kept(store: Store, kind: str, columns: tuple[str, ...] | None = None) -> pd.DataFrame:
    """The stored records of a kind."""
    store.load_landing()
    return store.ask(Records(kind, columns, ever=True), Window("", EPOCH, pd.Timestamp("2100-01-01", tz="UTC").to_pydatetime()))


def test_the_profile_command_prints_the_batch_record_of_the_file(tmp_path: Path) -> None:
    table = measured(tmp_path / "day.csv")
    store = new_store(tmp_path / "home")
    try:
        said = answer(
            store, "profile", tmp_path / "day.csv", "--source", "greenhouse", "--device", "d7", "--at", "time", "--range", "t=15:25"
        )
        (batch,) = kept(store, "batch").to_dict("records")
    finally:
        store.close()
    assert (batch["batch"], batch["source"], batch["device"], batch["rows"]) == ("day.csv", "greenhouse", "d7", 330)
    assert batch["captured_to"].isoformat() == "2026-03-13T11:00:00" and batch["stats"] == said["stats"]
    assert batch["stats"]["t"]["mean"] == pytest.approx(table["t"].mean(), rel=1e-5)
    assert batch["stats"]["t"]["out_of_range_share"] == pytest.approx(1 - table["t"].dropna().between(15, 25).mean(), rel=1e-5)
    assert batch["stats"]["region"]["distinct"] == 2 and "time" not in batch["stats"]


def test_an_audit_keeps_a_dataset_and_a_cleaning_run_for_each_rule(tmp_path: Path) -> None:
    table = measured(tmp_path / "train.csv")
    table.iloc[:20].to_csv(tmp_path / "test.csv", index=False)
    store = new_store(tmp_path / "home")
    more = ("--label", "hot", "--exclude", "time", "--group", "region", "--held-out", tmp_path / "test.csv")
    try:
        said = answer(store, "audit-data", tmp_path / "train.csv", *more)["summary"]
        (dataset,) = kept(store, "dataset").to_dict("records")
        runs = kept(store, "cleaning")
        assert kept(store, "audit").empty, "the file belongs to no model"
        ((audit, before),) = data_audits(kept(store, "dataset", DATA_AUDITS.columns))
    finally:
        store.close()
    assert said["rules"]["exact duplicates"] == 30 == int(table.duplicated().sum()) and said["held_out"]["in_training"] == 20
    assert dataset["rows"] == 330 and dataset["dataset"] == "train"
    assert set(runs["rule"]) == {f"audit: {name}" for name in said["rules"]}
    first = runs[runs["rule"] == "audit: exact duplicates"]["groups"].iloc[0]["region"]
    assert sum(each["dropped"] for each in first.values()) == 30 and sum(each["in"] for each in first.values()) == 330
    assert before is None and audit.content == said and len(audit.rules) == 5
    assert audit.rules[0].metric == "roc_auc" and audit.rules[0].found == 30 and 0.5 < audit.rules[0].before < 1
    pair = {"check": "exact duplicates", "row": "row 301", "with": "row 1", "differs": {}}
    assert pair in audit.examples and audit.held_out == said["held_out"]


def flagged(path: Path, rows: int = 600) -> pd.DataFrame:
    """A file of rows with columns that flag rows in several ways; one row in five has a label that is ten times too large."""
    rng = np.random.default_rng(11)
    table = pd.DataFrame({"t": rng.normal(20, 3, rows), "h": rng.uniform(0, 1, rows), "region": rng.choice(["N", "S"], rows)})
    wrong = rng.uniform(size=rows) < 0.2
    table["kwh"] = (table["t"] + rng.normal(0, 0.5, rows)) * np.where(wrong, 10, 1)
    table = table.assign(wrong=wrong, drawn=rng.permutation(wrong).astype(int), none=0, every="TRUE", gap=None)
    table.loc[4, "gap"] = 1
    table.to_csv(path, index=False)
    return table


def test_the_effect_of_a_user_defined_rule_is_measured_and_stored(tmp_path: Path) -> None:
    table = flagged(tmp_path / "train.csv")
    own = {"Wrong label": "wrong", "drawn >= 1": "drawn", "none": "none", "every": "every"}
    about = ("audit-data", tmp_path / "train.csv", "--label", "kwh", "--exclude", "gap,drawn", "--group", "region")
    with new_store(tmp_path / "home") as store:
        told = answer(store, *about, *(f"--rule={name}={column}" for name, column in own.items()))
        runs = {run["rule"].removeprefix("audit: "): run for run in kept(store, "cleaning", CLEANINGS.columns).to_dict("records")}
        ((audit, _),) = data_audits(kept(store, "dataset", DATA_AUDITS.columns))
        alone = answer(store, *about[:4], "--exclude", "gap,wrong,drawn,none,every", "--dry-run")["summary"]
    assert set(told["summary"]["columns_alone"]) == {"t", "h", "region"}, "a column of flags is no feature"
    assert {name: runs[name]["rows_dropped"] for name in own} == {
        "Wrong label": int(table["wrong"].sum()), "drawn >= 1": int(table["drawn"].sum()), "none": 0, "every": 600,
    }  # fmt: skip
    counted = table.groupby("region")["wrong"].agg(["size", "sum"])
    assert runs["Wrong label"]["groups"]["region"] == {
        level: {"in": int(row["size"]), "dropped": int(row["sum"])} for level, row in counted.iterrows()
    }
    gain, chance = (stated_effect(runs[name]["extra"]) for name in ("Wrong label", "drawn >= 1"))
    assert gain.metric == "mae" and gain.low < gain.change < gain.high < 0, "without the flagged rows the error is smaller"
    assert gain.after == pytest.approx((table["kwh"] - table["t"]).abs().mean(), rel=0.02), (
        "the remaining error is that of the rule by which the rows were made"
    )
    assert chance.low < 0 < chance.high and abs(chance.change) < abs(gain.change) / 5
    assert gain.before == chance.before == alone["effects"]["outliers"]["before"], "same seeds, same held-out rows"
    assert [stated_effect(runs[name]["extra"]) for name in ("none", "every")] == [None, None]
    assert {rule.name for rule in audit.rules if rule.own} == set(own)
    assert rule_gain(audit.rule("Wrong label")).low > 0 and audit.rule("Wrong label").share.value == pytest.approx(table["wrong"].mean())
    lines = "\n".join(data_audit_lines(audit))
    assert "Wrong label: " in lines and "(−" in lines.split("Wrong label: ")[1].split("\n")[0]
    for name, words in (("none", "no row"), ("every", "every row")):
        assert f"The rule {name} drops {words}: its effect on a model was not measured." in lines


def test_wrong_use_of_a_rule_is_said_in_one_sentence(tmp_path: Path) -> None:
    flagged(tmp_path / "train.csv", 60)
    file = ("audit-data", tmp_path / "train.csv", "--label", "kwh")
    with new_store(tmp_path / "home") as store:
        for argv, words in (
            ((*file, "--rule", "wrong"), "--rule takes a name and a flag column; got wrong;"),
            ((*file, "--rule", "=wrong"), "--rule takes a name and a flag column"),
            ((*file, "--rule", "a=shoe"), "a named column is not in the file (in train.csv); got shoe;"),
            ((*file, "--rule", "a=region"), "a column of --rule is not a flag (in region); got '"),
            ((*file, "--rule", "a=gap"), "got no value in row 1; expected true or false, or 1 or 0, in every row"),
            ((*file, "--rule", "a=kwh"), "--rule names the column of the label"),
            ((*file, "--rule", "a=wrong", "--rule", "a=drawn"), "--rule gives the same name twice; got a;"),
            ((*file, "--rule", "Outliers=wrong"), "--rule gives the name of a check; got Outliers;"),
            (("audit-data", "--model", "m", "--rule", "a=wrong"), "--rule needs a file that has the named column"),
        ):
            outcome = execute(store, [*map(str, argv)], lambda _: None)
            assert outcome.exit_code == 2 and words in outcome.error and "\n" not in outcome.error.strip()
        store.load_landing()
        assert kept(store, "cleaning").empty


def test_the_audit_of_a_reference_gives_the_accuracy_of_its_version_without_suspect_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    table = pd.DataFrame({"t": rng.normal(20, 3, 260).round(3), "h": rng.uniform(0, 1, 260).round(3)})
    truth = table["t"] > 20
    wrong = np.isin(np.arange(260), np.arange(0, 260, 20))
    table = table.assign(hot=(truth ^ wrong).astype(int), score=np.where(truth, 0.9, 0.1), id=[f"r{place}" for place in range(260)])
    table.to_csv(tmp_path / "reference.csv", index=False)
    about = ("--model", "heat", "--version", "1")
    with new_store(tmp_path / "home") as store:
        how = ("--task", "binary", "--reference", tmp_path / "reference.csv", "--label", "hot", "--score", "score", "--features", "t,h")
        execute(store, [*map(str, ("register", *about, *how))], lambda _: None)
        table.iloc[:3].to_csv(tmp_path / "held.csv", index=False)
        said = answer(store, "audit-data", *about, "--held-out", tmp_path / "held.csv", "--label", "hot", "--no-examples")["summary"]
        runs = kept(store, "cleaning", CLEANINGS.columns)
        (audit,) = kept(store, "audit").to_dict("records")
        alone = answer(store, "audit-data", *about, "--dry-run")["records"][-1]
    assert (said["held_out"]["in_training"], said["held_out"]["same_label"], said["examples"]) == (3, 3, []), (
        "labels are compared by class name"
    )
    results = audit["results"]
    assert (audit["audit"], results["headline"]["metric"], results["headline"]["feature"]) == ("leakage", "label_leakage", "t")
    assert [results["headline"][end] for end in ("value", "low", "high")] == pytest.approx(said["columns_alone"]["t"], abs=1e-6)
    assert results["further"]["training_overlap"]["value"] == 1 and results["overlaps"][0]["held"]["are"] == "rows of held.csv"
    assert audit["expires"] - audit["at"] == pd.Timedelta(days=90)
    assert results["knowing"] == [], "with one wrong label in twenty, no feature knows the label too well"
    assert (alone["audit"], alone["results"]["further"]["training_overlap"]["value"]) == ("leakage", None)
    assert "leakage_audit" not in said, "the columns are judged by the leakage audit of the registered model"
    own = said["model_without_suspects"]
    assert (own["all"]["rows"], own["all"]["value"]) == (260, 247 / 260)
    suspects = int(runs.loc[runs["rule"] == "audit: suspect labels", "rows_dropped"].iloc[0])
    assert 8 <= suspects == own["suspects"] == 260 - own["without"]["rows"] and own["without"]["value"] > own["all"]["value"]
    effect = runs.loc[runs["rule"] == "audit: suspect labels", "extra"].iloc[0]["effect"]
    assert effect["own_model"] == own


def test_rows_of_a_reference_are_counted_by_a_group_that_is_no_feature(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    table = pd.DataFrame({"t": rng.normal(20, 3, 60).round(3), "sex": ["F", "M", "M"] * 20, "hot": [0, 1] * 30})
    table = pd.concat([table, table.iloc[:9]], ignore_index=True).assign(score=0.5)
    table.assign(id=[f"r{place}" for place in range(69)]).to_csv(tmp_path / "reference.csv", index=False)
    about = ("--model", "heat", "--version", "1")
    with new_store(tmp_path / "home") as store:
        how = ("--task", "binary", "--reference", tmp_path / "reference.csv", "--label", "hot", "--score", "score", "--features", "t")
        made = execute(store, [*map(str, ("register", *about, *how, "--sensitive", "sex"))], lambda _: None)
        assert made.exit_code == 0, made.error
        runs = {run["rule"]: run for run in answer(store, "audit-data", *about, "--group", "sex", "--dry-run")["records"] if "rule" in run}
        refused = execute(store, [*map(str, ("audit-data", *about, "--group", "shoe", "--dry-run"))], lambda _: None)
    assert runs["audit: exact duplicates"]["groups"] == {"sex": {"F": {"in": 23, "dropped": 3}, "M": {"in": 46, "dropped": 6}}}
    assert "--group names a column that the data lack" in str(refused.error) and "expected t, sex" in str(refused.error)


def test_the_label_of_held_out_rows_is_named_label_where_no_option_names_it(tmp_path: Path) -> None:
    table = pd.DataFrame({"t": [1.0, 2.0], "label": [0, 1], "hot": [0, 1]})
    table.to_csv(tmp_path / "held.csv", index=False)
    args = Namespace(held_out=tmp_path / "held.csv", label=None, decimal=None)
    features, label = held_out_rows(args, table[["t"]])
    assert list(features) == ["t"] and label.tolist() == [0, 1]
    table[["t", "hot"]].to_csv(tmp_path / "held.csv", index=False)
    with pytest.raises(UsageError, match=r"got no label\. Name the column of the held-out labels with --label"):
        held_out_rows(args, table[["t"]])


def test_wrong_use_is_said_in_one_sentence(tmp_path: Path) -> None:
    measured(tmp_path / "day.csv")
    store = new_store(tmp_path / "home")
    try:
        for argv, words in (
            (("audit-data", tmp_path / "day.csv"), "--label is missing"),
            (("audit-data",), "no data to audit are named"),
            (("audit-data", tmp_path / "day.csv", "--label", "cold"), "a named column is not in the file"),
            (("profile", tmp_path / "day.csv", "--source", "s", "--range", "x=1:2"), "--range names a column that the file lacks"),
            (("profile", tmp_path / "day.csv", "--source", "s", "--at", "region"), "--at names a column without times"),
        ):
            outcome = execute(store, [*map(str, argv)], lambda _: None)
            assert outcome.exit_code == 2 and words in outcome.error
    finally:
        store.close()


@pytest.mark.parametrize("text", ["t", "t=5", "t=:", "t=9:1", "t=a:b", "=1:2"])
def test_ranges_are_checked(text: str) -> None:
    with pytest.raises(UsageError):
        column_range(text)
    assert column_range("a=b=-1:") == ("a=b", (-1.0, None))


def test_capture_times_without_an_offset_need_a_time_zone() -> None:
    def span(values: list[object], zone: str | None = None) -> tuple[str, str]:
        found = capture_span(pd.DataFrame({"t": values}), "t", zone_named(zone))
        return found["captured_from"][:16], found["captured_to"][:16]

    naive: list[object] = ["2026-07-01T10:00:00", "2026-07-01 12:30:00", None]
    for values in (naive, pd.to_datetime(["2026-07-01T10:00:00", "2026-07-01T12:30:00"]).to_list()):
        with pytest.raises(UsageError, match=r"no offset.*--timezone"):
            span(values)
        assert span(values, "Europe/Paris") == ("2026-07-01T08:00", "2026-07-01T10:30")
    mixed: list[object] = ["2026-07-01T10:00:00+02:00", "2026-07-01T10:00:00Z"]
    assert span(mixed) == span(mixed, "Asia/Tokyo") == ("2026-07-01T08:00", "2026-07-01T10:00")
    assert span(["2026-07-01", "2026-07-03"], "Asia/Tokyo") == ("2026-07-01T00:00", "2026-07-03T00:00")
    with pytest.raises(UsageError, match="unknown time zone"):
        span(mixed, "Mars/Base")
