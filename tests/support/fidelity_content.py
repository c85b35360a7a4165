"""Probes of conversations and of what they hold."""

from __future__ import annotations

from collections.abc import Iterator

from bytespike.core import content as c
from bytespike.core.request import ChatRequest
from tests.support.fidelity import Asked, C, G, M, R
from tests.support.fidelity_words import (
    PDF,
    PDF_URL,
    PNG,
    URL,
    WAV,
    contents,
    item,
    some,
    text_of,
    user,
)


def conversations() -> Iterator[tuple[str, Asked]]:
    def system(request: ChatRequest) -> bool:
        return [part.text for part in request.system if isinstance(part, c.TextPart)] == ["Be brief."]

    yield (
        "system",
        Asked(
            system,
            {
                M: {"system": "Be brief."},
                C: {
                    "messages": [
                        {"role": "system", "content": "Be brief."},
                        {"role": "user", "content": "Hi"},
                    ]
                },
                R: {"instructions": "Be brief."},
                G: {"systemInstruction": {"parts": [{"text": "Be brief."}]}},
            },
        ),
    )
    talk = [("user", "Hi"), ("assistant", "Hello"), ("user", "And?")]
    yield (
        "turns",
        Asked(
            lambda request: (
                [turn.role for turn in request.turns] == [role for role, _ in talk]
                and text_of(request) == [text for _, text in talk]
            ),
            {
                M: {"messages": [{"role": role, "content": text} for role, text in talk]},
                C: {"messages": [{"role": role, "content": text} for role, text in talk]},
                R: {"input": [{"role": role, "content": text} for role, text in talk]},
                G: {
                    "contents": [
                        {"role": "model" if role == "assistant" else role, "parts": [{"text": text}]}
                        for role, text in talk
                    ]
                },
            },
        ),
    )
    late = [("user", "Hi"), ("assistant", "Hello"), ("user", "And?"), ("system", "Now in French.")]
    yield (
        "system_turns",
        Asked(
            lambda request: request.turns[-1].role == "system" and text_of(request)[-1] == "Now in French.",
            {
                M: {"messages": [{"role": role, "content": text} for role, text in late]},
                C: {"messages": [{"role": role, "content": text} for role, text in late]},
                R: {"input": [{"role": role, "content": text} for role, text in late]},
            },
        ),
    )
    yield (
        "participant",
        Asked(
            lambda request: request.turns[0].name == "ada",
            {C: {"messages": [{"role": "user", "name": "ada", "content": "Hi"}]}},
        ),
    )
    yield (
        "prefill",
        Asked(
            lambda request: request.turns[-1].role == "assistant" and text_of(request)[-1] == "{",
            {
                M: {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "{"}]},
                C: {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "{"}]},
                R: {"input": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "{"}]},
                G: {
                    "contents": [
                        {"role": "user", "parts": [{"text": "Hi"}]},
                        {"role": "model", "parts": [{"text": "{"}]},
                    ]
                },
            },
        ),
    )


