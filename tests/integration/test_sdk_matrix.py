"""Every feature, with every official SDK, on every family, streamed and not.

The simulator behind each channel is as strict as the provider that it stands for: it refuses what the provider would, and
proofs that it did not make. So an answer alone proves that the request was one that the provider takes.
"""

from __future__ import annotations

import base64
import json

import pytest

from tests.support.gateway import CLAUDE, GEMINI, GPT, GPT_RESPONSES, RunningGateway
from tests.support.pixels import tiny_png
from tests.support.sdk_table import NOTICED, REFUSED, SEARCHES_UNTOLD, UNSPOKEN, pairs
from tests.support.sdk_talk import Image, Pdf, Refused, Result, Said, Talk, Wishes
from tests.support.sdk_tools import CLOCK, WEATHER
from tests.support.sdk_upstreams import members, texts
from tests.support.sdk_ways import MODELS, NATIVE, WAYS, Ways, opened

PNG = base64.b64encode(tiny_png()).decode()
PDF = base64.b64encode(b"%PDF-1.4\n%%EOF\n").decode()
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "age": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "age", "tags"],
    "additionalProperties": False,
}
#: Letters that stream readers cut badly: combined, outside of the basic plane, and a line separator.
AWKWARD = 'Zoë 👩‍👩‍👧 "quoted" \\ back\u2028slash é ∑ end'


@pytest.fixture(scope="module")
def ways(gateway: RunningGateway):
    with opened(gateway) as made:
        yield made


@pytest.fixture(autouse=True)
def afresh(gateway: RunningGateway):
    # What the simulator has stored under ids that it makes again is not the next test's.
    gateway.forget_upstream_requests()
    yield
    gateway.heal()


def tools_used(talk: Talk, model: str, wishes: Wishes, *, stream: bool) -> tuple[Said, Said]:
    """Two calls in parallel, one of which fails, and what is made of the results."""
    talk.user("Use get_weather twice in parallel")
    calling = talk.answer(model, wishes, stream=stream)
    assert [call.name for call in calling.calls] == ["get_weather"] * 2
    talk.results(
        [
            Result(calling.calls[0], "marmalade skies"),
            Result(calling.calls[1], "no thermometer", failed=True),
        ]
    )
    return calling, talk.answer(model, wishes, stream=stream)


# --- what is said ----------------------------------------------------------------------------------------------


@pairs()
def test_an_answer_comes_under_the_name_that_was_asked_for(ways: Ways, way, model, stream):
    talk = ways.talk(way)
    talk.user("Say hello")
    said = talk.answer(model, stream=stream)
    assert said.model == model
    assert said.finish == "stop"
    assert 'You said: "Say hello"' in said.text


@pairs()
def test_the_bill_is_what_the_sdk_shows(ways: Ways, gateway: RunningGateway, way, model, stream):
    talk = ways.talk(way)
    talk.user("What does this cost? [[sim: tokens=40]]")
    said = talk.answer(model, stream=stream)
    receipt = gateway.newest_receipt()
    assert said.output_tokens == 40
    assert (receipt["input_tokens"], receipt["output_tokens"]) == (said.input_tokens, 40)
    assert receipt["credits"] == gateway.price_of(model, input=said.input_tokens, output=40) > 0


@pytest.mark.parametrize(
    ("asked", "wishes"),
    [
        pytest.param("Say hello", Wishes(), id="text"),
        pytest.param(f"[[sim: text={AWKWARD}]]", Wishes(), id="awkward letters"),
        pytest.param("Think about it", Wishes(think=True), id="thinking"),
        pytest.param("get_weather and get_time in parallel", Wishes(tools=(WEATHER, CLOCK)), id="tools"),
        pytest.param(
            "[[sim: tool=get_weather text=Let me see]]", Wishes(tools=(WEATHER,)), id="text and tool"
        ),
        pytest.param("Think, then get_weather", Wishes(tools=(WEATHER,), think=True), id="thinking and tool"),
        pytest.param("search the news", Wishes(search=True), id="search"),
        pytest.param("Invent a person", Wishes(schema=PERSON), id="schema"),
        pytest.param("[[sim: tokens=100]]", Wishes(max_tokens=20), id="length"),
        pytest.param("[[sim: refusal=I would rather not]]", Wishes(), id="refusal"),
    ],
)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("way", WAYS)
def test_a_stream_says_what_the_whole_answer_says(ways: Ways, way, model, asked, wishes):
    def said(stream: bool) -> Said:
        talk = ways.talk(way)
        talk.user(asked)
        return talk.answer(model, wishes, stream=stream)

    assert said(True) == said(False)


