"""Probe and decode mutants, and see that nothing else is concerned: no process ends, and good recordings stay the same."""

import hashlib
import json
import re
import resource
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import psutil

from stt_pipeline.audio.decode import decode_blocks
from stt_pipeline.audio.probe import probe
from stt_pipeline.audio.sandbox.client import SHARED
from stt_pipeline.errors import NoAudioError, TooLongError, UnreadableError
from tools.fuzz.mutations import mutated
from tools.fuzz.samples import write_samples

_BATCH = 100  # mutants between two looks at good recordings
_THREADS = 4
_MAX_HOURS = 2.0  # some mutants decode to a day, which only takes time
_REFUSALS = (UnreadableError, NoAudioError, TooLongError)
_CRASH = re.compile(r"signal \d+, SIG\w+|exit status \d+")


@dataclass(slots=True)
class FuzzReport:
    """What became of the mutants.

    Attributes:
        outcomes: mutants by their end: decoded, or the class of their error.
        crashes: mutants on which a child crashed, by signal; each cost its own file only.
        problems: what must not happen; empty when all is well.
        growth_mb: growth of the peak memory of this process and of the memory of the fork server.
    """

    mutants: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    crashes: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    growth_mb: dict[str, float] = field(default_factory=dict)

    def add(self, other: "FuzzReport") -> None:
        """Add what became of other mutants."""
        self.mutants += other.mutants
        self.outcomes += other.outcomes
        self.crashes += other.crashes
        self.problems += other.problems

    def to_json(self) -> str:
        """Return one line."""
        # dataclasses.asdict makes another thing of a Counter
        return json.dumps({name: getattr(self, name) for name in self.__dataclass_fields__})


def fuzz(count: int, seed: str, folder: Path, *, kept: Path | None = None, show: bool = False) -> FuzzReport:
    """Run ``count`` mutants, the containers in turn.

    Args:
        count: number of mutants.
        seed: the same seed gives the same mutants.
        folder: an empty folder for the files.
        kept: mutants that crash a child or make a problem are copied there.
        show: print the progress to stderr.
    """
    samples = write_samples(folder)
    expected = [_digest(sample) for sample in samples]
    server = psutil.Process(SHARED.server().pid)
    before = _own_peak_mb(), _rss_mb(server)
    report = FuzzReport()
    mutants = _mutants(samples, count, seed, folder)
    with ThreadPoolExecutor(_THREADS) as pool:
        while batch := list(islice(mutants, _BATCH)):
            for ended in pool.map(lambda path: _try(path, kept), batch):
                report.add(ended)
            for mutant in batch:
                mutant.unlink()
            _check(report, samples, expected, server)
            if show:
                print(f"{report.mutants} of {count}: {dict(report.outcomes)}", file=sys.stderr)
    if server.is_running():
        _gone, left = psutil.wait_procs(server.children(), timeout=30)
        report.problems += [f"a child was left: {child}" for child in left]
        growth = _own_peak_mb() - before[0], _rss_mb(server) - before[1]
        report.growth_mb = {"peak": round(growth[0], 1), "server": round(growth[1], 1)}
    return report


def _mutants(samples: Sequence[Path], count: int, seed: str, folder: Path) -> Iterator[Path]:
    contents = [sample.read_bytes() for sample in samples]
    for number in range(count):
        place = number % len(samples)
        path = folder / f"{number}{samples[place].suffix}"
        path.write_bytes(mutated(contents[place], contents, f"{seed} {number}"))
        yield path


def _try(path: Path, kept: Path | None) -> FuzzReport:
    """Probe and decode a mutant, and return how each ended."""
    report = FuzzReport(mutants=1)
    for name, read in (("probe", _probed), ("decode", _decoded)):
        try:
            read(path)
            outcome = f"{name}: success"
        except _REFUSALS as error:
            outcome = f"{name}: {type(error).__name__}"
            if found := _CRASH.search(str(error)):
                report.crashes[f"{name} of {path.suffix}: {found[0]}"] += 1
                _keep(path, kept)
        except Exception as error:
            outcome = f"{name}: {type(error).__name__}"
            report.problems.append(f"{name} of {path.name}: {error!r}")
            _keep(path, kept)
        report.outcomes[outcome] += 1
    return report


def _probed(path: Path) -> None:
    probe(path, max_hours=_MAX_HOURS)


def _decoded(path: Path) -> None:
    for _ in decode_blocks(path, max_hours=_MAX_HOURS):
        pass


def _keep(path: Path, kept: Path | None) -> None:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, kept)


def _check(
    report: FuzzReport, samples: Sequence[Path], expected: Sequence[str], server: psutil.Process
) -> None:
    if SHARED.server().pid != server.pid:
        report.problems.append(f"the fork server ended before mutant {report.mutants}")
    for sample, digest in zip(samples, expected, strict=True):
        if _digest(sample) != digest:
            report.problems.append(f"{sample.name} decodes to other samples after mutant {report.mutants}")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for block in decode_blocks(path):
        digest.update(block.tobytes())
    return digest.hexdigest()


def _own_peak_mb() -> float:
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # ru_maxrss is in bytes there
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def _rss_mb(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / (1 << 20)
