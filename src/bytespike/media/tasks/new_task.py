"""What a client submits, and the row that it becomes."""

from __future__ import annotations

from msgspec import Struct

from bytespike import ids
from bytespike.accounts.records import KeyRecord
from bytespike.catalog.models import Model
from bytespike.media.order import Order
from bytespike.media.tasks.channels import Way
from bytespike.media.tasks.pacing import micros
from bytespike.media.tasks.record import ID_PREFIX, Surface, Task, input_hash, storable


class Submission(Struct, frozen=True):
    """`model` as `Desk.model_for` gave it, `requested` its name as the client wrote it. `order`: checked already."""

    model: Model
    requested: str
    order: Order
    surface: Surface = "tasks"
    out_task_id: str | None = None
    callback_url: str | None = None


def new_task(
    key: KeyRecord,
    submission: Submission,
    way: Way,
    *,
    multiplier_ppm: int,
    credits: int,
    seconds: int,
    now_us: int,
    age_s_max: float,
) -> Task:
    """The row, pending and due. `credits` are set aside; `seconds` is how long it is thought to take."""
    entry = way.channel.models[submission.model.slug]
    return Task(
        id=ID_PREFIX + ids.ulid(),
        key_id=key.id,
        user_id=key.user_id,
        org_id=key.org_id,
        account_id=key.account_id,
        group_id=key.group_id,
        out_task_id=submission.out_task_id,
        input_hash=input_hash(submission.model.slug, submission.order),
        surface=submission.surface,
        model=submission.model.slug,
        requested_model=storable(submission.requested),
        kind=submission.order.kind,
        seconds=submission.order.seconds,
        order=submission.order,
        channel_id=way.channel.id,
        upstream_provider=way.channel.platform,
        upstream_model=entry.upstream_model,
        upstream_id=None,
        state="pending",
        step="submit",
        submit_begun=False,
        begun_at=None,
        cancel_asked=False,
        progress=0,
        price=entry.price,
        multiplier_ppm=multiplier_ppm,
        held=credits,
        credits=0,
        estimated_seconds=seconds,
        found=None,
        ending="",
        output=None,
        attempts=(),
        error_code="",
        error_message="",
        seq=1,
        callback_url=submission.callback_url,
        created_at=now_us,
        updated_at=now_us,
        started_at=None,
        finished_at=None,
        expires_at=now_us + micros(age_s_max),
        due_at=now_us,
        failures=0,
        claimed_by=None,
        claimed_until=0,
        fence=0,
    )