@pairs()
def test_awkward_letters_arrive_as_they_were_sent(ways: Ways, gateway: RunningGateway, way, model, stream):
    talk = ways.talk(way)
    talk.user(f"[[sim: text={AWKWARD}]]")
    assert talk.answer(model, stream=stream).text == AWKWARD
    assert f"[[sim: text={AWKWARD}]]" in texts(gateway.newest_upstream_request().body)


@pairs()
def test_the_system_prompt_stands_where_the_upstream_has_it(
    ways: Ways, gateway: RunningGateway, way, model, stream
):
    talk = ways.talk(way)
    talk.user("hello")
    talk.answer(model, Wishes(system="You are a cat."), stream=stream)
    body = gateway.newest_upstream_request().body
    place = {
        CLAUDE: lambda: texts(body["system"]),
        GPT: lambda: texts(body["messages"][0]) if body["messages"][0]["role"] != "user" else [],
        GPT_RESPONSES: lambda: texts(body["instructions"]),
        GEMINI: lambda: texts(body["systemInstruction"]),
    }[model]
    assert "You are a cat." in place()


@pairs()
def test_a_conversation_arrives_whole_and_in_order(ways: Ways, gateway: RunningGateway, way, model, stream):
    talk = ways.talk(way)
    for word in ("apple", "pear", "plum"):
        talk.user(f"{word} [[sim: text=the {word}]]")
        talk.answer(model, stream=stream)
    if (model, way) == (GPT_RESPONSES, "chained"):
        # The provider keeps it: only what is new is sent.
        assert gateway.newest_upstream_request().body["previous_response_id"]
        return
    sent = [
        text
        for text in texts(gateway.newest_upstream_request().body)
        if text.endswith(("]]", "apple", "pear"))
    ]
    assert sent == [
        "apple [[sim: text=the apple]]",
        "the apple",
        "pear [[sim: text=the pear]]",
        "the pear",
        "plum [[sim: text=the plum]]",
    ]


@pairs()
def test_a_token_limit_is_kept_and_told(ways: Ways, way, model, stream):
    talk = ways.talk(way)
    talk.user("[[sim: tokens=100]]")
    said = talk.answer(model, Wishes(max_tokens=20), stream=stream)
    assert (said.finish, said.output_tokens) == ("length", 20)


@pairs("stop")
def test_stop_sequences_stop(ways: Ways, way, model, stream):
    talk = ways.talk(way)
    talk.user("[[sim: text=one two STOP three]]")
    said = talk.answer(model, Wishes(stop=("STOP",)), stream=stream)
    assert (said.finish, said.text.strip()) == ("stop", "one two")


@pairs()
def test_a_refusal_is_told_as_one(ways: Ways, way, model, stream):
    talk = ways.talk(way)
    talk.user("[[sim: refusal=I would rather not]]")
    said = talk.answer(model, stream=stream)
    assert said.finish == "refusal"
    assert said.text in ("", "I would rather not")


# --- tools -----------------------------------------------------------------------------------------------------


@pairs("split")
def test_tools_are_called_in_parallel_and_their_results_come_back(ways: Ways, way, model, stream):
    calling, answered = tools_used(ways.talk(way), model, Wishes(tools=(WEATHER,)), stream=stream)
    assert calling.finish == "tool_calls"
    assert len({call.id for call in calling.calls}) == 2
    assert all(isinstance(call.arguments["city"], str) for call in calling.calls)
    assert answered.finish == "stop"
    assert "marmalade skies" in answered.text
    assert "no thermometer" in answered.text


