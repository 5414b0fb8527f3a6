"""Columns that are counted together get the same counts as if each were counted alone."""

import numpy as np
import pandas as pd
import pytest

from observability.core.catalog import Edges
from observability.core.questions import ABSENT, NULL, UNSEEN
from observability.metrics import column_counts, histograms

FIRST = pd.Timestamp("2026-03-02")


def answer(columns: int = 11, days: int = 6) -> pd.DataFrame:
    """A weighted result of a histogram query by day, in random order. Column 3 lacks the first day, column 4 has only one day."""
    random = np.random.default_rng(7)
    rows = []
    for place in range(columns):
        bins = [NULL, ABSENT, UNSEEN, *range(int(random.integers(1, 9)))]
        for day in range(days):
            if (place == 3 and day == 0) or (place == 4 and day != 2):
                continue
            for bin_ in random.choice(bins, random.integers(1, len(bins) + 1), replace=False):
                n = int(random.integers(1, 50))
                rows.append((f"feature.c{place}", FIRST + pd.Timedelta(days=day), int(bin_), n * 1.5, n * 2.25, n))
    frame = pd.DataFrame(rows, columns=["column", "period", "bin", "w", "w2", "n"])
    return frame.sample(frac=1, random_state=3).reset_index(drop=True)


@pytest.mark.parametrize("block", [1, 4, 256])
def test_counts_by_day_and_bin_agree_with_sums_over_the_rows(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_counts, "BLOCK", block)
    frame = answer()
    found = column_counts.counts_by_column(frame)
    assert set(found) == set(frame["column"])
    for name, part in frame.groupby("column"):
        own = found[name]
        assert own.days.tolist() == sorted({at.date() for at in part["period"]})
        assert own.bins[0] == column_counts.FIRST_BIN and own.bins[-1] == max(part["bin"].max(), own.bins[0])
        assert own.table.sum(axis=(1, 2)) == pytest.approx(part[["w", "w2", "n"]].sum().to_numpy())
        for day, at in enumerate(own.days):
            for place, bin_ in enumerate(own.bins):
                rows = part[(part["period"] == pd.Timestamp(at)) & (part["bin"] == bin_)]
                assert own.table[:, day, place].tolist() == rows[["w", "w2", "n"]].sum().tolist()
        nulls = own.share("null_rate", Edges())
        assert nulls.hits == pytest.approx(part.loc[part["bin"] == NULL, "w"].sum()) and nulls.rows == part["n"].sum()


@pytest.mark.parametrize("block", [1, 4, 256])
def test_histograms_by_day_agree_with_sums_over_the_rows(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histograms, "BLOCK", block)
    frame, size = answer(), 5
    days, rows = histograms.histogram_rows_by_column(frame)
    sizes = [size + place % 3 for place in range(len(rows))]
    for (name, part), wide, own in zip(rows.items(), sizes, histograms.daily_histograms(days, list(rows.values()), sizes), strict=True):
        every = frame[frame["column"] == name]
        assert own.numbers.tolist() == sorted({(at - pd.Timestamp("1970-01-01")).days for at in every["period"]})
        assert own.counts.shape == (own.numbers.size, wide + 2) and own.rows.sum() == every["n"].sum()
        place = every["bin"].map(lambda bin_, wide=wide: min(bin_, wide - 1) if bin_ >= 0 else wide if bin_ == UNSEEN else wide + 1)
        expected = every.assign(place=place).pivot_table(index="period", columns="place", values="w", aggfunc="sum", fill_value=0.0)
        assert own.counts == pytest.approx(expected.reindex(columns=range(wide + 2), fill_value=0.0).to_numpy())
        assert own.w2 == pytest.approx(every.groupby("period")["w2"].sum().to_numpy())
        alone = histograms.daily_histogram(days, part, wide)
        assert all(np.array_equal(getattr(own, each), getattr(alone, each)) for each in ("numbers", "counts", "w", "w2", "rows"))


@pytest.mark.parametrize("block", [1, 4, 256])
def test_histograms_of_all_days_together_agree_with_sums_over_the_rows(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histograms, "BLOCK", block)
    frame = answer()
    rows = histograms.histogram_rows_by_column(frame)[1]
    sizes = [3 + place % 4 for place in range(len(rows))]
    for name, size, own in zip(rows, sizes, histograms.histograms_of_columns(list(rows.values()), sizes), strict=True):
        every = frame[frame["column"] == name]
        ordinary = [every.loc[every["bin"].clip(upper=size - 1) == bin_, "w"].sum() for bin_ in range(size)]
        special = [every.loc[every["bin"] == UNSEEN, "w"].sum(), every.loc[(every["bin"] < 0) & (every["bin"] != UNSEEN), "w"].sum()]
        assert own.counts.tolist() == pytest.approx([*ordinary, *special]) and own.rows == every["n"].sum()
        assert own.n == pytest.approx(every["w"].sum() ** 2 / every["w2"].sum())
    assert histograms.histograms_of_columns([], []) == []


def test_grouped_counts_of_columns_of_different_widths_equal_those_of_each_column_alone() -> None:
    random = np.random.default_rng(2)
    groups = [np.sort(np.append(np.arange(6), random.integers(0, 6, 5 + place))) for place in range(9)]
    sides = [histograms.ColumnHistogram(random.random(group.size), 1.0, 1) for group in groups]
    found = histograms.grouped_columns(sides, groups)
    assert found.shape == (9, 6)
    for own, side, group in zip(found, sides, groups, strict=True):
        assert own == pytest.approx([side.counts[group == place].sum() for place in range(6)])
        assert own == pytest.approx(histograms.grouped_counts(side, group))


def test_an_answer_without_rows_has_no_column() -> None:
    assert column_counts.counts_by_column(answer().iloc[:0]) == {}


@pytest.mark.parametrize("block", [2, 256])
def test_columns_that_are_grouped_together_have_the_groups_of_each_alone(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histograms, "BLOCK", block)
    random = np.random.default_rng(5)
    letters = Edges(levels=tuple("abcdef"))
    tenths = Edges(edges=tuple(range(1, 12)), deciles=(0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9), positions=tuple(range(12)))
    edges = [letters, tenths, None, letters, Edges(levels=("x", "y")), tenths, letters]
    counts = [random.choice([0.0, 1.0, 30.0, 400.0], histograms.axis_size(each)) for each in edges]
    counts[-1] = np.zeros(6)
    for known, held, axis, group in zip(
        edges, counts, histograms.axes_of_counts(edges, counts), histograms.psi_groups(edges, counts), strict=True
    ):
        (alone,) = histograms.axes_of_counts([known], [held])
        assert axis.group.tolist() == alone.group.tolist() == group.tolist() and axis.common == alone.common
        assert group[-1] == group.max() == group[-2] + 1 > group[:-2].max()
        if known is letters:
            frequent = [level for level, n in zip(known.levels, held, strict=True) if n >= 0.01 * max(held.sum(), 1.0)]
            assert list(axis.common) == frequent and axis.own_groups == len(frequent)
            assert [group[known.levels.index(level)] for level in frequent] == list(range(len(frequent)))
            assert {int(number) for level, number in zip(known.levels, group, strict=False) if level not in frequent} <= {len(frequent)}
        elif known is tenths:
            assert group[:-2].tolist() == list(tenths.deciles)
