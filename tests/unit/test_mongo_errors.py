"""What MongoDB answers, in our words; and how its address is told without the password."""

import pytest
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    DocumentTooLarge,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    OperationFailure,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WTimeoutError,
)

from backends.errors import AccessDenied, BackendError, NoSpace, Refused, Unavailable
from backends.state.mongo import MongoOptions
from backends.state.mongo.errors import only_duplicates, translated

OPTIONS = MongoOptions("mongodb://me:secret@one:1,two:2/admin")
FULL = {"code": 14_031, "errmsg": "no room"}
TWICE = {"code": 11_000, "errmsg": "E11000 duplicate key"}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (AutoReconnect("connection closed"), Unavailable),
        (NetworkTimeout("timed out"), Unavailable),
        (NotPrimaryError("not primary"), Unavailable),
        (ServerSelectionTimeoutError("no primary"), Unavailable),
        (ExecutionTimeout("too long", 50), Unavailable),
        (WTimeoutError("too few", 64), Unavailable),
        (WriteConcernError("not replicated", 100), Unavailable),
        (OperationFailure("what it never said before", 1), Unavailable),
        (OperationFailure("no room", 14_031), NoSpace),
        (BulkWriteError({"writeErrors": [FULL]}), NoSpace),
        (OperationFailure("no", 18), AccessDenied),
        (OperationFailure("no", 13), AccessDenied),
        (OperationFailure("too large", 10_334), Refused),
        (DocumentTooLarge("too large"), Refused),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_each_error_has_a_neutral_kind_and_keeps_its_cause(
    error: Exception, kind: type[BackendError]
) -> None:
    with (
        pytest.raises(BackendError, match=r"MongoDB at one:1,two:2") as caught,
        translated(OPTIONS),
    ):
        raise error

    assert type(caught.value) is kind
    assert caught.value.__cause__ is error
    assert "secret" not in str(caught.value)


def test_a_refusal_names_the_user() -> None:
    with pytest.raises(AccessDenied, match="refuses the user 'me'"), translated(OPTIONS):
        raise OperationFailure("no", 18, {"errmsg": "no"})


def test_what_was_there_already_is_told_from_what_went_wrong() -> None:
    assert only_duplicates(BulkWriteError({"writeErrors": [TWICE]}))
    assert not only_duplicates(BulkWriteError({"writeErrors": [TWICE, FULL]}))
    late = {"writeErrors": [TWICE], "writeConcernErrors": [{"code": 64}]}
    assert not only_duplicates(BulkWriteError(late))


@pytest.mark.parametrize(
    ("url", "hosts", "user"),
    [
        ("mongodb://127.0.0.1:27017", "127.0.0.1:27017", ""),
        ("mongodb://a:1,b:2/?replicaSet=rs0", "a:1,b:2", ""),
        ("mongodb+srv://me%40home:pass%2Fword@cluster.example/db", "cluster.example", "me@home"),
        ("mongodb://me:p@ss@host", "host", "me"),
    ],
)
def test_an_address_is_told_without_the_password(url: str, hosts: str, user: str) -> None:
    options = MongoOptions(url)

    assert (options.hosts, options.user) == (hosts, user)
    assert "pass" not in repr(options)
