"""Gemini: the messages that a request is made of.

From the SDK's types (`google/genai/types.py`, and the converters `models.py` for what the Gemini API takes of them) and
recorded requests. What is only Vertex AI's is left out, as the API refuses it. What is deep in tools and settings that
the simulator does not play is taken as any object.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bytespike.providers.simulator.proto_json import Schema

_MESSAGES: Mapping[str, Mapping[str, str]] = {
    "GenerateContentRequest": {
        "model": "string",
        "contents": "[Content]",
        "systemInstruction": "Content",
        "tools": "[Tool]",
        "toolConfig": "ToolConfig",
        "safetySettings": "[SafetySetting]",
        "generationConfig": "GenerationConfig",
        "cachedContent": "string",
        "labels": "{string}",
        "serviceTier": "=ServiceTier",
        "store": "bool",
    },
    "CountTokensRequest": {
        "model": "string",
        "contents": "[Content]",
        "generateContentRequest": "GenerateContentRequest",
    },
    "Content": {"role": "string", "parts": "[Part]"},
    "Part": {
        "text": "string",
        "thought": "bool",
        "thoughtSignature": "bytes",
        "inlineData": "Blob",
        "fileData": "FileData",
        "functionCall": "FunctionCall",
        "functionResponse": "FunctionResponse",
        "executableCode": "ExecutableCode",
        "codeExecutionResult": "CodeExecutionResult",
        "toolCall": "ToolCall",
        "toolResponse": "ToolResponse",
        "videoMetadata": "struct",
        "mediaResolution": "struct",
        "partMetadata": "struct",
    },
    "Blob": {"mimeType": "string", "data": "bytes"},
    "FileData": {"mimeType": "string", "fileUri": "string"},
    "FunctionCall": {"id": "string", "name": "string", "args": "struct"},
    "FunctionResponse": {
        "id": "string",
        "name": "string",
        "response": "struct",
        "parts": "[FunctionResponsePart]",
        "willContinue": "bool",
        "scheduling": "string",
    },
    "FunctionResponsePart": {"inlineData": "Blob", "fileData": "FileData"},
    "ExecutableCode": {"id": "string", "language": "=ExecutableCode.Language", "code": "string"},
    "CodeExecutionResult": {"id": "string", "outcome": "=CodeExecutionResult.Outcome", "output": "string"},
    "ToolCall": {"id": "string", "toolType": "string", "args": "struct"},
    "ToolResponse": {"id": "string", "toolType": "string", "response": "struct"},
    "Tool": {
        "functionDeclarations": "[FunctionDeclaration]",
        "googleSearch": "GoogleSearch",
        "googleSearchRetrieval": "struct",
        "codeExecution": "struct",
        "urlContext": "struct",
        "fileSearch": "struct",
        "computerUse": "struct",
        "googleMaps": "struct",
        "mcpServers": "[any]",
    },
    "GoogleSearch": {"timeRangeFilter": "struct", "searchTypes": "struct"},
    "FunctionDeclaration": {
        "name": "string",
        "description": "string",
        "parameters": "Schema",
        "parametersJsonSchema": "any",
        "response": "Schema",
        "responseJsonSchema": "any",
        "behavior": "string",
    },
    "Schema": {
        "type": "=Type",
        "format": "string",
        "title": "string",
        "description": "string",
        "nullable": "bool",
        "enum": "[string]",
        "items": "Schema",
        "minItems": "int",
        "maxItems": "int",
        "properties": "{Schema}",
        "propertyOrdering": "[string]",
        "required": "[string]",
        "minProperties": "int",
        "maxProperties": "int",
        "minLength": "int",
        "maxLength": "int",
        "minimum": "float",
        "maximum": "float",
        "pattern": "string",
        "example": "any",
        "default": "any",
        "anyOf": "[Schema]",
    },
    "ToolConfig": {
        "functionCallingConfig": "FunctionCallingConfig",
        "retrievalConfig": "struct",
        "includeServerSideToolInvocations": "bool",
    },
    "FunctionCallingConfig": {
        "mode": "=FunctionCallingConfig.Mode",
        "allowedFunctionNames": "[string]",
    },
    "SafetySetting": {
        "category": "=HarmCategory",
        "threshold": "=SafetySetting.HarmBlockThreshold",
    },
    "GenerationConfig": {
        "temperature": "float",
        "topP": "float",
        "topK": "float",
        "candidateCount": "int",
        "maxOutputTokens": "int",
        "stopSequences": "[string]",
        "responseLogprobs": "bool",
        "logprobs": "int",
        "presencePenalty": "float",
        "frequencyPenalty": "float",
        "seed": "int",
        "responseMimeType": "string",
        "responseSchema": "Schema",
        "responseJsonSchema": "any",
        "responseModalities": "[=Modality]",
        "mediaResolution": "=MediaResolution",
        "thinkingConfig": "ThinkingConfig",
        "speechConfig": "struct",
        "imageConfig": "struct",
        "audioTranscriptionConfig": "struct",
        "enableEnhancedCivicAnswers": "bool",
        "continuationToken": "string",
    },
    "ThinkingConfig": {
        "includeThoughts": "bool",
        "thinkingBudget": "int",
        "thinkingLevel": "=ThinkingConfig.ThinkingLevel",
    },
}

_ENUMS: Mapping[str, Sequence[str]] = {
    "Type": ("TYPE_UNSPECIFIED", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"),
    "FunctionCallingConfig.Mode": ("MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"),
    "ThinkingConfig.ThinkingLevel": (
        "THINKING_LEVEL_UNSPECIFIED", "MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH",
    ),
    "HarmCategory": (
        "HARM_CATEGORY_UNSPECIFIED", "HARM_CATEGORY_HARASSMENT", "HARM_CATEGORY_HATE_SPEECH",
        "HARM_CATEGORY_SEXUALLY_EXPLICIT", "HARM_CATEGORY_DANGEROUS_CONTENT", "HARM_CATEGORY_CIVIC_INTEGRITY",
    ),
    "SafetySetting.HarmBlockThreshold": (
        "HARM_BLOCK_THRESHOLD_UNSPECIFIED", "BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH",
        "BLOCK_NONE", "OFF",
    ),
    "Modality": ("MODALITY_UNSPECIFIED", "TEXT", "IMAGE", "AUDIO", "VIDEO"),
    "MediaResolution": (
        "MEDIA_RESOLUTION_UNSPECIFIED", "MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_MEDIUM", "MEDIA_RESOLUTION_HIGH",
    ),
    "ExecutableCode.Language": ("LANGUAGE_UNSPECIFIED", "PYTHON"),
    "CodeExecutionResult.Outcome": (
        "OUTCOME_UNSPECIFIED", "OUTCOME_OK", "OUTCOME_FAILED", "OUTCOME_DEADLINE_EXCEEDED",
    ),
    "ServiceTier": ("UNSPECIFIED", "STANDARD", "FLEX", "PRIORITY"),
}  # fmt: skip

API = Schema(
    package="google.ai.generativelanguage.v1beta",
    messages=_MESSAGES,
    enums=_ENUMS,
)
