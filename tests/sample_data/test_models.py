"""The models of the sample fleet behave as the README says, and their files give the logged scores."""

from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency
from sklearn.metrics import accuracy_score, log_loss, mean_absolute_error, roc_auc_score

from observability.store.registry.artifacts import detect_artifact_kind
from sample_data import explained
from sample_data.employment import EMPLOYMENT
from sample_data.flights import CHALLENGER, DELAY, LATE, PRUNED
from sample_data.sentiment import CLASSES, SENTIMENT, features_of

FOLDER = Path(__file__).parents[2] / "sample_data"


def labelled(name: str, reference: bool) -> pd.DataFrame:
    """Scores and labels of the reference, or of the served rows."""
    if reference:
        return pd.read_parquet(FOLDER / f"{name}.reference.parquet", columns=["at", "score", "label"])
    served = pd.read_parquet(FOLDER / f"{name}.predictions.parquet")
    if "label" in served:
        return served[["at", "score", "label"]]
    known = pd.read_parquet(FOLDER / f"{name}.labels.parquet", columns=["id", "value"])
    return served.merge(known.rename(columns={"value": "label"}), on="id")[["at", "score", "label"]]


def readme_rows(part: str) -> dict[str, list[str]]:
    """The cells of the README's table rows whose first cell is this part, by their second cell; months only from the first table."""
    rows: dict[str, list[str]] = {}
    for line in (FOLDER / "README.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == part:
            rows.setdefault(cells[1], cells[2:])
    return rows


@pytest.mark.parametrize(("month", "held_out", "near"), [(1, True, 21), (7, False, 33), (11, False, 20)])
def test_the_delay_model_has_the_stated_error_in_each_month(month: int, held_out: bool, near: float) -> None:
    rows = labelled("flights-delay", held_out)
    of_month = rows[rows["at"].dt.tz_convert("America/New_York").dt.month == month]
    assert mean_absolute_error(of_month["label"], of_month["score"]) == pytest.approx(near, abs=1.25)


@pytest.mark.parametrize(("part", "months"), [("reference", range(1, 4)), ("served", range(4, 13))])
def test_the_readme_gives_the_errors_that_scikit_learn_finds(part: str, months: range) -> None:
    rows, said = labelled("flights-delay", part == "reference"), readme_rows(part)
    month = rows["at"].dt.tz_convert("America/New_York").dt.month
    for each in months:
        found = rows[month == each]
        count, mae, *_ = said[f"2013-{each:02}"]
        assert count == f"{len(found):,}" and mae == f"{mean_absolute_error(found['label'], found['score']):.1f}"


@pytest.mark.parametrize(("year", "part"), [(2015, "reference"), (2016, "served"), (2017, "served"), (2018, "served")])
def test_employment_is_as_accurate_every_year(year: int, part: str) -> None:
    rows = labelled("employment", part == "reference")
    rows = rows[rows["at"].dt.year == year]
    accuracy, auc = accuracy_score(rows["label"], rows["score"] >= 0.5), roc_auc_score(rows["label"], rows["score"])
    assert accuracy == pytest.approx(0.828, abs=0.004) and auc == pytest.approx(0.905, abs=0.004)
    count, _, said_accuracy, said_auc, _ = readme_rows(part)[str(year)]
    assert (count, said_accuracy, said_auc) == (f"{len(rows):,}", f"{accuracy:.3f}", f"{auc:.3f}")


def test_late_flights_are_distinguished_from_others_in_every_month() -> None:
    rows = labelled("flights-late", False)
    month = rows["at"].dt.tz_convert("America/New_York").dt.month
    assert min(roc_auc_score(each["label"], each["score"]) for _, each in rows.groupby(month)) > 0.62


@pytest.mark.parametrize("spec", [DELAY, LATE, PRUNED, CHALLENGER, EMPLOYMENT], ids=lambda spec: spec.stem)
def test_the_shipped_model_gives_the_logged_scores(spec) -> None:
    booster = lightgbm.Booster(model_file=str(FOLDER / spec.artifact))
    rows = pd.read_parquet(FOLDER / f"{spec.stem}.predictions.parquet").sample(200, random_state=3)
    inputs = rows[list(spec.features)].copy()
    for name, levels in zip(spec.categories, booster.pandas_categorical, strict=True):
        values = inputs[name].astype(object)
        inputs[name] = pd.Categorical(values.where(values.isin(levels), None), categories=levels)
    numbers = [name for name in spec.features if name not in spec.categories]
    inputs[numbers] = inputs[numbers].astype(float)
    assert np.abs(booster.predict(inputs) - rows["score"]).max() <= 0.5 * 10**-spec.digits + 1e-12


def test_the_reference_was_held_out_and_not_scored_by_the_shipped_model() -> None:
    """The shipped model was fitted on these rows, so it does better on them than the scores in the reference."""
    rows = pd.read_parquet(FOLDER / DELAY.reference)
    booster = lightgbm.Booster(model_file=str(FOLDER / DELAY.artifact))
    inputs = rows[list(DELAY.features)].copy()
    for name, levels in zip(DELAY.categories, booster.pandas_categorical, strict=True):
        inputs[name] = pd.Categorical(inputs[name].astype(object), categories=levels)
    in_sample = mean_absolute_error(rows["label"], booster.predict(inputs))
    assert mean_absolute_error(rows["label"], rows["score"]) > in_sample + 1


def test_weeks_of_employment_are_even_and_exchangeable() -> None:
    rows = pd.read_parquet(FOLDER / "employment.predictions.parquet", columns=["at", "label", "SEX", "MAR"])
    for year, each in rows.groupby(rows["at"].dt.year):
        week = (each["at"] - pd.Timestamp(f"{year}-01-01", tz="UTC")).dt.days // 7
        whole = week < 52
        counts = week[whole].value_counts()
        assert len(counts) == 52 and counts.max() - counts.min() <= 2
        for name in ("label", "SEX", "MAR"):
            assert chi2_contingency(pd.crosstab(week[whole], each[name][whole])).pvalue > 0.001


def sentiment(environment: str) -> pd.DataFrame:
    """Served rows of an environment, with the label and one column per class."""
    served = pd.read_parquet(FOLDER / "sentiment.predictions.parquet")
    known = pd.read_parquet(FOLDER / "sentiment.labels.parquet", columns=["id", "value"])
    table = served[served["environment"] == environment].merge(known, on="id", validate="one_to_one")
    return table.join(pd.DataFrame(table["score"].tolist(), index=table.index)).set_index("id")


def test_texts_are_classified_equally_well_in_validation_reference_and_production() -> None:
    """No row was scored by a model fitted on it, so the accuracies in validation, in the reference and in production are about the same."""
    found = {}
    for part in ("validation", "production"):
        table = sentiment(part)
        decided = table[list(CLASSES)].to_numpy().argmax(axis=1)
        found[part] = accuracy_score(table["value"], np.array(CLASSES)[decided])
        shares = table[list(CLASSES)].div(table[list(CLASSES)].sum(axis=1), axis=0)
        loss = log_loss(table["value"], shares, labels=list(CLASSES))
        count, accuracy, said = readme_rows(part)["2014"]
        assert (count, accuracy, said) == (f"{len(table):,}", f"{found[part]:.3f}", f"{loss:.3f}")
    assert found["production"] > 0.63 > table["value"].value_counts(normalize=True).max()
    assert abs(found["production"] - found["validation"]) < 0.03


def test_the_reference_of_texts_holds_the_scores_that_were_served_to_validate() -> None:
    reference, table = pd.read_parquet(FOLDER / SENTIMENT.reference).set_index("id"), sentiment("validation")
    for name in CLASSES:
        assert (reference[f"score_{name}"] - table.loc[reference.index, name]).abs().max() <= 1.01e-4
    assert (reference[list(SENTIMENT.features)] == table.loc[reference.index, list(SENTIMENT.features)]).all(axis=None)


def test_the_shipped_file_turns_a_text_into_the_logged_features_and_these_into_the_logged_score() -> None:
    import skops.io

    assert skops.io.get_untrusted_types(file=FOLDER / SENTIMENT.artifact) == []
    assert detect_artifact_kind(FOLDER / SENTIMENT.artifact) == "skops"
    model, table = skops.io.load(FOLDER / SENTIMENT.artifact), sentiment("production").sample(300, random_state=3)
    features = features_of(model.text_vectoriser_, table["text"].tolist()).set_axis(table.index)
    assert (features - table[list(SENTIMENT.features)]).abs().max(axis=None) <= 1.01e-3
    assert list(model.feature_names_in_) == list(SENTIMENT.features) and tuple(model.classes_) == CLASSES
    assert np.abs(model.predict_proba(table[list(SENTIMENT.features)]) - table[list(CLASSES)].to_numpy()).max() <= 0.5e-4 + 1e-9


def test_the_explained_week_is_what_the_shipped_model_gives() -> None:
    """The SHAP values and the base value of each row add up to the score that was served."""
    kept, made = pd.read_parquet(FOLDER / explained.FILE), explained.explained_week(FOLDER)
    pd.testing.assert_frame_equal(kept, made, atol=2e-3)
    parts = kept[[name for name in kept if name.startswith("attribution.")]]
    assert (kept["base"] + parts.sum(axis=1) - kept["score"]).abs().max() < 0.02 and len(kept) == 274
