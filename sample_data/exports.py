"""Make the exports of the sample fleet. `python sample_data/exports.py`

The tables, the noise and the training are real, on the rows of the fleet: people with generalised columns and their k; weekly counts of
flights, to which Gaussian noise is added; and a logistic regression trained with clipped and noised gradients (DP-SGD), with its accuracy
compared with that without noise. Recipients, contracts, enclaves and dates are invented, and no data were sent. Everything is drawn with
one seed.
"""

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
FILE, SEED = "exports.jsonl", 37
FIRST = datetime(2024, 10, 31, 9, tzinfo=UTC)
CANARIES = ({"name": "harbour lantern", "text": "harbour-lantern-4417"}, {"name": "copper thistle", "text": "copper-thistle-9052"})
"""Texts that occur in no row of the fleet. The simulated vendor repeats the first one (vendor.py)."""
COUNTED_NOISE, WEEKS = 7.0, 4
TRAINING = {"noise_multiplier": 1.2, "sampling_rate": 0.01, "steps": 600}
CLIP, RATE, DELTA = 1.0, 4.0, 1e-5
CODE = "sha256:" + hashlib.sha256(b"logistic regression with clipped and noised gradients, release 3").hexdigest()[:32]
"""The measurement that an enclave with the training code would attest."""
ENCLAVE_SEED = hashlib.sha256(b"an enclave that does not exist").digest()
"""Seed of the Ed25519 key that signs the attestations. Anybody can derive this key, so the signature proves nothing."""
CHECKS = ("contract", "region", "encrypted transfer", "encrypted storage", "deletion")


def export(day: float, recipient: str, dataset: str, text: str, **fields: Any) -> dict[str, Any]:
    """The record of an export, dated the given number of days after FIRST."""
    at = (FIRST + timedelta(days=day)).isoformat()
    return {
        "kind": "event",
        "what": "export",
        "at": at,
        "received_at": at,
        "text": text,
        "recipient": recipient,
        "dataset": dataset,
        **fields,
    }


def level(day: float, recipient: str, dataset: str, statement: str, **stated: Any) -> dict[str, Any]:
    """The record of a decision that sets the owner's limits for a recipient."""
    at = (FIRST + timedelta(days=day)).isoformat()
    name = f"sample-{recipient}-{dataset}".replace(" ", "-")
    about = {"kind": "decision", "decision": name, "at": at, "received_at": at, "author": "data protection officer", "statement": statement}
    return {**about, "recipient": recipient, "dataset": dataset, **stated}


