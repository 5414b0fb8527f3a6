"""The class of short texts (negative, neutral, positive) by people's ratings, and the model that predicts it.

4,200 texts like those of Twitter, each rated by at least 20 people from -4 to 4. The class is the mean rating, rounded to the nearest point
of the scale: negative up to -0.5, positive from 0.5, neutral between, where 0 is nearest. The raters' disagreement (the standard deviation)
is logged with the label: an answer on which people disagree is not a certain truth.
"""

import html
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from observability import Logger
from sample_data.spec import FOLDS, VERSION, Spec, hashes
from sample_data.texts import FEATURES, SEED, components, fit_vectoriser, statistics
from sample_data.training import Step, log_every, measured, tracked

CUT = 0.5
CLASSES = ("negative", "neutral", "positive")
TRAINED = 1680
"""Texts that the model learns from: the first 40 % in the order of the hash of their number."""
LABEL_AFTER = pd.Timedelta(days=2)
VALIDATED_FROM, SERVED_FROM, DAYS = "2014-04-07", "2014-05-05", 28
FOLD_LOGS_EVERY = 3

SENTIMENT = Spec(
    name="sentiment",
    task="multiclass",
    label="class",
    features=FEATURES,
    categories=(),
    sensitive=(),
    params={"classifier": "multinomial logistic regression", "solver": "saga", "C": 0.1},
    rounds=60,
    digits=4,
    trained_on="vaderSentiment 0.5, rated tweets, 1,680 of 4,200",
    deployed=f"{SERVED_FROM}T00:00:00Z",
    ending="skops",
    library="scikit-learn",
    classes=CLASSES,
    label_source="human",
    label_fields=("rating_mean", "rating_spread", "raters"),
    settings={
        "owner": "community desk",
        "risk_owners": ["Mara (sample)"],
        "description": "Whether people rate a short text as negative, neutral or positive. Only the texts and ratings are real: days are assigned.",
        "budget_per_month": 500.0,
        "budget_currency": "USD",
    },
    limits={
        "operations/cost/cost_per_correct_decision": 0.25,
        "operations/cost/cost_per_error_avoided": 2.0,
        "trust/audits/robust_accuracy": 0.5,
        "trust/audits/explanation_stability": 0.8,
        "trust/audits/label_leakage": 0.3,
        "trust/audits/training_overlap": 0.02,
    },
)


def rows_for(tweets: pd.DataFrame) -> pd.DataFrame:
    """One row per text, in the order of time: id, at, label_at, label, text, the fields of the label, and `fold` (-1: not used for
    training).

    tweets: number, text, ratings (one list per text). The first TRAINED texts, in the order of the hash of their number, are used for
    training. Their times are spread evenly over the four weeks before the model serves, those of the rest over the four weeks in which it
    serves.
    """
    ratings = [np.asarray(each, dtype=float) for each in tweets["ratings"]]
    table = pd.DataFrame(
        {"id": [f"tweet-{number:04}" for number in tweets["number"]], "text": [html.unescape(each) for each in tweets["text"]]}
    )
    table["rating_mean"] = [round(float(each.mean()), 2) for each in ratings]
    table["rating_spread"] = [round(float(each.std()), 2) for each in ratings]
    table["raters"] = [each.size for each in ratings]
    mean = np.array([each.mean() for each in ratings])
    table["label"] = np.array(CLASSES)[1 + (mean >= CUT).astype(int) - (mean <= -CUT).astype(int)]
    table = table.iloc[np.argsort(np.array(hashes(table["id"]), dtype=np.uint64), kind="stable")].reset_index(drop=True)
    place = np.arange(len(table))
    table["fold"] = np.where(place < TRAINED, place % FOLDS, -1)
    table["at"] = [*instants(VALIDATED_FROM, TRAINED), *instants(SERVED_FROM, len(table) - TRAINED)]
    table["label_at"] = table["at"] + LABEL_AFTER
    return table


