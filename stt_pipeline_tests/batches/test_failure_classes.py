"""Every class under which a file can fail, each raised by a file in a folder of real ones that goes through both stages.

Source, engine, diarizer, summarizer and mail server are the real ones. Where no file can be made on which the real thing
fails, the failure is put in for one recording only, as near to its place as can be: ``model`` and ``out_of_memory`` where
CTranslate2 is called (Whisper makes some text of any sound; what fails there are drivers and devices), ``llm`` where the
summarizer answers (the extractive one cannot fail), ``internal`` as a bug in the diarizer.
"""

import copy
import wave
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.decode import SAMPLE_RATE, decode
from stt_pipeline.audio.sound import Sound, SoundFile, all_samples
from stt_pipeline.batches.execution import dispatch
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.requests.backend_choice import FixedBackend
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.batches.stages.publish import notify, write_minutes
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.errors import ErrorClass, SummaryError
from stt_pipeline.mail.notifier import MailNotifier
from stt_pipeline.minutes.extractive import ExtractiveSummarizer
from stt_pipeline.minutes.model import Minutes
from stt_pipeline.speech.diarization import ANY_NUMBER, EmbeddedDiarizer, SpeakerCount
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.engine.chunks import Cutter
from stt_pipeline.speech.engine.decoding import DecodeOptions, Decoder
from stt_pipeline.speech.models import LoadedModel, load_model
from stt_pipeline.speech.transcript import SpeakerTurn, Transcript
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import batches
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline_tests.batches.recordings import report, scan
from stt_pipeline_tests.conftest import SAMPLES
from stt_pipeline_tests.defs.bad_files import write_silent_video
from stt_pipeline_tests.mail.smtp_servers import Inbox, smtp_server
from stt_pipeline_tests.rows import Rows

MAX_ATTEMPTS = 3
MAX_BYTES = 500_000
ABSENT, PRESENT = "gone@example.com", "kim@example.com"

# recordings of one sentence, by their length in seconds: later steps distinguish them by it
SECONDS = {
    "good.wav": 2.6,
    "gone.wav": 2.7,
    "driver.wav": 2.8,
    "no memory.wav": 2.9,
    "little memory.wav": 3.0,
    "no answer.wav": 3.1,
    "bug.wav": 3.2,
}

# the final state of each file: its class, its number of attempts, and parts of its message
EXPECTED: dict[str, tuple[ErrorClass, int, str, str]] = {
    "empty.wav": ("unreadable", 1, "0 bytes", "upload it again"),
    "large.wav": ("too_large", 0, "more than the limit", "Raise STT_MAX_FILE_BYTES"),
    "video without sound.mp4": ("no_audio", 1, "no audio track", "export the meeting again"),
    "gone.wav": ("download", 3, "no longer in the source", "Put it back"),
    "driver.wav": ("model", 3, "cuDNN failed", "Try it again"),
    "no memory.wav": ("out_of_memory", 3, "out of memory", "Use a smaller model"),
    "no answer.wav": ("llm", 3, "no answer", "Check"),
    "bug.wav": ("internal", 3, "IndexError: a bug", ""),
    "not delivered.wav": ("email", 3, f"refused {ABSENT}: 550 5.1.1 no such user here", "Check the address"),
}

Fault = Callable[[int], None]
"""Raises, or does not, for a number of hypotheses side by side."""


@dataclass
class FaultyModel:
    """CTranslate2's Whisper, failing on model batches with some chunks in them; these it knows by what was encoded.

    Attributes:
        faults: what happens to a chunk, by the bytes of what the encoder made of it.
    """

    model: Any
    faults: dict[bytes, Fault] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def generate(self, encoded: Any, prompts: Any, *, beam_size: int, **how: Any) -> Any:
        for row in np.asarray(encoded):
            if fault := self.faults.get(row.tobytes()):
                fault(beam_size)
        return self.model.generate(encoded, prompts, beam_size=beam_size, **how)


@dataclass
class Memory:
    """A device with memory for a number of hypotheses of a chunk; it records the number of each call."""

    most: int
    asked: list[int] = field(default_factory=list)

    def __call__(self, hypotheses: int) -> None:
        self.asked.append(hypotheses)
        if hypotheses > self.most:
            raise RuntimeError("CUDA failed with error out of memory")


def driver_fault(hypotheses: int) -> None:
    raise RuntimeError("cuDNN failed with status CUDNN_STATUS_EXECUTION_FAILED")


class Buggy(EmbeddedDiarizer):
    """Has a bug that one recording finds."""

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        if len(all_samples(sound)) == _samples("bug.wav"):
            raise IndexError("a bug")
        return super().diarize(sound, speaker_count)


class Unanswered(ExtractiveSummarizer):
    """Has no answer about one recording."""

    def summarize(self, transcript: Transcript) -> Minutes:
        if round(transcript.duration * SAMPLE_RATE) == _samples("no answer.wav"):
            raise SummaryError("The language model gave no answer. Check that it runs.")
        return super().summarize(transcript)


def _samples(name: str) -> int:
    return round(SECONDS[name] * SAMPLE_RATE)


