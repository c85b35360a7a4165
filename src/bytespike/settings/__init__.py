"""Every setting, in one frozen object: command line > environment > TOML file > default.

`Settings` is the one definition: a field's type bounds its value, its facts say what it is for and what is expected of
it. The environment's name of a field is `BYTESPIKE_` and the field in capitals; three are read under a plain name too.
The TOML file is `BYTESPIKE_CONFIG`, else `bytespike.toml` in the data directory; its keys are the fields' names.

A wrong value, an unknown key in the file and an unknown `BYTESPIKE_` variable all stop the boot, each with one line that
names the setting, what came and what was expected. Values of secrets are never repeated.
"""

from __future__ import annotations

from bytespike.settings.kinds import header_list
from bytespike.settings.load import CONFIG_VARIABLE, SettingsError, load
from bytespike.settings.values import Settings, described, variables

__all__ = ["CONFIG_VARIABLE", "Settings", "SettingsError", "described", "header_list", "load", "variables"]
