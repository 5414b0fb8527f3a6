"""The lines of the command `trade-offs`: divergence of probabilities and peak memory, as JSON has them."""

import json
from pathlib import Path

import pytest

from observability.cli.commands_trade_offs import trade_off_lines
from tests.support.commands import run
