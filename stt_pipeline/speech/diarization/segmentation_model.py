"""The segmentation model of this package: who speaks in each frame of one window, for up to three speakers.

`tools/segmentation_model.py` made `segmentation.onnx`. `speaker_stitching` joins its windows to whole recordings.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sound import Samples
from stt_pipeline.process_cache import once_per_process

FRAME_STEP = 270
"""Samples between two frames of the model: 17 ms."""

FRAME_CENTER = 495
"""Sample at the center of the first frame: the middle of its receptive field of 991 samples."""

MAX_LOCAL_SPEAKERS = 3
"""Speakers that the model separates within a window."""

MODEL_FILE = Path(__file__).with_name("segmentation.onnx")
"""PyanNet (Bredin and Laurent, "End-to-end speaker segmentation", Interspeech 2021) with pyannote's weights (MIT)."""

_MIN_SAMPLES = 16_000  # much shorter input gives no frames


def activities(windows: Samples) -> npt.NDArray[np.float32]:
    """Return the speech probability of each local speaker in each frame, float32 ``(windows, frames, 3)``, 0 to 1.

    The order of the speakers differs from window to window. With fewer than three speakers, unused columns are near 0.

    Args:
        windows: float32 ``(windows, n)``, 16 kHz. The model was trained on 5 s; longer windows separate speakers better.
    """
    if windows.shape[1] < _MIN_SAMPLES:
        windows = np.pad(windows, ((0, 0), (0, _MIN_SAMPLES - windows.shape[1])))
    found: npt.NDArray[np.float32] = load_session().run(None, {"samples": windows})[0]
    return found


@once_per_process()
def load_session() -> Any:
    """Return the onnxruntime session. It runs in the thread of its caller: the matrices are small."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(MODEL_FILE, options, providers=["CPUExecutionProvider"])
