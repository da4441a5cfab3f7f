"""Every S3 operation, in one table: routing, rights, metrics and "not implemented" read it.

Source: the S3 API reference, Actions. A line with a sub-resource stands before the plain line of
its method and scope. `answer` says what stands in for an operation that is not built: an error
code, or the root element of the empty document that S3 gives where nothing is configured.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import Final, NamedTuple

from s3proxy.access import Right


class Scope(StrEnum):
    """What a request's path names."""

    SERVICE = "service"
    BUCKET = "bucket"
    OBJECT = "object"


class Operation(NamedTuple):
    """One line: which requests it fits, the right it needs, and its answer if it is not built."""

    method: str
    scope: Scope
    query: str
    name: str
    right: Right
    answer: str = ""
    header: str = ""


SERVICE, BUCKET, OBJECT = Scope.SERVICE, Scope.BUCKET, Scope.OBJECT
CREATE, READ, UPDATE, DELETE, LIST = (
    Right.CREATE,
    Right.READ,
    Right.UPDATE,
    Right.DELETE,
    Right.LIST,
)
COPY_SOURCE: Final = "x-amz-copy-source"
NOT_BUILT: Final = "NotImplemented"

IMPLEMENTED: Final = (
    Operation("GET", SERVICE, "", "ListBuckets", LIST),
    Operation("GET", BUCKET, "location", "GetBucketLocation", READ),
    Operation("GET", BUCKET, "versioning", "GetBucketVersioning", READ),
    Operation("GET", BUCKET, "acl", "GetBucketAcl", READ),
    Operation("GET", BUCKET, "replication", "GetBucketReplication", READ),
    Operation("PUT", BUCKET, "replication", "PutBucketReplication", UPDATE),
    Operation("DELETE", BUCKET, "replication", "DeleteBucketReplication", UPDATE),
    Operation("GET", BUCKET, "uploads", "ListMultipartUploads", LIST),
    Operation("GET", BUCKET, "versions", "ListObjectVersions", LIST),
    Operation("GET", BUCKET, "list-type", "ListObjectsV2", LIST),
    Operation("HEAD", BUCKET, "", "HeadBucket", LIST),
    Operation("PUT", BUCKET, "", "CreateBucket", CREATE),
    Operation("DELETE", BUCKET, "", "DeleteBucket", DELETE),
    Operation("POST", BUCKET, "delete", "DeleteObjects", DELETE),
    Operation("GET", OBJECT, "acl", "GetObjectAcl", READ),
    Operation("GET", OBJECT, "attributes", "GetObjectAttributes", READ),
    Operation("GET", OBJECT, "tagging", "GetObjectTagging", READ),
    Operation("GET", OBJECT, "uploadId", "ListParts", LIST),
    Operation("POST", OBJECT, "uploads", "CreateMultipartUpload", CREATE),
    Operation("POST", OBJECT, "uploadId", "CompleteMultipartUpload", CREATE),
    Operation("DELETE", OBJECT, "uploadId", "AbortMultipartUpload", DELETE),
    Operation("PUT", OBJECT, "uploadId", "UploadPartCopy", CREATE, header=COPY_SOURCE),
    Operation("PUT", OBJECT, "uploadId", "UploadPart", CREATE),
    Operation("HEAD", OBJECT, "", "HeadObject", READ),
)

