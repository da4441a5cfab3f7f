import pytest

from s3proxy.s3.sigv4 import canonical_path, canonical_query


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/", "/"),
        ("//a/../b/./", "//a/../b/./"),
        ("/a%20b", "/a%20b"),
        ("/a+b", "/a%2Bb"),
        ("/%7e%41", "/~A"),
        ("/a$b(c)", "/a%24b%28c%29"),
        ("/%c3%a9", "/%C3%A9"),
        ("/100%", "/100%25"),
        ("/%ff", "/%FF"),
    ],
)
def test_a_path_is_encoded_once_as_s3_does(path: str, wanted: str) -> None:
    assert canonical_path(path) == wanted


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("", ""),
        ("acl", "acl="),
        ("b=2&a=1&&a=0", "a=0&a=1&b=2"),
        ("a-b=1&a=2", "a=2&a-b=1"),
        ("a=b=c", "a=b%3Dc"),
        ("prefix=a/b+c", "prefix=a%2Fb%20c"),
        ("%61=%7E", "a=~"),
    ],
)
def test_a_query_is_sorted_and_encoded_once(query: str, wanted: str) -> None:
    assert canonical_query(query) == wanted
