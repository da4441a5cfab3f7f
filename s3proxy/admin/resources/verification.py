"""Whether a site holds the same as this one."""

from datetime import datetime
from http import HTTPStatus

from fastapi import APIRouter

from backends.errors import NotFound
from reconcile.comparison import verification
from reconcile.comparison.compare import Kind
from reconcile.comparison.verification import Standing
from s3proxy.admin.here import Sites, Verifying
from s3proxy.admin.resources.models import Told, moment, moment_or_none

router = APIRouter(prefix="/sites/{name}/verification", tags=["sites"])


class Difference(Told):
    """An object on which the sites do not agree; versions are "" where a site has none."""

    kind: Kind
    bucket: str
    key: str
    here: str
    there: str


class Verification(Told):
    """The last comparison; `differences` holds the first of `found` ones, which end at 1,000."""

    site: str
    standing: Standing
    asked: datetime
    ended: datetime | None
    buckets: int
    objects: int
    found: int
    differences: list[Difference]
    error: str


@router.post("", status_code=HTTPStatus.ACCEPTED)
async def verify_site(name: str, sites: Sites, verifying: Verifying) -> Verification:
    """Begin to compare all objects that both sites are to have."""
    await sites.site(name)
    return _told(name, await verifying.ask(name))


@router.get("")
async def get_verification(name: str, sites: Sites, verifying: Verifying) -> Verification:
    """How the last comparison went, or how far it is."""
    await sites.site(name)
    known = await verifying.of(name)
    if known is None:
        raise NotFound(f"{name} was never compared with this site")
    return _told(name, known)


def _told(site: str, known: verification.Verification) -> Verification:
    return Verification(
        site=site,
        standing=known.standing,
        asked=moment(known.asked),
        ended=moment_or_none(known.ended),
        buckets=known.buckets,
        objects=known.objects,
        found=known.differences,
        differences=[
            Difference(
                kind=one.kind,
                bucket=one.bucket,
                key=one.key,
                here=one.here.version if one.here else "",
                there=one.there.version if one.there else "",
            )
            for one in known.shown
        ],
        error=known.error,
    )
