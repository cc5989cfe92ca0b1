"""The training of the demo model on few sentences with a tiny network: losses fall, and faster-whisper runs the export."""
# ruff: noqa: E402 (the skips come first: without the extra these imports fail)

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

WANTED = "needs the demo-model extra: pip install -e '.[demo-model]'"
torch = pytest.importorskip("torch", reason=WANTED)
pytest.importorskip("transformers", reason=WANTED)
if shutil.which("espeak-ng") is None:
    pytest.skip("needs espeak-ng: apt-get install espeak-ng", allow_module_level=True)

from tools.demo_model.batches import STAGES, draw_batch
from tools.demo_model.corpus import draw_corpus
from tools.demo_model.dataset import Dataset, synthesize
from tools.demo_model.export import export
from tools.demo_model.initialisation import initialise
from tools.demo_model.losses import losses_of
from tools.demo_model.model import ModelShape, Whisper
from tools.demo_model.optimiser import Optimiser
from tools.demo_model.synthesis import SAMPLE_RATE, Voice, speak
from tools.demo_model.tokenizer import load_tokenizer, write_tokenizer
from tools.demo_model.training import Budget, Run, load_checkpoint, train
from tools.demo_model.windows import WindowMaker, WindowShape

pytestmark = pytest.mark.slow

