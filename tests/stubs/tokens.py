"""A stub of Google's token endpoint, and the files of credentials that point there."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


@dataclass
class TokenEndpoint:
    """Gives out `token-1`, `token-2` ..., each good for so many seconds; `given` are all."""

    seconds: int = 3600
    status: int = 200
    url: str = ""
    given: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        self.asked.append(str(form.get("grant_type", "")))
        if self.status != 200:
            return web.json_response({"error": "invalid_grant"}, status=self.status)
        self.given.append(f"token-{len(self.given) + 1}")
        answer = {"access_token": self.given[-1], "expires_in": self.seconds}
        return web.json_response({**answer, "token_type": "Bearer"})

    def service_account(self, folder: Path) -> Path:
        """The file of a service account whose tokens come from here."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {
            "type": "service_account",
            "project_id": "their-project",
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": "ccs@their-project.iam.gserviceaccount.com",
            "token_uri": self.url,
        }
        file = folder / "account.json"
        file.write_text(json.dumps(account))
        return file
