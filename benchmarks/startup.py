"""How long the definitions take to import, beside Dagster alone, in processes of their own that alternate."""

import json
import statistics
import subprocess
import sys
import time

ROUNDS = 7
MODULES = ("dagster", "stt_pipeline.definitions")


def main() -> None:
    """Print minimum and median seconds of each import, interpreter start included."""
    seconds: dict[str, list[float]] = {module: [] for module in MODULES}
    for _ in range(ROUNDS):
        for module in MODULES:
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
            seconds[module].append(time.perf_counter() - started)
    dagster, ours = (seconds[module] for module in MODULES)
    print(
        json.dumps(
            {
                "rounds": ROUNDS,
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
