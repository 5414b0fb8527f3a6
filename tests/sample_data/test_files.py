"""The files of the sample fleet are complete, small, and follow the contract."""

import gzip
import hashlib
import json
import re
import tomllib
from collections import Counter
from datetime import UTC, datetime, timedelta

import lightgbm
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy.stats import combine_pvalues, spearmanr

from observability.core.metric_definitions import METRICS
from observability.core.settings import read_settings
from observability.dashboard.trust.audits import signed_subject
from observability.detection.audit_history import stored_audits
from observability.records.kinds import OWN_SOURCE
from observability.review.snapshot import FORMAT
from sample_data import audits, canaries, clients, crew, explained, meetings, sensors, signed, stored, vendor
from sample_data.employment import CANDIDATE, EMPLOYMENT
from sample_data.flights import CHALLENGER, DELAY, LATE, PRUNED
from sample_data.sentiment import CLASSES, CUT, DAYS, SENTIMENT, SERVED_FROM, TRAINED, VALIDATED_FROM
from sample_data.serving import Service
from tests.support.sample_files import FOLDER, labels, predictions, reference

SPECS = (DELAY, LATE, EMPLOYMENT, SENTIMENT)
FLIGHTS = (DELAY, LATE)
BY_NAME = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
OF_FLIGHTS = pytest.mark.parametrize("spec", FLIGHTS, ids=lambda spec: spec.name)


def test_all_records_are_so_old_that_the_days_to_judge_do_not_depend_on_today() -> None:
    """Regression: records dated this November were judged up to now, so until Christmas the sample would have shown fewer of them
    each day.
    """
    newest = {}
    for entry in tomllib.loads((FOLDER / "fleet.toml").read_text(encoding="utf-8"))["file"]:
        path = FOLDER / entry["path"]
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            times = [table[name].to_pandas() for name in ("at", "from") if name in table.column_names]
        else:
            text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text(encoding="utf-8")
            records = [json.loads(line) for line in text.splitlines()]
            times = [pd.to_datetime([each.get("at") or each.get("from") for each in records], utc=True, format="ISO8601").to_series()]
        newest[entry["path"]] = max(each.max() for each in times)
    assert len(newest) > 30 and max(newest.values()) < pd.Timestamp(2026, 1, 1, tz="UTC")


