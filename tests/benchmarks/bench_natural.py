"""Does the monitoring detect models that decay naturally, and is it silent if they do not? It runs on streams shipped in packages, compared
with a plain rule and other tools.

    python tests/benchmarks/bench_natural.py [--streams electricity,beijing,bikes,weather,power] [--models 3] [--weeks 15] [--every 2] [--cache FOLDER]
        [--peer-python nannyml=PATH] [--to weeks.jsonl] [--table table.md] [--json figures.json] [--only-tell] [--arms labels,none]

The models and streams are described in natural_streams.py. At the end of each week, the whole check judges each model, with what had
arrived by then. In one arm labels come two days late, so that five of the week's seven days have them; in the other none come. The truth
comes from all labels of the week (tests/support/natural_rates.py). A week is degraded if its accuracy is at least five points below the
reference, and the upper end of the 95 % t-interval over its daily accuracies is below the reference too. It is sound if the fall is
smaller. If it fell as far but its days differ too much, it is unsure and counts as neither.

Other tools run in their own environments (natural_peers.py); a missing tool is named, with how to install it. `--to` saves every week with
all its findings; `--only-tell` makes the table from that file. `--models 12 --every 1` is the whole measurement, and `--streams held` takes
the streams that are held back. Seconds of this project's part are processor time.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from natural_streams import STREAMS, model_folders, week_window

from observability.monitoring import check
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.natural_rates import alarm_rates, auroc, expected_news, plain_rule, power_at, week_truth

LATE_DAYS = 2
ARMS = {"labels": "labelled", "none": "unlabelled"}
PERFORMANCE, ESTIMATE = "serving/performance", "serving/estimated_performance"
NO_INPUTS = ("data/labels",)
"""Analyzers whose findings are not about inputs, score or estimate."""
PEERS = {
    "nannyml": "python3.11 -m venv nannyml-env && nannyml-env/bin/pip install nannyml==0.13.1 statsmodels 'pandas<3', then --peer-python nannyml=nannyml-env/bin/python",
    "evidently": "it is a requirement of this project; or --peer-python evidently=PATH",
    "domain": "it needs lightgbm, a requirement of the tests; or --peer-python domain=PATH",
}
TOOLS = {"nannyml": "NannyML", "evidently": "Evidently", "domain": "a domain classifier of LightGBM"}
FALSE_ALARM_RATES = (0.02, 0.05, 0.10, 0.20, 0.40)
DAYS_A_MONTH = 30.44


# The parts for one model: its store, its weeks, the truth


def filled_store(folder: Path, home: Path, arms: list[str]):
    """A store with one registered model per arm. Both have the same predictions; the labels of one arrive late, the other has none."""
    about = json.loads((folder / "about.json").read_text())
    features = tuple(about["numbers"] + about["categories"])
    served = pd.read_parquet(folder / "served.parquet")
    columns = ["id", "at", *features, "score"]
    served[columns].assign(received_at=served["at"]).to_parquet(home / "predictions.parquet")
    late = served["at"] + timedelta(days=LATE_DAYS)
    pd.DataFrame({"id": served["id"], "at": late, "received_at": late, "value": served["label"]}).to_parquet(home / "labels.parquet")
    store = open_store(home / "store", threads=1)
    for arm in arms:
        model = ARMS[arm]
        request = RegistrationRequest(
            model=model,
            version="1",
            reference=folder / "reference.parquet",
            task="binary",
            label="label",
            score=("score",),
            at="at",
            features=features,
        )
        store.register(request)
        reports = [store.load_files([home / "predictions.parquet"], LoadDefaults("prediction", model, "1", features))]
        if arm == "labels":
            reports.append(store.load_files([home / "labels.parquet"], LoadDefaults("label", model)))
        assert not any(each.rejected for each in reports), [each.reasons for each in reports]
    return store


def model_weeks(folder: Path, arms: list[str], every: int, findings: bool):
    """A line for each judged week of a model: truth, plain rule, and the result of the check in each arm."""
    about = json.loads((folder / "about.json").read_text())
    with tempfile.TemporaryDirectory() as scratch, filled_store(folder, Path(scratch), arms) as store:
        for week, truth in enumerate(truths(folder)):
            if week % every:
                continue
            start, end = week_window(week)
            line = {"stream": about["stream"], "model": folder.name, "week": week, "every": every, **truth}
            for arm in arms:
                began = time.process_time()
                report = check.check(store, model=ARMS[arm], start=start, end=end, as_of=end, now=end, with_records=False)
                found = [each.to_json() | {"rank": each.rank} for each in report.findings]
                line[arm] = summary(found, report.incidents, truth["reference"]) | {"seconds": time.process_time() - began}
                if findings:
                    line[arm]["findings"] = found
            yield line


def truths(folder: Path):
    """For each week: truth, accuracy with its interval, the reference's accuracy, the alarm of the plain rule on the labels of five days,
    and whether the fault is new.
    """
    reference, served = (pd.read_parquet(folder / f"{side}.parquet") for side in ("reference", "served"))
    held, right = (((each["score"] >= 0.5) == each["label"].astype(bool)).to_numpy() for each in (reference, served))
    told = []
    for _, place in sorted(served.groupby(served["day"] // 7).indices.items()):
        days = served["day"].to_numpy()[place] % 7
        said = week_truth([right[place][days == day] for day in range(7)], float(held.mean()))
        known = right[place][days < 7 - LATE_DAYS]
        alarm, fall, z = plain_rule(int(known.sum()), known.size, int(held.sum()), held.size)
        settled, *_ = plain_rule(int(right[place].sum()), place.size, int(held.sum()), held.size)
        told.append(
            {
                "truth": said.truth,
                "accuracy": said.accuracy,
                "low": said.low,
                "high": said.high,
                "plain": {"alarm": alarm, "fall": fall, "z": z, "settled": settled},
            }
        )
    news = expected_news([each["truth"] for each in told])
    return [each | {"reference": float(held.mean()), "new": new} for each, new in zip(told, news)]


def summary(found: list[dict], incidents, reference: float) -> dict:
    """The parts of a check that the table needs: severity, state and news of the counted metrics."""
    accuracy = worst(
        [each for each in found if each["analyzer"] == PERFORMANCE and each["metric"] == "accuracy" and each["subject"] == "model"]
    )
    estimate = worst(
        [each for each in found if each["analyzer"] == ESTIMATE and each["metric"] == "accuracy" and each["subject"] == "model"]
    )
    about_inputs = [each for each in found if each["analyzer"] not in NO_INPUTS]
    return {
        "accuracy": brief(accuracy),
        "estimate": brief(estimate),
        "performance": Counter(each["severity"] for each in found if each["analyzer"] == PERFORMANCE),
        "worst": min((each["severity"] for each in found), key=("act", "watch", "unknown", "ok").index, default="unknown"),
        "inputs": min((each["severity"] for each in about_inputs), key=("act", "watch", "unknown", "ok").index, default="unknown"),
        "asked": sorted({(each["severity"], each["analyzer"], each["metric"]) for each in found if each["severity"] in ("act", "watch")}),
        "failed": Counter(each["analyzer"] for each in found if each["metric"] == "judged" and "failed" in each["because"]),
        "states": Counter(str(each.get("state")) for each in found),
        "psi": largest(found, "psi", lambda each: each["subject"] != "score"),
        "score_psi": largest(found, "psi", lambda each: each["subject"] == "score"),
        "domain": largest(found, "domain_auc", lambda each: True),
        "fall": reference - estimate["value"] if estimate and estimate["value"] is not None and estimate["severity"] != "unknown" else None,
        "incidents": [incident(each) for each in incidents if each.severity == "act"],
    }


def worst(found: list[dict]) -> dict | None:
    """The worst of some findings, judged by the worse of severity and state; None without findings."""
    severities, states = ("act", "watch", "unknown", "ok"), ("critical", "warning", "unknown", "ok", None)
    return min(found, key=lambda each: min(severities.index(each["severity"]), states.index(each.get("state"))), default=None)


def brief(finding: dict | None) -> dict | None:
    """The kept fields of a finding."""
    wanted = ("severity", "state", "news", "value", "low", "high", "n", "because")
    return {name: finding.get(name) for name in wanted} if finding else None


def largest(found: list[dict], metric: str, wanted) -> float | None:
    """The largest value of a metric; None if it was not measured."""
    return max((each["value"] for each in found if each["metric"] == metric and each["value"] is not None and wanted(each)), default=None)


def incident(each) -> dict:
    """Identifier, lead and news of an incident."""
    news = sorted({str(getattr(finding, "news", None)) for finding in each.findings if finding.severity == "act"})
    return {"id": each.id, "lead": f"{each.lead.analyzer} {each.lead.metric} {each.lead.subject}", "source": each.source, "news": news}


# Other tools


def ask_peers(folders: list[Path], pythons: dict[str, str], fresh: bool) -> dict[str, str]:
    """Run each tool on the models that it has not judged yet. Returns the missing tools, and why each is missing."""
    missing = {}
    for name in PEERS:
        python = pythons.get(name, sys.executable if name != "nannyml" else None)
        asked = [str(each) for each in folders if fresh or not (each / f"peer-{name}.json").exists()]
        if not asked:
            continue
        if python is None:
            missing[name] = "no environment was named"
            continue
        command = [python, str(Path(__file__).parent / "natural_peers.py"), name, *asked]
        environment = {**os.environ, "DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1"}
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        except OSError as error:
            missing[name] = str(error)
            continue
        if done.returncode:
            missing[name] = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"exit {done.returncode}"
    return missing


def with_peers(lines: list[dict], folders: list[Path]) -> list[dict]:
    """The lines of the weeks, with the results of the other tools added."""
    said = {}
    for folder in folders:
        for file in folder.glob("peer-*.json"):
            told = json.loads(file.read_text())
            said[folder.name, file.stem.removeprefix("peer-")] = told
    for line in lines:
        found = {name: told for (model, name), told in said.items() if model == line["model"]}
        if found:
            line["peers"] = {name: told["weeks"].get(str(line["week"]), {}) | {"version": told["version"]} for name, told in found.items()}
    return lines


def peer(line: dict, name: str, part: str, field: str = "alarm"):
    """A field of a tool's result for a week; None if there is none."""
    return line.get("peers", {}).get(name, {}).get(part, {}).get(field)


