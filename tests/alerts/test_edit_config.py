"""Editing the alert settings keeps other content, detects concurrent changes and leaves no partial file."""

import os
import tomllib
from datetime import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.alerts.config import FILE, read_alert_config
from observability.alerts.edit_config import ChangedError, alert_tables, config_stamp, masked_address, save_alert_tables
from observability.alerts.toml_edit import edited_toml
from observability.core.errors import UsageError

OLD = """# ask Ann before you change this
[channels]
team = "slack://a/b/c"      # the desk
hook = "jsons://alerts.example.org/x"

[routes]
"rebooking desk" = ["team"]
# night shift
[alerts]
default = ["hook"]
"""
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=12)


@pytest.fixture
def home(tmp_path):
    (tmp_path / FILE).write_text(OLD, encoding="utf-8")
    return tmp_path


def test_saving_alert_settings_changes_only_the_edited_lines(home):
    wanted = alert_tables(home)
    wanted["alerts"] |= {"quiet": "22:00-07:00", "default": ["team"]}
    wanted["channels"].pop("hook")
    wanted["routes"]["night"] = ["team"]
    config = save_alert_tables(home, wanted, config_stamp(home))
    assert (
        (home / FILE).read_text(encoding="utf-8")
        == """# ask Ann before you change this
[channels]
team = "slack://a/b/c"      # the desk

[routes]
"rebooking desk" = ["team"]
# night shift
night = ["team"]
[alerts]
default = ["team"]
quiet = "22:00-07:00"
"""
    )
    assert config == read_alert_config(home)
    assert config.quiet == (time(22), time(7))
    assert oct((home / FILE).stat().st_mode & 0o777) == "0o600"


def test_saving_does_not_overwrite_a_concurrent_change(home):
    wanted, seen = alert_tables(home), config_stamp(home)
    wanted["alerts"]["least"] = "watch"
    (home / FILE).write_text(OLD + 'least = "act"\n', encoding="utf-8")
    with pytest.raises(ChangedError, match="changed meanwhile"):
        save_alert_tables(home, wanted, seen)
    assert (home / FILE).read_text(encoding="utf-8") == OLD + 'least = "act"\n'


def test_an_invalid_setting_is_refused_and_the_file_is_unchanged(home):
    wanted = alert_tables(home)
    wanted["routes"]["x"] = ["nobody"]
    with pytest.raises(UsageError, match="unknown channel"):
        save_alert_tables(home, wanted, config_stamp(home))
    assert (home / FILE).read_text(encoding="utf-8") == OLD


def test_a_crash_before_the_rename_leaves_the_old_file(home, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    wanted = alert_tables(home)
    wanted["alerts"]["least"] = "watch"
    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        save_alert_tables(home, wanted, config_stamp(home))
    assert (home / FILE).read_text(encoding="utf-8") == OLD


def test_a_differently_formatted_settings_file_keeps_its_format(home):
    odd = 'routes.ann = ["team"]\n[channels]\nteam = "json://x"\n[alerts]\ndefault = [\n  "team",  # the desk\n]\nleast = "act"\n'
    (home / FILE).write_text(odd, encoding="utf-8")
    wanted = alert_tables(home)
    wanted["alerts"]["least"] = "watch"
    save_alert_tables(home, wanted, config_stamp(home))
    assert (home / FILE).read_text(encoding="utf-8") == odd.replace('"act"', '"watch"')


def test_saving_creates_the_settings_file_if_the_home_has_none(tmp_path):
    assert (config_stamp(tmp_path), alert_tables(tmp_path)) == ("", {"channels": {}, "routes": {}, "alerts": {}})
    save_alert_tables(tmp_path, {"channels": {"t": "json://x"}, "routes": {}, "alerts": {"default": ["t"]}}, "")
    assert read_alert_config(tmp_path).channels_of("anybody") == ("t",)


@given(st.dictionaries(NAMES, NAMES, max_size=4), st.dictionaries(NAMES, NAMES, max_size=4))
def test_edited_toml_contains_the_wanted_tables_for_any_names(before, after):
    old = edited_toml("", {"channels": before, "routes": {}, "alerts": {"least": "act"}})
    wanted = {"channels": after, "routes": dict.fromkeys(after, list(after)[:1]), "alerts": {"least": "watch"}}
    assert tomllib.loads(edited_toml(old, wanted)) == {name: table for name, table in wanted.items() if table}


def test_an_address_is_never_shown():
    assert masked_address("slack://token_a/token_b") == "slack://…"
    assert masked_address("") == ""


def test_a_channel_used_for_the_pre_read_cannot_be_removed(tmp_path):
    path = tmp_path / FILE
    path.write_text('[channels]\nteam = "json://x"\nhead = "json://y"\n[review]\npre_read = ["team"]\n', encoding="utf-8")
    tables = alert_tables(tmp_path)
    read = config_stamp(tmp_path)
    with pytest.raises(UsageError, match="unknown channel"):
        save_alert_tables(tmp_path, {**tables, "channels": {"head": "json://y"}}, read)
    save_alert_tables(tmp_path, {**tables, "channels": {"team": "json://x"}}, read)
    assert 'pre_read = ["team"]' in path.read_text(encoding="utf-8")
