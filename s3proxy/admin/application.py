"""The operators' API as one application: resources below /v1, OpenAPI 3.1, problems, keys."""

from typing import Any, Final

from fastapi import APIRouter, FastAPI, Security
from fastapi.security import HTTPBearer

from s3proxy.admin import problems
from s3proxy.admin.authentication import Authenticated
from s3proxy.admin.resources import (
    buckets,
    dead_letters,
    health,
    in_sync,
    jobs,
    keys,
    migrations,
    operators,
    pending,
    rules,
    sites,
    storages,
    syncs,
    verification,
)
from s3proxy.admin.services import Services

TITLE: Final = "Clone Cloud Store: the operators' API"
BASE: Final = "/v1"
DESCRIPTION: Final = f"{BASE}/openapi.json"
RESOURCES: Final = (
    health,
    keys,
    buckets,
    storages,
    operators,
    sites,
    syncs,
    pending,
    dead_letters,
    verification,
    in_sync,
    rules,
    jobs,
    migrations,
)
PROBLEM: Final = {"$ref": "#/components/schemas/Problem"}
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "What went wrong",
        "content": {problems.MEDIA_TYPE: {"schema": PROBLEM}},
    }
}
# It is here to be described; Authenticated asks for the key, before a request is even routed.
KEY: Final = Security(HTTPBearer(description="An operator's key", auto_error=False))


class Described(FastAPI):
    """Describes itself with the problems, which no operation names as a model of its own."""

    def openapi(self) -> dict[str, Any]:
        found = super().openapi()
        schema = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        parts = schema.pop("$defs")
        found["components"]["schemas"] |= {"Problem": schema, **parts}
        return found


def admin(services: Services) -> FastAPI:
    """The application over these services."""
    application = Described(
        title=TITLE,
        version=services.version,
        openapi_url=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
    )
    application.state.services = services
    application.include_router(resources(), prefix=BASE, dependencies=[KEY], responses=ANSWERS)
    application.add_middleware(
        Authenticated, operators=services.operators, free=frozenset({DESCRIPTION})
    )
    problems.handle_problems(application)
    return application


def resources() -> APIRouter:
    """All resources, each under its own path."""
    router = APIRouter()
    for resource in RESOURCES:
        router.include_router(resource.router)
    return router