@pairs("failure")
def test_a_failed_result_is_told_as_failed(ways: Ways, way, model, stream):
    _, answered = tools_used(ways.talk(way), model, Wishes(tools=(WEATHER,)), stream=stream)
    # OpenAI's dialects have no such mark either: there the text tells.
    told = 'failed with: "no thermometer"' if model in (CLAUDE, GEMINI) else '"[tool error] no thermometer"'
    assert told in answered.text


@pairs()
def test_a_named_tool_is_called_and_none_means_none(ways: Ways, way, model, stream):
    talk = ways.talk(way)
    talk.user("Do something")
    said = talk.answer(model, Wishes(tools=(WEATHER, CLOCK), choice="get_time"), stream=stream)
    assert [(call.name, list(call.arguments)) for call in said.calls] == [("get_time", ["zone"])]
    talk = ways.talk(way)
    talk.user("Use get_weather")
    said = talk.answer(model, Wishes(tools=(WEATHER, CLOCK), choice="none"), stream=stream)
    assert said.calls == ()
    assert said.text


@pairs("one_call")
def test_parallel_calls_can_be_forbidden(ways: Ways, way, model, stream):
    def calls(parallel: bool) -> int:
        talk = ways.talk(way)
        talk.user("Use get_weather twice in parallel")
        wishes = Wishes(tools=(WEATHER,), choice="any", parallel=parallel)
        return len(talk.answer(model, wishes, stream=stream).calls)

    assert (calls(True), calls(False)) == (2, 1)


@pytest.mark.parametrize("way", [way for way in WAYS if ("one_call", way) not in UNSPOKEN])
@pytest.mark.parametrize(("feature", "model"), [(feature, model) for feature, model, _ in NOTICED])
def test_what_a_model_has_no_word_for_is_noticed(ways: Ways, gateway: RunningGateway, way, feature, model):
    assert feature == "one_call"
    talk = ways.talk(way)
    talk.user("Use get_weather")
    talk.answer(model, Wishes(tools=(WEATHER,), choice="any", parallel=False))
    notices = gateway.newest_receipt()["notices"]
    own = "tool_choice.disable_parallel_tool_use" if way == "anthropic" else "parallel_tool_calls"
    assert any(notice.startswith(f"{own}: dropped") for notice in notices)


def test_googles_own_sdk_cannot_go_on_from_parallel_calls_that_it_streamed(ways: Ways):
    talk = ways.talk("gemini")
    with pytest.raises(Refused, match="function response parts"):
        tools_used(talk, GEMINI, Wishes(tools=(WEATHER,)), stream=True)


@pairs()
def test_a_tool_loop_goes_round_more_than_once(ways: Ways, way, model, stream):
    talk = ways.talk(way)
    wishes = Wishes(tools=(WEATHER, CLOCK))
    talk.user("Use get_weather")
    for round_number in range(3):
        said = talk.answer(model, wishes, stream=stream)
        assert len(said.calls) == 1
        talk.results([Result(said.calls[0], f"[[sim: tool=get_time]] result {round_number}")])
        wishes = Wishes(tools=(WEATHER, CLOCK))
    assert [call.name for call in talk.answer(model, wishes, stream=stream).calls] == ["get_time"]


# --- what is shown ---------------------------------------------------------------------------------------------


@pairs()
@pytest.mark.parametrize(
    "image", [Image(data=PNG), Image(url="https://example.com/cat.png")], ids=["base64", "url"]
)
def test_images_arrive(ways: Ways, gateway: RunningGateway, way, model, stream, image):
    talk = ways.talk(way)
    talk.user("What is this?", image)
    assert "It got 1 image(s)" in talk.answer(model, stream=stream).text
    sent = texts(gateway.newest_upstream_request().body)
    assert any(text.endswith(image.data or image.url) for text in sent)


