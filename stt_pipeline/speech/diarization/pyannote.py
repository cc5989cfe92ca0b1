"""Diarization backend `pyannote`: whisperx's pyannote pipeline, downloaded with a token or read from a local folder.

Needs the whisperx extra. It is the most accurate backend, and the slowest without a GPU.
"""

import os
import threading
from pathlib import Path
from typing import Any

from stt_pipeline.audio.sound import Sound, all_samples
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.process_cache import once_per_process
from stt_pipeline.speech.diarization.diarizer import ANY_NUMBER, SpeakerCount, relabel
from stt_pipeline.speech.diarization.voice_activity import speech_regions
from stt_pipeline.speech.transcript import SpeakerTurn
from stt_pipeline.speech.whisperx_extra import (
    disable_telemetry,
    is_installed,
    missing_extra,
    torch_device,
    without_warnings,
)


class PyannoteDiarizer:
    """Runs ``whisperx.diarize.DiarizationPipeline``; turns may overlap.

    The pipeline needs all samples of a recording in memory (230 MB per hour), so recordings are processed one at a time,
    also when several threads call.
    """

    name = "pyannote"

    def __init__(self, pyannote_pipeline: str = "", device: str = "auto") -> None:
        """Load the pipeline.

        Args:
            pyannote_pipeline: a name on the Hugging Face hub or a local folder; empty selects whisperx's default.
            device: "cpu", "cuda", "cuda:1" or "auto".

        Raises:
            ConfigurationError: the extra is not installed, or the pipeline cannot be loaded.
        """
        if not is_installed():
            raise ConfigurationError(missing_extra("diarizer 'pyannote'"))
        disable_telemetry()
        self._pipeline = load_pipeline(pyannote_pipeline, torch_device(device))

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        """See :meth:`Diarizer.diarize`."""
        # without speech the pipeline fails in its clustering, or returns a speaker that does not exist
        if not speech_regions(sound):
            return ()
        with _running, without_warnings():  # about the variance of regions of one frame
            found = self._pipeline(
                all_samples(sound),
                min_speakers=speaker_count.min_speakers,
                max_speakers=speaker_count.max_speakers,
            )
        return relabel(
            SpeakerTurn(max(0.0, float(turn.start)), float(turn.end), str(turn.speaker))
            for turn in found.itertuples()
            if turn.end > max(0.0, turn.start)
        )


_running = threading.Lock()


@once_per_process(maxsize=1)
def load_pipeline(pipeline: str, device: str) -> Any:
    """Return whisperx's pipeline from a name on the hub or a local folder, on "cpu" or "cuda".

    Raises:
        ConfigurationError: it cannot be loaded.
    """
    token = os.environ.get("HF_TOKEN") or None
    is_local = bool(pipeline) and Path(pipeline).is_dir()
    if not is_local:
        if pipeline.startswith(("/", ".", "~")):
            raise ConfigurationError(
                f"There is no folder {pipeline}; set STT_PYANNOTE_PIPELINE to one with a config.yaml."
            )
        if not token:
            raise ConfigurationError(
                "The diarizer 'pyannote' downloads its models with a token: accept their conditions on "
                "https://huggingface.co/pyannote/speaker-diarization-community-1 and set HF_TOKEN, or set "
                "STT_PYANNOTE_PIPELINE to a local folder."
            )
    with without_warnings():  # about unused audio decoders
        from whisperx.diarize import DiarizationPipeline

        try:
            return DiarizationPipeline(model_name=pipeline or None, token=token, device=device)
        except Exception as error:  # many types: from the hub, torch and pyannote
            which = f"in the folder {pipeline}" if is_local else pipeline or "(whisperx's default)"
            raise ConfigurationError(
                f"The pyannote pipeline {which} cannot be loaded: {error}. Check that the hub is reachable and that the owner "
                "of HF_TOKEN has accepted the models' conditions, or set STT_PYANNOTE_PIPELINE to a local folder."
            ) from error
