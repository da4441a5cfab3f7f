"""The ObjectStore on Azure Blob Storage."""

from backends.storage.azure.options import AzureOptions
from backends.storage.azure.store import AzureStore

__all__ = ["AzureOptions", "AzureStore"]
