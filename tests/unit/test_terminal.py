"""What clients have named does nothing to the terminal of an operator."""

import io

import pytest
from rich.console import Console
from rich.table import Table

from s3proxy.cli.jobs import finding_row
from s3proxy.cli.terminal import plain

HOSTILE = "\x1b]0;title\x07"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a/b//c d+%25", "a/b//c d+%25"),
        ("ünï-日本", "ünï-日本"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        (HOSTILE, "\\x1b]0;title\\x07"),
        ("\x9b31m\u202e\U0010ffff", "\\x9b31m\\u202e\\U0010ffff"),
    ],
)
def test_what_cannot_be_seen_is_shown_as_its_escape(name: str, shown: str) -> None:
    assert plain(name) == shown


def test_a_finding_is_one_line_of_a_table_whatever_its_key() -> None:
    console = Console(file=(told := io.StringIO()), width=200)
    table = Table("class", "bucket", "key", "site", "action", "result", "detail")
    for key in ("[/red]", "two\nlines", HOSTILE):
        table.add_row(*finding_row({"kind": "LOST", "bucket": "photos", "key": key}))

    console.print(table)

    lines = [line for line in told.getvalue().splitlines() if "LOST" in line]
    assert [line.split("│")[3].strip() for line in lines] == [
        "[/red]",
        "two\\nlines",
        "\\x1b]0;title\\x07",
    ]
