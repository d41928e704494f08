"""Sphinx configuration. Build with ``sphinx-build -W --keep-going -b html docs docs/_build/html``.

``SKALSS_DOCS_BUDGET=tiny`` makes the examples of the gallery small; they read it themselves. Nothing here
needs a network: ``SKALSS_DOCS_INTERSPHINX=1`` adds links into the documentation of other projects.
"""

import functools
import os
import re

from sphinx_gallery.sorting import ExplicitOrder

import skalss

project = "skalss"
author = "The skalss developers"
copyright = "2026, The skalss developers"
version = release = skalss.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["_build", "auto_examples/**/*.ipynb", "auto_examples/**/*.py"]

autosummary_generate = True
autodoc_typehints = "none"  # the numpydoc text says more than the annotations
autodoc_member_order = "bysource"
numpydoc_show_class_members = False  # the class template does, see skip_foreign_members

html_title = "skalss"
html_theme = "pydata_sphinx_theme"
html_static_path = ["_static"]
html_css_files = ["skalss.css"]
html_theme_options = {"show_prev_next": False}
html_sidebars = {"api": [], "changelog": []}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "subsection_order": ExplicitOrder(
        [
            "../examples/adaptive_sampling",
            "../examples/ledger",
            "../examples/label_efficiency",
            "../examples/selective_training",
            "../examples/simulation",
        ]
    ),
    "filename_pattern": r"plot_",
    "within_subsection_order": ExplicitOrder(["plot_digits.py", "plot_sentences.py", "*"]),
    "doc_module": ("skalss",),
    "backreferences_dir": "generated/backreferences",
    "show_memory": False,
    "capture_repr": ("_repr_html_",),  # not the objects that a last line of Matplotlib returns
}

if os.environ.get("SKALSS_DOCS_INTERSPHINX"):
    extensions.append("sphinx.ext.intersphinx")
    intersphinx_mapping = {
        "numpy": ("https://numpy.org/doc/stable", None),
        "python": ("https://docs.python.org/3", None),
        "sklearn": ("https://scikit-learn.org/stable", None),
        "skorch": ("https://skorch.readthedocs.io/en/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }


def skip_foreign_members(app, what, name, obj, skip, options):
    """Leave out inherited members that skalss does not define, and what is written into its classes."""
    if isinstance(obj, functools.cached_property):
        obj = obj.func  # the property itself says that its home is functools
    home = getattr(getattr(obj, "__objclass__", obj), "__module__", None) or "skalss"
    foreign = (
        home.partition(".")[0] != "skalss"
        or re.fullmatch(r"set_\w+_request", name)  # by scikit-learn
        or type(obj).__name__ == "_tuplegetter"  # the fields of a named tuple, "Alias for field number 0"
    )
    return True if foreign else None


def setup(app):
    app.connect("autodoc-skip-member", skip_foreign_members)
