"""Pool addresses: what is read, what is refused, and in which words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sv2rig.sv2.authority import AuthorityKeyError, decode_authority_key
from sv2rig.sv2.url import DEFAULT_PORT, EXPECTED_FORM, PoolUrl, PoolUrlError, parse_pool_url

KEY_TEXT = "9bXiEd8boQVhq7WddEcERUL5tyyJVFYdU8th3HfbNXK3Yw6GRXh"
KEY = decode_authority_key(KEY_TEXT)
TCP = "stratum2+tcp"


def test_specifications_example() -> None:
    text = f"stratum2+tcp://thepool.com:34254/{KEY_TEXT}"
    url = parse_pool_url(text)
    assert url == PoolUrl(TCP, "thepool.com", 34254, KEY)
    assert str(url) == text


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("127.0.0.1:1", "127.0.0.1", 1),
        ("pool:65535", "pool", 65535),
        ("[::1]:34255", "::1", 34255),
        ("[2001:DB8:0:0::1]", "2001:db8::1", DEFAULT_PORT),
        ("ThePool.com", "thepool.com", DEFAULT_PORT),
        ("the_pool.local.", "the_pool.local.", DEFAULT_PORT),
        ("bücher.example", "bücher.example", DEFAULT_PORT),
    ],
)
def test_hosts_and_ports(address: str, host: str, port: int) -> None:
    assert parse_pool_url(f"{TCP}://{address}/{KEY_TEXT}") == PoolUrl(TCP, host, port, KEY)
    assert parse_pool_url(f"STRATUM2+TCP://{address}/{KEY_TEXT}").port == port


def test_key_may_be_missing_only_when_asked() -> None:
    for text in (f"{TCP}://pool:1", f"{TCP}://pool:1/"):
        assert parse_pool_url(text, insecure=True) == PoolUrl(TCP, "pool", 1, None)
        with pytest.raises(PoolUrlError, match="authority key is missing"):
            parse_pool_url(text)
    assert str(PoolUrl(TCP, "::1", 1, None)) == f"{TCP}://[::1]:1"
    assert parse_pool_url(f"{TCP}://pool:1/{KEY_TEXT}", insecure=True).authority_key == KEY


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "does not begin with a scheme"),
        ("pool.com:34254", "does not begin with a scheme"),
        (f"stratum+tcp://pool:3333/{KEY_TEXT}", "Stratum V1"),
        (f"http://pool:1/{KEY_TEXT}", "http://"),
        (f"stratum2+iroh://abc/{KEY_TEXT}", "not supported yet"),
        (f"{TCP}:///{KEY_TEXT}", "host is missing"),
        (f"{TCP}://:34254/{KEY_TEXT}", "host is missing"),
        (f"{TCP}://pool:0/{KEY_TEXT}", "1 to 65535"),
        (f"{TCP}://pool:65536/{KEY_TEXT}", "1 to 65535"),
        (f"{TCP}://pool:x/{KEY_TEXT}", "1 to 65535"),
        (f"{TCP}://::1:34254/{KEY_TEXT}", "in brackets, unlike"),
        (f"{TCP}://[::x]:1/{KEY_TEXT}", "IPv6|cannot be read"),
        (f"{TCP}://[::1:1/{KEY_TEXT}", "cannot be read"),
        (f"{TCP}://-pool:1/{KEY_TEXT}", "not a host name"),
        (f"{TCP}://po..ol:1/{KEY_TEXT}", "not a host name"),
        (f"{TCP}://{'a' * 254}/{KEY_TEXT}", "not a host name"),
        (f"{TCP}://me@pool:1/{KEY_TEXT}", "set the user apart"),
        (f"{TCP}://pool:1/{KEY_TEXT}?x=1", "may follow"),
        (f"{TCP}://pool:1/{KEY_TEXT}#x", "may follow"),
        (f"{TCP}://pool:1/ {KEY_TEXT}", "space"),
        (f"{TCP}://pool:1/{KEY_TEXT}\n", "unprintable"),
    ],
)
def test_refused_in_words_that_show_the_form(text: str, words: str) -> None:
    with pytest.raises(PoolUrlError, match=words) as caught:
        parse_pool_url(text)
    assert EXPECTED_FORM in str(caught.value)


@pytest.mark.parametrize("key", [KEY_TEXT[:-1], KEY_TEXT + "/x", KEY_TEXT + "/", "x"])
def test_bad_key_is_named_as_such_even_when_insecure(key: str) -> None:
    for insecure in (False, True):
        with pytest.raises(AuthorityKeyError, match="not an authority key"):
            parse_pool_url(f"{TCP}://pool:1/{key}", insecure=insecure)


_names = st.from_regex(r"[a-z0-9]{1,8}(\.[a-z0-9-]{1,8}){0,3}", fullmatch=True)
_hosts = st.one_of(_names, st.ip_addresses().map(str))


@given(_hosts, st.integers(1, 65535), st.sampled_from([None, KEY]))
def test_text_round_trip(host: str, port: int, key: bytes | None) -> None:
    url = PoolUrl(TCP, host, port, key)
    assert parse_pool_url(str(url), insecure=key is None) == url


@given(st.text(max_size=80))
def test_any_text_ends_in_an_address_or_a_typed_error(text: str) -> None:
    for candidate in (text, f"{TCP}://{text}"):
        try:
            url = parse_pool_url(candidate, insecure=True)
        except (PoolUrlError, AuthorityKeyError):
            continue
        assert parse_pool_url(str(url), insecure=True) == url
