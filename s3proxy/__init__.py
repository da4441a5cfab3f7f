"""The gateway: S3 on the wire, our rules behind it."""
