"""The files of ``samples/`` match their references, and the references match the program that writes them."""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from stt_pipeline.audio.decode import SAMPLE_RATE, decode
from stt_pipeline.audio.probe import probe
from stt_pipeline.speech.evaluation import read_rttm
from tools.demo_model.corpus import shipped_training_sentences
from tools.demo_model.grammar import templates
from tools.samples import phrasebook
from tools.samples.catalogue import SAMPLES, Sample
from tools.samples.meeting import write_meeting

FOLDER = Path(__file__).parents[2] / "samples"
MEETINGS = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.file_name)


def reference_of(sample: Sample) -> dict[str, Any]:
    file = FOLDER / "reference" / f"{Path(sample.file_name).stem}.json"
    return json.loads(file.read_text(encoding="utf-8"))


def test_the_folder_holds_the_catalogue_and_nothing_else() -> None:
    files = {file.name for file in FOLDER.iterdir() if file.is_file()} - {"README.md"}
    assert files == {sample.file_name for sample in SAMPLES}
    stems = Counter(file.stem for file in (FOLDER / "reference").iterdir())
    assert stems == {Path(sample.file_name).stem: 2 for sample in SAMPLES}


def test_the_samples_have_the_formats_and_lengths_of_the_demo() -> None:
    assert {Path(sample.file_name).suffix for sample in SAMPLES} == {
        ".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a",
    }  # fmt: skip
    assert sum(not sample.telephone for sample in SAMPLES) >= 7
    assert any(" " in sample.file_name and not sample.file_name.isascii() for sample in SAMPLES)
    assert 450 < sum(reference_of(sample)["duration"] for sample in SAMPLES) < 600


@MEETINGS
def test_the_audio_has_the_length_and_the_rate_of_its_reference(sample: Sample) -> None:
    reference, info = reference_of(sample), probe(FOLDER / sample.file_name)
    assert 40 <= reference["duration"] <= 180
    assert info.duration == pytest.approx(reference["duration"], abs=0.15)  # codecs add a frame or two
    assert reference["telephone"] == sample.telephone
    if sample.telephone:
        assert info.sample_rate == 8000


@MEETINGS
def test_segments_have_speech_and_pauses_are_silent(sample: Sample) -> None:
    audio = decode(FOLDER / sample.file_name)
    segments = reference_of(sample)["segments"]
    pauses = [(before["end"] + 0.1, after["start"] - 0.1) for before, after in pairwise(segments)]

    def loudness(start: float, end: float) -> float:
        return float(np.sqrt(np.mean(audio[int(start * SAMPLE_RATE) : int(end * SAMPLE_RATE)] ** 2)))

    quietest_speech = min(loudness(segment["start"], segment["end"]) for segment in segments)
    assert quietest_speech > 10 * max(loudness(start, end) for start, end in pauses)


@MEETINGS
def test_segments_are_in_order_and_within_the_recording(sample: Sample) -> None:
    reference = reference_of(sample)
    times = [time for segment in reference["segments"] for time in (segment["start"], segment["end"])]
    assert times == sorted(times)
    assert times[-1] < reference["duration"]


@MEETINGS
def test_the_rttm_has_the_turns_of_the_segments(sample: Sample) -> None:
    turns = read_rttm(FOLDER / "reference" / f"{Path(sample.file_name).stem}.rttm")
    segments = reference_of(sample)["segments"]
    assert [turn.speaker for turn in turns] == [segment["speaker"] for segment in segments]
    np.testing.assert_allclose(
        [(turn.start, turn.end) for turn in turns],
        [(segment["start"], segment["end"]) for segment in segments],
        atol=0.002,
    )


@MEETINGS
def test_speakers_are_numbered_by_appearance_and_have_several_segments(sample: Sample) -> None:
    reference = reference_of(sample)
    sentences = Counter(segment["speaker"] for segment in reference["segments"])
    assert list(sentences) == [f"SPEAKER_{index:02d}" for index in range(reference["speakers"])]
    assert reference["speakers"] == len(sample.voices) in (2, 3)
    assert min(sentences.values()) >= 3


@pytest.mark.slow
@MEETINGS
def test_each_action_item_is_in_one_sentence(sample: Sample) -> None:
    reference = reference_of(sample)
    texts = [segment["text"] for segment in reference["segments"]]
    assert 2 <= len(reference["action_items"]) <= 5
    assert any(item["due"] for item in reference["action_items"])
    for item in reference["action_items"]:
        subject = item["task"].rsplit(" ", 1)[0]
        matching = [
            text
            for text in texts
            if item["owner"] in text and subject in text and (item["due"] or "") in text
        ]
        assert matching, f"{item} is in no sentence"
        if item["due"]:
            assert not shipped_training_sentences().intersection(matching)


@MEETINGS
def test_the_program_writes_the_text_of_the_references(sample: Sample) -> None:
    lines = write_meeting(sample.agenda, Random(sample.seed))
    reference = reference_of(sample)
    assert [line.sentence.written for line in lines] == [segment["text"] for segment in reference["segments"]]
    items = [line.action_item for line in lines if line.action_item]
    assert [{"owner": item.owner, "task": item.task, "due": item.due} for item in items] == reference[
        "action_items"
    ]


def test_the_phrasebook_has_only_sentences_of_the_grammar() -> None:
    phrases: list[str] = []

    def collect(value: object) -> None:
        if isinstance(value, str):
            phrases.append(value)
        elif isinstance(value, dict):
            collect(tuple(value.values()))
        elif isinstance(value, tuple):
            for part in value:
                collect(part)

    for name, value in vars(phrasebook).items():
        if name.isupper():
            collect(value)
    sentences = {phrase for phrase in phrases if phrase.endswith((".", "?"))}
    assert len(sentences) > 30
    assert sentences <= set(templates("ko"))
