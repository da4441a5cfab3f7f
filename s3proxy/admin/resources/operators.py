"""Operators: who may use this API."""

from datetime import datetime
from http import HTTPStatus

from fastapi import APIRouter

from s3proxy.admin import operators
from s3proxy.admin.here import Here
from s3proxy.admin.resources.models import Asked, Told, moment

router = APIRouter(prefix="/operators", tags=["operators"])


class Operator(Told):
    """An operator. Keys are kept as digests, and never shown."""

    name: str
    created: datetime


class Operators(Told):
    """All operators, by name."""

    operators: list[Operator]


class NewOperator(Operator):
    """An operator that was just made: the key is not shown again."""

    key: str


class OperatorAsked(Asked):
    """The name of a new operator."""

    name: str


@router.get("")
async def list_operators(here: Here) -> Operators:
    """List the operators."""
    return Operators(operators=[_told(one) for one in await here.operators.every()])


@router.post("", status_code=HTTPStatus.CREATED)
async def create_operator(asked: OperatorAsked, here: Here) -> NewOperator:
    """Add an operator; the key is in this answer alone."""
    issued = await here.operators.create(asked.name)
    return NewOperator(**_told(issued.operator).model_dump(), key=issued.key)


@router.delete("/{name}", status_code=HTTPStatus.NO_CONTENT)
async def delete_operator(name: str, here: Here) -> None:
    """Refuse an operator's key from now on; other processes do within a second."""
    await here.operators.remove(name)


def _told(operator: operators.Operator) -> Operator:
    return Operator(name=operator.name, created=moment(operator.created))
