"""The interface of everything that writes minutes, and a fake for tests. The minutes themselves are in `model`."""

from typing import Protocol

from stt_pipeline.minutes.model import ActionItem, Minutes
from stt_pipeline.speech.transcript import Transcript


class Summarizer(Protocol):
    """Writes the minutes of a transcript.

    It must accept an empty transcript and any language, and return a title and a summary that are not empty. One instance
    serves all threads of a process. Both attributes are required.

    Attributes:
        name: stored with the minutes, as their ``model``.
        concurrency: how many threads may call it at a time; more than 1 for a service that answers slowly.
    """

    name: str
    concurrency: int

    def summarize(self, transcript: Transcript) -> Minutes:
        """Return the minutes of ``transcript``.

        Raises:
            SummaryError: the minutes cannot be written; a retry may succeed.
        """
        ...


class FixedSummarizer:
    """Returns the same minutes for every transcript, for tests and benchmarks.

    Attributes:
        transcripts: those that were summarized, in order.
    """

    name = "fixed"
    concurrency = 1

    def __init__(
        self,
        title: str = "Title",
        summary: str = "Summary.",
        *,
        topics: tuple[str, ...] = (),
        action_items: tuple[ActionItem, ...] = (),
    ) -> None:
        """Use these parts; the minutes have no others."""
        self._minutes = Minutes(
            title=title, summary=summary, topics=topics, action_items=action_items, model=self.name
        )
        self.transcripts: list[Transcript] = []

    def summarize(self, transcript: Transcript) -> Minutes:
        """See :meth:`Summarizer.summarize`."""
        self.transcripts.append(transcript)
        return self._minutes
