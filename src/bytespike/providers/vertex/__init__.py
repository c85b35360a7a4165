"""Google Vertex AI: Claude and Gemini behind a service account.

- `service_account` the JSON file that is the channel's credential, and how it gets an access token
- `errors`          Google's errors as Anthropic's, for Claude
- `carriage`        requests: `providers.carriage.Carriage`, one for each of the two
"""
