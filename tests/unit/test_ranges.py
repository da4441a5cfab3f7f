import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.errors import S3Error
from s3proxy.s3.ranges import Span, parse_copy_range, parse_range

HUGE = "9" * 5000


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=0-9", Span(0, 10)),
        ("bytes=3-5", Span(3, 3)),
        ("bytes=9-", Span(9, 1)),
        ("bytes=0-", Span(0, 10)),
        ("bytes=5-100", Span(5, 5)),
        (f"bytes=5-{HUGE}", Span(5, 5)),
        ("bytes=-3", Span(7, 3)),
        ("bytes=-10", Span(0, 10)),
        (f"bytes=-{HUGE}", Span(0, 10)),
        ("bytes=0000000000000000000000003-5", Span(3, 3)),
        ("BYTES=1-2", Span(1, 2)),
        (" bytes= 1-2 ", Span(1, 2)),
    ],
)
def test_a_range_is_cut_to_the_object(header: str, span: Span) -> None:
    assert parse_range(header, 10) == span


@pytest.mark.parametrize(
    "header",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes= - ",
        "bytes=5-2",
        "bytes=a-b",
        "bytes=1-2,4-5",
        "bytes=--5",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=1.0-2",
        "bytes=\u0661-\u0662",
        "items=0-1",
        "0-1",
    ],
)
def test_a_malformed_range_and_several_ranges_are_ignored(header: str) -> None:
    assert parse_range(header, 10) is None


@pytest.mark.parametrize(
    ("header", "size"),
    [
        ("bytes=10-", 10),
        ("bytes=10-11", 10),
        (f"bytes={HUGE}-", 10),
        ("bytes=-0", 10),
        ("bytes=0-", 0),
        ("bytes=-5", 0),
        ("bytes=0-0", 0),
    ],
)
def test_a_range_outside_the_object_is_refused_with_its_size(header: str, size: int) -> None:
    with pytest.raises(S3Error) as caught:
        parse_range(header, size)

    assert (caught.value.code, caught.value.status) == ("InvalidRange", 416)
    assert caught.value.details == {"RangeRequested": header, "ActualObjectSize": str(size)}
    assert caught.value.headers == {"content-range": f"bytes */{size}"}


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 30))
def test_a_range_selects_the_bytes_that_a_slice_does(start: int, more: int, size: int) -> None:
    content = bytes(range(size))
    wanted = content[start : start + more + 1]
    try:
        span = parse_range(f"bytes={start}-{start + more}", size)
    except S3Error:
        assert wanted == b""
        return
    assert span is not None
    assert content[span.start : span.start + span.length] == wanted


@pytest.mark.parametrize(("header", "span"), [("bytes=0-9", (0, 10)), ("bytes=4-4", (4, 1))])
def test_a_copy_range_inside_the_source_is_taken(header: str, span: tuple[int, int]) -> None:
    assert parse_copy_range(header, 10) == span


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("", "InvalidArgument"),
        ("0-2", "InvalidArgument"),
        ("bytes=0", "InvalidArgument"),
        ("bytes=0-", "InvalidArgument"),
        ("bytes=-5", "InvalidArgument"),
        ("bytes=hello-world", "InvalidArgument"),
        ("bytes=0-bar", "InvalidArgument"),
        ("bytes=2-bar-7", "InvalidArgument"),
        ("bytes=0-2,3-5", "InvalidArgument"),
        ("bytes=5-2", "InvalidArgument"),
        ("bytes=0-10", "InvalidRange"),
        ("bytes=10-11", "InvalidRange"),
        (f"bytes=0-{HUGE}", "InvalidRange"),
    ],
)
def test_a_copy_range_is_strict(header: str, code: str) -> None:
    with pytest.raises(S3Error) as caught:
        parse_copy_range(header, 10)

    assert caught.value.code == code
