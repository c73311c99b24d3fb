"""How a report looks: on screens in light and dark, figures always on white, and on paper."""

from __future__ import annotations

from widgets.figures.palette import palette
from widgets.figures.template import FONT


def _colours(theme: str, page: str, raised: str) -> str:
    colours = palette("dark" if theme == "dark" else "light")
    return (
        f"--page:{page};--raised:{raised};--ink:{colours['ink']};--muted:{colours['muted']};"
        f"--line:{colours['grid']};--link:{colours['think']};--wrong:{colours['forking']}"
    )


_LIGHT = _colours("light", "#f6f8fa", "#ffffff")
_DARK = _colours("dark", "#111111", "#1a1d21")

STYLE = f"""
:root {{ color-scheme: light dark; {_LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_DARK} }} }}
* {{ box-sizing: border-box }}
html {{ scroll-behavior: smooth; scroll-padding-top: 1em }}
body {{ font: 15px/1.5 {FONT}; color: var(--ink); background: var(--page); margin: 2.5em auto 4em; max-width: 1100px;
  padding: 0 1.25em }}
h1 {{ font-size: 1.9em; line-height: 1.2; margin: 0 0 .3em; overflow-wrap: anywhere }}
h2 {{ font-size: 1.25em; margin: 0; overflow-wrap: anywhere }}
h2 span, nav span, header p, section p, summary span {{ color: var(--muted) }}
h2 span {{ font-weight: 400; margin-right: .35em }}
header p, section p {{ margin: 0 }}
.versions, nav span, section p, summary span {{ font-size: .88em }}
a {{ color: var(--link) }}
a:focus-visible, summary:focus-visible, .data:focus-visible {{ outline: 2px solid var(--link); outline-offset: 2px }}
nav {{ margin: 1.5em 0 2.5em; padding: .9em 1.2em; background: var(--raised); border: 1px solid var(--line);
  border-radius: 8px }}
nav ol {{ margin: 0; padding-left: 1.6em }}
nav span {{ margin-left: .4em }}
nav li {{ padding: .1em 0; overflow-wrap: anywhere }}
section {{ margin: 0 0 3em }}
figure {{ margin: .7em 0; padding: 10px; background: #fff; border: 1px solid var(--line); border-radius: 8px;
  overflow: hidden; color-scheme: light }}
.missing {{ color: var(--wrong) }}
details {{ margin: .4em 0 }}
summary {{ cursor: pointer; width: max-content; max-width: 100%; padding: .1em 0 }}
summary span {{ margin-left: .4em }}
pre, .data {{ margin: .4em 0; max-height: 420px; overflow: auto; background: var(--raised);
  border: 1px solid var(--line); border-radius: 8px }}
pre {{ padding: .8em 1em; font: 12.5px/1.5 ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  white-space: pre-wrap; overflow-wrap: anywhere }}
table {{ border-collapse: collapse; min-width: 100%; font-size: .85em; font-variant-numeric: tabular-nums }}
th, td {{ padding: 3px 12px; text-align: right; white-space: pre; border-bottom: 1px solid var(--line) }}
th {{ position: sticky; top: 0; background: var(--raised); font-weight: 600 }}
.text {{ text-align: left; unicode-bidi: isolate; max-width: 320px; overflow: hidden; text-overflow: ellipsis }}
@media print {{
  :root {{ {_LIGHT}; --page: #fff }}
  body {{ margin: 0; max-width: none; padding: 0 }}
  nav, figure, pre, .data {{ border-radius: 0 }}
  pre, .data {{ max-height: none; overflow: visible }}
  section, figure {{ break-inside: avoid }}
  section:has(details[open]) {{ break-inside: auto }}
  h2, section > p {{ break-after: avoid }}
  figure {{ zoom: .62; width: 1100px; border: 0; padding: 0 }} /* drawn for a screen; paper is narrower */
  .modebar, details:not([open]) {{ display: none }}
}}
"""
