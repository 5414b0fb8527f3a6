"""The times of ranks by blocks of steps include every step of a long run, in whatever order its records arrive, and also after removals."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.training.runs import judged_runs
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.detection.run_efficiency import phase_shares
from observability.detection.run_ranks import blocks_of_runs, ranks_of
from observability.detection.stragglers import claims_about_ranks
from observability.metrics.training_curves import phase_times
from observability.stats.rank_blocks import BLOCK, rank_blocks, times_from_blocks
from observability.stats.rank_times import RANK, STEP, RankTimes, ranks_from
from observability.store.duck_store import DuckStore
from observability.store.erase import forget_subject
from observability.store.opener import open_store
from observability.store.query.rank_blocks import block_groups, computed_blocks
from observability.store.retention import apply_retention
from observability.store.types.loading import LoadDefaults

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=2)
RANKS, STEPS, STRIDE = 8, 4000, 3
QUESTION = Records("step", ("run", "at", "step", "rank", "phase_ms"), ever=True, blocks=True)
WINDOW = Window("", EPOCH, END)
Line = dict[str, Any]


def lines_of(ranks: int, steps: int, seed: int, slow: bool = False) -> list[Line]:
    """The lines of a run whose ranks wait for the slowest. slow: rank 3 reads its data slowly in all steps except 1, 4, 7 and so on."""
    rng = np.random.default_rng(seed)
    work, data = 20 + rng.gamma(2.0, 2.0, (steps, ranks)), 5 + rng.random((steps, ranks))
    if slow:
        data[np.arange(1, steps + 1) % STRIDE != 1, 3] += 25
    own = work + data
    talk = 2 + rng.random((steps, ranks)) + own.max(axis=1, keepdims=True) - own
    return [
        {
            "kind": "step", "run": "wide", "at": (START + timedelta(seconds=step)).isoformat(), "step": step, "rank": str(rank),
            "received_at": (START + timedelta(seconds=step)).isoformat(), "metrics": {"loss": 1.0},
            "phase_ms": {"compute": work[step - 1, rank], "data": data[step - 1, rank], "communication": talk[step - 1, rank]},
        }
        for step in range(1, steps + 1)
        for rank in range(ranks)
    ]  # fmt: skip


def load(store: DuckStore, folder: Path, lines: Iterable[Line]) -> None:
    path = folder / "steps.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert store.load_files([path], LoadDefaults()).rejected == 0


def by_hand(lines: list[Line]) -> tuple[dict[str, float], float, float]:
    """The share of the ranks' time in each phase, the lost share, and the rank-milliseconds of all steps, computed step by step."""
    tables = {name: np.array([line["phase_ms"][name] for line in lines]).reshape(-1, RANKS) for name in lines[0]["phase_ms"]}
    work = tables["compute"] + tables["data"]
    wait = np.minimum(tables["communication"], work.max(axis=1, keepdims=True) - work)
    own = work + tables["communication"] - wait
    spent = {**tables, "communication": tables["communication"] - wait, "waiting": wait}
    total = sum(table.sum() for table in spent.values())
    longest = own.max(axis=1)
    lost = (longest - np.median(own, axis=1)).sum() / longest.sum()
    return {name: table.sum() / total for name, table in spent.items()}, lost, longest.sum() * RANKS


@pytest.fixture(scope="module")
def slow_lines() -> list[Line]:
    return lines_of(RANKS, STEPS, 1, slow=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, slow_lines: list[Line]) -> Iterator[DuckStore]:
    home = tmp_path_factory.mktemp("blocks")
    with open_store(home / "home", threads=2) as store:
        load(store, home, slow_lines)
        yield store


def test_a_rank_that_is_slow_between_the_steps_of_a_sample_is_named(store: DuckStore) -> None:
    """Only every third step of this run was read, and rank 3 was slow in all the others."""
    judged = judged_runs(store.ask, "", END)
    (run,) = judged.runs
    assert run.stride == STRIDE
    (claim,) = (each for each in judged.claims(run, END) if each.metric == "straggler_score")
    assert claim.severity == "act" and claim.subject == "run:wide/rank:3" and claim.evidence["phase"] == "data"
    assert claim.n == STEPS and "step was read" not in claim.because


