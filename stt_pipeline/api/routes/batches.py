"""Batches: make, list, watch, change, retry, cancel, delete. The rules are in ``batches/``."""

from fastapi import APIRouter

from stt_pipeline.api.dependencies import Store
from stt_pipeline.api.paging import Id
from stt_pipeline.api.problems import documented
from stt_pipeline.batches.progress import Progress, progress

router = APIRouter(prefix="/stt-batches", tags=["batches"])


@router.get("/{batch_id}/progress", responses=documented(404))
def get_progress(batch_id: Id, store: Store) -> Progress:
    """How far a batch is: `completed + failed + pending = total_files`, always, once its source was scanned."""
    return progress(store, batch_id)
