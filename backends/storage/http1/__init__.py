"""A small client of HTTP/1.1 for verbs that are called for each object.

One connection carries one exchange at a time: a request, then its answer. What a general client
does besides (redirects, cookies, compression, proxies) is left out, and so is its cost.
"""

from backends.storage.http1.errors import Broken, Silent
from backends.storage.http1.pool import Origin, Pool, Terms
from backends.storage.http1.request import Request, Stream
from backends.storage.http1.response import Response

__all__ = ["Broken", "Origin", "Pool", "Request", "Response", "Silent", "Stream", "Terms"]