def test_times_of_blocks_are_those_of_every_step(store: DuckStore, slow_lines: list[Line]) -> None:
    times = times_from_blocks(store.ask(QUESTION, WINDOW))
    assert times is not None and times.total == STEPS and len(times.steps) <= 200
    shares, lost, spent = by_hand(slow_lines)
    assert phase_shares(times) == pytest.approx(shares, rel=1e-5)
    assert (times.lost_share, times.spent_ms) == pytest.approx((lost, spent), rel=1e-5)


def test_stored_blocks_equal_those_computed_from_the_records(store: DuckStore) -> None:
    whole = store.ask(replace(QUESTION, blocks=False, rows=RANKS * STEPS), WINDOW)
    pd.testing.assert_frame_equal(store.ask(QUESTION, WINDOW), blocks_of_runs(whole))


def test_a_run_whose_steps_are_all_read_is_compared_step_by_step(tmp_path: Path) -> None:
    lines = lines_of(RANKS, 700, 2)
    with open_store(tmp_path / "home", threads=1) as store:
        load(store, tmp_path, lines)
        (run,) = judged_runs(store.ask, "", END).runs
        exact, blocks = ranks_of(run), times_from_blocks(store.ask(QUESTION, WINDOW))
        of_phases = phase_times(store.ask(replace(QUESTION, blocks=False), WINDOW))
    assert of_phases is not None
    of_records = ranks_from(of_phases)
    assert exact is not None and blocks is not None and of_records is not None
    assert set(exact.counts) == {1} and np.array_equal(exact.own, of_records.own)
    assert figures(blocks) == pytest.approx(figures(exact), rel=1e-5)


def figures(times: RankTimes) -> dict[str, float]:
    return {**phase_shares(times), "lost": times.lost_share, "spent": times.spent_ms, "steps": times.total}


def test_late_repeated_and_restarted_loads_give_the_blocks_of_one_load(tmp_path: Path) -> None:
    """Ranks arrive one after the other, some steps late and some twice, and the process ends before the last step."""
    lines = lines_of(4, 800, 3)
    late = [line for line in lines if line["rank"] == "2" and 300 < line["step"] < 400]
    early = [line for line in lines if line not in late]
    with open_store(tmp_path / "one", threads=1) as store:
        load(store, tmp_path, lines)
        expected = store.ask(QUESTION, WINDOW)
    with open_store(tmp_path / "many", threads=1) as store:
        for rank in "3102":
            load(store, tmp_path, [line for line in early if line["rank"] == rank])
        partial = times_from_blocks(store.ask(QUESTION, WINDOW))
        assert partial is not None and partial.total == 800 - len(late)
    with open_store(tmp_path / "many", threads=1) as store:
        load(store, tmp_path, late + early[:100])
        pd.testing.assert_frame_equal(store.ask(QUESTION, WINDOW), expected)
        with store.cursor() as cursor:
            assert not cursor.execute("SELECT * FROM rank_blocks_due").fetchall()


def test_a_run_noted_by_a_dead_process_is_answered_and_then_summarised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = lines_of(4, 800, 4)
    with open_store(tmp_path / "home", threads=1) as store:
        load(store, tmp_path, lines[:2800])
        with monkeypatch.context() as dying:
            dying.setattr("observability.store.ingest.loader.keep_rank_blocks", lambda store: None)
            load(store, tmp_path, lines[2800:])
        unkept = store.ask(QUESTION, WINDOW)
    with open_store(tmp_path / "home", threads=1) as store:
        store.load_landing()
        with store.cursor() as cursor:
            ((due, kept),) = cursor.execute("SELECT (SELECT count(*) FROM rank_blocks_due), count(*) FROM rank_blocks").fetchall()
        assert due == 0 and kept == 1 + 800 // BLOCK
        pd.testing.assert_frame_equal(store.ask(QUESTION, WINDOW), unkept)
    assert unkept["steps"].sum() == 800