def _write_folders(all_but_mail: Path, mail: Path) -> None:
    speech = (decode(SAMPLES / "weekly-budget.wav") * 32767).astype("<i2")
    all_but_mail.mkdir()
    mail.mkdir()
    for path, samples in {
        **{all_but_mail / name: _samples(name) for name in SECONDS},
        all_but_mail / "large.wav": MAX_BYTES,
        mail / "not delivered.wav": 3 * SAMPLE_RATE,
    }.items():
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
            file.writeframes(speech[:samples].tobytes())
    (all_but_mail / "empty.wav").touch()
    write_silent_video(all_but_mail / "video without sound.mp4")


def _scanned(database: Database, folder: Path, recipient: str) -> Batch:
    batch = create_batch(
        database,
        BatchRequest(source_path=str(folder), notify_emails=[recipient], options=BatchOptions(language="ko")),
    )
    with database.begin() as connection:
        batches.set_files_per_shard(connection, batch.id, len(EXPECTED) + 2)  # all files are neighbours
    scan(database, batch, [], max_bytes=MAX_BYTES)
    return batch


def _faulty(loaded: LoadedModel, faults: dict[Path, Fault]) -> LoadedModel:
    """Return the model with a fault for the chunks of each of these files; ``loaded`` is left as it is."""
    decoder = Decoder(loaded)
    whisper = copy.copy(loaded.whisper)
    whisper.model = FaultyModel(
        loaded.whisper.model,
        {
            np.asarray(decoder.encode([decoder.row(chunk, DecodeOptions())]))[0].tobytes(): fault
            for path, fault in faults.items()
            for chunk in Cutter(decoder.max_chunk_seconds).cut(SoundFile(path).blocks())
        },
    )
    return replace(loaded, whisper=whisper)


def _work_until_done(database: Database, engine: Engine, notifier: MailNotifier) -> None:
    """Do what the dispatcher orders, without the waiting, until it orders nothing more."""
    while True:
        Rows(database).change(tables.shards, not_before=None)
        orders = dispatch.tick(
            database, max_shards_in_flight=99, max_active_batches=9, max_attempts=MAX_ATTEMPTS
        )
        orders = [order for order in orders if order.job in ("transcribe", "publish")]
        if not orders:
            return
        for order in orders:
            claim = ClaimRequest(order.keys, order.job, f"run {order.token}", order.token)  # type: ignore[arg-type]
            with ShardClaims(database, claim, lease_seconds=60, max_attempts=MAX_ATTEMPTS) as work:
                if order.job == "transcribe":
                    probe_files(work)
                    transcribe_files(work, FixedBackend(engine))
                    find_speakers(work, lambda options: Buggy())
                else:
                    write_minutes(work, lambda options: Unanswered())
                    notify(work, lambda recipient: notifier)


def _files(database: Database, batch: Batch) -> dict[str, AudioFile]:
    with database.begin() as connection:
        return {display_name(file.uri): file for file in files.of_batch(connection, batch.id)}


@pytest.mark.slow
def test_each_class_is_raised_by_a_file_and_those_beside_it_succeed(
    database: Database, tmp_path: Path
) -> None:
    folder, mailed = tmp_path / "in", tmp_path / "mailed"
    _write_folders(folder, mailed)
    none, little = Memory(0), Memory(2)
    faults = {"driver.wav": driver_fault, "no memory.wav": none, "little memory.wav": little}
    engine = Engine(_faulty(load_model("demo", "cpu"), {folder / name: it for name, it in faults.items()}))
    main, refused = _scanned(database, folder, PRESENT), _scanned(database, mailed, ABSENT)
    (folder / "gone.wav").unlink()
    inbox = Inbox(refuse=ABSENT)
    with smtp_server(inbox) as host:
        notifier = MailNotifier(f"smtp://{host}", Path(), "stt@localhost")
        _work_until_done(database, engine, notifier)
        ends = [report(database, batch.id, notifier) for batch in (main, refused)]

    found = {**_files(database, main), **_files(database, refused)}
    assert {name: (file.status, file.error_class, file.attempts) for name, file in found.items()} == {
        **{name: ("failed", error_class, tries) for name, (error_class, tries, *_) in EXPECTED.items()},
        "not delivered.wav": ("success", "email", 3),  # only the delivery failed
        "good.wav": ("success", None, 0),
        "little memory.wav": ("success", None, 0),
    }
    for name, (_, _, happened, to_do) in EXPECTED.items():
        message = found[name].error or ""
        assert happened in message and to_do in message, message
    # what users see of it: each class once, and minutes of the files that succeeded
    counted = sum((Counter(end.progress.failures_by_class) for end in ends), Counter[str]())
    assert counted == dict.fromkeys(set(get_args(ErrorClass)) - {"email"}, 1)
    assert [end.progress.undelivered for end in ends] == [0, 1]
    assert [(end.progress.status, list(end.mail_errors)) for end in ends] == [
        ("completed", []),
        ("completed", [ABSENT]),
    ]
    (digest,) = inbox.messages
    assert digest["Subject"].endswith("in: 완료, 파일 10개 중 8개 실패")
    body = digest.get_body(("plain",))
    assert body and all(name in body.get_content() for name in ("good.wav", "little memory.wav"))
    # each try for want of memory is with fewer hypotheses
    assert (sorted(set(none.asked)), sorted(set(little.asked))) == ([1, 2, 5], [2, 5])