# What is counted

RULES = {
    "labels": {
        "ours: `act` on performance": lambda line: line["labels"]["performance"].get("act", 0) > 0,
        "ours: accuracy, act": lambda line: severity(line, "labels", "accuracy") == "act",
        "ours: accuracy, act or watch": lambda line: severity(line, "labels", "accuracy") in ("act", "watch"),
        "ours: accuracy, state critical": lambda line: state(line, "labels", "accuracy", "critical"),
        "ours: accuracy, state critical or warning": lambda line: state(line, "labels", "accuracy", "critical", "warning"),
        "ours: any performance metric, act or watch": lambda line: (
            sum(line["labels"]["performance"].get(each, 0) for each in ("act", "watch")) > 0
        ),
        "ours: any `act`": lambda line: line["labels"]["worst"] == "act",
        "NannyML: realized accuracy": lambda line: peer(line, "nannyml", "realized"),
        "Evidently: accuracy test": lambda line: peer(line, "evidently", "realized"),
        "plain: fell 5 points, z > 3": lambda line: line["plain"]["alarm"],
        "plain, two days later, with all labels of the week": lambda line: line["plain"].get("settled"),
    },
    "none": {
        "ours: `act` on inputs, score or estimate": lambda line: line["none"]["inputs"] == "act",
        "ours: the same, act or watch": lambda line: line["none"]["inputs"] in ("act", "watch"),
        "ours: estimated accuracy, act": lambda line: severity(line, "none", "estimate") == "act",
        "ours: estimated accuracy, act or watch": lambda line: severity(line, "none", "estimate") in ("act", "watch"),
        "ours: estimated accuracy, state critical": lambda line: state(line, "none", "estimate", "critical"),
        "NannyML: CBPE": lambda line: peer(line, "nannyml", "estimated"),
        "NannyML: Jensen-Shannon, any column": lambda line: peer(line, "nannyml", "drift"),
        "Evidently: drift preset, dataset": lambda line: peer(line, "evidently", "drift"),
        "Evidently: drift preset, any column": lambda line: peer(line, "evidently", "drift", "any_column"),
        "domain classifier: AUC > 0.6": lambda line: peer(line, "domain", "drift"),
    },
}
OK_RULES = {
    "labels": {
        "accuracy `ok`": lambda line: severity(line, "labels", "accuracy") == "ok",
        "accuracy `unknown` or not judged": lambda line: severity(line, "labels", "accuracy") in ("unknown", None),
        "nothing act or watch": lambda line: line["labels"]["worst"] not in ("act", "watch"),
    },
    "none": {
        "estimated accuracy `ok`": lambda line: severity(line, "none", "estimate") == "ok",
        "estimated accuracy `unknown` or not judged": lambda line: severity(line, "none", "estimate") in ("unknown", None),
        "nothing act or watch": lambda line: line["none"]["worst"] not in ("act", "watch"),
    },
}
SCORES = {
    "ours: estimated fall": lambda line: line["none"]["fall"],
    "ours: largest PSI of an input": lambda line: line["none"]["psi"],
    "ours: PSI of the score": lambda line: line["none"]["score_psi"],
    "ours: domain AUC": lambda line: line["none"]["domain"],
    "NannyML: CBPE's fall": lambda line: minus(line["reference"], peer(line, "nannyml", "estimated", "value")),
    "NannyML: largest Jensen-Shannon": lambda line: peer(line, "nannyml", "drift", "value"),
    "Evidently: share of drifted columns": lambda line: peer(line, "evidently", "drift", "value"),
    "domain classifier: AUC": lambda line: peer(line, "domain", "drift", "value"),
}


