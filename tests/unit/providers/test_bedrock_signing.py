"""AWS Signature Version 4 against the signatures that AWS published: its test suite of 2015, and the worked example for IAM
in its documentation. All of them are for 20150830T123600Z and the example credential."""

from __future__ import annotations

import pytest

from bytespike.providers.bedrock.signing import Signer, amz_date, canonical_request

KEY_ID = "AKIDEXAMPLE"
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
MOMENT = "20150830T123600Z"
HOST = ("host", "example.amazonaws.com")
DATE = ("x-amz-date", MOMENT)
FORM = ("content-type", "application/x-www-form-urlencoded")
TOKEN = (
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7"
    "mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+x"
    "o0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="
)
UNRESERVED = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# name in the suite, method, target, headers, body, signature
PUBLISHED = [
    (
        "get-vanilla",
        "GET",
        "/",
        [HOST, DATE],
        b"",
        "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
    ),
    (
        "get-vanilla-query-order-key-case",
        *("GET", "/?Param2=value2&Param1=value1", [HOST, DATE], b""),
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    (
        "get-utf8",
        "GET",
        "/ሴ",
        [HOST, DATE],
        b"",
        "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
    ),
    (
        "get-unreserved",
        *("GET", UNRESERVED, [HOST, DATE], b""),
        "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
    ),
    (
        "get-header-value-trim",
        *("GET", "/", [HOST, ("my-header1", " value1"), ("my-header2", ' "a   b   c"'), DATE], b""),
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    (
        "post-vanilla",
        "POST",
        "/",
        [HOST, DATE],
        b"",
        "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
    ),
    (
        "post-x-www-form-urlencoded",
        *("POST", "/", [FORM, HOST, DATE], b"Param1=value1"),
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
    ),
    (
        "post-sts-header-before",
        *("POST", "/", [HOST, DATE, ("x-amz-security-token", TOKEN)], b""),
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    ),
]


@pytest.mark.parametrize(
    ("method", "target", "headers", "body", "signature"),
    [row[1:] for row in PUBLISHED],
    ids=[row[0] for row in PUBLISHED],
)
def test_a_signature_is_the_one_that_aws_published(method, target, headers, body, signature) -> None:
    signer = Signer(KEY_ID, SECRET, "us-east-1", "service")
    value = signer.authorization(method, target, headers, body, MOMENT)
    names = ";".join(sorted(name for name, _ in headers))
    assert value == (
        f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
        f"SignedHeaders={names}, Signature={signature}"
    )


def test_the_worked_example_of_the_documentation() -> None:
    signer = Signer(KEY_ID, SECRET, "us-east-1", "iam")
    headers = [
        ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
        ("host", "iam.amazonaws.com"),
        DATE,
    ]
    target = "/?Action=ListUsers&Version=2010-05-08"
    value = signer.authorization("GET", target, headers, b"", MOMENT)
    assert value.endswith("Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")


def test_a_new_day_has_a_new_key() -> None:
    signer = Signer(KEY_ID, SECRET, "us-east-1", "service")
    first = signer.authorization("GET", "/", [HOST, DATE], b"", MOMENT)
    later = "20150831T000000Z"
    there = Signer(KEY_ID, SECRET, "us-east-1", "service")
    fresh = there.authorization("GET", "/", [HOST, ("x-amz-date", later)], b"", later)
    assert signer.authorization("GET", "/", [HOST, ("x-amz-date", later)], b"", later) == fresh
    assert "20150831/us-east-1" in fresh
    assert signer.authorization("GET", "/", [HOST, DATE], b"", MOMENT) == first


def test_what_is_escaped_on_the_wire_is_escaped_once_more_in_the_canonical_path() -> None:
    canonical, signed = canonical_request(
        "POST", "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke", [HOST, DATE], b"{}"
    )
    lines = canonical.split("\n")
    assert lines[1] == "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%253A0/invoke"
    assert signed == "host;x-amz-date"


def test_the_date_is_utc_in_basic_form() -> None:
    assert amz_date(1_440_938_160_999_999) == MOMENT


def test_a_signer_shows_no_secret() -> None:
    assert SECRET not in repr(Signer(KEY_ID, SECRET, "us-east-1", "bedrock"))
