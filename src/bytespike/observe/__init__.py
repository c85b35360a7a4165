"""What the operator sees: metrics and logs. Nothing here may hold a secret or a prompt."""
