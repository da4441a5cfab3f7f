"""What storages answer when something is wrong, word for word as they say it."""

from typing import Final


def answer(status: int, reason: str, body: str = "", *headers: str) -> bytes:
    """A whole answer of HTTP/1.1 that ends the connection."""
    lines = [f"HTTP/1.1 {status} {reason}", f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*lines, *headers, "", body]).encode()


def s3_error(status: int, code: str, *headers: str) -> bytes:
    """As Amazon S3 tells an error."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>No.</Message></Error>"
    return answer(status, "No", body, "Content-Type: application/xml", *headers)


def azure_error(status: int, code: str, *headers: str) -> bytes:
    """As Azure Blob Storage tells an error: in a header too."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>No.</Message></Error>"
    kind = "Content-Type: application/xml"
    return answer(status, "No", body, f"x-ms-error-code: {code}", kind, *headers)


def gcs_error(status: int, reason: str, *headers: str) -> bytes:
    """As the JSON API tells an error."""
    told = f'{{"reason":"{reason}"}}'
    body = f'{{"error":{{"code":{status},"message":"No.","errors":[{told}]}}}}'
    return answer(status, "No", body, "Content-Type: application/json", *headers)


RETRY: Final = "Retry-After: 1"
THROTTLED: Final = {
    "s3": s3_error(503, "SlowDown", RETRY),
    "azure": azure_error(503, "ServerBusy", RETRY),
    "gcs": gcs_error(429, "rateLimitExceeded", RETRY),
}
EXPIRED: Final = {
    "s3": s3_error(403, "ExpiredToken"),
    "azure": azure_error(403, "AuthenticationFailed"),
    "gcs": gcs_error(401, "authError"),
}
FAILED: Final = {
    "s3": s3_error(500, "InternalError"),
    "azure": azure_error(500, "InternalError"),
    "gcs": gcs_error(500, "backendError"),
}
TOO_MANY: Final = answer(429, "Too Many Requests", "", RETRY)  # a load balancer's, with no words
GARBAGE: Final = b"SSH-2.0-OpenSSH_9.2\r\n"
TORN_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Le"
NO_DOCUMENT: Final = answer(200, "OK", "<html>Please log in</html>", "Content-Type: text/html")
