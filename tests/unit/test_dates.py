import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.dates import basic, extended, parse_basic, parse_http_date

NOON = 1369353600


def test_a_time_is_written_as_signatures_and_errors_write_it() -> None:
    assert (basic(NOON), extended(NOON)) == ("20130524T000000Z", "2013-05-24T00:00:00Z")


@given(st.integers(0, 253_402_300_799))
def test_a_basic_time_comes_back(seconds: int) -> None:
    assert parse_basic(basic(seconds)) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "Fri, 24 May 2013 00:00:00 GMT",
        "Fri, 24 May 2013 02:00:00 +0200",
        "Friday, 24-May-13 00:00:00 GMT",
        "Fri May 24 00:00:00 2013",
    ],
)
def test_every_form_of_an_http_date_is_read(text: str) -> None:
    assert parse_http_date(text) == NOON


@pytest.mark.parametrize(
    "text", ["", "20130524", "20131324T000000Z", "20130524T250000Z", "2013-05-24T00:00:00Z"]
)
def test_what_is_no_basic_time_is_none(text: str) -> None:
    assert parse_basic(text) is None


@pytest.mark.parametrize("text", ["", "now", "Fri, 99 May 2013 00:00:00 GMT", "0 0 0 0:0:0"])
def test_what_is_no_http_date_is_none(text: str) -> None:
    assert parse_http_date(text) is None


@given(st.text())
def test_no_text_breaks_the_parsers(text: str) -> None:
    for parse in (parse_basic, parse_http_date):
        assert isinstance(parse(text), int | None)
