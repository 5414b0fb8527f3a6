"""Faults in records: which are named at middle strength, and at which rank? What do clean records raise?

    python tests/benchmarks/bench_pipeline.py [--runs 20] [--clean 300] [--families training,labelling] [--strength middle]

Every fault of training runs, studies, augmentations, energy, devices, cleaning, labelling, storage, forms, controllers, serving devices,
vendors and exports is planted `--runs` times on simulated clean records, each time with another seed. Named: a finding with the right
subject and metric needs attention, and does not without the fault. Top three: this finding is among the first three alarms, in the order of
the page, of the first check that names the fault. Then `--clean` clean runs, crews, fleets, studies, audits, months and weeks are judged.
Training runs have one seed for the records and one for the fault. Prints CPU seconds.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pandas as pd

from observability.core.catalog import Model
from observability.core.errors import UsageError
from observability.core.finding import Finding
from observability.detection.study_checks import claims_about_searches
from observability.metrics.augmentation import augmentation_audits
from observability.simulation import (
    augmentation_replay,
    cleaning_replay,
    collection_replay,
    controller_replay,
    edge_replay,
    energy_replay,
    energy_world,
    export_replay,
    faults_augmentation,
    faults_cleaning,
    faults_collection,
    faults_controllers,
    faults_edge,
    faults_energy,
    faults_exports,
    faults_forms,
    faults_labelling,
    faults_storage,
    faults_studies,
    faults_training,
    faults_vendors,
    form_replay,
    labelling_project,
    labelling_replay,
    storage_replay,
    study_replay,
    training_replay,
    vendor_replay,
)
from observability.simulation.detection_result import RecordDetection
from tests.support.augmentation_audits import audit_row, augmentation_findings, simulated_audit
from tests.support.cleaning_runs import cleaning_frame
from tests.support.controller_decisions import controller_decisions, controller_findings
from tests.support.device_fleet import device_batches, device_findings, stored_batches
from tests.support.edge_reports import device_reports, edge_findings, report_frame
from tests.support.export_events import clean_exports, export, export_findings, export_frame, noised, stated_levels
from tests.support.form_audits import audit_row as form_row
from tests.support.form_audits import clean_form, form_audits, trade_off_findings
from tests.support.simulated_runs import STEPS, run_that_can_have, simulated_run_frames
from tests.support.simulated_studies import simulated_study
from tests.support.simulation_key import LABEL_KEY, RUN_KEY
from tests.support.storage_reports import PLACES, place_reports, storage_findings, storage_frame
from tests.support.vendor_nights import VendorNights, asked_nights, morning_findings

END, LOAN, SHARES = datetime(2026, 5, 1), Model(1, "loan", "binary", ("no", "yes")), {"no": 0.7, "yes": 0.3}


@dataclass(frozen=True)
class Family:
    """Faults of one kind of records. replay: a function that replays a fault at a strength with a seed. clean: a function that returns the
    severities raised by the clean records of a seed.
    """

    faults: dict[str, Any]
    replay: Callable[[Any, Any, int], RecordDetection]
    clean: Callable[[int], Iterable[str]] | None


def device_frame(seed: int) -> pd.DataFrame:
    """Batches of a clean fleet as the store returns them."""
    return stored_batches(device_batches(np.random.default_rng(seed), fleet=4, before=40))


def label_project(seed: int) -> labelling_project.LabellingRecords:
    """Records of a clean crew: 60 items a day, three labels per item."""
    return labelling_project.simulated_labelling_records("loan", SHARES, 60, seed, END)


def of(findings: Iterable[Finding]) -> list[str]:
    """The severities of some findings."""
    return [each.severity for each in findings]


def clean_run(seed: int) -> list[str]:
    """The severities raised by a clean run, which has one process, four processes or four accelerators by turns."""
    return of(training_replay._run_findings(simulated_run_frames(("curves", "ranks", "accelerators")[seed % 3], seed), STEPS, True))


def audits(seed: int) -> list[Any]:
    """The findings about clean audits, each of another augmentation."""
    rows = [simulated_audit(1000 + 20 * seed + place, rows=1500) for place in range(4)]
    return augmentation_audits(pd.DataFrame([audit_row(row["results"], augmentation=f"jitter {n}") for n, row in enumerate(rows)]))


def reports(seed: int) -> list[Any]:
    """Reports of places (folders or buckets) without faults."""
    return [row for place, name in enumerate(PLACES) for row in place_reports(np.random.default_rng([seed, place]), name)]


FAMILIES = {
    "training": Family(
        faults_training.FAULTS,
        lambda fault, strength, seed: training_replay.replay_training_fault(
            simulated_run_frames(run_that_can_have(fault.name), seed), run_that_can_have(fault.name), fault, strength, seed
        ),
        clean_run,
    ),
    "studies": Family(
        faults_studies.FAULTS,
        lambda fault, strength, seed: study_replay.replay_study_fault(
            simulated_study(np.random.default_rng([seed, 29]), trials=80), fault, strength, seed
        ),
        lambda seed: [
            claim.severity for claim, _ in claims_about_searches(simulated_study(np.random.default_rng([seed, 23]), test=seed % 2 == 0))
        ],
    ),
    "augmentation": Family(
        faults_augmentation.FAULTS,
        lambda fault, strength, seed: augmentation_replay.replay_augmentation_fault(audits(seed), fault, strength, seed),
        lambda seed: of(augmentation_findings([simulated_audit(9000 + seed, rows=1500)])),
    ),
    "energy": Family(
        faults_energy.FAULTS,
        lambda fault, strength, seed: energy_replay.replay_energy_fault(fault, strength, seed),
        lambda seed: of(energy_replay.training_energy_findings(energy_world.simulated_energy(5000 + seed))),
    ),
    "devices": Family(
        faults_collection.FAULTS,
        lambda fault, strength, seed: collection_replay.replay_device_fault(device_frame(seed), fault, strength, seed=seed),
        lambda seed: of(device_findings(device_batches(np.random.default_rng(1000 + seed)))),
    ),
    "cleaning": Family(
        faults_cleaning.FAULTS,
        lambda fault, strength, seed: cleaning_replay.replay_cleaning_fault(cleaning_frame(seed), fault, strength, seed),
        lambda seed: of(cleaning_replay._cleaning_findings(cleaning_frame(3000 + seed), np.ones(63, bool))),
    ),
    "forms": Family(
        faults_forms.FAULTS,
        lambda fault, strength, seed: form_replay.replay_form_fault(
            form_audits([form_row([clean_form(np.random.default_rng(seed), "int8")])]), fault, strength, seed
        ),
        lambda seed: of(trade_off_findings([form_row([clean_form(np.random.default_rng([seed, 37]), "int8", 0.005)], in_use="int8")])),
    ),
    "controllers": Family(
        faults_controllers.FAULTS,
        lambda fault, strength, seed: controller_replay.replay_controller_fault(
            controller_decisions(np.random.default_rng(seed), an_hour=8, before=3), fault, strength, seed
        ),
        lambda seed: of(
            controller_findings(
                controller_decisions(np.random.default_rng(5000 + seed), an_hour=4, before=3, gain=1.0 if seed % 10 == 0 else 0.9)
            )
        ),
    ),
    "edge": Family(
        faults_edge.FAULTS,
        lambda fault, strength, seed: edge_replay.replay_edge_fault(
            report_frame(device_reports(np.random.default_rng([seed, 4]), fleet=90, before=14)), fault, strength, seed
        ),
        lambda seed: of(edge_findings(device_reports(np.random.default_rng([seed, 3]), fleet=90, before=28))),
    ),
    "vendors": Family(
        faults_vendors.FAULTS,
        lambda fault, strength, seed: vendor_replay.replay_vendor_fault(
            asked_nights(VendorNights(20, noise=0.02, seed=seed), fault.metric).rows(), fault, strength, seed
        ),
        lambda seed: of(morning_findings(VendorNights(20, noise=0.02, seed=1000 + seed).rows(), 19)),
    ),
    "exports": Family(
        faults_exports.FAULTS,
        lambda fault, strength, seed: export_replay.replay_export_fault(
            export_frame([noised(1), export(2), export(3, recipient="bolt", dataset=None), export(4, k=None)]), fault, strength, seed
        ),
        lambda seed: of(export_findings(clean_exports(np.random.default_rng(seed)), stated_levels())),
    ),
    "storage": Family(
        faults_storage.FAULTS,
        lambda fault, strength, seed: storage_replay.replay_storage_fault(
            storage_frame(place_reports(np.random.default_rng([seed, 19]), PLACES[seed % 3])), fault, strength, seed
        ),
        lambda seed: of(storage_findings(reports(seed))),
    ),
    "labelling": Family(
        faults_labelling.FAULTS,
        lambda fault, strength, seed: labelling_replay.replay_labelling_fault(label_project(seed), LOAN, fault, strength, seed),
        lambda seed: of(labelling_replay.labelling_findings(label_project(7000 + seed), LOAN, END)),
    ),
}


def right(fault: Any, target: str, finding: Finding) -> bool:
    """Whether a finding names the fault: right subject, right metric."""
    metrics = RUN_KEY.get(fault.name) or LABEL_KEY.get(fault.name) or (fault.metric,)
    own = {target, target.replace("annotator=", "project:loan/annotator:")}
    return finding.subject in own and finding.metric in metrics


def place_of(told: RecordDetection) -> int | None:
    """The rank (from 0) of the right finding among the alarms of the first check that has it; None if no check has it."""
    for look in told.looks:
        for place, each in enumerate(look.alarms):
            if right(told.fault, told.target, each):
                return place
    return None


def main(runs: int, clean: int, families: list[str], strength: str) -> None:
    """Print a line for each fault, and for the clean records of each family."""
    named, all_of, first_three = 0, 0, 0
    for family in families:
        own = FAMILIES[family]
        for name, fault in own.faults.items():
            began, places = time.process_time(), []
            for seed in range(runs):
                try:
                    places.append(place_of(own.replay(fault, strength, seed)))
                except UsageError:
                    continue
            hits = [place for place in places if place is not None]
            named, all_of, first_three = named + len(hits), all_of + len(places), first_three + sum(place < 3 for place in hits)
            tail = f"top three {sum(place < 3 for place in hits)}, first {hits.count(0)}  ({time.process_time() - began:.0f} s)"
            print(f"{family:13} {name:28} named {len(hits):3d} of {len(places):3d}, {tail}", flush=True)
        if own.clean is None:
            continue
        began, worst = time.process_time(), Counter[str]()
        for seed in range(clean):
            found = set(own.clean(seed))
            worst["act" if "act" in found else "watch" if "watch" in found else "silent"] += 1
        print(f"{family:13} clean: {dict(worst)} of {clean}  ({time.process_time() - began:.0f} s)", flush=True)
    if all_of:
        print(f"all: named {named} of {all_of} ({100 * named / all_of:.1f} %), in the top three {first_three}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--clean", type=int, default=300)
    parser.add_argument("--families", type=lambda text: text.split(","), default=list(FAMILIES))
    parser.add_argument("--strength", default="middle", choices=("weak", "middle", "strong"))
    main(**vars(parser.parse_args()))
