"""Compare the answers of devices and of the server to the same requests: predictions with the same id, one with a `device` and one without.

The server's answer is the answer in production. If there is none, it is the answer of the version in shadow, provided that only one version
answered in shadow. Otherwise the server's version is unknown.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.catalog import Model
from observability.stats.arrays import Floats
from observability.stats.interval import Interval, rate_interval
from observability.stats.rate_change import count_dispersion

if TYPE_CHECKING:
    from pandas import DataFrame

TOLERANCE = 0.1
"""Answers of a regression agree if they differ by at most this many standard deviations of the server's answers."""


@dataclass(frozen=True)
class DisagreementShare:
    """Share of a version's compared answers that differ from the server's.

    value: the share; its interval is widened by the variation between devices. days: for each day, the number of differing answers and of
    all compared answers.
    """

    version: str
    value: Interval
    differing: int
    n: int
    devices: int
    days: "DataFrame | None" = None


def answer_pairs(model: Model, rows: "DataFrame") -> "DataFrame":
    """Return the answers of devices, joined with the server's answers under the same id.

    Parameters
    ----------
    model : Model
        Its task says how answers are compared.
    rows : DataFrame
        Predictions: environment, id, at, device (None of the server), version, score, decision.

    Returns
    -------
    DataFrame
        id, at, device and version of the device's answer, `differs` (1 or 0). Answers that are not known are left out.
    """
    value = "score" if model.task == "regression" else "decision"
    known = rows[np.isfinite(rows[value].to_numpy(np.float64)) & ((value == "score") | (rows[value] >= 0))]
    of_device = known["device"].notna()
    own = known.loc[of_device, ["id", "at", "device", "version", value]]
    others = known.loc[~of_device, ["id", "environment", value]]
    first = others[others["environment"] == others.groupby("id")["environment"].transform("min")]  # production, else shadow
    server = first.loc[~first["id"].duplicated(keep=False), ["id", value]]
    both = own.merge(server, on="id", suffixes=("", "_server"))
    gap = np.abs(both[value].to_numpy(np.float64) - both[f"{value}_server"].to_numpy(np.float64))
    limit = TOLERANCE * float(both[f"{value}_server"].std(ddof=0)) if value == "score" and len(both) else 0.0
    return both[["id", "at", "device", "version"]].assign(differs=(gap > limit).astype(float))


def disagreement_by_version(pairs: "DataFrame") -> list[DisagreementShare]:
    """Return the share of differing answers of each version on devices.

    Parameters
    ----------
    pairs : DataFrame
        As `answer_pairs` gives it.

    Returns
    -------
    list[DisagreementShare]
        In the order of versions.
    """
    found = []
    for version, own in pairs.groupby("version", sort=True):
        devices = own.groupby("device")["differs"].agg(["sum", "size"])
        days = own.assign(day=own["at"].dt.floor("D")).groupby("day")["differs"].agg(["sum", "size"]).reset_index()
        hits, n = devices["sum"].to_numpy(np.float64), devices["size"].to_numpy(np.float64)
        found.append(DisagreementShare(str(version), clustered_rate(hits, n), int(hits.sum()), int(n.sum()), len(devices), days))
    return found


def counted_disagreement(reports: "DataFrame") -> list[DisagreementShare]:
    """Return the share of differing answers of each version, from the counts that the devices themselves report.

    Parameters
    ----------
    reports : DataFrame
        Device reports: device, version, compared, agreed.

    Returns
    -------
    list[DisagreementShare]
        In the order of versions; those with compared answers.
    """
    known = reports[reports["compared"].notna() & reports["agreed"].notna() & reports["version"].notna()]
    table = known.assign(n=known["compared"].astype(float), hits=known["compared"].astype(float) - known["agreed"].astype(float))
    found = []
    for version, own in table[table["n"] > 0].groupby("version", sort=True):
        devices = own.groupby("device")[["hits", "n"]].sum()
        hits, n = np.clip(devices["hits"].to_numpy(), 0.0, devices["n"].to_numpy()), devices["n"].to_numpy()
        found.append(DisagreementShare(str(version), clustered_rate(hits, n), int(hits.sum()), int(n.sum()), len(devices)))
    return found


def clustered_rate(hits: Floats, n: Floats) -> Interval:
    """Return a share of rows that are clustered. Its interval uses an effective number of rows, which is reduced by the variation between
    clusters beyond chance.

    Parameters
    ----------
    hits : Floats
        Rows with the property, by cluster.
    n : Floats
        Rows, by cluster.

    Returns
    -------
    Interval
    """
    times = count_dispersion([(hits, n)])[0]
    return rate_interval(float(hits.sum()) / times, float(n.sum()) / times)
