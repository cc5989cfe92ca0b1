"""The table of what each step does with a file: every combination of status and results."""

from datetime import UTC, datetime
from itertools import pairwise, product
from typing import get_args

import pytest

from stt_pipeline.batches.stages.file_states import STEPS, TABLE, Action, Results, action_of, results_of
from stt_pipeline.store.manifest.files import AudioFile, FileStatus
from stt_pipeline.store.results.transcriptions import TranscriptionStatus

RESULTS: tuple[Results, ...] = get_args(Results)
STATUSES: tuple[FileStatus, ...] = get_args(FileStatus)
RESULT_OF_STEP = dict(zip(STEPS, ("probe", "transcript", "speakers", "minutes", None), strict=True))
ORDER = {results: place for place, results in enumerate(RESULTS)}


def audio_file(status: FileStatus, duration: float | None) -> AudioFile:
    now = datetime.now(UTC)
    return AudioFile(1, 1, 1, "file:///a.wav", 1, "", now, status, 0, None, None, duration, None)


def test_every_combination_has_an_action_for_every_step() -> None:
    assert set(TABLE) == set(product(STATUSES, RESULTS))
    assert {len(actions) for actions in TABLE.values()} == {len(STEPS)}


@pytest.mark.parametrize(("status", "results"), list(TABLE))
def test_a_failure_is_reported_by_one_step_and_skipped_by_later_ones(
    status: FileStatus, results: Results
) -> None:
    actions = TABLE[status, results]
    if status == "failed":
        failed = actions.index(Action.FAILED)
        assert actions.count(Action.FAILED) == 1
        assert set(actions[failed + 1 :]) <= {Action.SKIP}
        assert set(actions[:failed]) <= {Action.DONE, Action.SKIP}
    else:
        assert not {Action.FAILED, Action.SKIP} & set(actions)


@pytest.mark.parametrize(("status", "results"), list(TABLE))
def test_no_step_works_before_an_earlier_one_has_its_result(status: FileStatus, results: Results) -> None:
    for step, needed in zip(STEPS, (None, "probe", "transcript", "transcript", "minutes"), strict=True):
        if action_of(step, status, results) is Action.PROCESS and needed is not None:
            assert ORDER[results] >= ORDER[needed], step  # type: ignore[index]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("status", STATUSES)
def test_results_after_its_own_change_nothing_for_a_step(step: str, status: FileStatus) -> None:
    """A step reads only the results up to its own, so it cannot tell later ones apart."""
    own = RESULT_OF_STEP[step]  # type: ignore[index]
    if own is None or (step, status) == ("speakers", "failed"):
        return
    same = [results for results in RESULTS if ORDER[results] >= ORDER[own]]  # type: ignore[index]
    for one, other in pairwise(same):
        assert action_of(step, status, one) is action_of(step, status, other)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("duration", "transcript", "has_minutes", "expected"),
    [
        (None, None, False, "none"),
        (1.0, None, False, "probe"),
        (1.0, "outdated", False, "probe"),
        (1.0, "transcribed", False, "transcript"),
        (1.0, "completed", False, "speakers"),
        (1.0, "completed", True, "minutes"),
        (1.0, None, True, "minutes"),
    ],
)
def test_results_of_a_file(
    duration: float | None, transcript: TranscriptionStatus | None, has_minutes: bool, expected: Results
) -> None:
    assert results_of(audio_file("pending", duration), transcript, has_minutes=has_minutes) == expected