TINY = {"width": 48, "feed_forward": 96, "encoder_layers": 2}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with forty utterances and a tokenizer."""
    folder = tmp_path_factory.mktemp("demo_model")
    synthesize(draw_corpus(32, 8).training, folder / "corpus", processes=1)
    write_tokenizer(folder / "tokenizer.json")
    return folder


@pytest.fixture(scope="module")
def maker(work: Path) -> WindowMaker:
    tokenizer = load_tokenizer(work / "tokenizer.json")
    return WindowMaker(Dataset(work / "corpus", tokenizer), tokenizer, seed=1)


@pytest.fixture(scope="module")
def shape(work: Path) -> ModelShape:
    tokenizer = load_tokenizer(work / "tokenizer.json")
    return ModelShape(tokenizer.get_vocab_size(), Dataset(work / "corpus", tokenizer).jamo_size, **TINY)


def test_the_dataset_has_text_and_mel_of_each_utterance(work: Path) -> None:
    tokenizer = load_tokenizer(work / "tokenizer.json")
    dataset = Dataset(work / "corpus", tokenizer)
    corpus = draw_corpus(32, 8).training
    assert len(dataset.utterances) == 40
    for utterance, spoken in zip(corpus, dataset.utterances, strict=True):
        assert tokenizer.decode(spoken.tokens) == " " + utterance.sentence.written
        assert dataset.mel(spoken).shape == (spoken.frames, 80)
        assert (
            np.all(np.diff(spoken.token_times) > 0) and 0 < spoken.token_times[0] < spoken.token_times[-1] < 1
        )
    last = corpus[-1]
    seconds = len(speak(last.sentence.spoken, last.language, last.voice)) / SAMPLE_RATE
    assert dataset.utterances[-1].frames == int(seconds * 100)


def test_windows_have_text_and_times_of_their_utterances(work: Path, maker: WindowMaker) -> None:
    tokenizer = load_tokenizer(work / "tokenizer.json")
    texts = {utterance.sentence.written for utterance in draw_corpus(32, 8).training}
    seen = set()
    for _ in range(60):
        window = maker.draw(WindowShape(content=1000, frames=3000, cut_share=0.5))
        assert window.mel.shape == (3000, 80)
        assert not window.mel[1000:].any()
        assert len(window.tokens) == len(window.weights) == len(window.positions)
        assert window.tokens[-1] == maker.end
        written = tokenizer.decode(window.tokens, skip_special_tokens=False)
        _, _, target = written.partition("<|startoftranscript|>")
        if "<|nospeech|>" in target:
            seen.add("silence")
            assert window.jamo == []
            continue
        seen.add("timestamps" if "<|notimestamps|>" not in target else "plain")
        seen.update({"prompt"} if written.startswith("<|startofprev|>") else ())
        assert any(text in target for text in texts)
        positions = [position for position in window.positions if position >= 0]
        assert positions == sorted(positions) and positions[-1] <= 500
    assert seen >= {"timestamps", "plain", "prompt"}


def test_equal_seeds_draw_equal_batches(work: Path) -> None:
    tokenizer = load_tokenizer(work / "tokenizer.json")
    dataset = Dataset(work / "corpus", tokenizer)
    one, other = (draw_batch(WindowMaker(dataset, tokenizer, 5), 0.9, step=3) for _ in range(2))
    assert torch.equal(one.mel, other.mel) and torch.equal(one.tokens, other.tokens)


def test_the_curriculum_covers_the_whole_run(maker: WindowMaker) -> None:
    assert STAGES[-1].until == 1.0
    assert {draw_batch(maker, 0.1, step).kind for step in range(30)} == {"short", "middle"}
    assert {draw_batch(maker, 1.0, step).kind for step in range(30)} == {"short", "middle", "full"}


def test_initial_heads_attend_at_their_offsets(shape: ModelShape) -> None:
    torch.manual_seed(0)
    model = Whisper(
        ModelShape(shape.vocabulary, shape.jamo)
    )  # the real sizes: with a tiny width the positions overlap
    initialise(model)
    attention = model.model.encoder.layers[0].self_attn
    positions = model.model.encoder.embed_positions.weight[:200]
    queries, keys = (
        projection(positions).view(200, attention.heads, -1).transpose(0, 1)
        for projection in (attention.q_proj, attention.k_proj)
    )
    attended = (queries @ keys.transpose(1, 2)).softmax(-1).argmax(-1)[:, 100]
    assert [int(position) - 100 for position in attended] == pytest.approx([-3, 0, 3], abs=1)


def test_every_loss_falls_on_one_batch(maker: WindowMaker, shape: ModelShape) -> None:
    torch.manual_seed(0)
    model = Whisper(shape)
    initialise(model)
    model.train()
    optimiser = Optimiser(model)
    optimiser.steps = 1000  # past the warm-up
    batch = next(batch for step in range(30) if (batch := draw_batch(maker, 0.1, step)).kind == "short")
    history = []
    for _ in range(30):
        losses = losses_of(model, batch)
        losses.total.backward()
        optimiser.step(progress=0.0)
        history.append([float(loss.detach()) for loss in (losses.tokens, losses.jamo, losses.guide)])
    assert all(last < 0.9 * first for first, last in zip(history[0], history[-1], strict=True)), history[::20]


@pytest.mark.parametrize("processes", [1, 2])
def test_faster_whisper_runs_the_exported_model(work: Path, tmp_path: Path, processes: int) -> None:
    from faster_whisper import WhisperModel

    checkpoint = tmp_path / "checkpoint.pt"
    train(Run(work / "corpus", work / "tokenizer.json", checkpoint, Budget(steps=3), processes, TINY))
    assert checkpoint.with_suffix(".jsonl").read_text().count('"steps": 3') == 1
    assert all(torch.isfinite(value).all() for value in load_checkpoint(checkpoint).state_dict().values())

    export(checkpoint, work / "tokenizer.json", tmp_path / "model")
    whisper = WhisperModel(str(tmp_path / "model"), device="cpu", compute_type="int8", cpu_threads=1)
    assert whisper.model.is_multilingual
    assert whisper.feature_extractor.chunk_length == 10
    audio = speak("그럼 회의를 시작하겠습니다.", "ko", Voice("m3"))
    segments, info = whisper.transcribe(audio, language="ko", word_timestamps=True, max_new_tokens=20)
    assert all(0 <= segment.start <= segment.end for segment in segments)
    assert info.duration == pytest.approx(len(audio) / SAMPLE_RATE)
    language, probability, _ = whisper.detect_language(audio)
    assert language in ("ko", "en") and 0 < probability <= 1
