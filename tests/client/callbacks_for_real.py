"""Runs the real callbacks for libraries that are not among the test requirements.

tests/packaging/training_libraries.py runs it in an environment with torch, lightning, keras and transformers, as a part of `make
test-long`. For each library it prints the version, the number of recorded steps and the number of steps that the library reported.
"""

import json
import os
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import observability as obs
from observability.client import callbacks

os.environ.setdefault("KERAS_BACKEND", "torch")


def records(home: str) -> list[dict]:
    return [json.loads(line) for path in sorted(Path(home).glob("landing/*/*.jsonl")) for line in path.read_bytes().splitlines() if line]


def report(name: str, home: str, steps: int, expected: int, final: object) -> None:
    status = [record["status"] for record in records(home) if record["kind"] == "run" and record["event"] == "end"]
    print(f"{name} {version(name)}: {steps} of {expected} steps, ends {sorted(set(status))}, final {final}")
    assert steps == expected and status


def steps_in(home: str) -> list[dict]:
    return [record for record in records(home) if record["kind"] == "step"]


def final_in(home: str) -> dict:
    return [record for record in records(home) if record["kind"] == "run"][-1].get("metrics", {})


def torch_rows():
    import torch

    torch.manual_seed(0)
    inputs = torch.randn(64, 4)
    return inputs, (inputs[:, :1] > 0).float()


def try_torch(home: str) -> None:
    import torch

    inputs, labels = torch_rows()
    model = torch.nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def train(_epoch: int) -> dict:
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": loss}

    with obs.track_run(model="loan", home=home) as run:
        callbacks.record_epochs(run, range(5), train)
    losses = [step["metrics"]["loss"] for step in steps_in(home)]
    assert losses == sorted(losses, reverse=True)
    report("torch", home, len(losses), 5, final_in(home))


def try_lightning(home: str) -> None:
    import lightning.pytorch as pl
    import torch

    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Linear(4, 1)

        def loss(self, batch):
            return torch.nn.functional.binary_cross_entropy_with_logits(self.layer(batch[0]), batch[1])

        def training_step(self, batch, _):
            loss = self.loss(batch)
            self.log("train_loss", loss, on_epoch=True)
            return loss

        def validation_step(self, batch, _):
            self.log("val_loss", self.loss(batch))

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1)

    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*torch_rows()), batch_size=16)
    with obs.track_run(model="loan", home=home) as run:
        trainer = pl.Trainer(
            max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
            callbacks=[callbacks.lightning_callback(run)],
        )  # fmt: skip
        trainer.fit(Module(), loader, loader)
    assert {"val_loss", "train_loss_epoch"} <= steps_in(home)[-1]["metrics"].keys()
    report("lightning", home, len(steps_in(home)), 6, final_in(home))


def try_keras(home: str) -> None:
    import keras

    inputs, labels = (each.numpy() for each in torch_rows())
    model = keras.Sequential([keras.layers.Dense(1, activation="sigmoid")])
    model.compile(loss="binary_crossentropy", metrics=["accuracy"])
    with obs.track_run(model="loan", home=home) as run:
        history = model.fit(inputs, labels, validation_split=0.25, epochs=4, verbose=0, callbacks=[callbacks.keras_callback(run)])
    assert [step["metrics"]["val_loss"] for step in steps_in(home)] == history.history["val_loss"]
    report("keras", home, len(steps_in(home)), 4, final_in(home))


def try_transformers(home: str) -> None:
    import torch
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainingArguments

    config = BertConfig(vocab_size=30, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
    rows = [{"input_ids": torch.randint(0, 30, (6,)), "labels": torch.tensor(k % 2)} for k in range(32)]
    settings = TrainingArguments(
        tempfile.mkdtemp(), num_train_epochs=2, per_device_train_batch_size=8, logging_steps=2, eval_strategy="epoch", save_strategy="no",
        report_to=[], use_cpu=True, disable_tqdm=True,
    )  # fmt: skip
    with obs.track_run(model="loan", home=home) as run:
        trainer = Trainer(
            BertForSequenceClassification(config), settings, train_dataset=rows, eval_dataset=rows[:8],
            callbacks=[callbacks.transformers_callback(run)],
        )  # fmt: skip
        trainer.train()
    logged = [entry for entry in trainer.state.log_history if "train_runtime" not in entry]
    assert [step["step"] for step in steps_in(home)] == [entry["step"] for entry in logged]
    report("transformers", home, len(steps_in(home)), len(logged), final_in(home))


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["torch", "lightning", "keras", "transformers"]
    for library in wanted:
        globals()[f"try_{library}"](tempfile.mkdtemp())
