"""What does the command `lab` answer?"""

import argparse
from typing import TYPE_CHECKING

from observability.cli.outcome import Outcome, Say, answered
from observability.core.errors import UsageError

if TYPE_CHECKING:
    from observability.simulation.fault import Fault
    from observability.simulation.faults_labelling import LabelFault
    from observability.simulation.faults_training import RunFault
    from observability.store.db.database import Store


def lab(store: "Store", said: argparse.Namespace, say: Say) -> Outcome:
    """Plant a fault and show what would have been said; or list the faults."""
    from observability.simulation import faults, timeline, training_replay

    if said.run and (not said.fault or training_replay.fault_of(said.fault) is None):
        raise UsageError(
            "--run is for faults of a training run", got=said.fault or "no --fault", expected="one of " + ", ".join(training_replay.FAULTS)
        )
    if said.fault and (told_of_records := lab_records(store, said, say)) is not None:
        return told_of_records
    model = said.model or next((each.name for each in store.catalog().models if any(one.reference_rows for one in each.versions)), None)
    if model is None:
        raise UsageError("no model has a reference to plant a fault on", attempt="Register one, or load the sample fleet with demo")
    if not said.list and not said.fault:
        raise UsageError("which fault?", expected="--fault NAME", attempt="See them with --list")
    fault = faults.fault(said.fault).name if said.fault else ""
    choice = timeline.Choice(model, fault, said.strength, said.days, said.rows_a_day, said.label_delay, said.seed, said.source)
    say(f"reading {model}")
    scene = timeline.scene_of(store, choice)
    if said.list:
        say("")
        return lab_faults(model, timeline.possible(scene), said.json)
    told = timeline.tell(scene, choice, lambda share, words: say(f"{100 * share:.0f} % {words}"))
    say("")
    on = ", ".join(told.target.values())
    lines = [
        f"Simulated: {told.fault.title} ({told.fault.told}) on {model}{f', {on}' if on else ''}: {told.fault.size(said.strength)}.",
        f"{told.told} {choice.rows_a_day:,} a day, labels {choice.label_delay} days late; the fault begins on day 1.",
        *(f"  day {row['day']:>2}  {row['severity']:<5} {row['because']}{' (also without the fault)' if row['also_without_fault'] else ''}" for row in told.rows()),
        told.sentence,
    ]  # fmt: skip
    return answered(told.to_json(), lines, said.json)


def lab_records(store: "Store", said: argparse.Namespace, say: Say) -> Outcome | None:
    """Plant a fault in a training run's or a labelling project's records and show what would have been said; None where the fault is neither's."""
    from datetime import UTC, datetime

    from observability.simulation import labelling_replay, training_replay
    from observability.store.query import records

    now = datetime.now(UTC)
    if (of_a_run := training_replay.fault_of(said.fault)) is not None:
        say("reading training runs")
        told = training_replay.on_a_run(
            lambda question, window: records.fetch(store, question, window), of_a_run, said.strength, now,
            model=said.model, name=said.run, seed=said.seed,
        )  # fmt: skip
    elif (of_labels := labelling_replay.fault_of(said.fault)) is not None:
        model = store.catalog().model(said.model) if said.model else next(iter(store.catalog().models), None)
        if model is None:
            raise UsageError("no model to plant a fault of labelling on", attempt="Register one, or load the sample fleet with demo")
        say(f"reading the labelling of {model.name}")
        told = labelling_replay.tell(labelling_replay.project_of(store, model, now, said.seed), model, of_labels, said.strength, said.seed)
    else:
        return None
    say("")
    detail = f" ({told.detail})" if told.detail else ""
    lines = [
        f"Simulated: {told.fault.title} ({told.fault.told}) on {told.target}{detail}: {told.fault.size(said.strength)}.",
        f"{told.about} It begins at {told.unit} {told.onset:,} of {told.size:,}; the {told.kind} is judged {len(told.looks)} times from there, with only what had been logged.".strip(),
        *(f"  {told.unit} {row[told.unit]:>6,}  {row['severity']:<5} {row['because']}" for row in told.rows()),
        told.sentence,
    ]  # fmt: skip
    return answered(told.to_json(), lines, said.json)


def lab_faults(model: str, possible: dict[str, str | None], as_json: bool) -> Outcome:
    """The faults, and why a model cannot have one."""
    from observability.simulation.fault import STRENGTHS
    from observability.simulation.faults import FAULTS
    from observability.simulation.faults_labelling import FAULTS as OF_LABELLING
    from observability.simulation.faults_training import FAULTS as OF_RUNS

    faults: list[Fault | RunFault | LabelFault] = [*FAULTS.values(), *OF_RUNS.values(), *OF_LABELLING.values()]
    body = [
        {"fault": each.name, "section": each.section, "told": each.told, "unit": each.unit, "cannot": possible.get(each.name)}
        | {strength: each.amount(strength) for strength in STRENGTHS}
        for each in faults
    ]
    lines = [
        f"{each['fault']:<24} {each['told']}{f' Not on {model}: ' + str(each['cannot']) + '.' if each['cannot'] else ''}" for each in body
    ]
    return answered(body, lines, as_json)
