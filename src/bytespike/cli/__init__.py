"""The command line. A file per group of commands; docs/reference/cli.md describes them all.

- `main`      the program
- `command`   how a command is declared: common options, output, errors, exit codes
- `desk`      what a command works with; `options`, `answer`   what goes in and out
- `serve`, `demo`, `simulator_process`   what runs until it is stopped
"""