UNCONFIGURED: Final = tuple(
    Operation("GET", scope, query, name, READ, answer)
    for scope, query, name, answer in (
        (BUCKET, "accelerate", "GetBucketAccelerateConfiguration", "<AccelerateConfiguration>"),
        (BUCKET, "cors", "GetBucketCors", "NoSuchCORSConfiguration"),
        (
            BUCKET,
            "encryption",
            "GetBucketEncryption",
            "ServerSideEncryptionConfigurationNotFoundError",
        ),
        (BUCKET, "lifecycle", "GetBucketLifecycleConfiguration", "NoSuchLifecycleConfiguration"),
        (BUCKET, "logging", "GetBucketLogging", "<BucketLoggingStatus>"),
        (
            BUCKET,
            "notification",
            "GetBucketNotificationConfiguration",
            "<NotificationConfiguration>",
        ),
        (
            BUCKET,
            "object-lock",
            "GetObjectLockConfiguration",
            "ObjectLockConfigurationNotFoundError",
        ),
        (
            BUCKET,
            "ownershipControls",
            "GetBucketOwnershipControls",
            "OwnershipControlsNotFoundError",
        ),
        (BUCKET, "policy", "GetBucketPolicy", "NoSuchBucketPolicy"),
        (BUCKET, "policyStatus", "GetBucketPolicyStatus", "NoSuchBucketPolicy"),
        (
            BUCKET,
            "publicAccessBlock",
            "GetPublicAccessBlock",
            "NoSuchPublicAccessBlockConfiguration",
        ),
        (BUCKET, "requestPayment", "GetBucketRequestPayment", "<RequestPaymentConfiguration>"),
        (BUCKET, "tagging", "GetBucketTagging", "NoSuchTagSet"),
        (BUCKET, "website", "GetBucketWebsite", "NoSuchWebsiteConfiguration"),
        (OBJECT, "legal-hold", "GetObjectLegalHold", "NoSuchObjectLockConfiguration"),
        (OBJECT, "retention", "GetObjectRetention", "NoSuchObjectLockConfiguration"),
    )
)

NOT_IMPLEMENTED: Final = tuple(
    Operation(method, scope, query, name, right, NOT_BUILT)
    for method, scope, query, name, right in (
        ("GET", BUCKET, "abac", "GetBucketAbac", READ),
        ("GET", BUCKET, "analytics", "GetBucketAnalyticsConfiguration", READ),
        ("GET", BUCKET, "intelligent-tiering", "GetBucketIntelligentTieringConfiguration", READ),
        ("GET", BUCKET, "inventory", "GetBucketInventoryConfiguration", READ),
        ("GET", BUCKET, "metadataConfiguration", "GetBucketMetadataConfiguration", READ),
        ("GET", BUCKET, "metadataTable", "GetBucketMetadataTableConfiguration", READ),
        ("GET", BUCKET, "metrics", "GetBucketMetricsConfiguration", READ),
        ("GET", BUCKET, "session", "CreateSession", READ),
        ("PUT", BUCKET, "abac", "PutBucketAbac", UPDATE),
        ("PUT", BUCKET, "accelerate", "PutBucketAccelerateConfiguration", UPDATE),
        ("PUT", BUCKET, "acl", "PutBucketAcl", UPDATE),
        ("PUT", BUCKET, "analytics", "PutBucketAnalyticsConfiguration", UPDATE),
        ("PUT", BUCKET, "cors", "PutBucketCors", UPDATE),
        ("PUT", BUCKET, "encryption", "PutBucketEncryption", UPDATE),
        ("PUT", BUCKET, "intelligent-tiering", "PutBucketIntelligentTieringConfiguration", UPDATE),
        ("PUT", BUCKET, "inventory", "PutBucketInventoryConfiguration", UPDATE),
        ("PUT", BUCKET, "lifecycle", "PutBucketLifecycleConfiguration", UPDATE),
        ("PUT", BUCKET, "logging", "PutBucketLogging", UPDATE),
        ("PUT", BUCKET, "metadataInventoryTable", "UpdateBucketMetadataInventoryTable", UPDATE),
        ("PUT", BUCKET, "metadataJournalTable", "UpdateBucketMetadataJournalTable", UPDATE),
        ("PUT", BUCKET, "metrics", "PutBucketMetricsConfiguration", UPDATE),
        ("PUT", BUCKET, "notification", "PutBucketNotificationConfiguration", UPDATE),
        ("PUT", BUCKET, "object-lock", "PutObjectLockConfiguration", UPDATE),
        ("PUT", BUCKET, "ownershipControls", "PutBucketOwnershipControls", UPDATE),
        ("PUT", BUCKET, "policy", "PutBucketPolicy", UPDATE),
        ("PUT", BUCKET, "publicAccessBlock", "PutPublicAccessBlock", UPDATE),
        ("PUT", BUCKET, "requestPayment", "PutBucketRequestPayment", UPDATE),
        ("PUT", BUCKET, "tagging", "PutBucketTagging", UPDATE),
        ("PUT", BUCKET, "versioning", "PutBucketVersioning", UPDATE),
        ("PUT", BUCKET, "website", "PutBucketWebsite", UPDATE),
        ("DELETE", BUCKET, "analytics", "DeleteBucketAnalyticsConfiguration", UPDATE),
        ("DELETE", BUCKET, "cors", "DeleteBucketCors", UPDATE),
        ("DELETE", BUCKET, "encryption", "DeleteBucketEncryption", UPDATE),
        (
            "DELETE",
            BUCKET,
            "intelligent-tiering",
            "DeleteBucketIntelligentTieringConfiguration",
            UPDATE,
        ),
        ("DELETE", BUCKET, "inventory", "DeleteBucketInventoryConfiguration", UPDATE),
        ("DELETE", BUCKET, "lifecycle", "DeleteBucketLifecycle", UPDATE),
        ("DELETE", BUCKET, "metadataConfiguration", "DeleteBucketMetadataConfiguration", UPDATE),
        ("DELETE", BUCKET, "metadataTable", "DeleteBucketMetadataTableConfiguration", UPDATE),
        ("DELETE", BUCKET, "metrics", "DeleteBucketMetricsConfiguration", UPDATE),
        ("DELETE", BUCKET, "ownershipControls", "DeleteBucketOwnershipControls", UPDATE),
        ("DELETE", BUCKET, "policy", "DeleteBucketPolicy", UPDATE),
        ("DELETE", BUCKET, "publicAccessBlock", "DeletePublicAccessBlock", UPDATE),
        ("DELETE", BUCKET, "tagging", "DeleteBucketTagging", UPDATE),
        ("DELETE", BUCKET, "website", "DeleteBucketWebsite", UPDATE),
        ("POST", BUCKET, "metadataConfiguration", "CreateBucketMetadataConfiguration", UPDATE),
        ("POST", BUCKET, "metadataTable", "CreateBucketMetadataTableConfiguration", UPDATE),
        ("POST", BUCKET, "", "PostObject", CREATE),
        ("GET", OBJECT, "torrent", "GetObjectTorrent", READ),
        ("PUT", OBJECT, "acl", "PutObjectAcl", UPDATE),
        ("PUT", OBJECT, "legal-hold", "PutObjectLegalHold", UPDATE),
        ("PUT", OBJECT, "renameObject", "RenameObject", UPDATE),
        ("PUT", OBJECT, "retention", "PutObjectRetention", UPDATE),
        ("PUT", OBJECT, "tagging", "PutObjectTagging", UPDATE),
        ("DELETE", OBJECT, "tagging", "DeleteObjectTagging", UPDATE),
        ("POST", OBJECT, "restore", "RestoreObject", UPDATE),
        ("POST", OBJECT, "select", "SelectObjectContent", READ),
        ("POST", SERVICE, "", "WriteGetObjectResponse", CREATE),
    )
)

