"""How pictures look: colours by role, and the style sheet made of them.

Every colour is a custom property, ``--nbflow-ROLE``, so that a page can set it (the panel sets JupyterLab's colours).
Without a page, as in an ``<img>``, the values below hold, light or dark as the reader's system is. Each declaration
is written twice, first with the plain colour: some renderers know no custom properties.
"""

from collections.abc import Mapping
from typing import Final

LIGHT: Final = {
    "canvas": "#fbfbfd",
    "box": "#ffffff",
    "frame": "#f4f5f9",
    "border": "#d5d8e0",
    "text": "#1f2430",
    "muted": "#687083",
    "line": "#9aa2b4",
    "work": "#4f63d9",
    "way": "#8a4fd0",
    "running": "#2f6fed",
    "running-tint": "#edf3ff",
    "succeeded": "#1f9d61",
    "succeeded-tint": "#effaf4",
    "failed": "#d93a4a",
    "failed-tint": "#fdf0f1",
    "caught": "#c47f0c",
    "caught-tint": "#fdf6e7",
    "aborted": "#7d8496",
    "aborted-tint": "#f1f2f5",
}
"""What each role's colour is on a light page."""

DARK: Final = {
    "canvas": "#15181f",
    "box": "#20242e",
    "frame": "#1a1e26",
    "border": "#3a4150",
    "text": "#e8eaf0",
    "muted": "#98a1b5",
    "line": "#6a7389",
    "work": "#8fa0ff",
    "way": "#c08cff",
    "running": "#6ea0ff",
    "running-tint": "#1d2a45",
    "succeeded": "#45c486",
    "succeeded-tint": "#183128",
    "failed": "#ff6b78",
    "failed-tint": "#3a2027",
    "caught": "#e9b04a",
    "caught-tint": "#352b19",
    "aborted": "#8d95a8",
    "aborted-tint": "#262a34",
}
"""The same on a dark page."""

ROLES: Final = {
    "RUNNING": "running",
    "RETRYING": "caught",
    "SUCCEEDED": "succeeded",
    "FAILED": "failed",
    "CAUGHT": "caught",
    "ABORTED": "aborted",
}
"""The colour of each status of a state."""

_RULES: Final[tuple[tuple[str, dict[str, str]], ...]] = (
    (".nbflow-canvas", {"fill": "canvas"}),
    (".nbflow-box", {"fill": "box", "stroke": "border"}),
    (".nbflow-frame", {"fill": "frame", "stroke": "border"}),
    (".nbflow-sheet", {"fill": "box", "stroke": "border"}),
    (".nbflow-bar-back", {"fill": "border"}),
    (".nbflow-bar", {"fill": "running"}),
    (".nbflow-title", {"fill": "text"}),
    (".nbflow-kind,.nbflow-note", {"fill": "muted"}),
    (".nbflow-icon", {"stroke": "muted"}),
    (".nbflow-icon.nbflow-Task", {"stroke": "work"}),
    (".nbflow-icon.nbflow-Choice,.nbflow-icon.nbflow-Map,.nbflow-icon.nbflow-Parallel", {"stroke": "way"}),
    (".nbflow-icon.nbflow-Succeed", {"stroke": "succeeded"}),
    (".nbflow-icon.nbflow-Fail", {"stroke": "failed"}),
    (".nbflow-mark", {"stroke": "canvas"}),
    (".nbflow-edge", {"stroke": "line"}),
    (".nbflow-head,.nbflow-dot", {"fill": "line"}),
    (".nbflow-ring", {"fill": "canvas", "stroke": "line"}),
    (".nbflow-label", {"fill": "muted"}),
    (".nbflow-edge.nbflow-taken", {"stroke": "muted"}),
    (".nbflow-head.nbflow-taken", {"fill": "muted"}),
    *(
        rule
        for status, role in ROLES.items()
        for rule in (
            (f".nbflow-{status}>.nbflow-box", {"fill": f"{role}-tint", "stroke": role}),
            (f".nbflow-{status}>.nbflow-frame,.nbflow-{status}>.nbflow-sheet", {"stroke": role}),
            (f".nbflow-{status}>.nbflow-side,.nbflow-{status}>.nbflow-badge", {"fill": role}),
            (f".nbflow-{status}>.nbflow-bar", {"fill": role}),
        )
    ),
)

_SHAPES: Final = """\
.nbflow-svg text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue","Noto Sans",Arial,sans-serif}
.nbflow-title{font-size:13px;font-weight:600}
.nbflow-kind,.nbflow-note,.nbflow-label{font-size:11px}
.nbflow-note{font-variant-numeric:tabular-nums}
.nbflow-icon,.nbflow-mark{fill:none;stroke-width:1.5;stroke-linecap:round;stroke-linejoin:round}
.nbflow-mark{stroke-width:1.8}
.nbflow-box,.nbflow-frame,.nbflow-sheet,.nbflow-ring{stroke-width:1}
.nbflow-edge{fill:none;stroke-width:1.5}
.nbflow-edge.nbflow-catch{stroke-dasharray:4 4}
.nbflow-edge.nbflow-taken{stroke-width:2}
.nbflow-side{fill:none}
.nbflow-badge,.nbflow-mark,.nbflow-bar-back{display:none}
.nbflow-run .nbflow-bar-back{display:inline}
.nbflow-bar-back{opacity:.6}
@keyframes nbflow-breathe{50%{opacity:.45}}
@media (prefers-reduced-motion:no-preference){
.nbflow-RUNNING>.nbflow-badge{animation:nbflow-breathe 1.6s ease-in-out infinite}}
"""


def style() -> str:
    """The style sheet that goes into every picture."""
    shown = ",".join(
        f".nbflow-{status}>.nbflow-badge,.nbflow-{status}>.nbflow-mark-{status}" for status in ROLES
    )
    pale = "".join(f":not(.nbflow-{status})" for status in ROLES)
    return (
        f"{_SHAPES}.nbflow-run .nbflow-state{pale}{{opacity:.6}}\n{shown}{{display:inline}}\n{_colours(LIGHT)}\n"
        f"@media (prefers-color-scheme:dark){{{_colours(DARK)}}}"
    )


def _colours(palette: Mapping[str, str]) -> str:
    return "".join(f"{names}{{{_declared(rule, palette)}}}" for names, rule in _RULES)


def _declared(rule: Mapping[str, str], palette: Mapping[str, str]) -> str:
    return ";".join(
        f"{name}:{palette[role]};{name}:var(--nbflow-{role},{palette[role]})" for name, role in rule.items()
    )
