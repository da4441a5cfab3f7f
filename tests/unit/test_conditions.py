import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.model import Precondition
from s3proxy.s3.conditions import evaluate_copy, evaluate_read, write_condition
from s3proxy.s3.errors import S3Error

ETAG = "9bb58f26192e4ba00f01e2e7b136bbd8"
MODIFIED = 1369353600_900  # Fri, 24 May 2013 00:00:00.9 GMT: headers know whole seconds only
SAME = "Fri, 24 May 2013 00:00:00 GMT"
EARLIER = "Thu, 23 May 2013 23:59:59 GMT"
LATER = "Fri, 24 May 2013 00:00:01 GMT"
OTHER = '"another"'
MATCH, NONE_MATCH = "if-match", "if-none-match"
SINCE, NOT_SINCE = "if-modified-since", "if-unmodified-since"

TABLE = [
    ({}, ""),
    ({MATCH: f'"{ETAG}"'}, ""),
    ({MATCH: ETAG}, ""),
    ({MATCH: "*"}, ""),
    ({MATCH: f'{OTHER}, "{ETAG}"'}, ""),
    ({MATCH: f"another,{ETAG}"}, ""),
    ({MATCH: OTHER}, MATCH),
    ({MATCH: ""}, MATCH),
    ({MATCH: f'W/"{ETAG}"'}, MATCH),
    ({MATCH: '"*"'}, MATCH),
    ({NONE_MATCH: OTHER}, ""),
    ({NONE_MATCH: f'"{ETAG}"'}, NONE_MATCH),
    ({NONE_MATCH: ETAG}, NONE_MATCH),
    ({NONE_MATCH: f'W/"{ETAG}"'}, NONE_MATCH),
    ({NONE_MATCH: f'{OTHER},W/"{ETAG}"'}, NONE_MATCH),
    ({NONE_MATCH: "*"}, NONE_MATCH),
    ({SINCE: EARLIER}, ""),
    ({SINCE: SAME}, SINCE),
    ({SINCE: LATER}, SINCE),
    ({SINCE: "Friday, 24-May-13 00:00:00 GMT"}, SINCE),
    ({SINCE: "Fri May 24 00:00:00 2013"}, SINCE),
    ({SINCE: "yesterday"}, ""),
    ({NOT_SINCE: EARLIER}, NOT_SINCE),
    ({NOT_SINCE: SAME}, ""),
    ({NOT_SINCE: LATER}, ""),
    ({NOT_SINCE: "yesterday"}, ""),
    ({MATCH: ETAG, NOT_SINCE: EARLIER}, ""),
    ({MATCH: OTHER, NOT_SINCE: LATER}, MATCH),
    ({NONE_MATCH: ETAG, SINCE: EARLIER}, NONE_MATCH),
    ({NONE_MATCH: OTHER, SINCE: LATER}, ""),
    ({MATCH: ETAG, NONE_MATCH: ETAG}, NONE_MATCH),
    ({MATCH: OTHER, NONE_MATCH: ETAG}, MATCH),
    ({NOT_SINCE: EARLIER, SINCE: EARLIER}, NOT_SINCE),
    ({NOT_SINCE: LATER, SINCE: LATER}, SINCE),
]


@pytest.mark.parametrize(("headers", "failed"), TABLE)
def test_a_read_is_decided_in_the_order_of_the_rfc(headers: dict[str, str], failed: str) -> None:
    expected = {"": "", NONE_MATCH: "NotModified", SINCE: "NotModified"}
    code = ""
    try:
        evaluate_read(headers, ETAG, MODIFIED)
    except S3Error as error:
        code = error.code

    assert code == expected.get(failed, "PreconditionFailed")


@pytest.mark.parametrize(("headers", "failed"), TABLE)
def test_a_copy_fails_on_the_same_conditions(headers: dict[str, str], failed: str) -> None:
    of_source = {f"x-amz-copy-source-{name}": value for name, value in headers.items()}
    code, details = "", {}
    try:
        evaluate_copy(of_source, ETAG, MODIFIED)
    except S3Error as error:
        code, details = error.code, error.details

    assert code == ("PreconditionFailed" if failed else "")
    assert details == ({"Condition": f"x-amz-copy-source-{failed}"} if failed else {})


def test_conditions_of_the_target_say_nothing_of_the_source() -> None:
    evaluate_copy({MATCH: OTHER, NONE_MATCH: ETAG}, ETAG, MODIFIED)


@given(st.sampled_from([MATCH, NONE_MATCH, SINCE, NOT_SINCE]), st.text())
def test_no_header_value_is_worse_than_a_refusal(name: str, value: str) -> None:
    code = ""
    try:
        evaluate_read({name: value}, ETAG, MODIFIED)
    except S3Error as error:
        code = error.code

    assert code in {"", "PreconditionFailed", "NotModified"}


@pytest.mark.parametrize(
    ("headers", "condition"),
    [
        ({}, Precondition()),
        ({MATCH: f'"{ETAG}"'}, Precondition(match=ETAG)),
        ({MATCH: f" {ETAG} "}, Precondition(match=ETAG)),
        ({MATCH: "*"}, Precondition(match="*")),
        ({NONE_MATCH: "*"}, Precondition(none_match="*")),
        ({NONE_MATCH: f'"{ETAG}"'}, Precondition(none_match=ETAG)),
    ],
)
def test_a_write_may_depend_on_the_current_object(
    headers: dict[str, str], condition: Precondition
) -> None:
    assert write_condition(headers) == condition


@pytest.mark.parametrize(
    "headers",
    [
        {NONE_MATCH: f'"{ETAG}", {OTHER}'},
        {NONE_MATCH: f'W/"{ETAG}"'},
        {NONE_MATCH: ""},
        {NONE_MATCH: '"*"'},
        {MATCH: "*", NONE_MATCH: "*"},
        {MATCH: ""},
        {MATCH: '""'},
        {MATCH: '"*"'},
        {MATCH: f'"{ETAG}", {OTHER}'},
        {MATCH: f'W/"{ETAG}"'},
        {SINCE: LATER},
        {NOT_SINCE: LATER},
        {"x-amz-if-match-size": "1"},
        {"x-amz-if-match-last-modified-time": LATER},
        {"x-amz-if-match-initiated-time": LATER},
    ],
)
def test_a_condition_that_cannot_be_kept_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(S3Error) as caught:
        write_condition(headers)

    assert (caught.value.code, caught.value.status) == ("NotImplemented", 501)
