"""Greyed example figures on empty pages. They show what a page would draw; the page's own chart draws the files of the sample fleet."""

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from observability.core.bundle import bundle_folder
from observability.dashboard import theme

CAPTION = "The sample fleet, as an example. These are not your data."


def draw_sample_figure(name: str, build: Callable[[Path], Any]) -> None:
    """Draw a figure of the sample, greyed and without reaction to clicks. Draws nothing if the sample is not installed.

    name: the description of the figure for screen readers. build: makes the figure from the folder of the sample.
    """
    folder = bundle_folder() / "sample_data"
    if not (folder / "fleet.toml").exists():
        return
    figure = _drawn_figure(build, folder, st.context.theme.type)
    with st.container(key="sample-figure"):
        st.plotly_chart(
            figure,
            key="sample-figure-chart",
            theme="streamlit",
            config={**theme.CONFIG, "staticPlot": True},
            alt=f"{name}. {CAPTION}",
        )
    st.caption(CAPTION)


@lru_cache(maxsize=96)
def _drawn_figure(build: Callable[[Path], Any], folder: Path, scheme: str | None) -> Any:
    """The figure that `build` returns, in a colour scheme. Made once per scheme, because the files of the sample do not change.
    Read-only.
    """
    del scheme  # only a part of the cache key; `mark_color_scheme` reads the browser's scheme itself
    figure = build(folder)
    theme.mark_color_scheme(figure)
    return figure


def error_by_day_figure(folder: Path) -> Any:
    """The mean absolute error of the flights model of the sample by day, in June and July 2013, beside the error of its reference."""
    from observability.dashboard.charts import time as charts_time

    days, baseline = error_by_day(folder)
    return charts_time.metric_lines(days, name="Mean absolute error", unit="minutes", baseline=baseline)


def error_by_day(folder: Path) -> tuple[pd.DataFrame, float]:
    """The days of `error_by_day_figure` with their mean absolute errors, and the mean absolute error of the reference."""
    served = pd.read_parquet(folder / "flights-delay.predictions.parquet", columns=["id", "at", "score"])
    labels = pd.read_parquet(folder / "flights-delay.labels.parquet", columns=["id", "value"])
    reference = pd.read_parquet(folder / "flights-delay.reference.parquet", columns=["score", "label"])
    served = served.assign(period=naive_times(served["at"]).dt.floor("D"))
    served = served[(served["period"] >= pd.Timestamp(2013, 6, 1)) & (served["period"] < pd.Timestamp(2013, 8, 1))]
    rows = served.merge(labels, on="id", how="left")
    days = (rows["value"] - rows["score"]).abs().groupby(rows["period"]).agg(value="mean", error="sem", labelled="count", served="size")
    days = days.assign(low=days["value"] - 1.96 * days["error"], high=days["value"] + 1.96 * days["error"]).reset_index()
    return days, float((reference["label"] - reference["score"]).abs().mean())


def sample_records(path: Path, kind: str) -> pd.DataFrame:
    """The records of one kind in a file of the sample, in the form in which the store returns them: times are naive UTC."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    frame = pd.DataFrame([line for line in lines if line["kind"] == kind])
    return frame.assign(**{name: naive_times(frame[name]) for name in ("at", "expires") if name in frame})


def naive_times(values: Any) -> Any:
    """Times in the form in which the store returns them: naive UTC."""
    return pd.to_datetime(values, utc=True, format="ISO8601").dt.tz_localize(None)