def severity(line: dict, arm: str, part: str) -> str | None:
    """The severity of a figure; None if it was not judged."""
    return (line[arm][part] or {}).get("severity")


def state(line: dict, arm: str, part: str, *wanted: str) -> bool | None:
    """Whether a figure's state is one of the wanted ones; None if it has no state."""
    found = (line[arm][part] or {}).get("state")
    return None if found is None else found in wanted


def minus(reference: float, value: float | None) -> float | None:
    """The fall of a value: the reference minus the value; None without a value."""
    return None if value is None else reference - value


def figures(lines: list[dict]) -> dict:
    """All figures computed from some weeks, as JSON."""
    arms = [arm for arm in ARMS if lines and arm in lines[0]]
    told = {"weeks": Counter(each["truth"] for each in lines), "models": len({each["model"] for each in lines})}
    for arm in arms:
        told[arm] = {
            "rules": {name: vars(alarm_rates((each["truth"], rule(each)) for each in lines)) for name, rule in RULES[arm].items()},
            "ok": {name: share(rule(each) for each in lines if each["truth"] == "degraded") for name, rule in OK_RULES[arm].items()},
            "state_and_news": state_and_news(lines, arm),
            "incidents": incident_rate(lines, arm),
            "seconds_a_check": float(np.mean([each[arm]["seconds"] for each in lines])),
        }
    if "none" in arms:
        told["none"]["coverage"] = coverage(lines)
        told["none"]["ranking"] = {name: ranking(lines, score) for name, score in SCORES.items()}
    return told


