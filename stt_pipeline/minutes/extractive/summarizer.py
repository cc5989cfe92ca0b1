"""Minutes without a language model: sentences and phrases of the transcript, chosen by rules and by LexRank.

Korean is analysed by morphemes, English by wording; any other language gets a summary and keywords only. Every string
comes from the transcript, but for the fixed labels. Nothing here writes a file or a mail.
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
# a page of minutes: one sentence of summary for every 12 spoken ones, within these limits
SUMMARY_SENTENCES: Final = (3, 7)
SPOKEN_PER_SUMMARY_SENTENCE: Final = 12
# shorter sentences ("네, 좋습니다.") tell nothing by themselves
MIN_CONTENT_WORDS: Final = 2
# a decision is what a reader looks for, so it wins over a remark of equal rank
DECISION_WEIGHT: Final = 1.5
# of two sentences that share more than half of their words, one is enough
MAX_OVERLAP: Final = 0.5


class ExtractiveSummarizer:
    """Writes minutes from what was said, without a model to download and without inventing anything."""

    name = "extractive"

    def summarize(self, transcript: Transcript) -> Minutes:
        """Return the minutes of ``transcript``; one without speech gets minutes that say so. Dates stay as spoken."""
        word = labels(transcript.language)
        sentences = sentences_of(transcript)
        if not sentences:
            return Minutes(title=word["empty_title"], summary=word["empty_summary"], model=self.name)
        terms = keywords(sentences)
        topics = announced_topics(sentences)[:MAX_TOPICS] or terms[:TITLE_TOPICS]
        understood = transcript.language in ("ko", "en") or any(one.is_korean for one in sentences)
        summary = _summary(sentences)
        when = next_meeting(sentences) if understood else None
        if when:
            summary = f"{summary} {word['next_meeting']}: {when}."
        return Minutes(
            title=", ".join(topics[:TITLE_TOPICS]) or word["untitled"],
            summary=summary,
            topics=topics,
            decisions=decisions(sentences) if understood else (),
            action_items=action_items(sentences) if understood else (),
            keywords=terms,
            model=self.name,
        )


def _summary(sentences: Sequence[Sentence]) -> str:
    """Return the highest-ranking sentences in the order in which they were said."""
    words = [content_words(sentence) for sentence in sentences]
    ranks = lexrank(words)
    scores = [
        rank * (DECISION_WEIGHT if is_decision(sentence) else 1.0)
        for rank, sentence in zip(ranks, sentences, strict=True)
    ]
    low, high = SUMMARY_SENTENCES
    limit = min(high, max(low, len(sentences) // SPOKEN_PER_SUMMARY_SENTENCE))
    chosen: list[int] = []
    for n in sorted(range(len(sentences)), key=lambda n: (-scores[n], n)):
        tells = len(words[n]) >= MIN_CONTENT_WORDS and not is_question(
            sentences[n].text, sentences[n].morphemes
        )
        if tells and all(_overlap(words[n], words[other]) <= MAX_OVERLAP for other in chosen):
            chosen.append(n)
        if len(chosen) == limit:
            break
    # a recording of short remarks only is its own summary
    chosen = chosen or list(range(min(low, len(sentences))))
    return " ".join(_finished(sentences[n].text) for n in sorted(chosen))


def _overlap(one: Sequence[str], other: Sequence[str]) -> float:
    return len({*one} & {*other}) / len({*one} | {*other})


def _finished(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…", "。", "！", "？")) else f"{text}."
