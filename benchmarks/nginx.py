"""nginx in its two roles: the static upstream that answers at once, and the floor that forwards and does no more.

Both run one worker, keep their connections open for good and log nothing. The floor sends whole answers to the static
upstream and everything under a manner's prefix (`/200x0/…`) to the streaming one, with buffering off.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess

from benchmarks import answers
from benchmarks.processes import Processes, free_port
from benchmarks.work import DIALECTS, UPSTREAM_MODELS, Dialect, path

#: Requests that a connection may serve: no connection is closed for having served enough.
_ENOUGH = 1_000_000_000
_CONFIG = """\
daemon off;
{user}worker_processes 1;
worker_rlimit_nofile 32768;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  keepalive_timeout 3600s;
  keepalive_requests {enough};
  client_max_body_size 64m;
  client_body_buffer_size 1m;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{servers}
}}
"""
_FLOOR = """\
  upstream static {{ server 127.0.0.1:{static}; keepalive 256; keepalive_requests {enough}; }}
  upstream streams {{ server 127.0.0.1:{streams}; keepalive 256; keepalive_requests {enough}; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host upstream.bench;
    proxy_read_timeout 600s;
    location / {{ proxy_pass http://static; }}
    location ~ ^/[0-9]+x[0-9]+s?/ {{ proxy_buffering off; proxy_pass http://streams; }}
  }}"""
_STATIC = """\
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    default_type application/json;
{locations}
  }}"""


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """A started nginx."""

    process: subprocess.Popen[bytes]
    port: int


def start_static(nginx: str, processes: Processes, core: int) -> Server:
    """The static upstream. It answers before it has read the body, so bodies must fit one read."""
    locations = "\n".join(map(_location, DIALECTS))
    port = free_port()
    return _start("static", nginx, processes, core, port, _STATIC.format(port=port, locations=locations))


def _location(dialect: Dialect) -> str:
    """Where a dialect's whole answer is. An answer of Responses has an id of its own each time: equal ones are kept once."""
    where = path(dialect, UPSTREAM_MODELS[dialect], stream=False)
    body = answers.whole(dialect).decode().replace(answers.RESPONSE_ID, "resp_$request_id")
    return f"    location = {where} {{ return 200 '{body}'; }}"


def start_floor(
    name: str, nginx: str, processes: Processes, core: int, *, static: int, streams: int
) -> Server:
    """The floor, in front of the upstreams on the ports `static` and `streams`."""
    port = free_port()
    servers = _FLOOR.format(port=port, static=static, streams=streams, enough=_ENOUGH)
    return _start(name, nginx, processes, core, port, servers)


def _start(name: str, nginx: str, processes: Processes, core: int, port: int, servers: str) -> Server:
    folder = processes.work / name
    folder.mkdir()
    config = folder / "nginx.conf"
    # A worker that root starts would run as another user, who may not write here.
    user = "user root;\n" if os.geteuid() == 0 else ""
    config.write_text(_CONFIG.format(folder=folder, user=user, enough=_ENOUGH, servers=servers))
    command = [nginx, "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")]
    process = processes.start(name, command, core)
    processes.ready(name, process, port)
    return Server(process, port)
