"""Rules: which objects go to which sites. Without an enabled one, all go everywhere."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from backends.errors import NotFound
from replication import topology
from s3proxy.admin.here import Sites
from s3proxy.admin.resources.models import Asked, Told

router = APIRouter(prefix="/rules", tags=["sites"])
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$")]
Patterns = Annotated[tuple[str, ...], Field(min_length=1)]


class RuleAsked(Asked):
    """Objects of these buckets, under one of the prefixes, go to these sites.

    Buckets and sites are names, or patterns with *, ? and [a-z]. Without `deletes` what is removed
    here stays there.
    """

    buckets: Patterns = ("*",)
    prefixes: Patterns = ("",)
    sites: Patterns = ("*",)
    enabled: bool = True
    deletes: bool = True


class Rule(Told):
    """A rule and its name."""

    name: str
    buckets: tuple[str, ...]
    prefixes: tuple[str, ...]
    sites: tuple[str, ...]
    enabled: bool
    deletes: bool


class Rules(Told):
    """All rules, by name."""

    rules: list[Rule]


@router.get("")
async def list_rules(sites: Sites) -> Rules:
    """List the rules."""
    return Rules(rules=[_told(rule) for rule in await sites.rules()])


@router.get("/{name}")
async def get_rule(name: str, sites: Sites) -> Rule:
    """Show one rule."""
    for rule in await sites.rules():
        if rule.name == name:
            return _told(rule)
    raise NotFound(f"there is no rule {name}")


@router.put("/{name}")
async def put_rule(name: Name, asked: RuleAsked, sites: Sites) -> Rule:
    """Add a rule, or replace the one of that name."""
    rule = topology.Rule(
        name, asked.buckets, asked.prefixes, asked.sites, asked.enabled, asked.deletes
    )
    await sites.put_rule(rule)
    return _told(rule)


@router.delete("/{name}", status_code=HTTPStatus.NO_CONTENT)
async def delete_rule(name: str, sites: Sites) -> None:
    """Remove a rule; what went by it stays where it is."""
    await sites.drop_rule(name)


def _told(rule: topology.Rule) -> Rule:
    return Rule(
        name=rule.name,
        buckets=rule.buckets,
        prefixes=rule.prefixes,
        sites=rule.sites,
        enabled=rule.enabled,
        deletes=rule.deletes,
    )
