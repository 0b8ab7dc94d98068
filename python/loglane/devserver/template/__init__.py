"""The templates of `| line_format` and `| label_format`: Go's text/template with Loki's functions.

`lexer` and `parser` read a template, `call` and `evaluator` run it. What is not implemented is
refused while a template is parsed, or, where only a line's values show it, while it runs.
"""

from __future__ import annotations

from loglane.devserver.template.cursor import TemplateError
from loglane.devserver.template.template import Template, TemplateRunError

__all__ = ["Template", "TemplateError", "TemplateRunError"]
