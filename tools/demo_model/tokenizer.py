"""The tokenizer: a byte-level BPE with merges that make every syllable of the grammar one token.

CTranslate2 4.8 and faster-whisper 1.2 require this order of ids; README.md lists their requirements.
"""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from tools.demo_model.grammar import LANGUAGES, Language, draw_sentence, templates

END, START, PREVIOUS = "<|endoftext|>", "<|startoftranscript|>", "<|startofprev|>"
TRANSCRIBE, NO_SPEECH, NO_TIMESTAMPS = "<|transcribe|>", "<|nospeech|>", "<|notimestamps|>"
SPACE = "Ġ"
"""A space, as byte-level BPE writes it."""

_SPECIALS = (
    END,
    START,
    *(f"<|{language}|>" for language in LANGUAGES),
    "<|translate|>",
    TRANSCRIBE,
    "<|startoflm|>",
    PREVIOUS,
    NO_SPEECH,
    NO_TIMESTAMPS,
)
_TIMESTAMPS = tuple(f"<|{index * 0.02:.2f}|>" for index in range(1501))

_SEED, _KOREAN_SENTENCES, _ENGLISH_SENTENCES = 7, 40_000, 10_000
_FREQUENT_MERGES, _MIN_FREQUENCY = 300, 30
_NON_SPEECH_STARTS = ("♪", "-", "'")


def language_token(language: str) -> str:
    """Return the token of a language."""
    return f"<|{language}|>"


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """Return the id of a token.

    Raises:
        KeyError: the tokenizer does not have it.
    """
    number = tokenizer.token_to_id(token)
    if number is None:
        raise KeyError(f"The tokenizer has no token {token!r}.")
    return int(number)


def write_tokenizer(file: Path) -> None:
    """Build the tokenizer from the grammar and write it as a ``tokenizer.json``."""
    words = _word_counts()
    merges = _Merges()
    syllables = sorted({character for word in words for character in word if ord(character) > 127})
    for syllable in syllables:
        first, second, _ = _bytes(syllable)
        merges.add(first, second)
    for syllable in syllables:
        *start, third = _bytes(syllable)
        merges.add("".join(start), third)
    for initial in sorted({word[:2] for word in words if word[0] == " " and len(word) > 1}):
        merges.add(SPACE, "".join(_bytes(initial[1])))
    for sign in _NON_SPEECH_STARTS:
        # faster-whisper suppresses the first token of " -", " '" and " ♪": without these merges that is the single space
        merges.add(SPACE, _bytes(sign)[0])
    _add_frequent_merges(merges, words)
    file.write_text(json.dumps(_with_special_tokens(merges), ensure_ascii=False), encoding="utf-8")


def load_tokenizer(file: Path) -> Tokenizer:
    """Return the tokenizer that :func:`write_tokenizer` wrote."""
    return Tokenizer.from_file(str(file))


class _Merges:
    """A growing BPE: the pairs in order of their priority, and the id of every token."""

    def __init__(self) -> None:
        self.pairs: dict[tuple[str, str], None] = {}
        self.ids = {character: number for number, character in enumerate(sorted(_BYTE_NAMES.values()))}

    def add(self, left: str, right: str) -> None:
        self.ids.setdefault(left + right, len(self.ids))
        self.pairs.setdefault((left, right))


def _word_counts() -> Counter[str]:
    """Return the counts of words, each with the space before it, in a sample of the language."""
    rng, split = Random(_SEED), pre_tokenizers.ByteLevel(add_prefix_space=False)
    counts: Counter[str] = Counter()
    sizes: tuple[tuple[Language, int], ...] = (("ko", _KOREAN_SENTENCES), ("en", _ENGLISH_SENTENCES))
    for language, size in sizes:
        for _ in range(size):
            text = " " + draw_sentence(rng, language, rng.choice(templates(language))).written
            counts.update(text[start:end] for _, (start, end) in split.pre_tokenize_str(text))
    return counts


def _add_frequent_merges(merges: _Merges, words: Counter[str]) -> None:
    """Add the pairs that ordinary BPE training finds next, counted in whole syllables."""
    pieces = {word: _syllables(word) for word in words}
    for _ in range(_FREQUENT_MERGES):
        counts: Counter[tuple[str, str]] = Counter()
        for word, tokens in pieces.items():
            for pair in pairwise(tokens):
                counts[pair] += words[word]
        if not counts:
            return
        pair, frequency = counts.most_common(1)[0]
        if frequency < _MIN_FREQUENCY:
            return
        merges.add(*pair)
        pieces = {word: _joined(tokens, pair) for word, tokens in pieces.items()}


def _syllables(word: str) -> list[str]:
    tokens = ["".join(_bytes(character)) for character in word]
    return [tokens[0] + tokens[1], *tokens[2:]] if tokens[0] == SPACE and len(tokens) > 1 else tokens


def _joined(tokens: list[str], pair: tuple[str, str]) -> list[str]:
    result: list[str] = []
    index = 0
    while index < len(tokens):
        if tuple(tokens[index : index + 2]) == pair:
            result.append("".join(pair))
            index += 2
        else:
            result.append(tokens[index])
            index += 1
    return result


def _with_special_tokens(merges: _Merges) -> dict[str, object]:
    plain = Tokenizer(models.BPE(vocab=merges.ids, merges=list(merges.pairs)))
    plain.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    plain.decoder = decoders.ByteLevel()
    description = json.loads(plain.to_str())
    vocabulary: dict[str, int] = description["model"]["vocab"]
    vocabulary[""] = len(
        merges.ids
    )  # CTranslate2 4.8 treats a model as multilingual if its vocabulary has this
    for token in _SPECIALS + _TIMESTAMPS:
        vocabulary[token] = len(vocabulary)
    description["added_tokens"] = [
        {
            "id": vocabulary[token],
            "content": token,
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": token in _SPECIALS,
        }
        for token in _SPECIALS + _TIMESTAMPS
    ]
    return description


def _byte_names() -> dict[int, str]:
    """Return the printable character that byte-level BPE writes for each byte (Radford et al. 2019, GPT-2)."""
    printable = [
        *range(ord("!"), ord("~") + 1),
        *range(ord("¡"), ord("¬") + 1),
        *range(ord("®"), ord("ÿ") + 1),
    ]
    others = [byte for byte in range(256) if byte not in printable]
    names = {byte: chr(byte) for byte in printable}
    return names | {byte: chr(256 + index) for index, byte in enumerate(others)}


_BYTE_NAMES = _byte_names()


def _bytes(text: str) -> list[str]:
    return [_BYTE_NAMES[byte] for byte in text.encode()]
