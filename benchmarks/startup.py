"""The import time of the definitions and of Dagster alone, in turns, each in a new process."""

import argparse
import json
import statistics
import subprocess
import sys
import time

MODULES = ("dagster", "stt_pipeline.definitions")


def main() -> None:
    """Print minimum and median seconds of each import, interpreter start included."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    rounds = arguments.parse_args().rounds
    seconds: dict[str, list[float]] = {module: [] for module in MODULES}
    for _ in range(rounds):
        for module in MODULES:
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
            seconds[module].append(time.perf_counter() - started)
    dagster, ours = (seconds[module] for module in MODULES)
    print(
        json.dumps(
            {
                "rounds": rounds,
                "definitions_seconds_min": round(min(ours), 2),
                "definitions_seconds_median": round(statistics.median(ours), 2),
                "dagster_alone_seconds_min": round(min(dagster), 2),
                "dagster_alone_seconds_median": round(statistics.median(dagster), 2),
                "ratio_of_medians": round(statistics.median(ours) / statistics.median(dagster), 2),
            }
        )
    )


if __name__ == "__main__":
    main()