@pairs()
def test_a_pdf_arrives(ways: Ways, gateway: RunningGateway, way, model, stream):
    talk = ways.talk(way)
    talk.user("What is this?", Pdf(data=PDF))
    assert "It got 1 document(s)" in talk.answer(model, stream=stream).text
    assert any(text.endswith(PDF) for text in texts(gateway.newest_upstream_request().body))


@pairs("pdf_url")
def test_a_pdf_by_url_arrives(ways: Ways, way, model, stream):
    talk = ways.talk(way)
    talk.user("What is this?", Pdf(url="https://example.com/paper.pdf"))
    assert "It got 1 document(s)" in talk.answer(model, stream=stream).text


@pairs()
def test_structured_output_follows_its_schema(ways: Ways, way, model, stream):
    talk = ways.talk(way)
    talk.user("Invent a person")
    person = json.loads(talk.answer(model, Wishes(schema=PERSON), stream=stream).text)
    assert set(person) == {"name", "age", "tags"}
    assert isinstance(person["age"], int)
    assert isinstance(person["tags"], list)


@pairs()
def test_the_web_is_searched_cited_and_billed(ways: Ways, gateway: RunningGateway, way, model, stream):
    talk = ways.talk(way)
    talk.user("search the news")
    said = talk.answer(model, Wishes(search=True), stream=stream)
    assert said.cited
    assert all(url.startswith("https://simulator.example.com/") for url in said.cited)
    assert gateway.newest_receipt()["web_searches"] == (0 if model in SEARCHES_UNTOLD else 1)
    talk.user("and now?")
    assert talk.answer(model, Wishes(search=True), stream=stream).text


# --- what fails ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("way", "feature", "model", "message"),
    [
        (way, feature, model, message)
        for way in WAYS
        for feature, models, message, _ in REFUSED
        for model in models
        if (feature, way) not in UNSPOKEN and way not in NATIVE[model]
    ],
)
def test_what_is_refused_by_design_is_refused_clearly_and_costs_nothing(
    ways: Ways, gateway: RunningGateway, way, feature, model, message, stream
):
    before = gateway.balance()
    talk = ways.talk(way)
    talk.user("hi")
    with pytest.raises(Refused) as refused:
        talk.answer(model, Wishes(stop=("STOP",) if feature == "stop" else ()), stream=stream)
    assert refused.value.status == 400
    assert message in refused.value.message
    if way in ("chat", "responses", "chained"):
        assert refused.value.code == "unsupported_feature"
    assert gateway.balance() == before


@pairs()
@pytest.mark.parametrize(
    ("fault", "status"),
    [("error=400", 400), ("error=500", 503), ("error=429 retry_after=1", 503), ("break_after=0", 502)],
)
def test_errors_are_the_sdks_own_exceptions(ways: Ways, way, model, stream, fault, status):
    talk = ways.talk(way)
    talk.user(f"[[sim: {fault}]]")
    with pytest.raises(Refused) as refused:
        talk.answer(model, stream=stream)
    assert refused.value.status == status


@pairs()
def test_an_answer_that_breaks_is_an_exception_and_costs_nothing(
    ways: Ways, gateway: RunningGateway, way, model, stream
):
    before = gateway.balance()
    for fault in ("error_event_after", "break_after", "cut_after"):
        talk = ways.talk(way)
        talk.user(f"[[sim: {fault}=6 tokens=100]]")
        with pytest.raises(Refused):
            talk.answer(model, stream=stream)
        gateway.heal()
    assert gateway.balance() == before


@pairs()
def test_the_gateway_is_left_clean(ways: Ways, gateway: RunningGateway, way, model, stream):
    talk = ways.talk(way)
    talk.user("hello")
    talk.answer(model, stream=stream)
    gateway.nothing_left_over()
    assert "x-api-key" not in dict(members(gateway.newest_upstream_request().body))
