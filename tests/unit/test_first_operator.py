"""The first operator's key: made once, or given, and never made again once it was removed."""

from pathlib import Path

import pytest

from backends.errors import InvalidName
from s3proxy.admin.operators import Operators
from s3proxy.admin.records import OperatorFile
from s3proxy.first_operator import first_operator

GIVEN = "ccs_op_" + "k" * 40


@pytest.fixture
def operators(tmp_path: Path) -> Operators:
    return Operators(OperatorFile(tmp_path / "operators.json"))


async def test_the_first_start_makes_a_key_for_its_owner_alone_and_later_ones_keep_it(
    tmp_path: Path, operators: Operators
) -> None:
    file = await first_operator(operators, tmp_path, {})
    key = file.read_text().strip()

    assert file == tmp_path / "operator.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert await operators.owner_of(key)
    await first_operator(operators, tmp_path, {})
    assert file.read_text().strip() == key
    assert len(await operators.every()) == 1


async def test_a_key_that_was_removed_stays_so(tmp_path: Path, operators: Operators) -> None:
    key = (await first_operator(operators, tmp_path, {})).read_text().strip()
    (first,) = await operators.every()
    await operators.remove(first.name)

    await first_operator(operators, tmp_path, {})

    assert await operators.every() == []
    assert await operators.owner_of(key) is None


async def test_gateways_that_share_a_state_each_have_a_first_operator(
    tmp_path: Path, operators: Operators
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        file = await first_operator(operators, tmp_path / name, {})
        assert await operators.owner_of(file.read_text().strip())

    assert len(await operators.every()) == 2


async def test_a_given_key_is_taken_as_often_as_it_is_given(
    tmp_path: Path, operators: Operators
) -> None:
    for _ in range(2):
        file = await first_operator(operators, tmp_path, {"CCS_OPERATOR_KEY": GIVEN})

    assert file.read_text() == f"{GIVEN}\n"
    assert await operators.owner_of(GIVEN)
    assert len(await operators.every()) == 1


async def test_a_given_key_must_look_like_one(tmp_path: Path, operators: Operators) -> None:
    with pytest.raises(InvalidName, match="ccs_op_"):
        await first_operator(operators, tmp_path, {"CCS_OPERATOR_KEY": "ccs_op_short"})