def share(values) -> tuple[int, int]:
    """(number of true values, number of values)."""
    values = list(values)
    return sum(map(bool, values)), len(values)


def state_and_news(lines: list[dict], arm: str) -> dict[str, tuple[int, int]]:
    """How often state and news agree with the truth. Empty if findings have neither."""
    part = "accuracy" if arm == "labels" else "estimate"
    found = [(each, each[arm][part] or {}) for each in lines]
    if not any(said.get("state") for _, said in found):
        return {}
    by_truth = {kind: [said.get("state") for each, said in found if each["truth"] == kind] for kind in ("degraded", "sound")}
    told = {
        "degraded weeks whose state is critical": share(each == "critical" for each in by_truth["degraded"]),
        "degraded weeks whose state is warning": share(each == "warning" for each in by_truth["degraded"]),
        "degraded weeks whose state is ok": share(each == "ok" for each in by_truth["degraded"]),
        "degraded weeks whose state is unknown, or that were not judged": share(each in ("unknown", None) for each in by_truth["degraded"]),
        "sound weeks whose state is critical": share(each == "critical" for each in by_truth["sound"]),
        "sound weeks whose state is unknown, or that were not judged": share(each in ("unknown", None) for each in by_truth["sound"]),
    }
    if not any(said.get("news") for _, said in found):
        return told
    right = {"new": ("new", "worse"), "standing": ("ongoing", "worse", "improving"), "recovered": ("recovered",)}
    for kind, words in right.items():
        news = [said.get("news") for each, said in found if each["new"] == kind]
        told[f"{kind}: the news is {' or '.join(words)}"] = share(each in words for each in news)
    told["neither new, standing nor recovered: the news is new or worse"] = share(
        said.get("news") in ("new", "worse") for each, said in found if each["new"] is None and each["truth"] == "sound"
    )
    return told


