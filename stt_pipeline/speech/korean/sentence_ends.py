"""Missing full stops and question marks at the ends of sentences. Text in, edits out."""

import re
from collections.abc import Iterator
from typing import Final

from stt_pipeline.speech.korean.morphology import morphemes, split_sentences
from stt_pipeline.speech.korean.timed_text import Edit

# Endings of the polite and formal styles, which are used in meetings. Plain endings (했다, 하자, 뭐냐) also occur within
# sentences and in quotations.
_POLITE: Final = re.compile("(?:니다|니까|요|죠|시오|시다)$")
_QUESTION: Final = re.compile("(?:니까|까요|나요|가요|래요)$")  # as an ending only, not as in 만나요
_QUESTION_WORD: Final = re.compile(r"(?<!\w)(?:누가|누구|언제|어디|무엇|무슨|뭐|뭘|왜|어떻게|어떤|얼마|몇)")
_MARKS: Final = ".?!…,。？！"


def sentence_edits(text: str) -> Iterator[Edit]:
    """Yield the edits that insert a full stop or question mark at the end of polite sentences that have none."""
    for start, end in split_sentences(text):
        sentence = text[start:end].rstrip()
        if not sentence or sentence[-1] in _MARKS or text[end : end + 1] in tuple(_MARKS):
            continue
        mark = _punctuation(sentence)
        if mark:
            at = start + len(sentence)
            yield Edit(at, at, mark)


def sentence_starts(text: str) -> list[int]:
    """Return the start offsets of the sentences of ``text``; the first is 0."""
    return [0, *(start for start, _ in split_sentences(text)[1:])] if text.strip() else [0]


def _punctuation(sentence: str) -> str:
    if not _POLITE.search(sentence):
        return ""
    parts = morphemes(sentence)
    # a noun may look like an ending (나침반이요, 담요)
    if parts[-1].tag not in ("EF", "JX"):
        return ""
    ending = "".join(part.form for part in parts[-2:] if part.tag in ("EF", "JX"))
    is_question = (
        _QUESTION.search(ending)
        or sentence.endswith("시겠어요")
        or (sentence.endswith(("요", "죠")) and _QUESTION_WORD.search(sentence))
    )
    return "?" if is_question else "."
