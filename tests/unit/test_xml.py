"""XML in and out."""

import pytest
import xmltodict
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3 import xml
from s3proxy.s3.errors import S3Error

XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
)
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
    "<Delete><Object><Key>&b;</Key></Object></Delete>"
)
EXTERNAL = (
    '<!DOCTYPE x [<!ENTITY file SYSTEM "file:///etc/passwd">]>'
    "<Delete><Object><Key>&file;</Key></Object></Delete>"
)


@given(XML_TEXT)
def test_text_comes_back_as_it_was_written(text: str) -> None:
    body = xml.encode(xml.root("Delete", xml.element("Key", text)))

    assert xml.text_in(xml.parse(body, "Delete"), "Key") == text


def test_white_space_around_a_key_belongs_to_it() -> None:
    body = b"<Delete>\n  <Object>\n    <Key>  a b \n</Key>\n  </Object>\n</Delete>"

    (found,) = xml.parse(body, "Delete", many=["Object"])["Object"]

    assert xml.text_in(found, "Key") == "  a b \n"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not xml",
        b"<Delete>",
        b"<Other/>",
        b"<Delete></Delete><Delete></Delete>",
        b"\xff\xfe<Delete/>",
        BOMB.encode(),
        EXTERNAL.encode(),
        BOMB.encode("utf-16"),
    ],
)
def test_anything_but_plain_xml_with_the_right_root_is_malformed(body: bytes) -> None:
    with pytest.raises(S3Error) as refused:
        xml.parse(body, "Delete")

    assert refused.value.code == "MalformedXML"


def test_a_thousand_nested_elements_are_no_trouble() -> None:
    deep = b"<a>" * 5000 + b"</a>" * 5000

    parsed = xml.parse(b"<Delete>" + deep + b"</Delete>", "Delete")

    assert parsed["a"]


def test_an_element_that_should_hold_text_but_holds_others_is_malformed() -> None:
    parsed = xml.parse(b"<Delete><Quiet><x/></Quiet></Delete>", "Delete")

    with pytest.raises(S3Error, match="Quiet"):
        xml.text_in(parsed, "Quiet")


def test_attributes_and_prefixes_do_not_hide_the_root() -> None:
    body = b'<s3:Delete xmlns:s3="http://s3.amazonaws.com/doc/2006-03-01/"></s3:Delete>'

    assert xml.text_in(xml.parse(body, "Delete"), "Quiet") == ""


@pytest.mark.parametrize("text", ["a\x01b", "a\tb", "a\rb"])
def test_control_characters_are_written_as_references(text: str) -> None:
    assert xml.escape(text) == f"a&#x{ord(text[1]):x};b"


def test_an_answer_is_xml_that_others_can_read() -> None:
    body = xml.encode(xml.root("Error", xml.element("Message", 'a<b>&"c"')))

    assert xmltodict.parse(body)["Error"]["Message"] == 'a<b>&"c"'


def test_names_are_url_encoded_as_s3_does() -> None:
    assert xml.url_encode("a b/ü+%") == "a%20b/%C3%BC%2B%25"
