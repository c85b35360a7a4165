"""Whose fault a failed attempt is, and in whose words the client hears of it."""

from __future__ import annotations

import pytest
from msgspec import structs

from bytespike import errors
from bytespike.core.dialect import Target, UpstreamFailure, reported
from bytespike.pipeline.attempt import (
    CAUSE_CHARS_MAX,
    failed_answer,
    failed_transport,
    in_callers_words,
)
from bytespike.pipeline.values import Prepared
from bytespike.protocols.openai_chat import DIALECT
from bytespike.upstream.errors import Kind, TransportError


def prepared(upstream: str, requested: str) -> Prepared:
    return Prepared(DIALECT, Target(upstream), b"/", b"{}", b"", (), same=True, requested=requested)


def test_an_answer_that_was_an_error_has_the_status_that_it_amounts_to() -> None:
    refused = reported(UpstreamFailure(errors.NoAvailableChannel("x"), "channel", None, 401))
    failed = failed_answer(refused, prepared("a", "b"), 200)
    assert (failed.about, failed.status) == ("channel", 401)
    broken = failed_answer(errors.UpstreamError("x"), prepared("a", "b"), 200)
    assert (broken.about, broken.status) == ("upstream", 200)


def test_the_operator_learns_what_an_upstream_said_of_itself_and_not_what_it_said_of_a_request() -> None:
    told = failed_answer(errors.UpstreamError("a is broken. " * 100), prepared("a", "b"), 200)
    assert told.cause is not None
    assert told.cause.startswith("b is broken.")
    assert len(told.cause) == CAUSE_CHARS_MAX
    assert failed_answer(errors.InvalidRequest("your prompt"), prepared("a", "b"), 200).cause is None


@pytest.mark.parametrize(
    ("upstream", "said", "told"),
    [
        ("acme/secret-7b", "acme/secret-7b takes no images", "gpt takes no images"),
        ("secret", "The model `secret` is limited; secret.", "The model `gpt` is limited; gpt."),
        (
            "o3",
            "foo3 and o3-mini and o3.5 stand, o3 does not",
            "foo3 and o3-mini and o3.5 stand, gpt does not",
        ),
        ("a.b", "axb a.b", "axb gpt"),
        ("gpt", "gpt", "gpt"),
    ],
)
def test_the_upstreams_name_for_a_model_is_not_told(upstream: str, said: str, told: str) -> None:
    error = in_callers_words(errors.InvalidRequest(said, param="p"), prepared(upstream, "gpt"))
    assert (error.message, error.param) == (told, "p")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("connect", "no_available_channel"),
        ("tls", "no_available_channel"),
        ("timeout_first_byte", "timeout"),
        ("too_large", "upstream_error"),
        ("reset", "upstream_error"),
    ],
)
def test_the_operator_learns_what_broke_and_the_client_no_more_than_that_it_did(
    kind: Kind, code: str
) -> None:
    failed = failed_transport(TransportError(kind, "api.example:443: name or service not known", sent=False))
    assert failed.cause == f"{kind}: api.example:443: name or service not known"
    assert failed.error.code == code
    assert "api.example" not in failed.error.message


def test_a_credential_that_the_upstream_repeats_is_taken_out():
    credential = "a-credential-of-no-known-form"
    prepared_with = structs.replace(prepared("up", "mine"), credential=credential)
    told = in_callers_words(errors.InvalidRequest(f"up refuses '{credential}' ({credential})"), prepared_with)
    assert credential not in told.message
    assert told.message.startswith("mine refuses")


def test_a_credential_that_is_a_word_is_left_in_its_sentence():
    prepared_with = structs.replace(prepared("up", "mine"), credential="key")
    assert in_callers_words(errors.InvalidRequest("no key"), prepared_with).message == "no key"


def test_what_is_prepared_does_not_show_the_credential():
    assert "sesame-open" not in repr(structs.replace(prepared("up", "mine"), credential="sesame-open"))