def incident_rate(lines: list[dict], arm: str) -> dict[str, float]:
    """Incidents with an `act` per model-month: distinct ones, those with news, and the number that a judged week shows."""
    by_model = defaultdict(list)
    for each in lines:
        by_model[each["model"]].append(each)
    months = sum(len(weeks) * weeks[0]["every"] * 7 / DAYS_A_MONTH for weeks in by_model.values())
    distinct = sum(len({each["id"] for week in weeks for each in week[arm]["incidents"]}) for weeks in by_model.values())
    shown = [each for week in lines for each in week[arm]["incidents"]]
    known = [each for each in shown if each["news"] not in ([], ["None"])]
    new = [each for each in known if {"new", "worse"} & set(each["news"])]
    return {
        "model_months": months,
        "distinct": distinct,
        "distinct_a_month": distinct / months,
        "shown_a_week": len(shown) / len(lines),
        "weeks_with_one": sum(bool(each[arm]["incidents"]) for each in lines),
        "weeks": len(lines),
        "news_a_judged_week": len(new) / len(lines) if known else None,
        "leads": Counter(each["lead"].rsplit(" ", 1)[0] for each in shown).most_common(6),
    }


def coverage(lines: list[dict]) -> dict:
    """How often the interval of the estimated accuracy contains the week's accuracy (if there is an estimate), and how far the estimate
    lies above it.
    """
    told = {}
    for kind in ("degraded", "sound", "unsure", "every"):
        weeks = [each for each in lines if kind in (each["truth"], "every")]
        given = [
            each
            for each in weeks
            if severity(each, "none", "estimate") not in (None, "unknown") and each["none"]["estimate"]["low"] is not None
        ]
        held = sum(each["none"]["estimate"]["low"] <= each["accuracy"] <= each["none"]["estimate"]["high"] for each in given)
        above = [each["none"]["estimate"]["value"] - each["accuracy"] for each in given]
        told[kind] = {"held": held, "given": len(given), "weeks": len(weeks), "too_high": float(np.median(above)) if above else None}
    return told


def ranking(lines: list[dict], score) -> dict:
    """The AUROC of a score that separates degraded from sound weeks, and its power at several false-alarm rates. Weeks without the score
    are left out.
    """
    pairs = [(score(each), each["truth"] == "degraded") for each in lines if each["truth"] != "unsure"]
    every, pairs = len(pairs), [each for each in pairs if each[0] is not None]
    values, truth = [each[0] for each in pairs], [each[1] for each in pairs]
    return {
        "auroc": auroc(values, truth), "degraded": sum(truth), "sound": len(truth) - sum(truth), "left_out": every - len(pairs),
        "power_at": {str(rate): power_at(values, truth, rate) for rate in FALSE_ALARM_RATES},
    }  # fmt: skip


