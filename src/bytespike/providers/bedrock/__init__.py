"""Claude on Amazon Bedrock: InvokeModel and InvokeModelWithResponseStream.

- `credentials` what a channel's credential says
- `signing`     AWS Signature Version 4
- `framing`     application/vnd.amazon.eventstream, sans-IO
- `unframing`   its messages as Anthropic's server-sent events
- `errors`      AWS's exceptions as Anthropic's errors
- `carriage`    the parts together: `providers.carriage.Carriage`
"""
