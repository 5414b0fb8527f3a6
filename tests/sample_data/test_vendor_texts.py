"""The vendor's free texts are scored by their rule, and the scores fall on the planted night by the amount in the file."""

import re

import pandas as pd
import pytest

from observability.core.bundle import bundle_folder
from observability.core.settings import read_settings
from observability.detection.probe_claims import COST, RUBRIC, SIMILAR
from sample_data import vendor, vendor_scores, vendor_texts
from tests.support.sample_vendor import findings_of_night

FOLDER = bundle_folder() / "sample_data"


@pytest.fixture(scope="module")
def texts() -> pd.DataFrame:
    return pd.read_parquet(FOLDER / vendor_texts.FILE)


def test_every_answer_names_a_class_quotes_its_question_and_is_scored_by_the_labels_of_people(texts: pd.DataFrame) -> None:
    people = pd.read_parquet(FOLDER / "sentiment.labels.parquet", columns=["id", "value"]).set_index("id")["value"]
    place = {"negative": 0, "neutral": 1, "positive": 2}
    named = texts["prediction"].str.extract(r"^(?:This text sounds|I read this text as) (\w+)")[0]
    away = (named.map(place) - texts["item"].map(people).map(place)).abs()
    scores = pd.json_normalize(texts["rubric"].tolist())
    assert scores["fits"].tolist() == (5 - 2 * away).tolist() and set(scores["quotes"]) == {5}
    for answer, question in zip(texts["prediction"], texts["question"]):
        assert all(word in question for word in re.findall("“(.*?)”", answer))


def test_the_scores_fall_on_the_night_on_which_the_classes_change_and_no_night_before_needs_action(texts: pd.DataFrame) -> None:
    fits = pd.json_normalize(texts["rubric"].tolist())["fits"].groupby(texts["round"]).mean().to_numpy()
    last = findings_of_night(texts, vendor_texts.NIGHTS - 1)
    assert last[RUBRIC].value == pytest.approx(fits[-1]) and last[RUBRIC].evidence["score"] == "fits"
    assert last[RUBRIC].needs_action and fits[vendor_texts.CHANGED_FROM :].max() < fits[: vendor_texts.CHANGED_FROM].min() - 0.5
    assert not last[SIMILAR].needs_action, "a comparison by letters does not notice another class within the same words"
    for night in range(6, vendor_texts.CHANGED_FROM, 7):
        assert [each.because for each in findings_of_night(texts, night).values() if each.needs_action] == []


def test_the_cost_of_each_set_is_judged_against_the_budget_of_the_settings_and_all_sets_together_are_below_it(texts: pd.DataFrame) -> None:
    budget = read_settings(FOLDER / vendor.SETTINGS).budget_per_month
    month = 0.0
    for file in (vendor.FILE, vendor_scores.FILE, vendor_texts.FILE):
        rows = pd.read_parquet(FOLDER / file)
        found = findings_of_night(rows, vendor.NIGHTS - 1, budget)[COST]
        assert (found.severity, found.limit) == ("ok", budget)
        spent = rows.loc[rows["at"] >= "2024-11-01", "cost"].sum()
        assert spent < found.value < 1.2 * spent
        month += found.value
    assert 0.5 * budget < month < budget


def test_every_answer_is_declared_simulated_and_asks_a_text_of_the_other_sets(texts: pd.DataFrame) -> None:
    others = pd.read_parquet(FOLDER / vendor.FILE)
    assert set(texts["source"]) == {"simulated"} and set(texts["model"]) == {vendor.MODEL} and set(texts["answers"]) == {"text"}
    assert set(texts["question"]) <= set(others["question"]) and not set(texts["id"]) & set(others["id"])
    assert len(texts) == vendor_texts.NIGHTS * vendor_texts.ITEMS and (FOLDER / vendor_texts.FILE).stat().st_size < 50_000


def test_a_server_on_this_machine_is_asked_by_the_runner_and_gives_the_answers_of_the_file(
    texts: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vendor_texts, "NIGHTS", 2)
    again = pd.DataFrame(vendor_texts.text_nights(FOLDER))
    kept = texts.head(len(again))
    assert len(again) == 2 * vendor_texts.ITEMS
    for name in ("id", "prediction", "latency_ms", "cost", "version", "question"):
        assert again[name].tolist() == kept[name].tolist(), name
