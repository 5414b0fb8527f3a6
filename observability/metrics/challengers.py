"""Compute what a challenger would save: the losses of the challenger and of the champion on the rows that both answered."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.catalog import Model
from observability.stats.arrays import Floats
from observability.stats.interval import Interval, ordered_interval
from observability.stats.paired import paired_means

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class ChallengerGain:
    """Share of the champion's loss that a challenger avoids on the same labelled rows; negative if it increases the loss.

    p_value: two-sided p-value of the hypothesis that there is no difference.
    """

    version: str
    gain: Interval
    champion_loss: float
    challenger_loss: float
    p_value: float


@dataclass(frozen=True)
class ChallengerPairs:
    """Labelled answers of a challenger (a) and of the champion (b) to the same requests, row by row. Both frames have the features that
    the champion logged.

    label: the class index; for a regression, the number.
    """

    version: str
    a: "DataFrame"
    b: "DataFrame"
    label: Floats


def row_losses(model: Model, rows: "DataFrame") -> Floats:
    """Loss of each row: the cost that the owner set for its error, 1 for an error if no costs are set, or the absolute error of a
    regression.

    Parameters
    ----------
    model : Model
        Gives the task and, for a binary model that states both, the costs of errors.
    rows : DataFrame
        Columns decision, label (class indices, -1 unknown), score, label_value.

    Returns
    -------
    Floats
        NaN without a label or an answer.
    """
    if model.task == "regression":
        return np.abs(rows["score"].to_numpy(np.float64) - rows["label_value"].to_numpy(np.float64))
    decision, label = (rows[name].to_numpy(np.float64) for name in ("decision", "label"))
    settings, loss = model.settings, (decision != label).astype(np.float64)
    if model.task == "binary" and settings.cost_false_positive is not None and settings.cost_false_negative is not None:
        loss *= np.where(label == 1, settings.cost_false_negative, settings.cost_false_positive)
    return np.where((decision >= 0) & (label >= 0), loss, np.nan)


def loss_name(model: Model) -> str:
    """The loss that `row_losses` computes, in words.

    Parameters
    ----------
    model : Model
        The model.

    Returns
    -------
    str
    """
    if model.task == "regression":
        return "absolute error"
    costs = model.settings.cost_false_positive, model.settings.cost_false_negative
    return "cost of errors" if model.task == "binary" and None not in costs else "errors"


def challenger_pairs(model: Model, champion: "DataFrame", others: "DataFrame", serving: str) -> list[ChallengerPairs]:
    """For each version in shadow, the requests that both it and the serving version answered.

    Parameters
    ----------
    model : Model
        The model.
    champion : DataFrame
        Rows of the version that serves: id, features and the columns of `row_losses`.
    others : DataFrame
        Rows of other versions without features, with `version`.
    serving : str
        The version that serves.

    Returns
    -------
    list[ChallengerPairs]
        In the order of versions; only requests whose loss is known for both answers.
    """
    known = champion[np.isfinite(row_losses(model, champion))].drop_duplicates("id")
    found = []
    for version, rows in others.groupby("version", sort=True):
        own = rows[np.isfinite(row_losses(model, rows))].drop_duplicates("id").set_index("id")
        both = known[known["id"].isin(own.index)].sort_values("id").reset_index(drop=True)
        if version == serving or both.empty:
            continue
        answers = own.loc[both["id"], ["decision", "score"]].reset_index(drop=True)
        label = both["label_value" if model.task == "regression" else "label"].to_numpy(np.float64)
        found.append(ChallengerPairs(str(version), both.assign(decision=answers["decision"], score=answers["score"]), both, label))
    return found


def challenger_gains(model: Model, champion: "DataFrame", others: "DataFrame", serving: str) -> list[ChallengerGain]:
    """The gain of each version that answered the same requests as the champion.

    Parameters
    ----------
    model : Model
        The model.
    champion : DataFrame
        Rows of the version that serves: id and the columns of `row_losses`.
    others : DataFrame
        The same of other versions, with `version`.
    serving : str
        The version that serves.

    Returns
    -------
    list[ChallengerGain]
        In the order of versions. The gain is unknown with fewer than two pairs, and if the champion makes no error.
    """
    known = champion.assign(loss=row_losses(model, champion)).dropna(subset="loss").drop_duplicates("id")
    found_gains = []
    for version, rows in others.groupby("version", sort=True):
        if version == serving:
            continue
        own = rows.assign(loss=row_losses(model, rows)).dropna(subset="loss").drop_duplicates("id")
        pairs = known[["id", "loss"]].merge(own[["id", "loss"]], on="id", suffixes=("", "_other")).sort_values("id")
        found = paired_means(pairs["loss"], pairs["loss_other"])
        change, usual = found.difference, found.a or 0.0
        gain = Interval(None, None, None, len(pairs))
        if usual > 0 and change.value is not None and change.low is not None and change.high is not None:
            gain = ordered_interval(change.value / usual, change.low / usual, change.high / usual, len(pairs))
        found_gains.append(ChallengerGain(str(version), gain, usual, found.b or 0.0, found.p_value))
    return found_gains