# Printing


def percent(part: int, whole: int) -> str:
    """A share in words, such as `19 % (10 of 52)`."""
    return f"{part / whole:.0%} ({part} of {whole})".replace("%", " %", 1) if whole else "none"


def number(value: float | None, digits: int = 2) -> str:
    """A number, or a dash if there is none."""
    return "–" if value is None or np.isnan(value) else f"{value:.{digits}f}"


def markdown(lines: list[dict], missing: dict[str, str]) -> str:
    """The table of all streams together, then a table for each stream."""
    named = {name: [each for each in lines if each["stream"] == name] for name in dict.fromkeys(each["stream"] for each in lines)}
    parts = [f"**{name} is missing** ({why}). {PEERS[name][0].upper()}{PEERS[name][1:]}." for name, why in missing.items()]
    if failed := sum((Counter(each[arm].get("failed", {})) for each in lines for arm in ARMS if arm in each), Counter()):
        parts.append(
            f"**The figures are not valid: analyses failed** ({', '.join(f'{name} {count}' for name, count in failed.most_common())})."
        )
    versions = sorted({f"{TOOLS[name]} {said['version']}" for each in lines for name, said in each.get("peers", {}).items()})
    parts.append(f"Other tools: {', '.join(versions) or 'none'}.")
    for name, some in (named if len(named) == 1 else {"all streams": lines, **named}).items():
        parts.append(f"## {name}\n\n" + (f"{STREAMS[name].about}.\n\n" if name in STREAMS else "") + stream_table(figures(some)))
    return "\n\n".join(parts) + "\n"


def stream_table(told: dict) -> str:
    """The table of some weeks' figures."""
    weeks = told["weeks"]
    text = [
        f"{told['models']} models, {sum(weeks.values())} weeks: {weeks['degraded']} degraded, {weeks['sound']} sound, {weeks['unsure']} unsure."
    ]
    rows = ["| labels | rule | false-alarm rate | power | alarms in unsure weeks |", "|---|---|---|---|---|"]
    for arm, word in (("labels", "2 days late"), ("none", "none")):
        for name, each in told.get(arm, {}).get("rules", {}).items():
            pairs = [percent(each[f"{kind}_alarms"], each[kind]) for kind in ("sound", "degraded", "unsure")]
            rows.append(f"| {word} | {name} | {' | '.join(pairs)} |")
    text.append("\n".join(rows))
    for arm, word in (("labels", "Labels 2 days late"), ("none", "No labels")):
        if arm not in told:
            continue
        said = told[arm]
        text.append(f"{word}, in degraded weeks: " + "; ".join(f"{name} {percent(*each)}" for name, each in said["ok"].items()) + ".")
        right = said["state_and_news"]
        text.append(
            f"{word}, state and news against the truth: "
            + ("; ".join(f"{name} {percent(*each)}" for name, each in right.items()) or "the findings have none")
            + "."
        )
        every = said["incidents"]
        text.append(
            f"{word}, incidents with an act: {every['distinct']} distinct in {every['model_months']:.1f} model-months ({every['distinct_a_month']:.1f} a model-month); "
            f"shown in {percent(every['weeks_with_one'], every['weeks'])} of the judged weeks, {every['shown_a_week']:.1f} a week; "
            f"with news {number(every['news_a_judged_week'])} a week. Leads: {', '.join(f'{name} {count}' for name, count in every['leads'])}. "
            f"A check takes {said['seconds_a_check']:.1f} s."
        )
    if "none" in told:
        rows = ["| estimated accuracy | interval held the truth | not estimated | median too high, points |", "|---|---|---|---|"]
        for kind, each in told["none"]["coverage"].items():
            high = "–" if each["too_high"] is None else f"{100 * each['too_high']:+.1f}"
            rows.append(
                f"| {kind} weeks | {percent(each['held'], each['given'])} | {each['weeks'] - each['given']} of {each['weeks']} | {high} |"
            )
        text.append("\n".join(rows))
        head = " | ".join(f"power at {rate:.0%}" for rate in FALSE_ALARM_RATES)
        rows = [f"| score, no labels | AUROC | {head} | weeks left out |", "|---" * (len(FALSE_ALARM_RATES) + 3) + "|"]
        for name, each in told["none"]["ranking"].items():
            rows.append(
                f"| {name} | {number(each['auroc'])} | {' | '.join(number(power) for power in each['power_at'].values())} | {each['left_out']} |"
            )
        text.append("\n".join(rows))
    return "\n\n".join(text)


