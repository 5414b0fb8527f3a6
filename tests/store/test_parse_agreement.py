"""The fast and the exact parser agree on every line, and every line has exactly one outcome."""

import json
import random
import struct

import numpy as np
import pytest

from observability.core.catalog import Catalog
from observability.store.ingest import parse as parsing
from observability.store.ingest.parse import parse_block
from observability.store.ingest.parse_numbers import POWERS_HIGH, POWERS_LOW, TENS
from observability.store.ingest.parse_types import LineBlock
from observability.store.types.loading import LoadDefaults
from tests.support.length import some
from tests.support.record_mutants import CATALOG, Mutants

DEFAULTS = [
    LoadDefaults(),
    LoadDefaults(timezone="America/New_York"),
    LoadDefaults(kind="prediction", model="bin", version="9"),
    LoadDefaults(renames={"alter": "age", "request": "latency_ms", "Age": "tall", "zone": "place"}),
    LoadDefaults(features=("zone", "request", "device")),
]


@pytest.fixture
def both(monkeypatch):
    """A function that parses lines with both parsers. Returns the outcomes of both for every line, and the share of lines that the fast
    parser handled.
    """
    fast = parsing.fast_parser()
    assert fast is not None, "numba is installed, so there is a fast parser"

    def read(lines, defaults=DEFAULTS[0], catalog=CATALOG):
        block = LineBlock(b"\n".join(lines), 1, "s")
        taken = []

        def counting(read):
            def counted(*arguments):
                found = read(*arguments)
                taken.append(int(found.lines.sum()))
                return found

            return counted

        with monkeypatch.context() as patch:
            patch.setattr(parsing, "WORTH_SCANNING", 1)
            patch.setattr(parsing, "MIN_SEEN", 1)
            patch.setattr(fast, "read_predictions", counting(fast.read_predictions))
            patch.setattr(fast, "read_labels", counting(fast.read_labels))
            patch.setattr(fast, "read_records", counting(fast.read_records))
            quick = parse_block(None, block, catalog, defaults, threads=2)
            patch.setattr(parsing, "fast_parser_for", lambda _lines: None)
            exact = parse_block(None, block, catalog, defaults)
        return quick, exact, sum(taken) / len(lines)

    return read


def said(parsed):
    """The outcome of each line: {(table, model or kind, line): values}, with exact numbers."""
    found = {("rejected", "", row["line"]): repr(row) for row in parsed.rejected.to_pylist()}
    for what in ("predictions", "labels", "others"):
        for name, table in getattr(parsed, what).items():
            names = sorted(table.column_names)
            for row in zip(*(table[each].to_pylist() for each in names)):
                values = dict(zip(names, row))
                key = (what, name, values["line"])
                assert key not in found
                found[key] = repr(values)
    return found


def places(parsed):
    """The line numbers in every table. An inline label does not count as a separate line."""
    tables = [*parsed.predictions.values(), *parsed.others.values(), parsed.rejected]
    own = [
        line
        for table in parsed.labels.values()
        for line, inline in zip(table["line"].to_pylist(), table["inline"].to_pylist())
        if not inline
    ]
    return sorted([line for table in tables for line in table["line"].to_pylist()] + own)


@pytest.mark.parametrize("number", some(range(len(DEFAULTS)), 2))
def test_both_paths_agree_on_mutated_lines(both, number):
    shares = []
    for seed in range(2):
        lines = Mutants(100 * number + seed).lines(1500)
        quick, exact, share = both(lines, DEFAULTS[number])
        shares.append(share)
        one, other = said(quick), said(exact)
        different = [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
        assert not different, [(lines[key[2] - 1], one.get(key), other.get(key)) for key in different[:3]]
        assert quick.new_columns == exact.new_columns and quick.rounded == exact.rounded
        assert quick.lines == exact.lines == len([line for line in lines if line.strip(b" \t\r")])
        assert places(quick) == sorted(i for i, line in enumerate(lines, 1) if line.strip(b" \t\r"))
    assert min(shares) > 0.3, "the fast parser was used"


@pytest.mark.parametrize("defaults", DEFAULTS[:3])
def test_both_paths_agree_on_mutated_steps_and_annotations(both, defaults):
    lines = Mutants(77).other_lines(2500)
    quick, exact, share = both(lines, defaults)
    one, other = said(quick), said(exact)
    different = [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
    assert not different, [(lines[key[2] - 1], one.get(key), other.get(key)) for key in different[:3]]
    assert quick.rounded == exact.rounded
    assert places(quick) == places(exact) and set(quick.others) >= {"step", "annotation"}
    assert share == 0 if defaults.kind else share > 0.5, "the fast parser is used if nothing is renamed or added"


def test_both_paths_agree_on_a_block_with_invalid_text_encoding(both):
    lines = [line if i % 50 else b"\xff\xfe" + line for i, line in enumerate(Mutants(7).lines(600))]
    quick, exact, _ = both(lines)
    assert said(quick) == said(exact)
    assert "bad_encoding" in quick.rejected["reason"].to_pylist()


def test_lines_of_any_order_and_lines_with_labels_take_the_fast_path(both):
    dice = random.Random(3)

    def line(i):
        members = [
            ("kind", "prediction"),
            ("id", f"i{i}"),
            ("at", "2013-07-01T10:00:00+02:00"),
            ("model", "m"),
            ("version", "1"),
            ("score", dice.random()),
        ]
        features = [(f"f{k}", dice.random()) for k in range(5) if dice.random() > 0.1] + [("city", "x")]
        dice.shuffle(features)
        members += [("features", dict(features)), *([("label", i % 2)] if i % 3 else []), *([("note", "n")] if i % 5 else [])]
        dice.shuffle(members)
        return json.dumps(dict(members)).encode()

    quick, exact, share = both([line(i) for i in range(1000)], catalog=Catalog())
    assert said(quick) == said(exact)
    assert share > 0.95
    assert quick.labels["m"].num_rows == sum(1 for i in range(1000) if i % 3)


def test_numbers_are_read_as_python_reads_them():
    import numba

    from observability.store.ingest import parse_kernel

    @numba.njit
    def read(buffer, starts, ends, high, low, tens, values, sure):
        for k in range(starts.size):
            stop, values[k], good, _ = parse_kernel.scan_number(buffer, starts[k], ends[k], high, low, tens)
            sure[k] = good and stop == ends[k]

    dice = random.Random(3)
    texts = []
    for _ in range(20_000):
        texts += [repr(struct.unpack("d", struct.pack("Q", dice.getrandbits(64)))[0]), repr(dice.random()), repr(dice.uniform(-1e6, 1e6))]
        texts += [f"{dice.getrandbits(dice.randint(1, 64))}{dice.choice(['', '.5', f'e{dice.randint(-30, 30)}'])}"]
        texts += [str(2 * (dice.getrandbits(53) | 1 << 52) + 1)]  # exactly between two doubles
    texts = [text for text in texts if text not in ("nan", "inf", "-inf")]
    ends = np.cumsum([len(text) + 1 for text in texts])
    values, sure = np.empty(len(texts)), np.zeros(len(texts), bool)
    starts = ends - [len(text) + 1 for text in texts]
    read(np.frombuffer(" ".join(texts).encode() + b" ", np.uint8), starts, ends - 1, POWERS_HIGH, POWERS_LOW, TENS, values, sure)
    assert sure.mean() > 0.95
    assert [text for text, value, good in zip(texts, values.tolist(), sure) if good and value != float(text)] == []
