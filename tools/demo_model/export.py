"""Exports a checkpoint to a folder that faster-whisper loads: from transformers' Whisper to CTranslate2, in int8."""

import json
import shutil
from pathlib import Path

import torch
from ctranslate2.converters.transformers import WhisperLoader
from tokenizers import Tokenizer
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

from tools.demo_model import tokenizer as special
from tools.demo_model.features import FRAMES_PER_SECOND, MELS
from tools.demo_model.grammar import LANGUAGES
from tools.demo_model.model import POSITIONS, Whisper
from tools.demo_model.synthesis import SAMPLE_RATE
from tools.demo_model.training import load_checkpoint
from tools.demo_model.windows import MAX_TOKENS

CHUNK_SECONDS = 10
"""Seconds of audio in a window of the exported model; the rest of Whisper's 30 s is zeros. With 15 s the CER was higher."""

_LARGEST_DIFFERENCE = 1e-3  # between our logits and those of transformers


def export(checkpoint: Path, tokenizer_file: Path, folder: Path, quantization: str = "int8") -> None:
    """Write config, weights, vocabulary, tokenizer and preprocessor settings to ``folder``, replacing it."""
    tokenizer = special.load_tokenizer(tokenizer_file)
    model = load_checkpoint(checkpoint)
    twin = _transformers_twin(model, tokenizer)
    _check_equal(model, twin)

    loader = WhisperLoader()
    specification = loader.get_model_spec(twin)
    vocabulary = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    loader.set_vocabulary(specification, vocabulary)
    loader.set_config(specification.config, twin, None)
    specification.validate()
    specification.optimize(quantization=quantization)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    specification.save(str(folder))
    shutil.copy(tokenizer_file, folder / "tokenizer.json")
    (folder / "preprocessor_config.json").write_text(json.dumps(_preprocessor(), indent=1))


def _transformers_twin(model: Whisper, tokenizer: Tokenizer) -> WhisperForConditionalGeneration:
    shape, end = model.shape, special.token_id(tokenizer, special.END)
    twin = WhisperForConditionalGeneration(
        WhisperConfig(
            vocab_size=shape.vocabulary,
            num_mel_bins=MELS,
            d_model=shape.width,
            encoder_layers=shape.encoder_layers,
            decoder_layers=shape.decoder_layers,
            encoder_attention_heads=shape.heads,
            decoder_attention_heads=shape.heads,
            encoder_ffn_dim=shape.feed_forward,
            decoder_ffn_dim=shape.feed_forward,
            max_source_positions=POSITIONS,
            max_target_positions=MAX_TOKENS,
            scale_embedding=False,
            pad_token_id=end,
            bos_token_id=end,
            eos_token_id=end,
            decoder_start_token_id=special.token_id(tokenizer, special.START),
            suppress_tokens=[],
            begin_suppress_tokens=[],
        )
    ).eval()
    state = {name: value for name, value in model.state_dict().items() if not name.startswith("ctc.")}
    twin.load_state_dict(state | {"proj_out.weight": state["model.decoder.embed_tokens.weight"]})
    twin.generation_config = GenerationConfig(
        suppress_tokens=[], begin_suppress_tokens=[special.token_id(tokenizer, special.SPACE), end]
    )
    tokens = [special.language_token(language) for language in LANGUAGES]
    twin.generation_config.lang_to_id = {token: special.token_id(tokenizer, token) for token in tokens}
    twin.generation_config.alignment_heads = [
        [layer, head] for layer, guided in enumerate(shape.guided_heads) for head in range(guided)
    ]
    return twin


@torch.no_grad()
def _check_equal(model: Whisper, twin: WhisperForConditionalGeneration) -> None:
    """Raise RuntimeError if the trained network and the exported one give different logits."""
    mel, tokens = torch.randn(1, MELS, 2 * POSITIONS), torch.arange(9)[None]
    ours, theirs = model(mel, tokens)[0], twin(input_features=mel, decoder_input_ids=tokens).logits
    difference = float((ours - theirs).abs().max())
    if difference > _LARGEST_DIFFERENCE:
        raise RuntimeError(
            f"The logits of transformers differ from those of the trained network by {difference:.4f}."
        )


def _preprocessor() -> dict[str, object]:
    return {
        "chunk_length": CHUNK_SECONDS,
        "feature_extractor_type": "WhisperFeatureExtractor",
        "feature_size": MELS,
        "hop_length": SAMPLE_RATE // FRAMES_PER_SECOND,
        "n_fft": 400,
        "n_samples": SAMPLE_RATE * CHUNK_SECONDS,
        "nb_max_frames": FRAMES_PER_SECOND * CHUNK_SECONDS,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": False,
        "sampling_rate": SAMPLE_RATE,
        "processor_class": "WhisperProcessor",
    }
