"""`stt transcribe` against whisperx's command line, on the same files, each started anew: what a user waits for.

Both load the model, decode, find speech, transcribe with a beam of 5 and write JSON; neither looks for speakers or aligns.
whisperx finds speech by its bundled model, so that nothing is downloaded, in windows of as many seconds as the model hears.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.instances import print_status
from benchmarks.spliced_speech import Spoken, splice
from stt_pipeline.speech.evaluation import ErrorRate, character_error_rate
from stt_pipeline.speech.models import find_files

RECORDINGS = [(20.0, 40.0)] * 20
LANGUAGE = "ko"
HEARS_SECONDS = "10"  # the demo model


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--whisperx", type=Path, required=True, help="its command, in an environment with the extra"
    )
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    stt = Path(sys.executable).parent / "stt"
    model = str(find_files("demo"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        recordings = splice(folder / "in", RECORDINGS)
        files = [str(one.path) for one in recordings]
        commands = {
            "ours": [str(stt), "transcribe", *files, "--model", "demo", "--language", LANGUAGE, "--diarizer", "none",
                     "--format", "json"],
            "whisperx": [str(arguments.whisperx), *files, "--model", model, "--language", LANGUAGE, "--device", "cpu",
                         "--compute_type", "int8", "--beam_size", "5", "--temperature", "0", "--temperature_increment_on_fallback",
                         "None", "--chunk_size", HEARS_SECONDS, "--threads", "2", "--vad_method", "pyannote", "--no_align",
                         "--output_format", "json"],
        }  # fmt: skip
        result: dict[str, object] = {
            "recordings": len(recordings),
            "seconds": round(sum(one.seconds for one in recordings)),
        }
        times: dict[str, list[float]] = {way: [] for way in commands}
        for round_ in range(arguments.rounds):
            for way, command in commands.items():
                out = folder / f"{way}{round_}"
                took = _timed([*command, "--output-dir" if way == "ours" else "--output_dir", str(out)])
                times[way].append(took)
                result[f"cer_{way}"] = round(_errors(recordings, out).rate, 4)
                print_status(f"{way}: {took:.1f} s")
        result |= {f"{way}_seconds": round(statistics.median(took), 1) for way, took in times.items()}
        ratios = [theirs / ours for ours, theirs in zip(times["ours"], times["whisperx"], strict=True)]
        result |= {
            "ours_over_whisperx": round(statistics.median(ratios), 2),
            "spread": [round(min(ratios), 2), round(max(ratios), 2)],
        }
    print(json.dumps(result))


def _timed(command: Sequence[str]) -> float:
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[0]} failed:\n{done.stderr[-3000:]}")
    return time.perf_counter() - began


def _errors(recordings: Sequence[Spoken], out: Path) -> ErrorRate:
    rates = []
    for one in recordings:
        said = json.loads((out / f"{one.path.stem}.json").read_text(encoding="utf-8"))
        text = " ".join(segment["text"] for segment in said["segments"])
        rates.append(character_error_rate(one.text, text))
    return sum(rates, ErrorRate())


if __name__ == "__main__":
    main()
