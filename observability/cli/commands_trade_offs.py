"""The command `trade-offs`, which compares forms of a model (such as the same model in other precisions or runtimes, or smaller ones) on
the same rows.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from observability.cli.outcome import Outcome, Say, json_or_lines, percent_progress
from observability.core.catalog import Model, Version
from observability.core.errors import UsageError
from observability.core.formatting import format_bytes
from observability.core.numerals import format_figure, percent
from observability.metrics.trade_offs import FormResult, form_cost_basis, form_results
from observability.store.engine import Store


def run_trade_offs(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Run the forms of a model, or read such results from a file, and store the audit."""
    from observability.enrichment import precision_audit
    from observability.worker.process import warm_worker

    for name in ("rows", "days"):
        if getattr(args, name) < 1:
            raise UsageError(f"--{name} takes a number above 0", got=getattr(args, name))
    if not 0 < args.seconds <= 60:
        raise UsageError("--seconds takes a number of seconds", got=args.seconds, expected="above 0, at most 60")
    model = store.catalog().model(args.model)
    if args.imported:
        version = audited_version(model, args.version, with_file=False)
        record = precision_audit.imported_audit(Path(args.imported), model.name, version.name, args.days, args.in_use)
    else:
        version = audited_version(model, args.version, with_file=True)
        options = precision_audit.AuditOptions(
            forms=tuple(name.strip() for name in (args.forms or "").split(",") if name.strip()),
            network=not args.without_network,
            providers=tuple(args.provider),
            probes=args.rows,
            seconds=args.seconds,
            seed=args.seed,
            in_use=args.in_use or precision_audit.SERVED_FORM,
            days=args.days,
        )
        record = precision_audit.precision_audit(store, warm_worker(), model, version, options, percent_progress(say))
    if not args.dry_run:
        store.write_records([record])
    say("")
    return json_or_lines(record, trade_off_lines(record, not args.dry_run), args.json)


def audited_version(model: Model, name: str | None, *, with_file: bool) -> Version:
    """The named version, or else the newest registered version (one with a model file, if required). Raises UsageError if there is none."""
    if name is not None:
        found = model.version(name)
        if found is None:
            raise UsageError(
                "the model has no such version", got=f"{model.name} {name}", expected=", ".join(each.name for each in model.versions)
            )
        return found
    versions = [each for each in model.versions if each.registered and (each.artifact or not with_file)]
    if not versions:
        raise UsageError("the model has no version with a model file", got=model.name, attempt="Register it with --artifact FILE")
    return max(versions, key=lambda version: str(version.registered_at))


def trade_off_lines(record: dict[str, Any], kept: bool) -> list[str]:
    """The audit as text: a line for each form."""
    results = record["results"]
    forms = list(form_results(results["forms"]))
    head = f"{record['model']} version {record['version']}: {len(forms)} forms"
    rows = results.get("probes") or max((form.probes or 0 for form in forms), default=0)
    head += f" on {f'{rows:,} rows of ' if rows else ''}its {results['probes_from']}" if results.get("probes_from") else ""
    lines = [head + ("." if kept else " (not kept).")]
    width = max(len(form.name) for form in forms)
    basis, currency = form_cost_basis(forms), str(results.get("currency") or "money")
    lines += [f"  {form.name:<{width}}  {form_figures(form, currency, basis)}" for form in forms]
    lines += [f"  {row['form']}: not measured, {row['why']}" for row in results.get("missing") or []]
    lines += fallback_lines(forms)
    if results.get("watts_per_core"):
        lines.append(
            f"  Energy is processor time times an assumed {results['watts_per_core']:g} W for each busy core: no counter can be read."
        )
    return lines


def form_figures(form: FormResult, currency: str, basis: tuple[float, str]) -> str:
    """The known figures of a form in one line. basis: the number of answers to which costs refer (see `form_cost_basis`)."""
    parts = []
    if form.flip_rate is not None:
        value, low, high = (percent(each or 0.0) for each in form.flip_rate.triple)
        parts.append(f"{value} changed ({low} to {high})")
    if form.max_delta is not None:
        parts.append(f"max |Δ| {format_figure(form.max_delta, 3)}")
    if form.kl_divergence is not None:
        parts.append(f"KL {format_figure(form.kl_divergence, 3)} nats")
    if form.unstable:
        parts.append(f"{form.unstable:,} decided differently between passes")
    latencies = {"p50": form.latency_p50_ms, "p90": form.latency_p90_ms, "p99": form.latency_p99_ms}
    parts += [f"{format_figure(value, 3)} ms {name}" for name, value in latencies.items() if value is not None]
    if form.ms_per_thousand is not None and form.latency_p50_ms is None:
        parts.append(f"{format_figure(form.ms_per_thousand, 3)} ms per thousand")
    if form.energy_j is not None:
        parts.append(f"{format_figure(form.energy_j, 3)} J per thousand ({form.energy_source or 'source not stated'})")
    if form.bytes is not None:
        parts.append(format_bytes(form.bytes))
    if form.memory_peak_mb is not None:
        parts.append(f"peak memory {format_figure(form.memory_peak_mb, 3)} MB")
    if form.cost_per_thousand is not None:
        parts.append(f"{currency} {format_figure(form.cost_per_thousand * basis[0], 3)} per {basis[1]} answers")
    return ", ".join(parts)


def fallback_lines(forms: Sequence[FormResult]) -> list[str]:
    """A line for each form that ran entirely or partly on another device than requested."""
    whole = [
        f"  {form.name}: {form.provider} was requested, and the runtime used {form.used_provider} without an error."
        for form in forms
        if form.fell_back
    ]
    return whole + [f"  {form.name}: {form.partial_fallback}." for form in forms if form.partial_fallback]
