"""Every benchmark runs at a small size, and its last line is one JSON object with finite figures."""

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
WHISPERX = CHECKOUT / ".venv-whisperx" / "bin" / "whisperx"

SMALLEST = {
    "api": "--files 200 --small-batches 5 --seconds 0.5",
    "command_lines": f"--whisperx {WHISPERX} --recordings 1 --rounds 1",
    "decoding": "--short 1 --long 2 --rounds 1 --repeat 1",
    "detection": "--kinds short --part 0.005 --rounds 1",
    "diarization": "--audio nowhere --samples 1",
    "estimate": "--sizes 1",
    "exports": "--exports 5 --minutes 1",
    "memory": "--shards 10 --minutes 0.05 --hours 0.005",
    "orchestration": "--files 4",
    "real_speech": "--recordings . --sets samples,clips,hour --voices samples --model demo --part 0.005 --rounds 1",
    "recording": "--files 2",
    "s3": "--listed 1001 --known 1001 --new 1 --latency 0",
    "scale": "--files 2000",
    "search": "--transcripts 300 --words 375 --paragraphs 300 --calls 200",
    "startup": "--rounds 1",
    "transcription": "--kinds short --part 0.005 --rounds 1",
}

pytestmark = pytest.mark.slow


@pytest.mark.benchmarks
@pytest.mark.parametrize("name", SMALLEST)
def test_it_prints_finite_figures(name: str) -> None:
    if name == "command_lines" and not WHISPERX.exists():
        pytest.skip("needs whisperx: sh tools/setup_whisperx.sh")
    command = [sys.executable, "-m", f"benchmarks.{name}", *SMALLEST[name].split()]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=600)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    result = json.loads(ended.stdout.splitlines()[-1])
    assert isinstance(result, dict)
    figures = list(figures_of(result))
    assert figures and all(map(math.isfinite, figures)), result


def test_no_benchmark_is_missing() -> None:
    runnable = {
        path.stem
        for path in (CHECKOUT / "benchmarks").glob("*.py")
        if '__name__ == "__main__"' in path.read_text()
    }
    assert runnable - {"listing_server"} == set(SMALLEST)


def figures_of(value: object) -> Iterator[float]:
    """Yield all numbers of a JSON value."""
    if isinstance(value, dict):
        for part in value.values():
            yield from figures_of(part)
    elif isinstance(value, list):
        for part in value:
            yield from figures_of(part)
    elif isinstance(value, int | float):
        yield value
