"""Make the whole fleet: read, train, serve, collect, describe."""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from observability import Logger
from sample_data import (
    audited,
    cache,
    calls,
    challenger,
    clients,
    collecting,
    crew,
    deliveries,
    describing,
    device_answers,
    distributed,
    employment,
    exports,
    flights,
    meetings,
    nightly,
    prices,
    provenance,
    pruned,
    revised,
    sentiment,
    serving,
    signals,
    signed,
    simulated_runs,
    sources,
    stored,
    texts,
    training,
    vendor,
    vendor_scores,
    vendor_texts,
)
from sample_data.events import log_events
from sample_data.spec import Rows, Spec, total_bytes

HERE = Path(__file__).resolve().parent
LIMIT_BYTES = 16_000_000
SPECS = [flights.DELAY, flights.LATE, employment.EMPLOYMENT, sentiment.SENTIMENT]
REGISTERED = [
    flights.DELAY,
    flights.LATE,
    flights.PRUNED,
    flights.CHALLENGER,
    employment.EMPLOYMENT,
    employment.CANDIDATE,
    sentiment.SENTIMENT,
]
"""The models and versions of fleet.toml, in order."""


def main() -> None:
    """Makes the fleet, and prints how long each part took."""
    options = arguments()
    options.out.mkdir(parents=True, exist_ok=True)
    started = time.perf_counter()

    def say(text: str) -> None:
        print(f"{time.perf_counter() - started:6.1f} s  {text}", flush=True)

    published, people = sources.read_flights(options.cache), sources.read_employment(options.cache)
    rated = sources.read_tweets(options.cache)
    make_data(published, people, rated, options.out)
    say("what the sources delivered and what was done to it is written")
    if options.only_data:
        describing.write_fleet(REGISTERED, options.out)
        return
    tables = flights.flights(published)
    fleet: list[tuple[Spec, Rows]] = [(spec, flights.rows_for(spec, tables)) for spec in (flights.DELAY, flights.LATE)]
    fleet.append((employment.EMPLOYMENT, employment.rows_for(employment.EMPLOYMENT, people)))
    tweets = sentiment.rows_for(rated)
    for package, text in sources.licences(options.cache).items():
        (options.out / f"LICENSE-{package}.txt").write_text(text, encoding="utf-8")
    say("the sources are read")
    with tempfile.TemporaryDirectory(prefix="sample-fleet-") as home:
        make(fleet, published, tweets, Path(home), options.out, say)
    size = total_bytes(options.out)
    say(f"{size:,} bytes in {options.out}")
    if size > LIMIT_BYTES:
        raise SystemExit(f"the fleet has {size:,} bytes, more than {LIMIT_BYTES:,}")


def make(
    fleet: list[tuple[Spec, Rows]],
    published: dict[str, pd.DataFrame],
    tweets: pd.DataFrame,
    home: Path,
    out: Path,
    say: Callable[[str], None],
) -> None:
    """Trains, serves and collects; `home` is the product's home that the Logger writes to."""
    for spec, rows in fleet:
        with Logger(home, fsync="never", segment_seconds=3600) as log:
            trained = training.train(spec, rows, log)
        trained.booster.save_model(out / spec.artifact)
        describing.write_settings(spec, trained.importance, out / spec.settings_file)
        reference = rows.train.assign(score=trained.scores)[rows.in_reference]
        collecting.write_table(reference[["id", "at", "score", "label", *spec.features]].copy(), out / spec.reference)
        say(f"{spec.name}: trained on {len(rows.train):,} rows, {len(reference):,} of them in the reference")
        serving.serve(spec, rows.serve, {serving.SHIPPED: out / spec.artifact}, home)
        say(f"{spec.name}: served {len(rows.serve):,} rows")
    make_sentiment(tweets, home, out, say)
    challenger.make(published, out)
    pruned.make(published, out)
    say(f"{flights.CHALLENGER.stem} and {flights.PRUNED.stem}: served in shadow")
    with Logger(home) as log:
        log_events(SPECS, log)
    collecting.collect(home, SPECS, out)
    clients.make(out)
    device_answers.make(out)
    distributed.make(out)
    say(f"{len(distributed.JOBS)} runs of several processes: trained")
    signals.make(out)
    simulated_runs.make(out)
    prices.make(out)
    crew.make(out)
    stored.make([flights.LATE, employment.EMPLOYMENT], out)
    revised.make(out)
    audited.make([flights.LATE, employment.EMPLOYMENT], out)
    vendor.make(out)
    vendor_scores.make(out)
    vendor_texts.make(out)
    calls.make(out)
    cache.make(out)
    nightly.make(out)
    exports.make(out)
    signed.make(out)
    describing.write_fleet(REGISTERED, out)
    meetings.make(out)


def make_data(published: dict[str, pd.DataFrame], people: pd.DataFrame, rated: pd.DataFrame, out: Path) -> None:
    """Logs the batches of the weather stations, the training rows and the cleaning rules, and writes them. Nothing here is measured, so the
    files repeat exactly.
    """
    with tempfile.TemporaryDirectory(prefix="sample-data-") as home:
        with Logger(Path(home), fsync="never") as log:
            deliveries.log_batches(published["weather"], log)
            provenance.log_data(published, people, rated, log)
        serving.check(log)
        records = list(collecting.logged(Path(home)))
    provenance.write([each for each in records if each["kind"] != "batch"], out)
    deliveries.write([each for each in records if each["kind"] == "batch"], out)


def make_sentiment(tweets: pd.DataFrame, home: Path, out: Path, say: Callable[[str], None]) -> None:
    """Makes the files of the sentiment model. The texts that it has learned from are served too, each by the model that was fitted without
    its fold.
    """
    spec = sentiment.SENTIMENT
    with Logger(home, fsync="never", segment_seconds=3600) as log:
        trained = sentiment.train(tweets, log)
    describing.write_settings(spec, trained.importance, out / spec.settings_file)
    columns = ["id", "at", *spec.score_columns.values(), "label", *spec.features]
    collecting.write_table(trained.table[columns].copy(), out / spec.reference)
    artifacts = {serving.SHIPPED: out / spec.artifact} | {fold: home / f"{spec.name}-{fold}.skops" for fold in range(len(trained.folds))}
    for fold, model in {serving.SHIPPED: trained.model, **dict(enumerate(trained.folds))}.items():
        texts.save(model, trained.vectoriser, artifacts[fold])
    say(f"{spec.name}: trained on {len(trained.table):,} rows, all of them in the reference")
    serving.serve(spec, tweets, artifacts, home)
    say(f"{spec.name}: served {len(tweets):,} rows")


def arguments() -> argparse.Namespace:
    """Command-line options: the folder for the downloads and the folder to write to."""
    parser = argparse.ArgumentParser(description="Makes the sample fleet again from its sources.")
    cache = Path(tempfile.gettempdir()) / "observability-sample-data"
    parser.add_argument("--cache", type=Path, default=cache, help="folder for the downloads, outside the tree (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=HERE, help="folder to write to (default: the one of make.py)")
    said = "write only what needs no training: batches, datasets, cleanings and the list of files"
    parser.add_argument("--only-data", action="store_true", help=said)
    return parser.parse_args()
