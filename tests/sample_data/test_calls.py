"""The simulated calls of language models: they went through the product's own endpoint, are declared as simulated, and have the one change
that the README states.
"""

from pathlib import Path

import pandas as pd
import pytest

from sample_data import calls

FOLDER = Path(__file__).parents[2] / "sample_data"


@pytest.fixture(scope="module")
def logged() -> pd.DataFrame:
    return pd.read_parquet(FOLDER / calls.CALLS)


def test_the_call_files_are_reproduced_by_the_intake_of_the_product(logged: pd.DataFrame, tmp_path: Path) -> None:
    calls.make(tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / calls.CALLS), logged)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / calls.FEEDBACK), pd.read_parquet(FOLDER / calls.FEEDBACK))
    assert logged["id"].str.fullmatch(r"[0-9a-f]{32}-[0-9a-f]{16}").all(), "ids of records consist of the ids of trace and span"


def test_every_record_says_that_it_is_simulated_and_every_call_of_a_model_has_its_price(logged: pd.DataFrame) -> None:
    assert set(logged["source"]) == {"simulated"} and logged["id"].is_unique
    asked = logged[logged["model"] != calls.STEPS]
    assert asked["input_tokens"].notna().all() and logged.loc[logged["model"] == calls.STEPS, "input_tokens"].isna().all()
    answered = asked[asked["status"].isna()]
    price = pd.DataFrame(calls.PRICES, index=["asked", "answered"]).T.loc[answered["model"]].reset_index(drop=True) / 1e6
    tokens = answered[["input_tokens", "output_tokens"]].set_axis(["asked", "answered"], axis=1).reset_index(drop=True)
    assert answered["cost"].tolist() == pytest.approx((price * tokens).sum(axis=1).tolist(), abs=1e-7)
    failed = asked[asked["status"].notna()]
    assert (
        failed[["output_tokens", "prediction"]].isna().all(axis=None)
        and not failed["cost"].any()
        and 0.01 < len(failed) / len(asked) < 0.025
    )


def test_only_summaries_of_the_new_version_are_longer_and_refuse_and_no_call_takes_longer(logged: pd.DataFrame) -> None:
    answered = logged[logged["status"].isna() & (logged["model"] == calls.SMALL)].assign(
        new=lambda rows: rows["at"] >= calls.CHANGED_FROM, refused=lambda rows: rows["refused"].astype(bool)
    )
    assert (answered["version"] == answered["new"].map({True: calls.NEW, False: calls.OLD})).all()
    by = answered.groupby(["service", "new"])
    refused, answers = by["refused"].mean(), answered[~answered["refused"]].groupby(["service", "new"])["output_tokens"].median()
    assert 0.27 < refused[calls.SUMMARIES, True] < 0.37 and max(refused.drop((calls.SUMMARIES, True))) < 0.04
    assert 1.9 < answers[calls.SUMMARIES, True] / answers[calls.SUMMARIES, False] < 2.3
    assert 0.85 < answers[calls.REPLIES, True] / answers[calls.REPLIES, False] < 1.15
    took = by["latency_ms"].median()
    assert 0.7 < took[calls.SUMMARIES, True] / took[calls.SUMMARIES, False] < 1.1
    large = logged[(logged["model"] == calls.LARGE) & (logged["prediction"] == "stop")]
    halves = large.groupby(large["at"] >= calls.CHANGED_FROM)["output_tokens"].median()
    assert 0.9 < halves[True] / halves[False] < 1.1


def test_one_help_desk_request_in_eight_is_a_trace_of_steps_that_follow_each_other(logged: pd.DataFrame) -> None:
    traces = logged.assign(trace=logged["id"].str.slice(stop=32), end=logged["at"] + pd.to_timedelta(logged["latency_ms"], unit="ms"))
    steps = traces.sort_values("at").groupby("trace")
    kinds = steps["operation"].agg(" ".join)
    long = "retrieve rerank chat execute_tool chat"
    assert set(kinds) == {"chat", "retrieve rerank chat", long}
    requests = logged.loc[logged["model"] == calls.LARGE, "id"].str.slice(stop=32).nunique()
    assert 0.1 < (kinds != "chat").sum() / requests < 0.15 and (kinds == long).sum() > 50
    after = traces.sort_values("at").assign(before=lambda rows: rows.groupby("trace")["end"].shift())
    assert (after["at"] >= after["before"])[after["before"].notna()].all()


def test_feedback_is_of_answered_calls_comes_later_and_follows_refusals(logged: pd.DataFrame) -> None:
    feedback = pd.read_parquet(FOLDER / calls.FEEDBACK)
    assert feedback["id"].is_unique and set(feedback["annotator"]) == {"simulated"}
    pairs = feedback.merge(logged, on=["id", "model"], suffixes=("_said", ""), validate="one_to_one")
    assert len(pairs) == len(feedback) and pairs["status"].isna().all() and set(pairs["prediction"]) == {"stop"}
    assert (pairs["at_said"] > pairs["received_at"].dt.floor("s")).all()
    helpful = (pairs["value"] == "helpful").groupby(pairs["refused"].astype(bool)).mean()
    assert helpful[False] > 0.8 and helpful[True] < 0.2