PLAIN: Final = (
    Operation("GET", BUCKET, "", "ListObjects", LIST),
    Operation("GET", OBJECT, "", "GetObject", READ),
    Operation("PUT", OBJECT, "", "CopyObject", CREATE, header=COPY_SOURCE),
    Operation("PUT", OBJECT, "", "PutObject", CREATE),
    Operation("DELETE", OBJECT, "", "DeleteObject", DELETE),
)

OPERATIONS: Final = IMPLEMENTED + UNCONFIGURED + NOT_IMPLEMENTED + PLAIN
SUBRESOURCES: Final = frozenset(operation.query for operation in OPERATIONS) - {""}
UNKNOWN: Final = Operation("", SERVICE, "", "Unknown", READ)

_BY_METHOD: Final = {
    (method, scope): tuple(
        operation for operation in OPERATIONS if operation[:2] == (method, scope)
    )
    for method, scope in {operation[:2] for operation in OPERATIONS}
}
_PARAMETERS: Final = frozenset({"list-type", "uploadId"})


def find_operation(
    method: str, scope: Scope, query: Collection[str], headers: Collection[str]
) -> Operation | None:
    """The line that fits, or None where S3 knows no such request.

    A sub-resource that the method does not have never falls through to the plain line.
    """
    lines = _BY_METHOD.get((method, scope), ())
    if query:
        for line in lines:
            if line.query in query and (not line.header or line.header in headers):
                return line
        if not SUBRESOURCES.isdisjoint(query) and not _only_parameters(query):
            return None
    for line in lines:
        if not line.query and (not line.header or line.header in headers):
            return line
    return None


def _only_parameters(query: Collection[str]) -> bool:
    """Whether the names in the query qualify a request without choosing another one."""
    return SUBRESOURCES.intersection(query) <= _PARAMETERS
