"""How an Azure storage account is reached."""

from dataclasses import dataclass

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class AzureOptions:
    """A `connection_string`, or the `account_url` with an account key or a SAS token.

    Without any of these the default chain of azure-identity is asked: environment, workload and
    managed identities, the Azure CLI. Sizes are bytes, times are seconds. Bodies are sent in
    blocks of `block_bytes`; a block of each body under way is in memory. They are read in pieces of
    `piece_bytes`, a request each, up to three of which are in memory.
    """

    connection_string: str = ""
    account_url: str = ""
    account_key: str = ""
    sas_token: str = ""
    block_bytes: int = 4 * MIB
    piece_bytes: int = MIB
    connect_seconds: float = 5.0
    read_seconds: float = 60.0