def instants(start: str, rows: int) -> pd.DatetimeIndex:
    """The given number of instants, at equal distances over DAYS days, in whole seconds."""
    begin = pd.Timestamp(start, tz="UTC")
    return pd.DatetimeIndex([begin + pd.Timedelta(seconds=place * DAYS * 86_400 // rows) for place in range(rows)])


@dataclass(frozen=True)
class Trained:
    """vectoriser: fitted on the training texts. model: fitted on all training rows. folds: models, each fitted without one fold. table: the
    training rows with their features and `score_CLASS`, each scored by the model fitted without the row, and rounded as logged. importance:
    share of each feature.
    """

    vectoriser: Pipeline
    model: Pipeline
    folds: list[Pipeline]
    table: pd.DataFrame
    importance: dict[str, float]


def train(rows: pd.DataFrame, log: Logger) -> Trained:
    """Fits the vectoriser, then one model without each fold, and one on all rows. The reference holds each fold's probabilities by the
    model fitted without it.
    """
    learned = rows[rows["fold"] >= 0].reset_index(drop=True)
    vectoriser = fit_vectoriser(learned["text"].tolist())
    table = pd.concat([learned, features_of(vectoriser, learned["text"].tolist())], axis=1)
    inputs, scores, folds = table[list(FEATURES)], np.full((len(table), len(CLASSES)), np.nan), []
    for fold in range(FOLDS):
        left_out = (table["fold"] == fold).to_numpy()
        with tracked(SENTIMENT, log, f"fold-{fold + 1}", int((~left_out).sum())) as run:
            model = fit(
                inputs[~left_out], table["label"][~left_out], log_every(run, FOLD_LOGS_EVERY), inputs[left_out], table["label"][left_out]
            )
            scores[left_out] = model.predict_proba(inputs[left_out])
            run.metrics(**measured(SENTIMENT, table["label"][left_out], scores[left_out]))
        folds.append(model)
    with tracked(SENTIMENT, log, "final", len(table), VERSION) as run:
        model = fit(inputs, table["label"], log_every(run, 1))
        run.metrics(**{f"cross_fitted_{name}": value for name, value in measured(SENTIMENT, table["label"], scores).items()})
    for place, name in enumerate(CLASSES):
        table[f"score_{name}"] = scores[:, place].round(SENTIMENT.digits)
    return Trained(vectoriser, model, folds, table, importance(model, inputs))


def importance(model: Pipeline, inputs: pd.DataFrame) -> dict[str, float]:
    """Each feature's share of the mean absolute contribution (weight × scaled value: the exact SHAP value of a linear model) over classes
    and rows.
    """
    scaler, classifier = (step for _, step in model.steps)
    weights = classifier.coef_ - classifier.coef_.mean(axis=0)
    found = np.abs(weights).mean(axis=0) * np.abs(scaler.transform(inputs)).mean(axis=0)
    shares = dict(zip(FEATURES, (found / found.sum()).tolist()))
    return dict(sorted(shares.items(), key=lambda each: -each[1]))


def features_of(vectoriser: Pipeline, texts: list[str]) -> pd.DataFrame:
    """The features of texts, one row each, in the order of FEATURES."""
    counted = pd.DataFrame([statistics(each) for each in texts])
    return pd.concat([counted, pd.DataFrame(components(vectoriser, texts), columns=list(FEATURES[counted.shape[1] :]))], axis=1)


def fit(
    inputs: pd.DataFrame, label: pd.Series, step: Step, left_out: pd.DataFrame | None = None, truth: pd.Series | None = None
) -> Pipeline:
    """A logistic regression on scaled features. A step is one pass over the rows. After each step, `step` is called with a function that
    returns the metrics on the training rows and on the left-out rows.
    """
    classifier = LogisticRegression(C=SENTIMENT.params["C"], solver="saga", warm_start=True, max_iter=1)
    model = Pipeline([("scale", StandardScaler()), ("classify", classifier)])

    def metrics() -> dict[str, float]:
        found = {f"train_{name}": value for name, value in measured(SENTIMENT, label, model.predict_proba(inputs)).items()}
        if left_out is not None and truth is not None:
            there = measured(SENTIMENT, truth, model.predict_proba(left_out))
            found |= {f"validation_{name}": value for name, value in there.items()}
        return found

    for number in range(1, SENTIMENT.rounds + 1):
        classifier.random_state = SEED + number
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(inputs, label)
        step(number, metrics)
    return model
