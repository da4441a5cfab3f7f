"""What the documents claim is what the code does."""

import re
from pathlib import Path

import pytest

from s3proxy.s3.operations import OPERATIONS, Operation

ROOT = Path(__file__).parents[2]
TABLE = dict(
    re.findall(
        r"^\| (\w+) \| (.+?) \|", (ROOT / "docs/s3-compatibility.md").read_text(), re.MULTILINE
    )
)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_the_compatibility_table_says_what_an_operation_does(operation: Operation) -> None:
    said = TABLE[operation.name]

    assert (said == "yes") is not bool(operation.answer)
    assert operation.answer.strip("<>") in said


def test_the_compatibility_table_names_no_other_operation() -> None:
    assert TABLE.keys() - {"operation"} == {operation.name for operation in OPERATIONS}
