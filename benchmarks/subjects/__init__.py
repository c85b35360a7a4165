"""What is measured: each server in a file of its own."""
