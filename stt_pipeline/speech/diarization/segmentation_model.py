"""The segmentation model inside the whisperx package: who speaks in each frame of one window, for up to three speakers.

Needs the whisperx extra, but neither network nor token. `speaker_stitching` joins its windows to whole recordings.
"""

import logging
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.process_cache import once_per_process
from stt_pipeline.speech.whisperx_extra import (
    disable_telemetry,
    missing_extra,
    one_torch_thread,
    without_warnings,
)

FRAME_STEP = 270
"""Samples between two frames of the model: 17 ms."""

FRAME_CENTER = 495
"""Sample at the center of the first frame: the middle of its receptive field of 991 samples."""

MAX_LOCAL_SPEAKERS = 3
"""Speakers that the model separates within a window."""

_MIN_SAMPLES = 16_000  # much shorter input gives no frames


class SegmentationModel:
    """PyanNet (Bredin and Laurent, "End-to-end speaker segmentation", Interspeech 2021) with whisperx's weights."""

    def __init__(self) -> None:
        """Load the weights, once per process.

        Raises:
            ConfigurationError: the whisperx extra is not installed.
        """
        self._model = load_weights()

    def activities(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the speech probability of each local speaker in each frame, float32 ``(frames, 3)``, 0 to 1.

        The order of the speakers differs from window to window. With fewer than three speakers, unused columns are near 0.

        Args:
            samples: float32 ``(n,)``, 16 kHz. The model was trained on 5 s; longer windows separate speakers better.
        """
        import torch

        if len(samples) < _MIN_SAMPLES:
            samples = np.pad(samples, (0, _MIN_SAMPLES - len(samples)))
        batch = torch.from_numpy(samples.copy())[None, None]
        with one_torch_thread(), torch.inference_mode():
            found: npt.NDArray[np.float32] = self._model(batch)[0].numpy()
        return found


@once_per_process()
def load_weights() -> Any:
    """Return the torch model of pyannote.

    Raises:
        ConfigurationError: the whisperx extra is not installed.
    """
    spec = find_spec("whisperx")
    if spec is None or spec.origin is None:
        raise ConfigurationError(missing_extra("diarizer 'segmentation'"))
    disable_telemetry()
    weights = Path(spec.origin).parent / "assets" / "pytorch_model.bin"
    with without_warnings():  # about unused audio decoders and old checkpoints
        from pyannote.audio import Model

        lightning = logging.getLogger("lightning.pytorch.utilities.migration.utils")
        lightning.disabled = True
        try:
            return Model.from_pretrained(str(weights)).eval()
        finally:
            lightning.disabled = False
