import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.model import AccessKey, Facts, Row, Version

VERSIONS = st.builds(
    Version, st.integers(0, 2**64 - 1), st.text("abcdefghijklmnopqrstuvwxyz0123456789-")
)


@given(version=VERSIONS)
def test_a_version_is_read_as_it_was_written(version: Version) -> None:
    assert Version.parse(str(version)) == version


@given(one=VERSIONS, other=VERSIONS)
def test_versions_are_ranked_by_stamp_then_site(one: Version, other: Version) -> None:
    assert (one < other) == ((one.stamp, one.site) < (other.stamp, other.site))


def test_a_version_is_written_with_sixteen_digits_of_its_stamp() -> None:
    assert str(Version(255, "here")) == "00000000000000ff-here"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-",
        "here",
        "ff-here",
        "00000000000000ff",
        "00000000000000FG-here",
        "0x000000000000ff-here",
        "+0000000000000ff-here",
        "0000_0000_0000ff-here",
        " 0000000000000ff-here",
        "\u0660000000000000000-here",
    ],
)
def test_another_text_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="version"):
        Version.parse(text)


def test_an_object_was_modified_when_its_version_was_made() -> None:
    assert Facts(Version((1_700_000_000_000 << 16) + 5, "here")).modified == 1_700_000_000_000


def test_a_rows_version_is_that_of_its_facts() -> None:
    assert Row("photos", "cat", Facts(Version(1, "here"))).version == Version(1, "here")


def test_a_key_shown_in_a_log_hides_its_secret() -> None:
    shown = repr(AccessKey("FIRST", "the secret", "main", 0))

    assert "secret" not in shown
    assert "FIRST" in shown


@given(one=VERSIONS.filter(lambda found: found.stamp < 2**64 - 1), other=VERSIONS)
def test_the_end_of_an_object_is_right_above_it_and_below_all_others(
    one: Version, other: Version
) -> None:
    assert one < one.end
    assert one.end.is_end
    assert not one.is_end
    assert Version.parse(str(one.end)) == one.end
    assert other <= one or one.end < other or other.stamp == one.stamp