def test_what_arrived_or_happened_later_does_not_count_at_an_earlier_instant(tmp_path: Path) -> None:
    lines = lines_of(4, 900, 5)
    known = START + timedelta(seconds=850)
    with open_store(tmp_path / "home", threads=1) as store:
        load(store, tmp_path, lines)
        as_of = times_from_blocks(store.ask(QUESTION, replace(WINDOW, as_of=known)))
        before = times_from_blocks(store.ask(QUESTION, replace(WINDOW, end=known)))
    assert as_of is not None and before is not None and (as_of.total, before.total) == (850, 849)


def test_removed_steps_leave_no_blocks_and_the_other_blocks_are_computed_from_the_rest(tmp_path: Path) -> None:
    lines = lines_of(4, 1600, 6)
    for line in lines:
        line["at"] = (START + timedelta(minutes=3 * line["step"])).isoformat()
    home = tmp_path / "home"
    with open_store(home, threads=1) as store:
        load(store, tmp_path, lines)
        (home / "keeping.toml").write_text("[retention.kinds]\nstep = 2\n", encoding="utf-8")
        apply_retention(store, now=START + timedelta(days=3))
        left = store.ask(QUESTION, replace(WINDOW, end=START + timedelta(days=9)))
        first = next(step for step in range(1, 1601) if timedelta(minutes=3 * step) >= timedelta(days=1))
        assert left["steps"].sum() == 1600 - first + 1 and left["block"].min() == first // BLOCK
        store.load_landing()
        pd.testing.assert_frame_equal(store.ask(QUESTION, replace(WINDOW, end=START + timedelta(days=9))), left)
        apply_retention(store, now=START + timedelta(days=30))
        store.load_landing()
        with store.cursor() as cursor:
            assert not cursor.execute("SELECT run FROM rank_blocks UNION ALL SELECT run FROM rank_blocks_due").fetchall()


@pytest.mark.parametrize("sample", [False, True])
def test_a_removed_model_or_sample_leaves_neither_blocks_nor_notes_of_its_runs(tmp_path: Path, sample: bool) -> None:
    """A note of the removed run is still waiting, as after the death of a process. The run of the other model keeps its blocks."""
    lines = {name: [line | {"run": name} for line in lines_of(4, 700, seed)] for seed, name in enumerate(("removed", "stays"), 7)}
    with open_store(tmp_path / "home", threads=1) as store:
        for name, steps in lines.items():
            own = sample and name == "removed"
            begin = {"kind": "run", "run": name, "at": START.isoformat(), "event": "start", "model": f"model of {name}"}
            first = {
                "kind": "prediction",
                "id": name,
                "at": START.isoformat(),
                "model": f"model of {name}",
                "features": {"a": 1},
                "score": 0.5,
            }
            path = tmp_path / "lines.jsonl"
            path.write_text("\n".join(map(json.dumps, [begin, first, *steps])), encoding="utf-8")
            assert store.load_files([path], LoadDefaults(version="1", sample=own)).rejected == 0
        before = store.ask(QUESTION, WINDOW)
        assert set(before["run"]) == {"removed", "stays"}
        with store.write() as writer:
            writer.execute("INSERT INTO rank_blocks_due VALUES ('removed', 0, 3, uuid())")
        if sample:
            store.remove_sample()
        else:
            store.remove_model("model of removed")
        with store.cursor() as cursor:
            left = cursor.execute("SELECT run, 'kept' FROM rank_blocks UNION SELECT run, 'due' FROM rank_blocks_due").fetchall()
        assert left == [("stays", "kept")]
        expected = before[before["run"] == "stays"].reset_index(drop=True)
        pd.testing.assert_frame_equal(store.ask(QUESTION, WINDOW), expected)
        store.load_landing()
        pd.testing.assert_frame_equal(store.ask(QUESTION, WINDOW), expected)


