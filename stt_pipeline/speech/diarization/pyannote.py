"""The diarizer that downloads its models: whisperx's pipeline of pyannote, by a token or from a local folder.

Needs the whisperx extra. The most exact one, and the slowest without a GPU.
"""

import os
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from stt_pipeline.audio.sound import Sound, all_samples
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.speech.diarization.diarizer import ANY_NUMBER, SpeakerCount, in_order
from stt_pipeline.speech.diarization.segmentation_model import (
    extra_needed,
    is_installed,
    torch_device,
    without_warnings,
)
from stt_pipeline.speech.diarization.voice_activity import speech_regions
from stt_pipeline.speech.transcript import SpeakerTurn


class PyannoteDiarizer:
    """Finds speakers by ``whisperx.diarize.DiarizationPipeline``; turns may overlap.

    The samples of the whole recording are in memory, 230 MB an hour, which is what the pipeline asks for. So it works on
    one recording at a time, however many threads ask.
    """

    name = "pyannote"

    def __init__(self, pipeline: str = "", device: str = "auto") -> None:
        """Load the pipeline.

        Args:
            pipeline: a name on the Hugging Face hub or a local folder; empty takes whisperx's own choice.
            device: "cpu", "cuda", "cuda:1" or "auto".

        Raises:
            ConfigurationError: the extra is not installed, or the pipeline cannot be had.
        """
        if not is_installed():
            raise ConfigurationError(extra_needed("diarizer 'pyannote'"))
        # pyannote reports each use to its makers unless told not to; who wants that sets it
        os.environ.setdefault("PYANNOTE_METRICS_ENABLED", "0")
        with _loading:  # the cache alone would let each thread load it
            self._pipeline = _loaded(pipeline, torch_device(device))

    def diarize(self, sound: Sound, bounds: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        """See :meth:`Diarizer.diarize`."""
        # without speech the pipeline fails in its clustering, or invents a speaker
        if not speech_regions(sound):
            return ()
        with _working, without_warnings():  # of variances of stretches that are a frame long
            found = self._pipeline(
                all_samples(sound), min_speakers=bounds.min_speakers, max_speakers=bounds.max_speakers
            )
        return in_order(
            SpeakerTurn(max(0.0, float(turn.start)), float(turn.end), str(turn.speaker))
            for turn in found.itertuples()
            if turn.end > max(0.0, turn.start)
        )


_loading = threading.Lock()
_working = threading.Lock()


@lru_cache(maxsize=1)
def _loaded(pipeline: str, device: str) -> Any:
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
    with without_warnings():  # of decoders that nobody needs here
        from whisperx.diarize import DiarizationPipeline

        try:
            return DiarizationPipeline(model_name=pipeline or None, token=token, device=device)
        except Exception as error:  # a dozen kinds, from the hub's to torch's
            what = f"in the folder {pipeline}" if is_local else pipeline or "of whisperx's choice"
            raise ConfigurationError(
                f"The pyannote pipeline {what} cannot be loaded: {error}. Check that the hub can be reached and that HF_TOKEN's "
                "owner has accepted the models' conditions, or set STT_PYANNOTE_PIPELINE to a local folder."
            ) from error
