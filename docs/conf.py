"""How Sphinx builds the pages: `make docs`."""

project = "otpverify"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = "otpverify"
myst_heading_anchors = 3
# Files beside docs/, which the pages link to, are not part of the site.
suppress_warnings = ["myst.xref_missing"]
default_role = "code"  # docstrings write names in single backticks
autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_typehints_format = "short"