def many_steps(run: str, ranks: int, steps: Iterable[int], phases: dict[str, float], **slow: float) -> list[Line]:
    """The lines of a run whose steps all take the same time. slow: the factor for the times of a rank, by a name such as `rank8`."""
    return [
        {
            "kind": "step", "run": run, "at": (START + timedelta(seconds=place)).isoformat(), "step": step, "rank": str(rank),
            "metrics": {}, "phase_ms": {name: time * slow.get(f"rank{rank}", 1.0) for name, time in phases.items()},
        }
        for place, step in enumerate(steps)
        for rank in range(ranks)
    ]  # fmt: skip


def notes_of(store: DuckStore) -> list[tuple[str]]:
    with store.cursor() as cursor:
        return [(str(run),) for (run,) in cursor.execute("SELECT DISTINCT run FROM rank_blocks_due ORDER BY run").fetchall()]


def test_phases_may_have_the_names_of_fields_of_a_step(tmp_path: Path) -> None:
    phases = {"at": 2.0, "rank": 3.0, "step": 10.0}
    with open_store(tmp_path / "home", threads=1) as store:
        load(store, tmp_path, many_steps("bad", 2, range(1300), phases))
        assert not notes_of(store)
        times = times_from_blocks(store.ask(QUESTION, WINDOW))
        (run,) = judged_runs(store.ask, "", END).runs
    assert times is not None and {name: table.mean() for name, table in times.phases.items()} == pytest.approx(phases)
    exact = ranks_from(run.phases)
    assert exact is not None and {name: table.mean() for name, table in exact.phases.items()} == pytest.approx(phases)


def test_a_run_that_cannot_be_summarised_fails_neither_loads_nor_questions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_for_bad(cursor: Any, run: str, *others: Any) -> Any:
        if run == "bad":
            raise AttributeError("a name that pandas knows")
        return computed_blocks(cursor, run, *others)

    phases = {"compute": 10.0}
    with open_store(tmp_path / "home", threads=1) as store:
        with monkeypatch.context() as failing:
            for place in ("rollup", "query"):
                failing.setattr(f"observability.store.{place}.rank_blocks.computed_blocks", fails_for_bad)
            load(store, tmp_path, many_steps("bad", 2, range(1300), phases) + many_steps("good", 2, range(1300), phases))
            assert notes_of(store) == [("bad",)]
            assert set(store.ask(QUESTION, WINDOW)["run"]) == {"good"}
        store.load_landing()
        assert not notes_of(store) and set(store.ask(QUESTION, WINDOW)["run"]) == {"bad", "good"}


