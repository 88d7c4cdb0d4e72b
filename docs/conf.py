"""The documentation site: ``make docs``."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
# Airflow is imported for the docstrings: it makes its home a folder that nobody keeps.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="docs-airflow-"))
sys.path[:0] = [str(DOCS.parent), str(DOCS)]

import airflow_sm_hosting  # noqa: E402

project = "airflow_sm_hosting"
copyright = "the authors"
version = release = airflow_sm_hosting.__version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "site_extensions.navigation",
    "site_extensions.reference_pages",
    "site_extensions.repository_links",
]
# The reference has a page for each of their sections.
exclude_patterns = ["operators.md", "site_extensions", "_build"]

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
autodoc_typehints = "none"  # the docstrings tell types as people write them in DAGs
autodoc_member_order = "bysource"
# No page loads anything from elsewhere.
html_theme = "furo"
html_title = f"airflow_sm_hosting {release}"
html_favicon = "../airflow_sm_hosting/ui/static/icon.svg"
html_static_path = ["site_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_theme_options = {
    "source_repository": "https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/",
    "source_branch": "main",
    "source_directory": "docs/",
}
copybutton_exclude = ".linenos, .gp, .go"
suppress_warnings = ["config.cache"]
nitpicky = False
