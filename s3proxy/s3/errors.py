"""Every error S3 knows of: code, status and message (S3 API, Error responses), in one table."""

from typing import Final

ERRORS: Final[dict[str, tuple[int, str]]] = {
    "AccessDenied": (403, "Access Denied."),
    "AuthorizationHeaderMalformed": (400, "The authorization header is not valid."),
    "AuthorizationQueryParametersError": (400, "The authorization query parameters are not valid."),
    "BadDigest": (400, "The digest you named is not that of the bytes that were received."),
    "BadRequest": (400, "The request is not valid."),
    "BucketAlreadyExists": (409, "The bucket name is taken by another client."),
    "BucketAlreadyOwnedByYou": (409, "You made this bucket before and it is yours."),
    "BucketNotEmpty": (409, "The bucket still holds objects."),
    "ConditionalRequestConflict": (409, "A concurrent write got in the way: try again."),
    "EntityTooLarge": (400, "The body is larger than S3 allows."),
    "EntityTooSmall": (400, "A part that is not the last is smaller than S3 allows."),
    "ExpiredToken": (400, "The security token has expired."),
    "IllegalLocationConstraintException": (400, "The location constraint is not this region's."),
    "IncompleteBody": (400, "The body ended before the bytes that its length announced."),
    "InternalError": (500, "The server failed. Try again; its log has the request id."),
    "InvalidAccessKeyId": (403, "There is no such access key here."),
    "InvalidArgument": (400, "An argument is not valid."),
    "InvalidBucketName": (400, "The bucket name breaks S3's rules."),
    "InvalidDigest": (400, "The Content-MD5 is not the base64 of 16 bytes."),
    "InvalidLocationConstraint": (400, "The location constraint is not valid."),
    "InvalidPart": (400, "A part was not found, or its ETag is another."),
    "InvalidPartNumber": (416, "The object has no such part."),
    "InvalidPartOrder": (400, "The parts are not in ascending order."),
    "InvalidRange": (416, "The range cannot be satisfied."),
    "InvalidRequest": (400, "The request is not valid."),
    "InvalidStorageClass": (400, "There is no such storage class."),
    "InvalidToken": (400, "The token is not valid."),
    "InvalidURI": (400, "The URI could not be parsed."),
    "KeyTooLongError": (400, "The key is longer than 1,024 bytes."),
    "MalformedTrailerError": (400, "The trailers are not well-formed, or not those announced."),
    "MalformedXML": (400, "The XML is not well-formed, or not what this request takes."),
    "MaxMessageLengthExceeded": (400, "The request is too large."),
    "MetadataTooLarge": (400, "The metadata headers exceed 2 KiB."),
    "MethodNotAllowed": (405, "The method is not allowed on this resource."),
    "MissingAttributes": (400, "A required header or parameter is missing."),
    "MissingContentLength": (411, "The Content-Length header is required."),
    "MissingSecurityHeader": (400, "A required header is missing."),
    "NoSuchBucket": (404, "There is no such bucket."),
    "NoSuchBucketPolicy": (404, "The bucket has no policy."),
    "NoSuchCORSConfiguration": (404, "The bucket has no CORS configuration."),
    "NoSuchKey": (404, "There is no object at that key."),
    "NoSuchLifecycleConfiguration": (404, "The bucket has no lifecycle configuration."),
    "NoSuchObjectLockConfiguration": (404, "The object has no object lock configuration."),
    "NoSuchPublicAccessBlockConfiguration": (404, "The bucket has no public access block."),
    "NoSuchTagSet": (404, "The bucket has no tags."),
    "NoSuchUpload": (404, "There is no such multipart upload, or it has ended."),
    "NoSuchVersion": (404, "There is no such version of the object."),
    "NoSuchWebsiteConfiguration": (404, "The bucket has no website configuration."),
    "NotImplemented": (501, "This server does not implement the operation."),
    "NotModified": (304, "Not Modified."),
    "ObjectLockConfigurationNotFoundError": (404, "The bucket has no object lock configuration."),
    "OwnershipControlsNotFoundError": (404, "The bucket has no ownership controls."),
    "PermanentRedirect": (301, "Use the endpoint of the bucket's region."),
    "PreconditionFailed": (412, "A condition of the request does not hold."),
    "ReplicationConfigurationNotFoundError": (404, "The bucket has no replication configuration."),
    "RequestExpired": (403, "The request has expired."),
    "RequestHeaderSectionTooLarge": (400, "The request's headers are too large."),
    "RequestTimeTooSkewed": (403, "The request's time is too far from the server's."),
    "RequestTimeout": (400, "The body did not arrive in time."),
    "ServerSideEncryptionConfigurationNotFoundError": (404, "The bucket has no encryption rule."),
    "ServiceUnavailable": (503, "The storage does not answer. Try again."),
    "SignatureDoesNotMatch": (403, "The signature is not the one computed here."),
    "SlowDown": (503, "Reduce your request rate."),
    "StorageFull": (507, "The storage has no room left."),
    "TooManyBuckets": (400, "You have as many buckets as are allowed."),
    "UnexpectedContent": (400, "This request takes no body."),
    "UnsupportedSignature": (400, "This kind of signature is not supported here."),
    "XAmzContentChecksumMismatch": (400, "The checksum is not that of the received bytes."),
    "XAmzContentSHA256Mismatch": (400, "x-amz-content-sha256 is not the hash of the body."),
}


class S3Error(Exception):
    """An answer that is an error. `code` is a line of ERRORS; `message` says more than it does.

    `details` become elements of the answer's XML, `headers` headers of the answer.
    """

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        details: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.code = code
        self.status, default = ERRORS[code]
        self.message = message or default
        self.details = details or {}
        self.headers = headers or {}
        super().__init__(f"{code}: {self.message}")
