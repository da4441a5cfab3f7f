"""PutBucketReplication and its like: S3's words for what of a bucket goes to which sites.

A destination's ARN names this bucket, and in the place of its region a site, or none for all:
arn:aws:s3:west::bucket. Source: the S3 API reference, ReplicationConfiguration.
"""

import re
from typing import Final

from replication.topology import ANY, BucketRules, Rule
from s3proxy.gateway.replication import Replication
from s3proxy.s3 import xml
from s3proxy.s3.body import read_document
from s3proxy.s3.errors import S3Error
from s3proxy.s3.request import Request
from s3proxy.s3.response import NO_CONTENT, Response, document
from s3proxy.s3.services import Services

ARN: Final = re.compile(r"arn:[a-z-]+:s3:([a-z0-9]{0,16}):[0-9]*:(.+)")
MAX_RULES: Final = 1000
STATES: Final = {"Enabled": True, "Disabled": False}
IGNORED: Final = frozenset({"ID", "Priority", "Status", "Prefix", "Filter", "Destination"})
OPTIONAL: Final = {
    "DeleteMarkerReplication": None,
    "ExistingObjectReplication": "Enabled",
}


async def put_bucket_replication(services: Services, request: Request) -> Response:
    """PutBucketReplication."""
    replication = _replication(services)
    body = xml.parse(await read_document(services, request), "ReplicationConfiguration", ["Rule"])
    rules = [_rule(rule, request.bucket, number) for number, rule in enumerate(_rules(body), 1)]
    if len({rule.name for rule in rules}) < len(rules):
        raise S3Error("InvalidArgument", "Each rule needs an ID of its own.")
    await replication.require_sites(site for rule in rules for site in rule.sites)
    await replication.configure(
        request.bucket, BucketRules(tuple(rules), xml.text_in(body, "Role"))
    )
    return Response()


async def get_bucket_replication(services: Services, request: Request) -> Response:
    """GetBucketReplication."""
    if services.replication is None:
        raise S3Error("ReplicationConfigurationNotFoundError")
    found = await services.replication.configuration(request.bucket)
    if found is None:
        raise S3Error("ReplicationConfigurationNotFoundError")
    rules = "".join(_written(rule, request.bucket) for rule in found.rules)
    role = xml.element("Role", found.role)
    return document(xml.root("ReplicationConfiguration", role + rules))


async def delete_bucket_replication(services: Services, request: Request) -> Response:
    """DeleteBucketReplication; none is no error."""
    await _replication(services).configure(request.bucket, None)
    return Response(NO_CONTENT)


def _replication(services: Services) -> Replication:
    if services.replication is None:
        raise S3Error("NotImplemented", "This gateway is no site among others (sites.secret).")
    return services.replication


def _rules(body: xml.Element) -> list[xml.Element]:
    rules: list[xml.Element] = body.get("Rule", [])
    if not 1 <= len(rules) <= MAX_RULES or not all(isinstance(rule, dict) for rule in rules):
        raise S3Error("MalformedXML", f"A configuration has 1 to {MAX_RULES} rules.")
    return rules


def _rule(rule: xml.Element, bucket: str, number: int) -> Rule:
    """One rule; what it asks for and this server cannot do is refused."""
    for name, value in rule.items():
        if name in IGNORED or name.startswith("@"):
            continue
        if name not in OPTIONAL or OPTIONAL[name] not in {None, _status(value, name)}:
            raise S3Error("NotImplemented", f"<{name}> of a replication rule is not supported.")
    return Rule(
        name=xml.text_in(rule, "ID") or f"rule-{number}",
        buckets=(bucket,),
        prefixes=(_prefix(rule),),
        sites=_sites(rule.get("Destination"), bucket),
        enabled=STATES[_status(rule, "Rule")],
        deletes=_deletes(rule),
    )


def _status(holder: object, name: str) -> str:
    text = xml.text_in(holder, "Status") if isinstance(holder, dict) else ""
    if text not in STATES:
        raise S3Error("MalformedXML", f"<{name}> needs a Status, Enabled or Disabled.")
    return text


def _deletes(rule: xml.Element) -> bool:
    """Without a Filter, the older form of rules, deletes go along."""
    if "DeleteMarkerReplication" in rule:
        return STATES[_status(rule["DeleteMarkerReplication"], "DeleteMarkerReplication")]
    return "Filter" not in rule


def _prefix(rule: xml.Element) -> str:
    chosen = rule.get("Filter") or {}
    if not isinstance(chosen, dict):
        raise S3Error("MalformedXML", "<Filter> holds a Prefix.")
    if "Tag" in chosen or "And" in chosen:
        raise S3Error("NotImplemented", "Rules by tag are not supported.")
    return xml.text_in(chosen, "Prefix") or xml.text_in(rule, "Prefix")


def _sites(destination: object, bucket: str) -> tuple[str, ...]:
    if not isinstance(destination, dict):
        raise S3Error("MalformedXML", "A rule needs a Destination.")
    for name in destination.keys() - {"Bucket"}:
        raise S3Error("NotImplemented", f"<{name}> of a destination is not supported.")
    found = ARN.fullmatch(xml.text_in(destination, "Bucket"))
    if found is None or found[2] != bucket:
        raise S3Error(
            "InvalidArgument",
            f"A destination is the same bucket at a site: arn:aws:s3:SITE::{bucket}, "
            f"or arn:aws:s3:::{bucket} for all sites.",
        )
    return (found[1],) if found[1] else ANY


def _written(rule: Rule, bucket: str) -> str:
    site = "" if rule.sites == ANY else rule.sites[0]
    return xml.tag(
        "Rule",
        xml.element("ID", rule.name)
        + xml.element("Status", "Enabled" if rule.enabled else "Disabled")
        + xml.tag("Filter", xml.element("Prefix", rule.prefixes[0]))
        + xml.tag(
            "DeleteMarkerReplication",
            xml.element("Status", "Enabled" if rule.deletes else "Disabled"),
        )
        + xml.tag("Destination", xml.element("Bucket", f"arn:aws:s3:{site}::{bucket}")),
    )
