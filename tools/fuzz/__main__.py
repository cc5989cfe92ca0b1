"""``make fuzz``: mutated recordings of every container; ``ARGS="--count 500"`` runs fewer."""

import argparse
import tempfile
from pathlib import Path

from tools.fuzz.run import fuzz


def main() -> None:
    """Print the report as one line of JSON; exit 1 if something happened that must not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="mutants")
    parser.add_argument("--seed", default="0", help="the same seed gives the same mutants")
    parser.add_argument("--keep", type=Path, help="folder for mutants that crash the decoder")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="stt-fuzz-") as folder:
        report = fuzz(options.count, options.seed, Path(folder), kept=options.keep, show=True)
    print(report.to_json())
    raise SystemExit(1 if report.problems else 0)


if __name__ == "__main__":
    main()
