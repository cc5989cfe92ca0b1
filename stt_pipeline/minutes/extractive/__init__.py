"""Minutes without a model: Korean and English rules, sentence ranking, keywords. Every string comes from the transcript."""

from stt_pipeline.minutes.extractive.summarizer import ExtractiveSummarizer

__all__ = ["ExtractiveSummarizer"]
