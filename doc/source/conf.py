# SPDX-License-Identifier: Apache-2.0
"""How the documentation is built."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "ext"))

project = "aacloud"
copyright = "aacloud developers"
author = "aacloud developers"

extensions = [
    "cliff.sphinxext",
    "openstackdocstheme",
    "oslo_config.sphinxconfiggen",
    "oslo_config.sphinxext",
    "oslo_policy.sphinxext",
    "oslo_policy.sphinxpolicygen",
    "reno.sphinxext",
    "rest_reference",
    "sphinx.ext.autodoc",
]

html_theme = "openstackdocs"
# The name of the repository's folder decides nothing here.
openstackdocs_auto_name = False
openstackdocs_auto_version = False
html_theme_options = {"sidebar_mode": "toc"}
html_static_path = ["_static"]
pygments_style = "native"
master_doc = "index"
language = "en"

config_generator_config_file = [
    ("../../etc/aacloud/config-generator.conf", "_static/aacloud"),
]
sample_config_basename = "_static/aacloud"
policy_generator_config_file = [
    ("../../etc/aacloud/policy-generator.conf", "_static/aacloud"),
]
