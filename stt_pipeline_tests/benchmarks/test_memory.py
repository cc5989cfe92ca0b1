"""The memory benchmark: each process has its own peak."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.memory import peak_mb

CHECKOUT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_peak_of_a_child_process_excludes_its_parent() -> None:
    large = b"\1" * (400 << 20)
    command = [sys.executable, "-c", "from benchmarks.memory import peak_mb; print(peak_mb())"]
    ended = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True)
    assert peak_mb() > len(large) >> 20 > float(ended.stdout) > 10
