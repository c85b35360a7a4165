"""Builds the wheel. Where BYTESPIKE_COMPILE=1 is set, the modules that a request passes through are compiled with mypyc.

They stay plain Python: the same files run as they are, and the wheel has them beside the compiled ones. `[tool.hatch.build.
targets.wheel.hooks.custom]` in pyproject.toml names them; docs/explain/performance.md says what they must keep to.
Needs a C compiler and Python's headers.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from contextlib import chdir
from importlib import import_module
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_WANTED = "BYTESPIKE_COMPILE"


class CompiledDataPath(BuildHookInterface):
    def dependencies(self) -> list[str]:
        return ["mypy>=2.4", "setuptools>=80"] if os.environ.get(_WANTED) == "1" else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable" or os.environ.get(_WANTED) != "1":
            return
        source = Path(self.root) / "src"
        self._work = tempfile.TemporaryDirectory(prefix="bytespike-compile-")
        built = compiled(source, self.config["modules"], Path(self._work.name))
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for library, place in built:
            build_data["force_include"][str(library)] = place

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        work = getattr(self, "_work", None)
        if work is not None:
            work.cleanup()


def compiled(source: Path, modules: list[str], work: Path) -> list[tuple[Path, str]]:
    """The shared libraries of `modules`, made in `work`, and where each belongs in the wheel."""
    # By name: they are there only where it was asked for.
    mypycify = import_module("mypyc.build").mypycify
    distribution = import_module("setuptools").Distribution
    with chdir(source):
        files = [f"{module.replace('.', '/')}.py" for module in modules]
        options = ["--config-file", str(source.parent / "pyproject.toml"), *files]
        extensions = mypycify(
            options,
            opt_level="2",
            debug_level="0",
            multi_file=True,
            target_dir=str(work / "c"),
            group_name="bytespike",
        )
        command = distribution({"name": "bytespike", "ext_modules": extensions}).get_command_obj("build_ext")
        command.build_lib = str(work / "lib")
        command.build_temp = str(work / "temp")
        command.parallel = os.cpu_count() or 1
        command.ensure_finalized()
        command.run()
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    found = sorted((work / "lib").rglob(f"*{suffix}"))
    if len(found) != len(modules) + 1:
        sys.exit(f"{len(modules)} modules were to be compiled, and {len(found)} libraries came of it")
    return [(each, each.relative_to(work / "lib").as_posix()) for each in found]
