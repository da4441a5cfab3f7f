"""Which function answers each operation: those that are built, and one for all others."""

from typing import Final

from s3proxy.s3 import (
    buckets,
    copies,
    deletes,
    listing,
    objects,
    replication,
    unconfigured,
    uploads,
)
from s3proxy.s3.operations import OPERATIONS
from s3proxy.s3.services import Handler

BUILT: Final[dict[str, Handler]] = {
    "ListBuckets": buckets.list_buckets,
    "CreateBucket": buckets.create_bucket,
    "HeadBucket": buckets.head_bucket,
    "DeleteBucket": buckets.delete_bucket,
    "GetBucketLocation": buckets.get_bucket_location,
    "GetBucketVersioning": buckets.get_bucket_versioning,
    "GetBucketAcl": buckets.get_bucket_acl,
    "GetBucketReplication": replication.get_bucket_replication,
    "PutBucketReplication": replication.put_bucket_replication,
    "DeleteBucketReplication": replication.delete_bucket_replication,
    "ListObjects": listing.list_objects,
    "ListObjectsV2": listing.list_objects_v2,
    "ListObjectVersions": listing.list_object_versions,
    "DeleteObjects": deletes.delete_objects,
    "PutObject": objects.put_object,
    "GetObject": objects.get_object,
    "HeadObject": objects.head_object,
    "DeleteObject": objects.delete_object,
    "GetObjectAcl": objects.get_object_acl,
    "GetObjectAttributes": objects.get_object_attributes,
    "GetObjectTagging": unconfigured.get_object_tagging,
    "CopyObject": copies.copy_object,
    "UploadPartCopy": copies.upload_part_copy,
    "CreateMultipartUpload": uploads.create_multipart_upload,
    "UploadPart": uploads.upload_part,
    "ListParts": uploads.list_parts,
    "ListMultipartUploads": uploads.list_multipart_uploads,
    "AbortMultipartUpload": uploads.abort_multipart_upload,
    "CompleteMultipartUpload": uploads.complete_multipart_upload,
}

HANDLERS: Final[dict[str, Handler]] = {
    operation.name: BUILT.get(operation.name, unconfigured.answer) for operation in OPERATIONS
}
