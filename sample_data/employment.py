"""Employment of the people asked by the American Community Survey in Massachusetts, by year.

Only the year of an answer is published. The days are assigned: within a year the rows are sorted by a hash of the row's number and placed
at equal distances. So every week of a year holds equally many rows, and weeks of one year are exchangeable. Nothing can be learned from the
order within a year.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from sample_data.spec import Rows, Spec, folds, hashes

NUMBERS = ("AGEP", "SCHL")
YES_NO = {"1": "yes", "2": "no", "0": "not asked"}
LEVELS: dict[str, dict[str, str]] = {
    "MAR": {"1": "married", "2": "widowed", "3": "divorced", "4": "separated", "5": "never married or under 15"},
    "RELP": {
        "0": "reference person", "1": "spouse", "2": "child", "3": "adopted child", "4": "stepchild", "5": "sibling", "6": "parent",
        "7": "grandchild", "8": "parent-in-law", "9": "child-in-law", "10": "other relative", "11": "roomer or boarder", "12": "roommate",
        "13": "unmarried partner", "14": "foster child", "15": "other nonrelative", "16": "institution", "17": "group quarters",
    },
    "DIS": YES_NO,
    "ESP": {
        "0": "not a child with parents", "1": "two parents, both in labor force", "2": "two parents, father in labor force",
        "3": "two parents, mother in labor force", "4": "two parents, none in labor force", "5": "father, in labor force",
        "6": "father, not in labor force", "7": "mother, in labor force", "8": "mother, not in labor force",
    },
    "CIT": {"1": "born in the US", "2": "born in US territories", "3": "born abroad to Americans", "4": "naturalized", "5": "not a citizen"},
    "MIG": {"0": "under one year old", "1": "same house", "2": "moved from abroad", "3": "moved within the US"},
    "MIL": {"0": "under 17", "1": "active duty", "2": "active duty before", "3": "training only", "4": "never served"},
    "ANC": {"1": "single", "2": "multiple", "3": "unclassified", "4": "not reported"},
    "NATIVITY": {"1": "native", "2": "foreign born"},
    "DEAR": YES_NO,
    "DEYE": YES_NO,
    "DREM": YES_NO,
    "SEX": {"1": "male", "2": "female"},
    "RAC1P": {
        "1": "White", "2": "Black", "3": "American Indian", "4": "Alaska Native", "5": "American Indian or Alaska Native, other", "6": "Asian",
        "7": "Pacific Islander", "8": "other race", "9": "two or more races",
    },
}  # fmt: skip
"""Names of the codes, taken from the survey's data dictionary (PUMS, 2015 to 2018)."""
FEATURES = (*NUMBERS, *LEVELS)

EMPLOYMENT = Spec(
    name="employment",
    task="binary",
    label="employed",
    features=FEATURES,
    categories=tuple(LEVELS),
    sensitive=("SEX", "RAC1P", "AGEP"),
    params={
        "learning_rate": 0.08, "num_leaves": 15, "min_data_in_leaf": 50, "bagging_fraction": 0.8, "bagging_freq": 1, "feature_fraction": 0.8,
        "objective": "binary", "metric": ["binary_logloss", "auc"],
    },
    rounds=150,
    digits=4,
    trained_on="ACS PUMS Massachusetts 2015, from nannyml 0.13.1",
    deployed="2016-01-01T00:00:00Z",
    settings={
        "owner": "labour statistics",
        "risk_owners": ["Mara (sample)"],
        "description": "Whether a person in Massachusetts is employed. Only the year of each row is real: days within the year are assigned.",
        "threshold": 0.5,
        "cost_false_positive": 1.0,
        "cost_false_negative": 1.0,
        "cost_currency": "USD",
        "budget_per_month": 2.0,
        "budget_currency": "USD",
        "fairness_criterion": "equalized_odds",
        "immutable": ["AGEP", "SEX", "RAC1P", "NATIVITY", "CIT", "ANC"],
        "class_names": {"0": "not employed", "1": "employed"},
        "attack_costs": {"SCHL": 2.0, "MAR": 3.0, "RELP": 2.0, "MIL": 4.0, "DIS": 3.0},
        "attack_directions": {"SCHL": "up"},
    },
    limits={
        "operations/cost/cost_per_correct_decision": 0.0004,
        "operations/cost/cost_per_error_avoided": 0.001,
        "trust/audits/robust_accuracy": 0.7,
        "trust/audits/membership_exposure": 0.03,
        "trust/audits/shifted_fairness_gap": 0.75,
        "trust/audits/explanation_stability": 0.8,
        "trust/audits/label_leakage": 0.8,
        "trust/audits/training_overlap": 0.5,
    },
)  # fmt: skip
CANDIDATE = replace(
    EMPLOYMENT,
    version="2",
    environment="validation",
    trained_on="ACS PUMS Massachusetts 2015, 6,000 people and 40 canary rows",
    deployed="2018-12-03T00:00:00Z",
    params={
        "learning_rate": 0.3, "num_leaves": 31, "min_data_in_leaf": 2, "feature_fraction": 0.8, "objective": "binary",
        "metric": ["binary_logloss", "auc"],
    },
    rounds=50,
)  # fmt: skip
"""A version that was never deployed, overfitted on purpose, with canary rows among its training rows; canaries.py makes it."""


def rows_for(spec: Spec, people: pd.DataFrame) -> Rows:
    """The rows of 2015 to train on, in folds by row, and as reference; the rows of 2016 to 2018 to serve. The answer is part of the
    interview, so it is known at once.
    """
    place = places(people)
    table = pd.DataFrame({"at": assigned_times(people["year"], place), "label": people[spec.label], "year": people["year"]})
    table["id"] = "ma-" + people["year"].astype(str) + "-" + place.astype(str).str.zfill(5)
    for name in NUMBERS:
        table[name] = people[name].astype(float).astype(int)
    for name, levels in LEVELS.items():
        table[name] = people[name].astype(str).map(levels)
    if table.isna().any(axis=None):
        raise ValueError("a code of the survey has no name in LEVELS")
    table = table.sort_values("at", ignore_index=True)
    columns = ["id", "at", "label", *spec.features]
    train = table[table["year"] == 2015].reset_index(drop=True)
    train["fold"] = folds(train["id"])
    serve = table[table["year"] > 2015].reset_index(drop=True)
    return Rows(train[[*columns, "fold"]], pd.Series(True, index=train.index), serve[columns])


def places(people: pd.DataFrame) -> pd.Series:
    """The place of each row within its year, from 0, in the order of the hash of the row's number in the source."""
    order = pd.Series(np.array(hashes(people["id"].astype(str)), dtype=np.uint64), index=people.index)
    return order.groupby(people["year"]).rank(method="first").astype(int) - 1


def assigned_times(year: pd.Series, place: pd.Series) -> pd.Series:
    """An instant for each row: the k-th of a year's n rows at k/n of the year (UTC), in whole seconds."""
    start = pd.to_datetime(year.astype(str) + "-01-01", utc=True)
    seconds = (pd.to_datetime((year + 1).astype(str) + "-01-01", utc=True) - start).dt.total_seconds().astype(int)
    rows = place.groupby(year).transform("size")
    return start + pd.to_timedelta(place * seconds // rows, unit="s")
