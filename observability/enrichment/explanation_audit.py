"""Audits how stable and how faithful the explanations of a model are."""

from functools import partial
from typing import Any

import numpy as np

from observability.enrichment import audit_curves as curves
from observability.enrichment.audit_rows import AuditRows, audit_reference_rows
from observability.enrichment.audit_steps import (
    BACKGROUND_ROWS,
    BACKGROUNDS,
    EXPLAINED,
    SURROGATE_ROWS,
    AuditSteps,
    audit_headline,
    audited_rows,
    first_audit_rows,
)
from observability.stats.arrays import Floats


def run_explanations(steps: AuditSteps) -> dict[str, Any]:
    """The results of an audit of explanations."""
    real = audit_reference_rows(steps.store, steps.model, steps.version, steps.most(SURROGATE_ROWS))
    real = real if len(real) >= curves.MIN_ROWS else audited_rows(steps, steps.most(SURROGATE_ROWS))
    rows = first_audit_rows(audited_rows(steps, steps.most(EXPLAINED)), steps.most(EXPLAINED))
    steps.total = BACKGROUNDS + 1

    def draw(seed: int) -> dict[str, Any]:
        given = {"seed": steps.request.seed * 1000 + seed, "background": BACKGROUND_ROWS}
        answer = steps.call("audit_explanation_job:attribute_with_seed", {"rows": rows.inputs, "real": real.inputs}, **given)
        values = answer.frames["values"]
        return {"columns": list(values), "values": np.round(values.to_numpy(np.float64), 9).tolist(), "method": answer.values["method"]}

    draws = [
        steps.step(f"draw {k}", f"explaining {len(rows)} rows against background {k + 1} of {BACKGROUNDS}", partial(draw, k))
        for k in range(BACKGROUNDS)
    ]
    values = [np.array(each["values"]) for each in draws]
    judged = steps.step("judge", "deleting features, fitting surrogates", lambda: _judge(steps, rows, real, draws[0]["columns"], values))
    stability, by_row = curves.rank_stability(values)
    areas = {name: np.array(judged["areas"][name]) for name in judged["areas"]}
    ahead = curves.interval_json(curves.held_share(areas["by_attribution"] > areas["at_random"]))
    found = curves.interval_json(stability)
    least = np.argsort(by_row, kind="stable")[: curves.MAX_FLIPS]
    mean, other = np.mean(values, axis=0), np.array(judged["occlusion"])
    agreed = {
        "rank_correlation": curves.interval_json(curves.rank_stability([mean, other])[0]),
        "same_first": curves.interval_json(curves.held_share(np.abs(mean).argmax(axis=1) == np.abs(other).argmax(axis=1))),
    }
    return {
        "headline": audit_headline("explanations", found),
        "method": draws[0]["method"],
        "rows": len(rows),
        "backgrounds": {"draws": BACKGROUNDS, "rows": BACKGROUND_ROWS, "from": real.environment},
        "faithfulness": ahead,
        "deletion": judged["deletion"],
        "surrogates": judged["surrogates"],
        "agreement": {"with": "one feature deleted at a time", **agreed},
        "least_stable": [{"id": rows.ids[place], "stability": round(float(by_row[place]), 4)} for place in least],
        "summary": {"explanation_stability": found["value"], "faithfulness": ahead["value"]},
    }


def _judge(steps: AuditSteps, rows: AuditRows, real: AuditRows, columns: list[str], values: list[Floats]) -> dict[str, Any]:
    """Run the step that judges the mean attributions."""
    import pandas as pd

    frames = {"rows": rows.inputs, "real": real.inputs, "values": pd.DataFrame(np.mean(values, axis=0), columns=columns)}
    answer = steps.call("audit_explanation_job:judge_attributions", frames, background=BACKGROUND_ROWS)
    rounded = {name: answer.frames[name].round(6) for name in ("deletion", "areas", "surrogates")}
    found: dict[str, Any] = {name: table.to_dict("list" if name == "areas" else "records") for name, table in rounded.items()}
    return found | {"occlusion": np.round(answer.frames["occlusion"][columns].to_numpy(np.float64), 9).tolist()}
