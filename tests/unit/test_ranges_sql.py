import sqlite3

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from backends.ranges import key_range, range_of, successor

LAST = "\U0010ffff"
EDGES = st.sampled_from("\x00\x01a\x7f\u0080\ud7ff\ue000\uffff\U00010000\U0010fffe\U0010ffff")
TEXTS = st.text(EDGES | st.characters(exclude_categories=["Cs"]), max_size=4)


def chosen(texts: list[str], prefix: str, after: str) -> list[str]:
    """What the condition chooses, in a real database."""
    condition, parameters = key_range(prefix, after)
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE texts (key TEXT)")
        database.executemany("INSERT INTO texts VALUES (?)", [(text,) for text in texts])
        found = database.execute(
            f"SELECT key FROM texts WHERE {condition} ORDER BY key", parameters
        ).fetchall()
    database.close()
    return [text for (text,) in found]


@given(texts=st.lists(TEXTS.filter(bool)), prefix=TEXTS, after=TEXTS)
@example(texts=["a", "ab", "b"], prefix="a", after="")
@example(texts=["a", "ab", "b"], prefix="a", after="a")
@example(texts=["\ud7ff", "\ud7ff" + LAST, "\ue000"], prefix="\ud7ff", after="")
@example(texts=[LAST, LAST * 2], prefix=LAST, after=LAST)
def test_a_range_is_the_texts_with_the_prefix_above_another(
    texts: list[str], prefix: str, after: str
) -> None:
    expected = [text for text in texts if text.startswith(prefix) and text > after]

    assert chosen(texts, prefix, after) == sorted(expected)


@pytest.mark.parametrize(
    ("prefix", "following"),
    [
        ("", None),
        ("a", "b"),
        ("a/", "a0"),
        ("\ud7ff", "\ue000"),
        (f"a{LAST}", "b"),
        (LAST, None),
        (LAST * 3, None),
    ],
)
def test_the_successor_is_the_lowest_text_above_all_with_the_prefix(
    prefix: str, following: str | None
) -> None:
    assert successor(prefix) == following


def test_a_range_may_be_of_another_column() -> None:
    assert key_range("a", "", "name") == ("name >= ? AND name < ?", ("a", "b"))


@given(text=TEXTS.filter(bool), prefix=TEXTS)
@example(text="a", prefix="a")
@example(text="\ud7ff" + LAST, prefix="\ue000")
@example(text="\x00", prefix="\x00")
def test_the_range_of_a_prefix_is_the_texts_that_begin_with_it(text: str, prefix: str) -> None:
    after, upto = range_of(prefix)

    assert (text > after and (not upto or text <= upto)) is text.startswith(prefix)
