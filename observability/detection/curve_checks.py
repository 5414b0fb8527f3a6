"""Checks the curves of one training run: non-finite values, spikes, divergence, plateaus, overfitting, and signals of the optimisation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from observability.core.finding import Severity, needs_action
from observability.detection.run_claims import MIN_STEPS, RunClaim, counted_things, duration_words, run_figure, run_name
from observability.detection.training_signals import claims_about_signals, signal_of
from observability.metrics.training_curves import MetricCurve, TrainingRun
from observability.metrics.training_metric_names import data_part
from observability.stats import curve as curves

STRONG_OVERFIT = 0.5
"""If validation loses this share of its improvement, the severity is `act`."""


def claims_of(run: TrainingRun) -> list[RunClaim]:
    """Return the worst claim of each kind about the curves of a run. If none needs action, also a claim that the curves are fine or cannot
    be judged.
    """
    found = [each for each in (not_finite(run), divergence_claim(run)) if each is not None]
    spike = spike_claim(run)
    if spike is not None and not (spike.severity == "act" and any(each.metric == "divergence" for each in found)):
        found.append(spike)
    broken = any(each.severity == "act" for each in found)
    overfit = overfitting_claim(run)
    flat = None if overfit or broken else plateau_claim(run)
    found += [each for each in (overfit, flat) if each is not None]
    found += claims_about_signals(run)
    if not any(needs_action(each.severity) for each in found):
        found.append(curve_summary(run))
    return [of_pruned_trial(each) if run.pruned and each.severity == "act" else each for each in found]


def of_pruned_trial(claim: RunClaim) -> RunClaim:
    """Return a claim adapted to a trial that its study stopped early: it is at most a warning, because nobody has to act."""
    return replace(claim, because=f"{claim.because} The study pruned this trial.", severity="watch")


SEARCHED = ("overfitting_gap", "plateau_share", "metric_spike", "divergence", "update_ratio", "dead_units", "vanishing_gradient")
"""Claims that are to be expected in a search, because it tries bad settings on purpose."""


def of_search_trial(claim: RunClaim, runs: int) -> RunClaim:
    """Return a claim adapted to one of many trials of a study: if a bad setting explains the claim, it becomes ok, because a search tries
    bad settings.

    runs: number of runs of the study.
    """
    if claim.metric not in SEARCHED or not needs_action(claim.severity):
        return claim
    said = f"As expected of a search, which tries bad settings ({runs:,} runs): {claim.because[0].lower()}{claim.because[1:]}"
    return replace(claim, because=said, severity="ok", source=None, limit=None, against="peers")


def not_finite(run: TrainingRun) -> RunClaim | None:
    """Return the claim about the metric that was the first to be logged as NaN or infinite; None if no metric was."""
    bad = [each for each in run.curves.values() if len(each.bad)]
    if not bad:
        return None
    first = min(bad, key=lambda each: (int(each.bad[0]), each.name))
    at, last = int(first.bad[0]), int(first.steps[-1])
    passing = all(int(each.bad[-1]) < int(each.steps[-1]) for each in bad)
    others = sorted(each.name for each in bad if each is not first)
    count = counted_things(len(first.bad), "step")
    where = f"in {count} of {len(first.steps):,}, first at step {at:,}"
    if run.stride > 1:  # of such steps, only the first, the last and every nth are read
        where = f"in at least {count}, first at step {at:,}"
        where += f" and last at step {int(first.bad[-1]):,}" if len(first.bad) > 1 else ""
    because = f"In run `{run.name}`, `{first.name}` was not finite {where}"
    because += f"; {run_name(others)} too" if others else ""
    because += "; later steps are finite again." if passing else f"; the last step ({last:,}) is not finite either."
    return RunClaim(
        "non_finite_steps",
        len(first.steps),
        "watch" if passing else "act",
        because,
        value=len(first.bad),
        low=len(first.bad),
        high=len(first.bad) if run.stride == 1 else None,
        limit=0.0,
        onset=first.when(int(np.searchsorted(first.steps, at))),
        source="model",
        rank=9.0,
        evidence={"metric": first.name, "first_step": at, "metrics": [first.name, *others]},
    )


def long_enough(run: TrainingRun, which: str | None = None) -> list[MetricCurve]:
    """Return the curves whose better direction is known and that have enough finite values; non-finite values are removed."""
    finite = [each.finite for each in run.judged() if which in (None, data_part(each.name))]
    return [each for each in finite if len(each.values) >= MIN_STEPS]


def spike_claim(run: TrainingRun) -> RunClaim | None:
    """Return the claim about the largest spike. A spike that did not recover has priority over one that did."""
    found = [(spike, each) for each in long_enough(run) for spike in curves.cost_spikes(each.cost, each.chosen, run.stride)]
    if not found:
        return None
    spike, of = max(found, key=lambda each: (each[0].recovered is None and not each[0].early, each[0].z, each[1].name))
    lasting = spike.recovered is None and not spike.early
    sign = -1.0 if of.better == "high" else 1.0
    height = spike.peak - spike.before
    error = 1.96 * curves.curve_noise(of.cost).sd
    step, verb = int(of.steps[spike.at]), "rose" if sign > 0 else "fell"
    because = (
        f"In run `{run.name}`, `{of.name}` {verb} from {run_figure(sign * spike.before)} to {run_figure(sign * spike.peak)} "
        f"at step {step:,},"
        f" {spike.z:.0f} times the usual variation between steps,"
    )
    if spike.recovered is not None:
        because += f" and was back at step {int(of.steps[spike.recovered]):,}."
    else:
        because += " and did not come back." if lasting else " and too few steps follow to say whether it comes back."
    replays = batch_replays(run, of, spike)
    because += replay_sentence(replays)
    others = len(found) - 1
    because += f" There {'is' if others == 1 else 'are'} {counted_things(others, 'more spike')}." if others else ""
    return RunClaim(
        "metric_spike",
        len(of.values),
        "act" if lasting else "watch",
        because,
        height,
        height - error,
        height + error,
        onset=of.when(spike.at),
        source="input" if suspected_batches(replays) else "model",
        rank=7.0 + min(spike.z / 100, 1.0),
        evidence={
            "metric": of.name,
            "better": of.better,
            "step": step,
            "z": spike.z,
            "recovered_step": None if spike.recovered is None else int(of.steps[spike.recovered]),
            **_replay_evidence(replays),
            "all": [{"metric": each.name, "step": int(each.steps[one.at])} for one, each in found[:50]],
        },
    )


@dataclass(frozen=True)
class BatchReplay:
    """Other steps that read the same data batches as the step of a spike. batches: batches that were read at the same other steps; steps:
    these other steps; again: the other steps that also had a spike.
    """

    batches: tuple[str, ...]
    steps: tuple[int, ...]
    again: tuple[int, ...]

    @property
    def share(self) -> float:
        """The share of the other steps that also had a spike; 0 without other steps."""
        return len(self.again) / len(self.steps) if self.steps else 0.0

    @property
    def outcome(self) -> str:
        """The end of a sentence about the batches: which other steps read them, and whether these steps also had a spike."""
        rows = f"the rows of {'this batch' if len(self.batches) == 1 else 'these batches'}"
        where = f"step{'' if len(self.steps) == 1 else 's'} {', '.join(f'{step:,}' for step in self.steps[:5])}"
        where += f" and {len(self.steps) - 5} more" if len(self.steps) > 5 else ""
        if not self.again:
            return f"{where} without a spike: {rows} are not the cause."
        if len(self.again) == len(self.steps):
            return f"{where}, with a spike each time: look at {rows}."
        return f"{where}, with a spike in {len(self.again)} of {len(self.steps)}: look at {rows}."


def batch_replays(run: TrainingRun, curve: MetricCurve, spike: curves.CurveSpike) -> list[BatchReplay]:
    """For the data batches of a spike, return the other steps that read them, largest share of spikes first; empty if the step of the spike
    names no batch.

    Another step also had a spike if its cost exceeded the median of the five steps before it by half the height of this spike.
    """
    until = spike.recovered if spike.recovered is not None else len(curve.steps)
    height = (spike.peak - spike.before) / 2
    reads: dict[str, list[int]] = {batch: [] for batch in run.batches.get(int(curve.steps[spike.at]), ())}
    if not reads:
        return []
    again: set[int] = set()
    for place, step in enumerate(curve.steps.tolist()):
        shared = reads.keys() & run.batches.get(step, ())
        if not shared or spike.at <= place < until or place < 5:
            continue
        for batch in shared:
            reads[batch].append(step)
        if float(curve.cost[place] - np.median(curve.cost[place - 5 : place])) >= height:
            again.add(step)
    alike: dict[tuple[int, ...], list[str]] = {}
    for batch, steps in reads.items():
        alike.setdefault(tuple(steps), []).append(batch)
    found = [BatchReplay(tuple(batches), steps, tuple(each for each in steps if each in again)) for steps, batches in alike.items()]
    return sorted(found, key=lambda each: (-each.share, -len(each.again)))


def _replay_evidence(replays: Sequence[BatchReplay]) -> dict[str, object]:
    """Evidence of a claim: the names of all batches of the step; and for the first group of batches the other steps, and those that also
    had a spike.
    """
    if not replays:
        return {}
    names, first = [batch for each in replays for batch in each.batches], replays[0]
    return {"batch": names[0], "batches": names, "batch_steps": list(first.steps), "batch_spiked_again": list(first.again)}


def suspected_batches(replays: Sequence[BatchReplay]) -> BatchReplay | None:
    """Return the batches whose rows may be the cause of a spike, because other steps that read them also had a spike; None if there are
    none.

    If a step read several batches, one of them may coincide with another spike by chance. Therefore at least half of its other steps must
    have had a spike.
    """
    first = replays[0] if replays else None
    return first if first and first.again and (len(replays) == 1 or first.share >= 0.5) else None


def replay_sentence(replays: Sequence[BatchReplay]) -> str:
    """Return a sentence that states which data batches the step of a spike read, and whether other steps that read them also had a spike;
    empty without batches.
    """
    if not replays:
        return ""
    names = [batch for each in replays for batch in each.batches]
    head, first = f" It read the data batch{'' if len(names) == 1 else 'es'} {run_name(names)}", replays[0]
    if len(replays) == 1:
        return f"{head}, as did {first.outcome}" if first.steps else f"{head}, which no other step read."
    if suspected_batches(replays):
        was = "was" if len(first.batches) == 1 else "were"
        return f"{head}. {run_name(first.batches)} {was} also read at {first.outcome}"
    steps = {step for each in replays for step in each.steps}
    spiked = {step for each in replays for step in each.again}
    unread = [batch for each in replays if not each.steps for batch in each.batches]
    rest = f" No other step read {run_name(unread)}." if unread else ""
    others = counted_things(len(steps), "other step")
    if not spiked:
        return f"{head}. {others} read some of them without a spike: the rows of those are not the cause.{rest}"
    return f"{head}. Of {others} that read some of them, {len(spiked):,} had a spike: too few to blame a batch.{rest}"


def divergence_claim(run: TrainingRun) -> RunClaim | None:
    """Return the claim about the training metric that gave up most of its earlier improvement."""
    found = [(change, each) for each in long_enough(run, "train") if (change := curves.divergence_at_end(each.cost)) is not None]
    if not found:
        return None
    change, of = max(found, key=lambda each: (each[0].share, each[1].name))
    best, last = of.values[change.at], of.values[-1]
    gave = f"{100 * change.share:.0f} % of the improvement before" if np.isfinite(change.share) else "more than the improvement before"
    because = (
        f"Run `{run.name}` diverged: `{of.name}` ends at {run_figure(last)} (step {int(of.steps[-1]):,}), from "
        f"{run_figure(best)} around step"
        f" {int(of.steps[change.at]):,}; that gave up {gave}."
    )
    return RunClaim(
        "divergence",
        len(of.values),
        "act",
        because,
        change.value,
        change.low,
        change.high,
        onset=of.when(change.at),
        source="model",
        rank=8.0,
        evidence={"metric": of.name, "step": int(of.steps[change.at]), "share": change.share if np.isfinite(change.share) else None},
    )


def overfitting_claim(run: TrainingRun) -> RunClaim | None:
    """Return the claim about the held-out metric that became worst, relative to its progress, while its training metric kept improving."""
    found = []
    for held_out, training in run.pairs():
        if training is None:
            continue
        held, learned = held_out.finite, training.finite
        change = curves.overfitting_onset(held.steps, held.cost, learned.steps, learned.cost)
        if change is not None:
            found.append((change, held, learned))
    if not found:
        return None
    change, held, learned = max(found, key=lambda each: (each[0].share, each[1].name))
    best = held.best()
    step, last = int(held.steps[best]), int(held.steps[-1])
    because = (
        f"Run `{run.name}` overfits: `{held.name}` was best at step {step:,} ({run_figure(held.values[best])}) and is worse by"
        f" {run_figure(change.value)} ({run_figure(change.low)} to {run_figure(change.high)}) at the end (step {last:,}), "
        f"while `{learned.name}` went on improving."
    )
    saved = (held.when(-1) - held.when(best)).total_seconds()
    because += f" Stopping there would have saved {counted_things(last - step, 'step')} and {duration_words(saved)}."
    severity: Severity = "act" if change.share >= STRONG_OVERFIT else "watch"
    return RunClaim(
        "overfitting_gap",
        len(held.values),
        severity,
        because,
        change.value,
        change.low,
        change.high,
        onset=held.when(best),
        source="model",
        rank=6.0 + min(change.share, 1.0),
        evidence={
            "metric": held.name,
            "best_step": step,
            "best_value": float(held.values[best]),
            "share": change.share,
            "steps_saved": last - step,
            "seconds_saved": saved,
            "pairs": len(found),
            "width": curves.overfitting_width(len(held.values)),
            "better": held.better,
        },
    )


def plateau_claim(run: TrainingRun) -> RunClaim | None:
    """Return the claim about plateaus of held-out metrics, or of training metrics if no held-out metric can be judged.

    It is `watch` if no other metric has improved since the last of these metrics became flat; otherwise it is `ok`, without a limit.
    """
    judged = long_enough(run, "held out") or long_enough(run, "train")
    flat = [(change, each) for each in judged if (change := curves.plateau_start(each.cost)) is not None]
    if not flat:
        return None
    change, of = max(flat, key=lambda each: (each[0].at, each[1].name))
    since, last = int(of.steps[change.at]), int(of.steps[-1])
    flat_names = {each.name for _, each in flat}
    others = [each for each in judged if each.name not in flat_names]
    still = sorted(each.name for each in others if curves.may_improve_since(each.cost, int(np.searchsorted(each.steps, since))))
    unsure = sorted({each.name for each in others}.difference(still))
    share = (len(of.values) - 1 - change.at) / len(of.values)
    seconds = (of.when(-1) - of.when(change.at)).total_seconds()
    because = (
        f"In run `{run.name}`, `{of.name}` has not improved since step {since:,} of {last:,} by more than noise and"
        f" {100 * curves.PLATEAU_TOLERANCE:.0f} % of the improvement before"
    )
    if unsure and not still:
        because += f" ({run_name(unsure)}: no improvement beyond noise)"
    if still:
        because += f"; {run_name(still)} still did, so training on was not necessarily wasted."
    elif run.ended is None:
        because += "; it could be stopped."
    else:
        because += f"; stopping there would have saved {counted_things(last - since, 'step')} and {duration_words(seconds)}."
    return RunClaim(
        "plateau_share",
        len(of.values),
        "ok" if still else "watch",
        because,
        value=share,
        low=share,
        high=share,
        limit=None if still else curves.PLATEAU_SHARE,
        against="peers" if still else "level",
        onset=of.when(change.at),
        source=None if still else "model",
        rank=4.0 + share,
        evidence={
            "metric": of.name,
            "since_step": since,
            "steps_saved": last - since,
            "seconds_saved": seconds,
            "improvement": change.value,
            "improvement_low": change.low,
            "improvement_high": change.high,
            "still_improving": still,
        },
    )


def curve_summary(run: TrainingRun) -> RunClaim:
    """Return the claim that the curves are fine, with the best value, or a claim that states why they cannot be judged yet."""
    of = run.main()
    silent = unknown_names(run)
    if of is None:
        why = (
            f"none of its metrics ({run_name(silent)}) has a name that says which direction is better"
            if silent
            else "no metric of any step was logged"
        )
        final = [f"`{name}` {run_figure(value)}" for name, value in sorted(run.final.items())[:4]]
        why += f"; it ended with {', '.join(final)}" if final else ""
        return RunClaim("best_metric", run.steps, "unknown", f"The curves of run `{run.name}` cannot be judged: {why}.")
    finite = of.finite
    n = len(finite.values)
    judged = long_enough(run)
    if not judged:
        return RunClaim(
            "best_metric",
            n,
            "unknown",
            f"Run `{run.name}` has too few steps to judge: `{of.name}` has {n} finite values, about "
            f"{max(MIN_STEPS - n, 1)} more are needed.",
            evidence={"metric": of.name},
        )
    best = finite.best()
    error = 1.96 * curves.curve_noise(finite.cost).sd if n >= 7 else 0.0
    value, step = float(finite.values[best]), int(finite.steps[best])
    pairs = sum(training is not None for _, training in run.pairs())
    because = (
        f"No anomaly in {counted_things(run.steps, 'step')} of run `{run.name}`: no non-finite value, no spike, no divergence in"
        f" {counted_things(len(judged), 'metric')}"
    )
    because += f", no overfitting in {counted_things(pairs, 'pair')} of training and held-out rows" if pairs else ""
    because += f"; `{of.name}` was best at step {step:,} ({run_figure(value)})."
    because += (
        f" {run_name(silent)}: not judged, since neither the name nor the run (`directions`) says which direction is better."
        if silent
        else ""
    )
    return RunClaim(
        "best_metric",
        n,
        "ok",
        because,
        value,
        value - error,
        value + error,
        evidence={"metric": of.name, "best_step": step, "last_value": float(finite.values[-1])},
    )


def unknown_names(run: TrainingRun) -> Sequence[str]:
    """Return the metrics whose better direction is unknown, except those that training_signals judges."""
    return sorted(name for name, each in run.curves.items() if each.better is None and signal_of(name) is None)
