"""For tests of the whisperx extra: when they run, and tiny models with random weights that need no hub."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import pytest

Result = TypeVar("Result")

needs_whisperx = [
    pytest.mark.whisperx,
    pytest.mark.skipif(find_spec("whisperx") is None, reason="the whisperx extra is not installed here"),
    # its libraries warn about each other
    pytest.mark.filterwarnings("ignore"),
]


def build_pipeline(folder: Path) -> Path:
    """Build a pyannote pipeline of two tiny models; its speaker labels are random."""
    import numpy as np
    import torch
    import yaml
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding.xvector import XVectorMFCC
    from pyannote.audio.models.segmentation import PyanNet

    torch.manual_seed(0)
    segmentation = PyanNet(
        sincnet={"stride": 10},
        lstm={"hidden_size": 16, "num_layers": 1, "bidirectional": True, "monolithic": True},
        linear={"hidden_size": 16, "num_layers": 1},
    )
    segmentation.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        classes=["speaker#1", "speaker#2", "speaker#3"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    segmentation.build()
    embedding = XVectorMFCC(dimension=32)
    embedding.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0, classes=["a", "b"]
    )
    _save(segmentation, folder / "segmentation")
    _save(embedding, folder / "embedding")

    # the pipeline reads the PLDA files with any clustering
    random = np.random.default_rng(0)
    rotation = np.linalg.qr(random.normal(size=(32, 32)))[0]
    (folder / "plda").mkdir()
    np.savez(folder / "plda/xvec_transform.npz", mean1=np.zeros(32), mean2=np.zeros(32), lda=rotation)
    np.savez(folder / "plda/plda.npz", mu=np.zeros(32), tr=rotation, psi=np.linspace(2, 0.1, 32))
    params = {
        "segmentation": {"min_duration_off": 0.0},
        "clustering": {"method": "centroid", "min_cluster_size": 4, "threshold": 0.7},
    }
    pipeline = {
        "name": "pyannote.audio.pipelines.SpeakerDiarization",
        "params": {
            "segmentation": "$model/segmentation",
            "embedding": "$model/embedding",
            "embedding_exclude_overlap": True,
            "clustering": "AgglomerativeClustering",
            "segmentation_batch_size": 32,
            "embedding_batch_size": 32,
            "plda": "$model/plda",
        },
    }
    config = {"dependencies": {"pyannote.audio": "4.0.0"}, "pipeline": pipeline, "params": params}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder


def _save(model: Any, folder: Path) -> None:
    import lightning.pytorch
    import torch

    folder.mkdir(parents=True)
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": lightning.pytorch.__version__,
        "epoch": 0,
        "global_step": 0,
        "loops": None,
        "callbacks": {},
        "optimizer_states": [],
        "lr_schedulers": [],
    }
    model.on_save_checkpoint(checkpoint)
    torch.save(checkpoint, folder / "pytorch_model.bin")


def build_wav2vec2(folder: Path) -> Path:
    """Build a wav2vec2 with a CTC head over the letters a to z and some Korean syllables."""
    import json

    import torch
    from transformers import (
        Wav2Vec2Config,
        Wav2Vec2CTCTokenizer,
        Wav2Vec2FeatureExtractor,
        Wav2Vec2ForCTC,
        Wav2Vec2Processor,
    )

    folder.mkdir(parents=True)
    characters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz", *"가나다라네알겠습니"]
    vocabulary = folder / "characters.json"
    vocabulary.write_text(json.dumps({character: index for index, character in enumerate(characters)}))
    processor = Wav2Vec2Processor(
        feature_extractor=Wav2Vec2FeatureExtractor(sampling_rate=16_000),
        tokenizer=Wav2Vec2CTCTokenizer(str(vocabulary)),
    )
    processor.save_pretrained(folder)
    torch.manual_seed(0)
    config = Wav2Vec2Config(
        vocab_size=len(characters),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        pad_token_id=0,
    )
    Wav2Vec2ForCTC(config).save_pretrained(folder)
    return folder


def of_threads(task: Callable[[], Result], threads: int = 3) -> set[Result]:
    """Return the distinct results of a task that several threads start at the same time."""
    together = threading.Barrier(threads)

    def begin(_: int) -> Result:
        together.wait()
        return task()

    with ThreadPoolExecutor(threads) as pool:
        return set(pool.map(begin, range(threads)))
