"""The time of the `stt transcribe` command and of the whisperx command, on the same files, process start included.

Both load the model, decode, detect speech, transcribe with beam_size 5 and write JSON, without diarization and alignment.
whisperx uses its bundled VAD model, so that nothing is downloaded, and chunks of the length that the model takes.
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
from benchmarks.spliced_speech import ReferenceRecording, splice
from stt_pipeline.speech.evaluation import ErrorRate, character_error_rate
from stt_pipeline.speech.models import find_files

LENGTH = (20.0, 40.0)  # seconds
LANGUAGE = "ko"
CHUNK_SECONDS = "10"  # of the demo model


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--whisperx", type=Path, required=True, help="its command, in an environment with the extra"
    )
    parser.add_argument("--recordings", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    stt = Path(sys.executable).parent / "stt"
    model = str(find_files("demo"))
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root)
        recordings = splice(folder / "in", [LENGTH] * arguments.recordings)
        files = [str(one.path) for one in recordings]
        commands = {
            "ours": [str(stt), "transcribe", *files, "--model", "demo", "--language", LANGUAGE, "--diarizer", "none",
                     "--format", "json"],
            "whisperx": [str(arguments.whisperx), *files, "--model", model, "--language", LANGUAGE, "--device", "cpu",
                         "--compute_type", "int8", "--beam_size", "5", "--temperature", "0", "--temperature_increment_on_fallback",
                         "None", "--chunk_size", CHUNK_SECONDS, "--threads", "2", "--vad_method", "pyannote", "--no_align",
                         "--output_format", "json"],
        }  # fmt: skip
        result: dict[str, object] = {
            "recordings": len(recordings),
            "seconds": round(sum(one.seconds for one in recordings)),
        }
        times: dict[str, list[float]] = {name: [] for name in commands}
        for round_ in range(arguments.rounds):
            for name, command in commands.items():
                out = folder / f"{name}{round_}"
                took = _timed([*command, "--output-dir" if name == "ours" else "--output_dir", str(out)])
                times[name].append(took)
                result[f"cer_{name}"] = round(_errors(recordings, out).rate, 4)
                print_status(f"{name}: {took:.1f} s")
        result |= {f"{name}_seconds": round(statistics.median(took), 1) for name, took in times.items()}
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


def _errors(recordings: Sequence[ReferenceRecording], out: Path) -> ErrorRate:
    rates = []
    for one in recordings:
        written = json.loads((out / f"{one.path.stem}.json").read_text(encoding="utf-8"))
        text = " ".join(segment["text"] for segment in written["segments"])
        rates.append(character_error_rate(one.text, text))
    return sum(rates, ErrorRate())


if __name__ == "__main__":
    main()
