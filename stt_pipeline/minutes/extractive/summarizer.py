"""The summarizer without a language model: sentences and phrases of the transcript, selected by rules and LexRank.

Korean is analyzed by morphemes, English by regular expressions; other languages get a summary and keywords only. Every
string is taken from the transcript, apart from fixed labels.
"""

from collections.abc import Sequence
from typing import Final

from stt_pipeline.minutes.extractive.action_items import action_items
from stt_pipeline.minutes.extractive.decisions import decisions, is_decision
from stt_pipeline.minutes.extractive.keywords import content_words, keywords
from stt_pipeline.minutes.extractive.predicates import is_question
from stt_pipeline.minutes.extractive.ranking import lexrank
from stt_pipeline.minutes.extractive.sentences import Sentence, sentences_of
from stt_pipeline.minutes.extractive.topics import announced_topics, next_meeting
from stt_pipeline.minutes.labels import labels
from stt_pipeline.minutes.model import Minutes
from stt_pipeline.speech.transcript import Transcript

MAX_TOPICS: Final = 8
TITLE_TOPICS: Final = 3
# for minutes of one page: one summary sentence per 12 sentences, within these limits
SUMMARY_SENTENCES: Final = (3, 7)
SENTENCES_PER_SUMMARY_SENTENCE: Final = 12
# shorter sentences ("네, 좋습니다.") are not informative
MIN_CONTENT_WORDS: Final = 2
# readers look for decisions, so they are preferred over other sentences of equal rank
DECISION_WEIGHT: Final = 1.5
# of two sentences that share more than half of their words, only one is used
MAX_OVERLAP: Final = 0.5


class ExtractiveSummarizer:
    """Writes minutes from the words of the transcript only; needs no model and no download."""

    name = "extractive"
    concurrency = 1  # it computes in Python, so threads would not make it faster

    def summarize(self, transcript: Transcript) -> Minutes:
        """Return the minutes of ``transcript``, also for one without speech. Dates stay as spoken."""
        word = labels(transcript.language)
        sentences = sentences_of(transcript)
        if not sentences:
            return Minutes(title=word["empty_title"], summary=word["empty_summary"], model=self.name)
        terms = keywords(sentences)
        topics = announced_topics(sentences)[:MAX_TOPICS] or terms[:TITLE_TOPICS]
        has_rules = transcript.language in ("ko", "en") or any(one.is_korean for one in sentences)
        summary = _summary(sentences)
        when = next_meeting(sentences) if has_rules else None
        if when:
            summary = f"{summary} {word['next_meeting']}: {when}."
        return Minutes(
            title=", ".join(topics[:TITLE_TOPICS]) or word["untitled"],
            summary=summary,
            topics=topics,
            decisions=decisions(sentences) if has_rules else (),
            action_items=action_items(sentences) if has_rules else (),
            keywords=terms,
            model=self.name,
        )


def _summary(sentences: Sequence[Sentence]) -> str:
    """Return the highest-ranking sentences in order of time."""
    words = [content_words(sentence) for sentence in sentences]
    ranks = lexrank(words)
    scores = [
        rank * (DECISION_WEIGHT if is_decision(sentence) else 1.0)
        for rank, sentence in zip(ranks, sentences, strict=True)
    ]
    low, high = SUMMARY_SENTENCES
    limit = min(high, max(low, len(sentences) // SENTENCES_PER_SUMMARY_SENTENCE))
    chosen: list[int] = []
    for n in sorted(range(len(sentences)), key=lambda n: (-scores[n], n)):
        is_informative = len(words[n]) >= MIN_CONTENT_WORDS and not is_question(
            sentences[n].text, sentences[n].morphemes
        )
        if is_informative and all(_overlap(words[n], words[other]) <= MAX_OVERLAP for other in chosen):
            chosen.append(n)
        if len(chosen) == limit:
            break
    # a recording with short remarks only is its own summary
    chosen = chosen or list(range(min(low, len(sentences))))
    return " ".join(_with_full_stop(sentences[n].text) for n in sorted(chosen))


def _overlap(one: Sequence[str], other: Sequence[str]) -> float:
    return len({*one} & {*other}) / len({*one} | {*other})


def _with_full_stop(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…", "。", "！", "？")) else f"{text}."