def media() -> Iterator[tuple[str, Asked]]:
    yield (
        "image_base64",
        Asked(
            some(c.ImagePart, lambda part: getattr(part.source, "data", "") == PNG),
            {
                M: user(
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
                ),
                C: user({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}),
                R: item(
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"}
                ),
                G: contents({"inlineData": {"mimeType": "image/png", "data": PNG}}),
            },
        ),
    )
    yield (
        "image_url",
        Asked(
            some(c.ImagePart, lambda part: getattr(part.source, "url", "") == URL),
            {
                M: user({"type": "image", "source": {"type": "url", "url": URL}}),
                C: user({"type": "image_url", "image_url": {"url": URL}}),
                R: item({"type": "input_image", "image_url": URL, "detail": "auto"}),
                G: contents({"fileData": {"mimeType": "image/png", "fileUri": URL}}),
            },
        ),
    )
    yield (
        "image_detail",
        Asked(
            some(c.ImagePart, lambda part: part.detail == "high"),
            {
                C: user({"type": "image_url", "image_url": {"url": URL, "detail": "high"}}),
                R: item({"type": "input_image", "image_url": URL, "detail": "high"}),
            },
        ),
    )
    yield (
        "pdf_base64",
        Asked(
            some(c.DocumentPart, lambda part: getattr(part.source, "data", "") == PDF),
            {
                M: user(
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                    }
                ),
                # Its name is another feature.
                C: user({"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PDF}"}}),
                R: item({"type": "input_file", "file_data": f"data:application/pdf;base64,{PDF}"}),
                G: contents({"inlineData": {"mimeType": "application/pdf", "data": PDF}}),
            },
        ),
    )
    yield (
        "pdf_url",
        Asked(
            some(c.DocumentPart, lambda part: getattr(part.source, "url", "") == PDF_URL),
            {
                M: user({"type": "document", "source": {"type": "url", "url": PDF_URL}}),
                R: item({"type": "input_file", "file_url": PDF_URL}),
                G: contents({"fileData": {"mimeType": "application/pdf", "fileUri": PDF_URL}}),
            },
        ),
    )
    yield (
        "text_document",
        Asked(
            lambda request: (
                some(c.DocumentPart, lambda part: getattr(part.source, "text", "") == "Facts.")(request)
                or "Facts." in text_of(request)[0]
            ),
            {
                M: user(
                    {
                        "type": "document",
                        "source": {"type": "text", "media_type": "text/plain", "data": "Facts."},
                    }
                )
            },
        ),
    )
    yield (
        "document_url_title",
        Asked(
            some(c.DocumentPart, lambda part: part.title == "Report"),
            {M: user({"type": "document", "title": "Report", "source": {"type": "url", "url": URL}})},
        ),
    )
    yield (
        "document_title",
        Asked(
            some(
                c.DocumentPart,
                # OpenAI knows the kind of a file by its name's ending, so a title gets one there.
                lambda part: "Report" in (part.title, (part.filename or "").removesuffix(".pdf")),
            ),
            {
                M: user(
                    {
                        "type": "document",
                        "title": "Report",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                    }
                ),
                C: user(
                    {
                        "type": "file",
                        "file": {"filename": "Report", "file_data": f"data:application/pdf;base64,{PDF}"},
                    }
                ),
                R: item(
                    {
                        "type": "input_file",
                        "filename": "Report",
                        "file_data": f"data:application/pdf;base64,{PDF}",
                    }
                ),
            },
        ),
    )
    yield (
        "cite_documents",
        Asked(
            some(c.DocumentPart, lambda part: part.cite is True),
            {
                M: user(
                    {
                        "type": "document",
                        "citations": {"enabled": True},
                        "source": {"type": "base64", "media_type": "application/pdf", "data": PDF},
                    }
                )
            },
        ),
    )
    yield (
        "search_result",
        Asked(
            some(c.SearchResultPart),
            {
                M: user(
                    {
                        "type": "search_result",
                        "source": "kb/1",
                        "title": "Facts",
                        "content": [{"type": "text", "text": "Fact."}],
                    }
                )
            },
        ),
    )
    yield (
        "uploaded_file",
        Asked(
            some(c.DocumentPart, lambda part: isinstance(part.source, c.FileSource)),
            {
                M: user({"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
                C: user({"type": "file", "file": {"file_id": "file-1"}}),
                R: item({"type": "input_file", "file_id": "file-1"}),
                G: contents(
                    {
                        "fileData": {
                            "mimeType": "application/pdf",
                            "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
                        }
                    }
                ),
            },
        ),
    )
    yield (
        "audio",
        Asked(
            some(c.AudioPart),
            {
                C: user({"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}}),
                G: contents({"inlineData": {"mimeType": "audio/wav", "data": WAV}}),
            },
        ),
    )
    yield (
        "video",
        Asked(
            some(c.ForeignPart),
            {G: contents({"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}})},
        ),
    )
    yield (
        "unknown_content",
        Asked(
            some(c.ForeignPart),
            {
                M: user({"type": "hologram", "depth": 3}),
                C: user({"type": "hologram", "depth": 3}),
                R: item({"type": "hologram", "depth": 3}),
                G: contents({"hologram": {"depth": 3}}),
            },
        ),
    )
