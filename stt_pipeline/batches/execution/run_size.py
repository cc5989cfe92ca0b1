"""Which shards share a run: limits in shards, files, bytes, hours of audio and time, and recordings of similar length.

The dispatcher knows the bytes of every shard, and its length once it was probed. A run probes its shards first, and hands
back those that do not belong into it.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

from stt_pipeline.store.queue.shards import Shard, Stage

# a run loads the model once: many small shards share a run, and a large shard has its own
SHARDS_PER_RUN: dict[str, int] = {"transcribe": 50, "publish": 100}
_FILES_PER_RUN = 2_000
_BYTES_PER_RUN = 4 << 30

MOST_AUDIO_SECONDS = 12 * 3600.0
"""Of a run: 36 minutes of work at a real-time factor of 0.05. 4 GiB of telephone audio (8 kB/s) would be 149 hours."""

MOST_SECONDS = 600.0
"""After this time a run begins to transcribe no more shards, because those that it has transcribed wait for the end of that
step. It is many times what the start of a run and the load of a model take."""

SHORT_SECONDS = 600.0
"""A recording of up to this length is transcribed in about the time that a run takes to start."""

_LONGEST_SHARE = 2.0
"""A recording may be this many times as long as the shorter ones of its run together."""

_Key = TypeVar("_Key", bound=Hashable)


def shards_per_run(ready: Sequence[Shard], free_slots: Mapping[Stage, int]) -> dict[str, int]:
    """Return how many shards of each stage a run may have, so that every free slot gets a run.

    Args:
        ready: the shards that are about to be dispatched.
        free_slots: the number of runs of each stage that could start now; a stage that is missing has no known limit.
    """
    sizes = dict(SHARDS_PER_RUN)
    for stage, free in free_slots.items():
        shards = sum(shard.stage == stage for shard in ready)
        if free > 0 and shards:
            sizes[stage] = min(sizes[stage], -(-shards // free))
    return sizes


def group_shards(ready: Sequence[Shard], sizes: Mapping[str, int] = SHARDS_PER_RUN) -> list[list[Shard]]:
    """Group ready shards, in order, into runs: neighbours of one batch and stage that fit into one run.

    Args:
        sizes: how many shards of each stage a run may have.
    """
    groups: list[list[Shard]] = []
    for shard in ready:
        group = groups[-1] if groups else []
        if group and len(group) < sizes[shard.stage] and _fits(group, shard):
            group.append(shard)
        else:
            groups.append([shard])
    return groups


def long_ones(seconds: Mapping[_Key, float]) -> set[_Key]:
    """Return those that the others must not wait for: each is much longer than all shorter ones together.

    Args:
        seconds: the lengths of all, by key.
    """
    shorter = 0.0
    ascending = sorted(seconds, key=lambda key: seconds[key])
    for place, key in enumerate(ascending):
        if place and seconds[key] > max(SHORT_SECONDS, _LONGEST_SHARE * shorter):
            return set(ascending[place:])
        shorter += seconds[key]
    return set()


def _fits(group: Sequence[Shard], shard: Shard) -> bool:
    last = group[-1]
    members = [*group, shard]
    return (
        (last.batch_id, last.stage, last.number + 1) == (shard.batch_id, shard.stage, shard.number)
        and sum(member.total for member in members) <= _FILES_PER_RUN
        and sum(member.bytes for member in members) <= _BYTES_PER_RUN
        and (shard.stage != "transcribe" or _similar(members))
    )


def _similar(members: Sequence[Shard]) -> bool:
    """Return whether none of the shards delays the others; one that was not probed yet says nothing about it."""
    seconds = {member.id: member.probed_seconds for member in members}
    if not any(seconds.values()):
        return True
    return all(seconds.values()) and sum(seconds.values()) <= MOST_AUDIO_SECONDS and not long_ones(seconds)