def test_the_largest_step_number_is_summarised(tmp_path: Path) -> None:
    last = 2**63 - 1
    with open_store(tmp_path / "home", threads=1) as store:
        load(store, tmp_path, many_steps("far", 2, [*range(1300), 10**18, last], {"compute": 10.0}))
        blocks = store.ask(QUESTION, WINDOW)
        assert not notes_of(store)
    assert blocks["block"].tolist()[-2:] == [10**18 // BLOCK, last // BLOCK] and blocks["steps"].sum() == 1302


def test_a_slow_rank_that_joins_late_is_named(tmp_path: Path) -> None:
    """The rank has too few blocks for a comparison, but the steps in a sample are enough."""
    phases = {"compute": 10.0, "communication": 1.0}
    lines = many_steps("wide", 8, range(3200), phases)
    late = [line for line in many_steps("wide", 9, range(3200), phases, rank8=3.0) if line["rank"] == "8" and line["step"] >= 3040]
    with open_store(tmp_path / "home", threads=1) as store:
        load(store, tmp_path, lines + late)
        judged = judged_runs(store.ask, "", END)
    (run,) = judged.runs
    (claim,) = (each for each in judged.claims(run, END) if each.metric == "straggler_score")
    assert claim.severity == "act" and claim.subject == "run:wide/rank:8"
    assert f"One step in {run.stride} was read." in claim.because
    (unknown,) = claims_about_ranks(replace(run, phases=None))
    assert unknown.severity == "unknown" and unknown.n == 160
    assert "160 steps, in 10 blocks, have the phases of all 9 ranks, about 10 more blocks are needed." in unknown.because


def test_records_that_are_loaded_while_blocks_are_summarised_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = lines_of(4, 800, 9)
    meanwhile = [lines[2600:]]

    def load_between(*args: Any) -> Any:
        if meanwhile:
            load(store, tmp_path, meanwhile.pop())
        return block_groups(*args)

    with open_store(tmp_path / "home", threads=1) as store:
        monkeypatch.setattr("observability.store.rollup.rank_blocks.block_groups", load_between)
        load(store, tmp_path, lines[:2600])
        store.load_landing()
        assert not notes_of(store) and store.ask(QUESTION, WINDOW)["steps"].sum() == 800
        with store.cursor() as cursor:
            held = f"SELECT step // {BLOCK} AS block, count(*), bit_xor(content_hash), max(arrived) FROM steps GROUP BY ALL ORDER BY ALL"
            kept = "SELECT block, records, mark, arrived FROM rank_blocks ORDER BY ALL"
            assert cursor.execute(kept).fetchall() == cursor.execute(held).fetchall()


def test_a_stray_record_does_not_make_every_block_be_computed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(frame: pd.DataFrame) -> RankTimes | None:
        calls.append(len(frame))
        return ranks_from(frame)

    monkeypatch.setattr("observability.stats.rank_blocks.ranks_from", counted)
    frame = pd.DataFrame({RANK: ["0", "1"] * 800 + ["2"], STEP: [*np.repeat(np.arange(800), 2), 400], "compute": 1.0})
    found = sorted(rank_blocks(frame), key=lambda each: each["block"])
    assert len(calls) == 2 and sum(calls) == len(frame)
    assert [each["steps"] for each in found] == [1 if block == 400 // BLOCK else BLOCK for block in range(50)]


@pytest.mark.parametrize("time", [1e308, 1e39])
def test_a_step_with_an_invalid_time_is_left_out(time: float) -> None:
    frame = pd.DataFrame({RANK: ["0", "1"] * 32, STEP: np.repeat(np.arange(32), 2), "compute": 10.0, "data": 5.0})
    frame.loc[:1, ["compute", "data"]] = time
    times, blocks = ranks_from(frame), list(rank_blocks(frame))
    assert times is not None and times.total == 31 and times.lost_share == 0.0
    assert [each["steps"] for each in blocks] == [15, 16]
    frame["compute"] = time
    assert ranks_from(frame) is None and [each["steps"] for each in rank_blocks(frame)] == [0, 0]


def test_blocks_do_not_name_a_forgotten_subject(tmp_path: Path) -> None:
    subject = "müller-4711"
    lines = [line | {"rank": subject if line["rank"] == "1" else line["rank"]} for line in lines_of(4, 700, 10)]
    with open_store(tmp_path / "home", threads=1) as store:
        load(store, tmp_path, lines)
        assert json.dumps(subject)[1:-1] in store.ask(QUESTION, WINDOW)["ranks"][0]
        forget_subject(store, subject)
        due = store.ask(QUESTION, WINDOW)
        store.load_landing()
        kept = store.ask(QUESTION, WINDOW)
        assert not notes_of(store)
    pd.testing.assert_frame_equal(kept, due)
    assert json.dumps(subject)[1:-1] not in kept["ranks"][0] and len(json.loads(kept["ranks"][0])) == 4


def test_no_blocks_of_a_short_run_are_kept_until_it_is_long(tmp_path: Path) -> None:
    lines = many_steps("grows", 2, range(1300), {"compute": 10.0})
    with open_store(tmp_path / "home", threads=1) as store:
        load(store, tmp_path, lines[:1000])
        with store.cursor() as cursor:
            assert not notes_of(store) and not cursor.execute("SELECT block FROM rank_blocks").fetchall()
        load(store, tmp_path, lines[1000:])
        with store.cursor() as cursor:
            kept = cursor.execute("SELECT block FROM rank_blocks ORDER BY block").fetchall()
        assert kept == [(block,) for block in range(-(-1300 // BLOCK))]