def chosen_streams(text: str) -> list[str]:
    """Names of streams from the option: `all` means those that are not held back, `held` those that are."""
    groups = {
        "all": [each.name for each in STREAMS.values() if not each.held_back],
        "held": [each.name for each in STREAMS.values() if each.held_back],
    }
    names = groups.get(text) or text.split(",")
    if unknown := [each for each in names if each not in STREAMS]:
        sys.exit(f"unknown stream {', '.join(unknown)}; there are {', '.join(STREAMS)}, all, held")
    return names


def main():
    """Run the measurement and print the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", default="all", help=f"{', '.join(STREAMS)}; all: those that are not held back; held: the others")
    parser.add_argument("--models", type=int, default=2, help="models of each stream, of 12 start points")
    parser.add_argument("--weeks", type=int, default=15, help="weeks that each serves")
    parser.add_argument("--every", type=int, default=3, help="judge every so many weeks")
    parser.add_argument("--arms", default="labels,none")
    parser.add_argument("--rows-a-day", type=int, help="default: the stream's own")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "natural-streams", help="archives, models, and what the tools said"
    )
    parser.add_argument(
        "--peer-python", action="append", default=[], metavar="NAME=PATH", help="the Python of nannyml, evidently or domain"
    )
    parser.add_argument("--fresh-peers", action="store_true", help="ask the tools again")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--to", type=Path, help="a line for each week, with all findings")
    parser.add_argument("--table", type=Path, help="the table, as Markdown")
    parser.add_argument("--json", type=Path, help="the figures")
    parser.add_argument("--only-tell", action="store_true", help="tell what --to holds")
    options = parser.parse_args()
    arms = options.arms.split(",")
    lines, folders = [], []
    if options.only_tell:
        lines = [json.loads(each) for each in options.to.read_text().splitlines()]
        folders = sorted({options.cache / "models" / each["model"] for each in lines})
    else:
        try:
            for name in chosen_streams(options.streams):
                folders += model_folders(STREAMS[name], options.models, options.weeks, options.cache, rows_a_day=options.rows_a_day)
        except RuntimeError as error:
            sys.exit(str(error))
        if options.to:
            options.to.write_text("")
        began = time.process_time()
        for folder in folders:
            fresh = list(model_weeks(folder, arms, options.every, options.to is not None))
            lines += fresh
            print(f"{folder.name}: {len(fresh)} weeks, {time.process_time() - began:.0f} s", file=sys.stderr, flush=True)
            if options.to:
                with options.to.open("a") as file:
                    file.writelines(json.dumps(each) + "\n" for each in fresh)
    missing = {} if options.no_peers else ask_peers(folders, dict(each.split("=", 1) for each in options.peer_python), options.fresh_peers)
    lines = with_peers(lines, folders)
    text = markdown(lines, missing)
    print(text)
    if options.table:
        options.table.write_text(text)
    if options.json:
        by_stream = {name: figures([each for each in lines if each["stream"] == name]) for name in {each["stream"] for each in lines}}
        options.json.write_text(json.dumps({"every": figures(lines), "streams": by_stream, "missing": missing}, indent=1))


if __name__ == "__main__":
    main()
