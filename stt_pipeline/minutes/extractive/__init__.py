"""Minutes without a language model: Korean and English rules, sentence ranking, keywords.

Every string is taken from the transcript, apart from fixed labels.
"""

from stt_pipeline.minutes.extractive.summarizer import ExtractiveSummarizer

__all__ = ["ExtractiveSummarizer"]
