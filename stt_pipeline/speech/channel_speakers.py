"""Speaker turns of a transcribed recording: by the diarizer, or by channel where channels were transcribed apart."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from stt_pipeline.audio.sound import Sound
from stt_pipeline.speech.channels import ApartChannels, Blocks, ChannelSound, read_channels
from stt_pipeline.speech.diarization.diarizer import (
    ANY_NUMBER,
    Diarizer,
    SingleSpeaker,
    SpeakerCount,
    relabel,
)
from stt_pipeline.speech.diarization.voice_activity import SpeechDetector
from stt_pipeline.speech.transcript import SpeakerTurn, Transcript


def find_turns(
    transcript: Transcript, sound: Sound, diarizer: Diarizer, speaker_count: SpeakerCount = ANY_NUMBER
) -> tuple[SpeakerTurn, ...]:
    """Return the speaker turns of a recording.

    With text in several channels that were transcribed apart, each channel is one speaker. ``diarizer`` then finds the
    speakers of each channel only if more speakers than channels are required. It also does if only one channel has text.
    A recording with mixed channels, and a required number of speakers below that of the channels, is left to it as a
    whole; so is every recording where it is `none`.

    Raises:
        FileError: as :meth:`Diarizer.diarize`.
    """
    channels = transcript.channels
    max_speakers = speaker_count.max_speakers
    is_apart = channels and not isinstance(diarizer, SingleSpeaker)
    if is_apart and (max_speakers is None or max_speakers >= len(channels)):
        apart, blocks = read_channels(sound)
        if apart:
            if len(channels) > 1 and speaker_count.min_speakers <= len(channels):
                return relabel(_one_a_channel(blocks, transcript))
            return relabel(_within_channels(sound, apart, channels, diarizer, speaker_count))
    return diarizer.diarize(sound, speaker_count)


def _one_a_channel(blocks: Blocks, transcript: Transcript) -> Iterator[SpeakerTurn]:
    detectors = {channel: SpeechDetector() for channel in transcript.channels}
    for block in blocks:
        for channel, detector in detectors.items():
            detector.feed(np.ascontiguousarray(block[:, channel]))
    for channel, detector in detectors.items():
        segments = [(one.start, one.end) for one in transcript.segments if one.channel == channel]
        for start, end in detector.finish() or segments:
            yield SpeakerTurn(start, end, str(channel), channel)


def _within_channels(
    sound: Sound,
    apart: ApartChannels,
    channels: Sequence[int],
    diarizer: Diarizer,
    speaker_count: SpeakerCount,
) -> Iterator[SpeakerTurn]:
    found, limit = 0, speaker_count.max_speakers
    for left, channel in zip(
        reversed(range(len(channels))), channels, strict=True
    ):  # each has a speaker or more
        of_one = SpeakerCount(
            max(1, speaker_count.min_speakers - found) if left == 0 else 1,
            None if limit is None else limit - found - left,
        )
        turns = diarizer.diarize(ChannelSound(sound, apart, channel), of_one)
        found += len({turn.speaker for turn in turns})
        for turn in turns:
            yield replace(turn, speaker=f"{channel} {turn.speaker}", channel=channel)
