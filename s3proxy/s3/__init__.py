"""The S3 wire: parsing, signatures, XML. It holds no rules."""
