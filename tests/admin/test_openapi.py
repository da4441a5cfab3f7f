"""The API's own description."""

from pathlib import Path
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from tests.admin.asking import Api

ROOT = Path(__file__).parents[2]
METHODS = {"get", "put", "post", "delete", "patch"}


async def described(api: Api) -> Any:
    answer = await api.without_key().ask("GET", "/openapi.json")
    assert answer.status == 200
    return answer.value


async def test_it_is_valid_openapi_3_1_and_needs_no_key(api: Api) -> None:
    description = await described(api)

    assert description["openapi"].startswith("3.1")
    validate(description, cls=OpenAPIV31SpecValidator)


async def test_every_operation_needs_a_key_and_tells_what_goes_wrong_as_a_problem(api: Api) -> None:
    description = await described(api)
    operations = [
        (path, operation)
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]

    assert len(operations) >= 30
    for path, operation in operations:
        assert path.startswith("/v1/"), path
        assert operation["security"] == [{"HTTPBearer": []}], path
        wrong = operation["responses"]["default"]["content"]
        assert list(wrong) == ["application/problem+json"], path
        assert "422" not in operation["responses"], path
        assert operation["description"], path


async def test_the_guide_names_every_path(api: Api) -> None:
    paths = (await described(api))["paths"]
    guide = (ROOT / "docs/admin.md").read_text()
    names = {"{access_key}": "ACCESS_KEY", "{job}": "ID", "{name}": "NAME"}

    for path in paths:
        told = "/".join(names.get(part, part) for part in path.split("/"))
        assert f"`{told}`" in guide


async def test_no_page_of_another_host_is_served(api: Api) -> None:
    for page in ("/docs", "/redoc"):
        assert (await api.ask("GET", page)).status == 404
