"""Settings at registration: they are saved, change decisions, and are refused if they do not fit the columns."""

from dataclasses import replace

import pytest

from observability.alerts.alarm_rules import save_settings
from observability.core.errors import NotFoundError, UsageError
from observability.core.settings import ModelSettings
from observability.store.db.catalog_store import update_model
from observability.store.db.schema import OUTCOMES
from observability.store.registry.register import register_version, update_settings
from tests.support.loan_reference import loan_request, loans, stored_rows, write_reference


def test_settings_are_read_kept_and_change_decisions(store, tmp_path):
    frame = loans()
    toml = tmp_path / "settings.toml"
    toml.write_text('[settings]\nthreshold = 0.3\nowner = "credit"\nimmutable = ["age", "nothing"]\n[importance]\nage = 2\nincome = 6\n')
    done = register_version(store, loan_request(write_reference(tmp_path, frame), settings=toml))
    model = store.catalog().model("loan")
    assert model.settings == ModelSettings(
        threshold=0.3, owner="credit", immutable=("age", "nothing"), importance={"age": 0.25, "income": 0.75}
    )
    assert any("immutable names columns that are not features of this version: nothing" in each for each in done.sentences)
    assert "The decision is yes where the score is at least 0.3." in done.sentences

    def selected():
        return stored_rows(store, f"SELECT sum(n)::BIGINT FROM counts_1 WHERE measure = {OUTCOMES} AND slice = 0 AND decision = 1")[0][0]

    assert selected() == (frame["p"] >= 0.3).sum()
    with store.write() as writer:
        writer.execute("UPDATE predictions_1 SET threshold = 0.95 WHERE id = 'reference/3/1'")
        writer.execute("UPDATE predictions_1 SET prediction = 'no' WHERE id = 'reference/3/2'")
    sentences = update_settings(store, "loan", replace(model.settings, threshold=0.8))
    expected = (frame["p"] >= 0.8).to_numpy().copy()
    expected[0], expected[1] = frame["p"][0] >= 0.95, False
    assert selected() == expected.sum() and "changed from 0.3 to 0.8" in sentences[0]
    assert update_settings(store, "loan", replace(store.catalog().model("loan").settings, owner="risk")) == []
    assert store.catalog().model("loan").settings.owner == "risk"
    register_version(store, loan_request(write_reference(tmp_path, frame)))
    assert store.catalog().model("loan").settings.threshold == 0.8
    with pytest.raises(NotFoundError, match="Did you mean 'loan'"):
        update_settings(store, "lone", ModelSettings())


def test_an_attack_direction_of_a_category_is_refused(store, tmp_path):
    path, toml = write_reference(tmp_path, loans()), tmp_path / "settings.toml"
    toml.write_text('[settings]\nattack_directions = { income = "up", owner = "down", sex = "up" }\n')
    with pytest.raises(UsageError, match="'sex' is a category") as refused:
        register_version(store, loan_request(path, settings=toml))
    assert (refused.value.where, refused.value.got) == ("settings.toml", "sex = 'up'") and not store.catalog().models
    stated = {"income": "up", "owner": "down", "nothing": "up"}
    toml.write_text('[settings]\nattack_directions = { income = "up", owner = "down", nothing = "up" }\n')
    done = register_version(store, loan_request(path, settings=toml))
    assert any("attack_directions names columns that are not features of this version: nothing." in each for each in done.sentences)
    settings = store.catalog().model("loan").settings
    assert settings.attack_directions == stated
    other = replace(settings, attack_directions={**stated, "sex": "down"})
    with pytest.raises(UsageError, match="'sex' is a category"):
        save_settings(store, "loan", other, author="Ann")
    assert store.catalog().model("loan").settings == settings
    with pytest.raises(UsageError, match="'sex' is a category"):
        update_settings(store, "loan", other)
    with store.write() as writer:
        update_model(writer, store.catalog().model("loan").key, settings=other)  # stored as by an earlier version
    save_settings(store, "loan", replace(other, owner="bob"), author="Ann")
    assert store.catalog().model("loan").settings.owner == "bob", "a setting from an earlier version prevents no other change"


def test_the_positive_class_can_be_corrected_while_the_model_has_one_version(store, tmp_path):
    path = write_reference(tmp_path, loans())
    register_version(store, loan_request(path))
    register_version(store, loan_request(path, positive="no"))
    assert store.catalog().model("loan").classes == ("yes", "no")
