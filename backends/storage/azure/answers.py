"""The answers of one download: none is left open, whatever ends it.

azure-core leaves an answer to the garbage collector when its bytes stop coming, when the one who
reads them is cancelled, and when it asks again.
"""

from typing import Any

from backends.storage.azure.account import require_azure


class Answers:
    """Holds the newest answer; those before it are closed."""

    def __init__(self) -> None:
        self._open: Any = None

    def take(self, response: Any) -> None:
        """Hold this one, as the client's `raw_response_hook`."""
        self.close()
        self._open = response.http_response.internal_response
        require_azure(response)

    def close(self) -> None:
        """Drop the connection of one that was not read to its end; others go on being used."""
        if self._open is not None:
            self._open.close()
            self._open = None