def people_exports(folder: Path) -> Iterator[dict[str, Any]]:
    """Two extracts of the survey: one with ten-year age bands and without small groups, one with single years of age and everybody."""
    people = pd.read_parquet(folder / "employment.predictions.parquet", columns=["id", "AGEP", "SEX", "RAC1P", "MAR", "label"])
    people = people[people["id"].str.startswith("ma-2018")]
    bands = people.assign(AGEP=people["AGEP"] // 10 * 10, RAC1P=np.where(people["RAC1P"] == "White", "White", "other"))
    quasi = ["AGEP", "SEX", "RAC1P", "MAR"]
    kept = bands[bands.groupby(quasi)["label"].transform("size") >= 10]
    told = {name: {"tag": "quasi", "transform": words} for name, words in (("AGEP", "ten years"), ("RAC1P", "two groups"))}
    told |= {"SEX": {"tag": "quasi"}, "MAR": {"tag": "quasi"}, "label": {"tag": "sensitive"}}
    smallest = int(kept.groupby(quasi).size().min())
    yield export(
        20, "statistics office", "employment 2018", "Employment by age band, sex, race and marital status", columns=told, rows=len(kept),
        transform="generalised", legal_basis="public task", k=smallest, left_out=len(bands) - len(kept), model="employment",
    )  # fmt: skip
    years = {name: {"tag": "quasi"} for name in quasi} | {"label": {"tag": "sensitive", "transform": "none"}}
    fine = int(people.groupby(quasi).size().min())
    yield export(
        26, "research partner", "employment 2018", "Employment by single year of age", columns=years, rows=len(people), transform="none",
        legal_basis="consent", k=fine, unique_rows=int((people.groupby(quasi).size() == 1).sum()), model="employment",
    )  # fmt: skip
    yield level(-9, "statistics office", "employment 2018", "The statistics office gets groups of at least ten.", k=10)
    yield level(-9, "research partner", "employment 2018", "The research partner gets groups of at least five.", k=5)


def flight_counts(folder: Path, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Weekly counts of flights by carrier, with noise. Each flight is in one count, so the sensitivity is 1."""
    flights = pd.read_parquet(folder / "flights-late.predictions.parquet", columns=["at", "carrier"])
    last = flights["at"].max().normalize()
    carriers = sorted(flights["carrier"].unique())
    for week in range(WEEKS):
        end = last - timedelta(days=7 * (WEEKS - 1 - week))
        inside = flights[(flights["at"] >= end - timedelta(days=7)) & (flights["at"] < end)]
        counts = inside["carrier"].value_counts().reindex(carriers, fill_value=0)  # noise also hides which carriers flew at all
        released = {str(name): round(float(count + rng.normal(0, COUNTED_NOISE)), 1) for name, count in counts.items()}
        yield export(
            5 + 7 * week, "city open data", "weekly flights", f"Flights by carrier, week to {end:%Y-%m-%d}, with noise", rows=len(released),
            columns={"carrier": {}, "flights": {"transform": "noised"}}, transform="noised", legal_basis="public task", delta=DELTA,
            mechanism={"noise_multiplier": COUNTED_NOISE}, released=released, model="flights-late",
        )  # fmt: skip
    yield level(-9, "city open data", "weekly flights", "The city gets weekly counts until ε = 1.3.", epsilon=1.3, delta=DELTA)


def design(frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    """The features of each row as a vector with a norm of at most 1."""
    numbers = frame[["AGEP", "SCHL"]].to_numpy(float) / np.array([100.0, 24.0])
    columns = pd.get_dummies(frame[["MAR", "ESP", "DIS", "MIL", "SEX"]]).astype(float)
    both = np.hstack([np.ones((len(frame), 1)), numbers, columns.to_numpy(float)])
    return both / np.maximum(np.linalg.norm(both, axis=1, keepdims=True), 1.0)


def trained(x: Any, y: Any, rng: np.random.Generator, noise: float) -> Any:
    """Weights of a logistic regression trained by DP-SGD: Poisson samples, clipped gradients, and Gaussian noise on their sum."""
    weights, expected = np.zeros(x.shape[1]), TRAINING["sampling_rate"] * len(x)
    for _ in range(int(TRAINING["steps"])):
        drawn = rng.random(len(x)) < TRAINING["sampling_rate"]
        gradients = (1 / (1 + np.exp(-x[drawn] @ weights)) - y[drawn])[:, None] * x[drawn]
        gradients /= np.maximum(np.linalg.norm(gradients, axis=1, keepdims=True) / CLIP, 1.0)
        total = gradients.sum(axis=0) + rng.normal(0, noise * CLIP, x.shape[1])
        weights -= RATE * total / expected
    return weights


def attested(run: str) -> dict[str, str]:
    """The attestation of the enclave for a run, signed with its key."""
    document = json.dumps({"measurement": CODE, "run": run}, separators=(",", ":"))
    signature = base64.b64encode(enclave_key().sign(document.encode())).decode()
    return {"attestation": CODE, "attestation_document": document, "attestation_signature": signature}


def enclave_key() -> Any:
    """The private key of the enclave."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(ENCLAVE_SEED)


def enclave_public_key() -> str:
    """The public key of the enclave as PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return str(enclave_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


def training_exports(folder: Path, rng: np.random.Generator) -> Iterator[dict[str, Any]]:
    """Two runs on rented machines; the trained models leave the machines with noise. For the newer run, deletion of the copy is not
    confirmed.
    """
    frame = pd.read_parquet(folder / "employment.reference.parquet")
    x, y = design(frame), frame["label"].to_numpy(float)
    held = rng.random(len(x)) < 0.2
    told = {"columns": {name: {"tag": "personal"} for name in ("AGEP", "SCHL", "MAR", "ESP", "DIS", "MIL", "SEX", "label")}}
    about = {"rows": int((~held).sum()), "transform": "noised", "legal_basis": "contract", "delta": DELTA, "mechanism": dict(TRAINING)}
    for place, day in enumerate((12.0, 25.5)):
        right = []
        for noise in (TRAINING["noise_multiplier"], 0.0):
            weights = trained(x[~held], y[~held], rng, noise)
            right.append(round(float((((x[held] @ weights) > 0) == (y[held] > 0.5)).mean()), 4))
        checks = dict.fromkeys(CHECKS, True)
        if place:
            del checks["deletion"]
        yield export(
            day, "rented GPU cloud", "employment reference", "Logistic regression trained with noised gradients", **told, **about,
            run=f"employment-private-{place + 1}", **attested(f"employment-private-{place + 1}"), checklist=checks, canaries=[CANARIES[1]], accuracy=right[0],
            accuracy_without_noise=right[1], model="employment",
        )  # fmt: skip
    words = "Training on rented machines may spend ε = 4 in an enclave with the released code."
    yield level(
        -9,
        "rented GPU cloud",
        "employment reference",
        words,
        epsilon=4.0,
        delta=DELTA,
        attestation=CODE,
        attestation_key=enclave_public_key(),
    )


def text_exports(folder: Path) -> Iterator[dict[str, Any]]:
    """Sixty texts for a vendor, one of them a canary; and a sample for annotators, exported without a legal basis."""
    served = pd.read_parquet(folder / "sentiment.predictions.parquet", columns=["id", "environment", "text"])
    texts = served[served["environment"] == "production"].sort_values("id")["text"].head(60)
    assert not any(canary["text"] in text for canary in CANARIES for text in served["text"].dropna())
    yield export(
        0, "acme", "sixty texts", "Texts to adapt the vendor's model", rows=len(texts) + 1, legal_basis="contract", transform="names removed",
        columns={"text": {"tag": "personal"}, "label": {}}, canaries=[CANARIES[0]], model="sentiment",
    )  # fmt: skip
    yield export(
        24, "labelling agency", "tweets to label", "Texts for a trial of labelling", rows=200, columns={"text": {"tag": "personal"}},
        transform="names removed", model="sentiment",
    )  # fmt: skip


def make(out: Path) -> None:
    """Writes exports.jsonl."""
    rng = np.random.default_rng(SEED)
    found = [*text_exports(out), *people_exports(out), *flight_counts(out, rng), *training_exports(out, rng)]
    lines = [json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in sorted(found, key=lambda each: str(each["at"]))]
    (out / FILE).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(HERE.parent))
    make(HERE)