def test_the_sample_data_has_the_size_stated_in_the_readme_and_at_most_16_mb() -> None:
    sizes = {path.name: path.stat().st_size for path in FOLDER.iterdir() if path.is_file()}
    assert sum(sizes.values()) <= 16_000_000
    said = re.search(r"All in all (\d+) MB\.", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert said is not None and int(said[1]) == round(sum(sizes.values()) / 1e6)
    assert all(size <= 400_000 for name, size in sizes.items() if name.endswith((".lightgbm.txt", ".skops")))


def test_the_list_names_every_file_and_every_file_is_there() -> None:
    fleet = tomllib.loads((FOLDER / "fleet.toml").read_text(encoding="utf-8"))
    named = {each["path"] for each in fleet["file"]}
    for model in fleet["model"]:
        named |= {model["reference"], model["artifact"], model["settings"]}
    named |= {each["settings"] for each in fleet["settings"]}
    shipped = {path.name for path in FOLDER.iterdir() if path.suffix in (".parquet", ".jsonl", ".gz", ".txt", ".toml", ".skops")}
    assert named == shipped - {"fleet.toml", explained.FILE, "LICENSE-nannyml.txt", "LICENSE-vaderSentiment.txt"}
    registered = (DELAY, LATE, PRUNED, CHALLENGER, EMPLOYMENT, CANDIDATE, SENTIMENT)
    assert [(each["name"], each["version"]) for each in fleet["model"]] == [(spec.name, spec.version) for spec in registered]


@BY_NAME
def test_settings_are_read_by_the_product_and_importance_is_of_the_features(spec) -> None:
    settings = read_settings(FOLDER / spec.settings_file)
    assert set(settings.importance) == set(spec.features)
    assert sum(settings.importance.values()) == pytest.approx(1)
    assert set(settings.immutable) <= set(spec.features)
    assert settings.owner and settings.description


def test_the_owner_states_a_level_for_each_audit_and_no_audit_is_surely_beyond_it() -> None:
    settings = {spec.name: read_settings(FOLDER / spec.settings_file) for spec in (LATE, EMPLOYMENT, SENTIMENT)}
    audits = [json.loads(line) for line in (FOLDER / "audits.jsonl").read_text(encoding="utf-8").splitlines()]
    for audit in audits:
        head = audit["results"]["headline"]
        level = settings[audit["model"]].limits[f"trust/audits/{head['metric']}"]
        assert head["low"] <= level if METRICS[head["metric"]].better == "low" else head["high"] >= level


@BY_NAME
def test_prediction_files_have_the_contracts_columns_and_required_fields(spec) -> None:
    table = predictions(spec)
    more = {EMPLOYMENT.name: {"label"}, SENTIMENT.name: {"text", "environment"}}.get(spec.name, set())
    fields = {"id", "model", "version", "at", "score", "latency_ms", "replica", "received_at"} | more
    asked = {"subject", "action", "subject_source", "action_source"} if spec is LATE else set()
    assert set(table) == fields | set(spec.features) | ({"batch"} if spec in FLIGHTS else set()) | asked
    assert not table[sorted(fields)].isna().any(axis=None)
    assert table["id"].is_unique
    alike = table.groupby(list(spec.together)) if spec.together else [((), table)]
    assert all(part["at"].is_monotonic_increasing for _, part in alike)
    assert table["at"].dt.strftime("%Y-%m").is_monotonic_increasing
    assert (table["received_at"] == table["at"]).all()
    assert set(table["model"]) == {spec.name} and set(table["version"]) == {"1"}
    assert str(table["at"].dtype.tz) == "UTC"
    if spec.task == "binary":
        assert table["score"].between(0, 1).all()
    if spec.task == "multiclass":
        shares = pd.DataFrame(table["score"].tolist())
        assert tuple(shares) == CLASSES and shares.stack().between(0, 1).all()
        assert shares.sum(axis=1).sub(1).abs().max() < 2e-4


@OF_FLIGHTS
def test_labels_are_of_served_flights_and_come_after_their_predictions(spec) -> None:
    table = labels(spec)
    assert set(table) == {"id", "model", "value", "at", "source", "received_at"}
    assert not table.isna().any(axis=None) and table["id"].is_unique
    pairs = predictions(spec).merge(table, on="id", suffixes=("", "_label"))
    assert len(pairs) == len(table)
    wait = (pairs["at_label"] - pairs["at"]).dt.total_seconds() / 60
    assert wait.min() > 60 and wait.max() < 24 * 60
    never = 1 - len(table) / len(predictions(spec))
    assert 0.02 < never < 0.035


@BY_NAME
def test_reference_rows_are_labelled_and_none_of_them_was_served_in_production(spec) -> None:
    table, served = reference(spec), predictions(spec)
    if "environment" in served:
        served = served[served["environment"] == "production"]
    scores = set(spec.score_columns.values())
    assert set(table) == {"id", "at", "label", *scores, *spec.features}
    assert not table[["id", "at", "label", *scores]].isna().any(axis=None)
    assert table["id"].is_unique and not set(table["id"]) & set(served["id"])
    assert table["at"].max() < served["at"].min()
    assert table[list(spec.features)].dtypes.equals(served[list(spec.features)].dtypes)


def test_the_challenger_answers_production_requests_in_shadow_that_it_has_not_learned_from() -> None:
    table, learned = pd.read_parquet(FOLDER / "flights-late.2.predictions.parquet"), reference(CHALLENGER)
    assert set(table["version"]) == {"2"} and set(table["environment"]) == {"shadow"} and table["id"].is_unique
    pairs = table.merge(predictions(LATE), on="id", suffixes=("", "_first"))
    assert len(pairs) == len(table)
    for name in ("at", "batch", *LATE.features):
        assert pairs[name].equals(pairs[f"{name}_first"].rename(name)), name
    assert (pairs["score"] != pairs["score_first"]).mean() > 0.9
    days = pd.to_datetime(table["id"].str.slice(stop=8), format="%Y%m%d")
    asked = predictions(LATE)
    of_day = pd.to_datetime(asked["id"].str.slice(stop=8), format="%Y%m%d")
    assert sorted(days.unique()) == [*pd.date_range("2013-06-17", "2013-06-30"), *pd.date_range("2013-12-18", "2013-12-31")]
    assert of_day.isin(days.unique()).sum() == len(table)
    assert set(learned) == {"id", "at", "label", "score", *CHALLENGER.features} and not learned[["id", "at", "label", "score"]].isna().any(
        axis=None
    )
    assert learned["id"].str.slice(stop=8).max() == "20130531" and learned["at"].max() < table["at"].min()
    assert all(int.from_bytes(hashlib.md5(name.encode()).digest()[:8]) % 6 == 0 for name in learned["id"].sample(200, random_state=1))


def test_the_pruned_twin_answers_in_shadow_every_request_of_the_last_two_weeks_with_a_quarter_of_the_trees() -> None:
    table, asked = pd.read_parquet(FOLDER / f"{PRUNED.stem}.predictions.parquet"), predictions(LATE)
    assert set(table["version"]) == {"1-pruned"} and set(table["environment"]) == {"shadow"}
    assert set(table["id"]) == set(asked.loc[asked["id"].str.slice(stop=8) >= "20131218", "id"])
    pairs = table.merge(asked, on="id", suffixes=("", "_first"), validate="one_to_one")
    for name in ("at", "batch", *LATE.features):
        assert pairs[name].equals(pairs[f"{name}_first"].rename(name)), name
    whole, pruned = (lightgbm.Booster(model_file=str(FOLDER / spec.artifact)) for spec in (LATE, PRUNED))
    assert (whole.num_trees(), pruned.num_trees()) == (150, 38)
    assert 0.01 < ((pairs["score"] >= 0.35) != (pairs["score_first"] >= 0.35)).mean() < 0.3
    learned, first = reference(PRUNED), reference(LATE)
    assert (
        set(learned["id"]) < set(first["id"])
        and (learned["score"] != first.set_index("id").loc[learned["id"], "score"].to_numpy()).mean() > 0.9
    )
    assert (
        sum((FOLDER / name).stat().st_size for name in (PRUNED.artifact, PRUNED.reference, f"{PRUNED.stem}.predictions.parquet")) < 240_000
    )


def test_the_version_with_canaries_learned_people_of_the_reference_and_answers_others_to_validate() -> None:
    table, learned = pd.read_parquet(FOLDER / "employment.2.predictions.parquet"), reference(CANDIDATE)
    pairs = table.merge(predictions(EMPLOYMENT), on="id", suffixes=("", "_first"), validate="one_to_one")
    assert len(pairs) == len(table) and "label" not in table
    assert set(table["version"]) == {"2"} and set(table["environment"]) == {"validation"}
    assert all((pairs[name] == pairs[f"{name}_first"]).all() for name in ("at", *EMPLOYMENT.features))
    assert table["at"].dt.strftime("%Y-%m-%d").agg(["min", "max", "nunique"]).tolist() == ["2018-12-03", "2018-12-16", 14]
    assert len(learned) == canaries.PEOPLE and set(learned["id"]) < set(reference(EMPLOYMENT)["id"])


@pytest.mark.long  # needed only after the files were made again
def test_the_audits_rank_the_canaries_as_the_model_files_do() -> None:
    """The confidence in each canary is computed from the shipped file; a canary with a larger confidence has a better rank and a larger
    exposure.
    """
    (event,) = [json.loads(line) for line in (FOLDER / canaries.FILE).read_text(encoding="utf-8").splitlines()]
    rows = pd.DataFrame([{**each["row"], "label": int(each["label"])} for each in event["canaries"]])
    assert len(rows) == canaries.CANARIES and event["at"] < "2018-12-03" and event["source"] == OWN_SOURCE
    known, names = reference(EMPLOYMENT), list(EMPLOYMENT.features)
    assert all(set(rows[name]) <= set(known[name]) for name in names) and len(rows[names].merge(known[names].drop_duplicates())) == 3
    audits = [json.loads(line) for line in (FOLDER / "audits.jsonl").read_text(encoding="utf-8").splitlines()]
    found = {
        each["version"]: each["results"]["canaries"] for each in audits if (each["model"], each["audit"]) == ("employment", "membership")
    }
    for version, spec in (("1", EMPLOYMENT), ("2", CANDIDATE)):
        ranked = pd.DataFrame(found[version]["by_canary"]).set_index("name")
        assert ranked["bits"].tolist() == pytest.approx(np.log2(2001 / ranked["rank"]).tolist(), abs=1e-3)
        ranks = ranked.loc[[each["name"] for each in event["canaries"]], "rank"].to_numpy()
        score = Service(spec, FOLDER / spec.artifact)
        scores = np.array([score.answer(row)[1] for row in rows[names].to_dict("records")])
        truth = np.where(rows["label"] == 1, scores, 1 - scores)
        assert spearmanr(truth, -ranks).statistic > 0.999
        assert found[version]["p_value"] == pytest.approx(combine_pvalues(ranks / 2001).pvalue, rel=1e-6)
    assert found["1"]["p_value"] > 0.1 and found["2"]["p_value"] < 0.001
    assert found["2"]["mean_bits"] > 1.9 > found["1"]["mean_bits"]


def test_the_apron_sensors_are_simulated_and_have_the_four_planted_faults() -> None:
    table = pd.read_parquet(FOLDER / sensors.FILE)
    assert set(table["source"]) == {sensors.SOURCE} and "simulated" in sensors.SOURCE and table["batch"].is_unique
    assert len(table) == 8 * 92 and set(table["device"]) == {f"apron-{place}" for place in range(1, 9)}
    assert ((table["at"] - table["captured_to"]).dt.total_seconds().between(120, 900)).all() and (table["received_at"] == table["at"]).all()
    stats, day = pd.json_normalize(table["stats"].tolist()), table["batch"].str.slice(8)
    still = (stats["surface_temperature_f.std"] == 0) & (stats["surface_temperature_f.stuck_share"] == 1)
    assert still.equals((table["device"] == sensors.STUCK) & (day >= sensors.STUCK_FROM))
    full = stats["surface_humidity_percent.saturated_share"] > 0.1
    assert full.equals((table["device"] == sensors.SATURATED) & (day >= sensors.SATURATED_FROM) & (day < sensors.SATURATED_UNTIL))
    held = (stats["surface_humidity_percent.stuck_share"] > 0.2) & ~full
    assert held.equals((table["device"] == sensors.HELD) & (day >= sensors.HELD_FROM) & (day < sensors.HELD_UNTIL))
    rejected = table["rejected_rows"] / table["rows"] > 0.1
    assert rejected.equals((table["device"] == sensors.REJECTED) & (day >= sensors.REJECTED_FROM) & (day < sensors.REJECTED_UNTIL))
    assert 0 < table.loc[~rejected, "rejected_rows"].mean() < 1


def test_all_texts_are_served_once_and_those_learned_from_only_to_validate() -> None:
    table, learned = predictions(SENTIMENT), reference(SENTIMENT)
    assert sorted(table["id"]) == [f"tweet-{number:04}" for number in range(1, 4201)]
    validated = table[table["environment"] == "validation"]
    assert len(validated) == TRAINED and set(validated["id"]) == set(learned["id"])
    for environment, start in (("validation", VALIDATED_FROM), ("production", SERVED_FROM)):
        days = table.loc[table["environment"] == environment, "at"].dt.strftime("%Y-%m-%d").value_counts()
        assert len(days) == DAYS and days.nunique() == 1 and days.index.min() == start


def test_the_class_of_a_text_is_its_mean_rating_and_comes_two_days_later_with_the_raters_spread() -> None:
    pairs = predictions(SENTIMENT).merge(labels(SENTIMENT), on="id", suffixes=("", "_label"), validate="one_to_one")
    assert len(pairs) == 4200 and not pairs[["value", "rating_mean", "rating_spread", "raters"]].isna().any(axis=None)
    assert (pairs["at_label"] - pairs["at"]).unique().tolist() == [pd.Timedelta(days=2)]
    sure = pairs[(pairs["rating_mean"].abs() - CUT).abs() > 0.006]
    mean = sure["rating_mean"]
    assert (sure["value"] == mean.map(lambda each: "negative" if each <= -CUT else "positive" if each >= CUT else "neutral")).all()
    assert pairs["raters"].min() == 20 and pairs["rating_spread"].between(0, 4).all() and set(pairs["source"]) == {"human"}
    assert 0.5 < (pairs["value"] == "positive").mean() < 0.6


def test_both_flight_models_serve_the_same_flights_every_third_by_hash() -> None:
    ids = predictions(DELAY)["id"]
    assert list(ids) == list(predictions(LATE)["id"])
    assert all(int.from_bytes(hashlib.md5(name.encode()).digest()[:8]) % 3 == 0 for name in ids.sample(500, random_state=1))


def test_late_is_delayed_by_fifteen_minutes_or_more() -> None:
    pairs = labels(DELAY).merge(labels(LATE), on="id", suffixes=("_delay", "_late"), validate="one_to_one")
    assert ((pairs["value_delay"] >= 15).astype(int) == pairs["value_late"]).all()


def test_weather_that_was_not_observed_is_null_and_nothing_else_is() -> None:
    table = predictions(DELAY)
    missing = table.isna().mean()
    assert 0.7 < missing["wind_gust_mph"] < 0.9 and 0.05 < missing["pressure_mb"] < 0.2
    always = [name for name in table if not name.endswith(("_f", "_percent", "_degrees", "_mph", "_in", "_mb", "_miles", "_h_mb"))]
    assert not table[[*(name for name in always if name != "batch"), "distance_miles"]].isna().any(axis=None)


def test_every_december_request_names_a_client_and_an_action_and_one_client_searches_the_boundary() -> None:
    table, asked = predictions(LATE), pd.read_parquet(FOLDER / clients.FILE)
    recent = table["id"].str.slice(stop=8) >= clients.FIRST_DAY
    assert table["subject"].notna().equals(recent.rename("subject")) and set(table.loc[recent, "subject"]) == set(clients.CLIENTS)
    for rows, names in ((table[recent], ("subject", "action")), (asked, ("subject",)), (pd.read_parquet(FOLDER / vendor.FILE), ("",))):
        assert all(set(rows[f"{name}_source" if name else "source"]) == {"simulated"} for name in names)
    pairs = table[recent].merge(labels(LATE), on="id")
    followed, right = pairs["action"] == (pairs["score"] >= 0.35).astype(int).astype(str), (pairs["score"] >= 0.35) == (pairs["value"] == 1)
    assert followed[right].mean() == pytest.approx(clients.FOLLOWED_RIGHT, abs=0.01)
    assert followed[~right].mean() == pytest.approx(clients.FOLLOWED_WRONG, abs=0.02)
    assert set(asked["subject"]) == {clients.SEARCHER} and len(asked) == clients.SEARCHED * clients.COPIES
    assert asked["id"].str.startswith("simulated-").all() and not set(asked["id"]) & set(table["id"])
    assert (asked["score"] - 0.35).abs().max() < 0.02 and asked["at"].between("2013-12-25T05:00Z", "2014-01-01T05:00Z").all()


def test_latency_is_measured_by_both_workers_on_every_call() -> None:
    for spec in SPECS:
        table = predictions(spec)
        assert set(table["replica"]) == {"worker-1", "worker-2"}
        assert table["latency_ms"].notna().sum() >= min(20_000, len(table)) and table["latency_ms"].min() > 0
        assert table["latency_ms"].nunique() > 50


def test_training_runs_and_their_steps_are_there_and_finished() -> None:
    records = [json.loads(line) for line in (FOLDER / "training.jsonl").read_text(encoding="utf-8").splitlines()]
    runs = [record for record in records if record["kind"] == "run"]
    started = {record["run"] for record in runs if record["event"] == "start"}
    assert started == {f"{spec.name}-{part}" for spec in SPECS for part in (*(f"fold-{fold}" for fold in range(1, 6)), "final")}
    assert {record["run"] for record in runs if record.get("status") == "finished" and record["metrics"]} == started
    for spec in SPECS:
        steps = [record for record in records if record["kind"] == "step" and record["run"] == f"{spec.name}-final"]
        assert [record["step"] for record in steps] == list(range(1, spec.rounds + 1))
    assert {record["hardware"]["host"] for record in runs if record["event"] == "start"} == {"sample fleet"}


def test_events_are_deployments_and_public_holidays() -> None:
    records = [json.loads(line) for line in (FOLDER / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    assert sorted(record["model"] for record in records if record["what"] == "deploy") == sorted(spec.name for spec in SPECS)
    holidays = {record["at"][:10] for record in records if record["what"] == "note"}
    # Memorial Day, Independence Day, Labor Day, Columbus Day, Veterans Day, Thanksgiving and Christmas of 2013, from a calendar.
    assert holidays == {"2013-05-27", "2013-07-04", "2013-09-02", "2013-10-14", "2013-11-11", "2013-11-28", "2013-12-25"}


def test_parquet_files_are_compressed_with_zstd() -> None:
    for path in FOLDER.glob("*.parquet"):
        assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD", path.name


def test_the_meetings_discuss_served_weeks_and_items_of_their_agendas() -> None:
    records = [json.loads(line) for line in gzip.decompress((FOLDER / meetings.FILE).read_bytes()).decode().splitlines()]
    weeks = {each["review"]: each for each in records if each["kind"] == "review" and "model" not in each}
    assert list(weeks) == [meeting.week for meeting in meetings.MEETINGS]
    for review, head in weeks.items():
        start = datetime.strptime(f"{review}-1", "%G-W%V-%u").replace(tzinfo=UTC)
        assert datetime.fromisoformat(head["at"]) == start + timedelta(days=7, hours=9)
        served = predictions(DELAY)["at"].between(start, start + timedelta(days=7), inclusive="left").sum()
        own = next(each["body"] for each in records if each.get("model") == DELAY.name and each.get("review") == review and "body" in each)
        assert own["served"] == served > 2_000
        items = {item["item"] for item in head["body"]["agenda"]} | {"meeting"}
        said = [each for each in records if each["kind"] == "agenda" and each["review"] == review]
        assert len(said) > 3 and {each["item"] for each in said} <= items
        assert head["body"]["format"] == FORMAT, "for a week in an older format, a page would say that parts are missing"
    decisions = [each for each in records if each["kind"] == "decision"]
    assert decisions and all(each["item"] in {item["item"] for item in weeks[each["review"]]["body"]["agenda"]} for each in decisions)
    actions = {each["action"] for each in records if each["kind"] == "action"}
    assert {each["action"] for each in records if each["kind"] == "agenda" and "action" in each} <= actions
    people = {each["author"] for each in records} - {"the dashboard"}
    assert people and all(each.endswith("(sample)") for each in people)


def test_a_finding_is_discussed_under_the_item_that_holds_it_and_a_missing_one_ends_the_script() -> None:
    findings = [{"id": name, "analyzer": "a", "subject": name, "metric": "m", "slice": None} for name in ("led", "held", "alone")]
    incidents = [{"incident": "i1", "findings": ["led", "held"]}, {"incident": "i2", "findings": ["alone"]}]
    agenda = [{"item": "incident:tide:a/led/m/", "about": {"incident": "i1"}, "also": []}, {"item": "action:read", "about": {}, "also": []}]
    body = {"week": "2013-W22", "agenda": agenda, "models": [{"model": "tide", "findings": findings, "incidents": incidents}]}
    assert {meetings.agenda_item(body, f"tide:a/{name}/m/") for name in ("led", "held")} == {"incident:tide:a/led/m/"}
    assert meetings.agenda_item(body, "action:read") == "action:read"
    for missing in ("tide:a/alone/m/", "tide:a/gone/m/", "ebb:a/led/m/"):
        with pytest.raises(
            SystemExit, match=f"2013-W22: no item of the agenda holds {missing}. It has: incident:tide:a/led/m/, action:read"
        ):
            meetings.agenda_item(body, missing)


def test_the_signature_is_one_that_the_page_of_audits_would_count() -> None:
    (record,) = [json.loads(line) for line in (FOLDER / signed.FILE).read_text(encoding="utf-8").splitlines()]
    lines = [json.loads(line) for line in (FOLDER / "audits.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [{**each, "at": datetime.fromisoformat(each["at"]), "expires": datetime.fromisoformat(each["expires"])} for each in lines]
    *_, newest = [audit for audit in stored_audits(rows) if (audit.model, audit.kind) == (record["model"], "robustness")]
    assert record["subject"] == signed_subject(newest) and record["source"] == "simulated"
    assert newest.at < datetime.fromisoformat(record["at"]) < datetime.fromisoformat(record["until"])
    assert read_settings(FOLDER / EMPLOYMENT.settings_file).may_sign(record["author"])
    assert record["note"].startswith(f"{100 * newest.value:.0f} % of rows keep") and newest.headline["at"] == 0.25


def test_stored_columns_have_the_expected_personal_and_sensitive_tags() -> None:
    """Checked are columns about disability or ancestry, columns that identify a person, and the column with the annotator's name."""
    lines = [json.loads(line) for line in (FOLDER / stored.FILE).read_text(encoding="utf-8").splitlines()]
    people, crews = lines[1]["storage"], lines[2]["storage"]
    tagged = {tag: sorted(name for name, each in people["tags"].items() if each == tag) for tag in ("quasi", "sensitive", "personal")}
    assert tagged == {"quasi": ["AGEP", "RAC1P", "SEX"], "sensitive": ["ANC", "DEAR", "DEYE", "DIS", "DREM"], "personal": []}
    groups = reference(EMPLOYMENT).groupby(["AGEP", "SEX", "RAC1P"], observed=True)
    assert people["groups"]["groups"] <= len(groups.size()) and people["groups"]["sensitive"] == "DIS"
    assert people["groups"]["k"] == people["groups"]["diversity"] == 1 == groups["DIS"].nunique().min(), (
        "with a single row in a group, all values of its person are known"
    )
    labelled = pd.read_parquet(FOLDER / crew.ANNOTATIONS)
    assert crews["tags"] == {"annotator": "personal"} and lines[2]["rows"] == len(labelled) and lines[2]["source"] == "simulated"
    assert hashlib.sha256((FOLDER / crew.ANNOTATIONS).read_bytes()).hexdigest() in lines[2]["checksum"]


def test_the_readme_states_the_records_of_each_file() -> None:
    stated: dict[str, int] = {}
    for name, number in re.findall(r"`([a-z_]+\.jsonl)`, (\d+)\b", (FOLDER / "README.md").read_text(encoding="utf-8")):
        stated[name] = stated.get(name, 0) + int(number)  # datasets and cleanings in data.jsonl are listed separately
    held = {name: len((FOLDER / name).read_text(encoding="utf-8").splitlines()) for name in stated}
    assert stated == held and {"audits.jsonl", "data_audits.jsonl", "data.jsonl"} <= set(stated)


def test_the_audits_that_the_document_lists_are_those_of_the_sample() -> None:
    text = (FOLDER.parent / "docs" / "audits.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| ([a-z-]+) (\d)[^|]*\| ([a-z, ()]+) \|$", text, re.MULTILINE)
    stated = {
        (model, version, kind): 1 + ("(twice)" in each) + 2 * ("(three times)" in each)
        for model, version, kinds in listed
        for each in kinds.split(", ")
        for kind in each.split()[:1]
    }
    assert stated == Counter((model, version, kind) for model, version, kind, *_ in audits.PLAN)


def test_the_newest_audit_of_employment_took_the_costs_and_directions_of_its_settings_and_counted_slices() -> None:
    """Schooling costs twice its rise in standard deviations (of a sample of the reference), and never falls. A slice and its other rows
    together are all rows.
    """
    settings, known = read_settings(FOLDER / EMPLOYMENT.settings_file), reference(EMPLOYMENT)
    lines = [json.loads(line) for line in (FOLDER / "audits.jsonl").read_text(encoding="utf-8").splitlines()]
    last = max((each for each in lines if (each["model"], each["audit"]) == ("employment", "robustness")), key=lambda each: each["at"])
    results = last["results"]
    assert (results["costs"], results["directions"]) == (settings.attack_costs, settings.attack_directions) and results["costs"]
    schooling = [(*flip["changes"]["SCHL"], flip["cost"]) for flip in results["flips"] if list(flip["changes"]) == ["SCHL"]]
    spread = known["SCHL"].std()
    assert schooling and all(after > before for before, after, _ in schooling)
    assert [cost for *_, cost in schooling] == pytest.approx([2 * (after - before) / spread for before, after, _ in schooling], rel=0.05)
    for name in audits.SLICES["employment", "1", "robustness", 2]:
        parts = results["groups"][name]
        assert set(parts) == {"in it", "outside"} and sum(part[0]["n"] for part in parts.values()) == results["epsilon"][0]["n"]


def test_every_form_of_the_fleet_has_its_divergence_and_peak_memory() -> None:
    for audit in map(json.loads, (FOLDER / "trade_offs.jsonl").read_text(encoding="utf-8").splitlines()):
        for form in audit["results"]["forms"]:
            assert form["kl_divergence"] >= 0 and (form["kl_divergence"] > 0) == (form["max_delta"] > 0), form["form"]
            assert 1 < form["memory_peak_mb"] < 100, form["form"]


def test_the_forms_of_employment_are_compared_by_age_band_of_all_rows() -> None:
    lines = (FOLDER / "trade_offs.jsonl").read_text(encoding="utf-8").splitlines()
    (results,) = [audit["results"] for audit in map(json.loads, lines) if audit["model"] == "employment"]
    for form in results["forms"]:
        bands = [each for each in form["slices"] if each["column"] == "AGEP"]
        assert len(bands) == 5 and all(each["n"] >= 700 for each in bands)
        assert (sum(each["n"] for each in bands), sum(each["flips"] for each in bands)) == (form["probes"], form["flips"])
