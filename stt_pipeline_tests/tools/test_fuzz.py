"""Mutated recordings of every container end no process and change no other recording."""

from pathlib import Path

import pytest

from stt_pipeline.audio.decode import decode
from stt_pipeline.audio.patterns import AUDIO_EXTENSIONS
from stt_pipeline.audio.probe import probe
from tools.fuzz.mutations import mutated
from tools.fuzz.run import fuzz
from tools.fuzz.samples import write_samples


def test_there_is_a_good_recording_of_each_extension(tmp_path: Path) -> None:
    samples = write_samples(tmp_path)
    assert {sample.suffix[1:] for sample in samples} == set(AUDIO_EXTENSIONS)
    for sample in samples:
        assert probe(sample).duration == pytest.approx(0.5, abs=0.1)
        assert len(decode(sample)) / 16_000 == pytest.approx(0.5, abs=0.1)


def test_a_seed_gives_the_same_mutants() -> None:
    content, others = bytes(range(256)) * 40, [b"other" * 1000]
    mutants = [mutated(content, others, str(seed)) for seed in range(50)]
    assert mutants == [mutated(content, others, str(seed)) for seed in range(50)]
    assert len(set(mutants)) > 45 and content not in mutants[:1]


@pytest.mark.slow
def test_mutants_cost_only_themselves(tmp_path: Path) -> None:
    report = fuzz(300, "tests", tmp_path)
    assert not report.problems
    assert report.mutants == 300 and report.outcomes.total() == 600
    assert report.outcomes["decode: success"] > 50 and report.outcomes["decode: UnreadableError"] > 50
    assert report.growth_mb["peak"] < 200 and report.growth_mb["server"] < 20
    assert [path for path in tmp_path.iterdir() if path.stem != "sample"] == []
