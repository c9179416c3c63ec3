"""QGIS styles of the layers of a survey, stored in the GeoPackages."""

_HEAD = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>"


def _range(number: int, low: float, high: float, label: str) -> str:
    return f'<range symbol="{number}" lower="{low}" upper="{high}" label="{label}" render="true"/>'


def _symbol(number: int, colour: str, line: str, width: str) -> str:
    options = {
        "color": colour,
        "style": "solid",
        "outline_color": line,
        "outline_width": width,
        "outline_style": "solid",
    }
    listed = "".join(f'<Option type="QString" name="{key}" value="{value}"/>' for key, value in options.items())
    return (
        f'<symbol type="fill" name="{number}" alpha="1" clip_to_extent="1"><layer class="SimpleFill" enabled="1" '
        f'locked="0" pass="0"><Option type="Map">{listed}</Option></layer></symbol>'
    )


def graduated(column: str, classes: list[tuple[float, float, str, str]], line: str, width: str) -> str:
    """A style with a colour for each class of a column.

    Args:
        column: name of the column, or an expression of QGIS.
        classes: lower and upper bound, label, and colour as `r,g,b,a`.
        line: colour of outlines.
        width: of outlines, in millimetres.
    """
    ranges = "".join(_range(n, low, high, label) for n, (low, high, label, _) in enumerate(classes))
    symbols = "".join(_symbol(n, colour, line, width) for n, (*_, colour) in enumerate(classes))
    return (
        f'{_HEAD}<qgis version="3.22" styleCategories="Symbology"><renderer-v2 type="graduatedSymbol" '
        f'attr="{column}" graduatedMethod="GraduatedColor" symbollevels="0" enableorderby="0" forceraster="0">'
        f"<ranges>{ranges}</ranges><symbols>{symbols}</symbols></renderer-v2></qgis>"
    )


PLACES_STYLE = graduated(
    "confidence",
    [
        (0, 0.5, "unsure (below 0.5)", "255,159,28,120"),
        (0.5, 0.75, "fair (0.5 to 0.75)", "180,200,80,140"),
        (0.75, 1, "sure (0.75 and more)", "46,232,134,160"),
    ],
    "16,20,24,255",
    "0.1",
)
VEHICLES_STYLE = graduated("confidence", [(0, 1, "vehicle", "90,120,220,120")], "16,20,60,255", "0.1")
TAKEN_STYLE = graduated(
    "share_taken",
    [
        (0, 0.6, "below 60 % taken", "44,123,182,140"),
        (0.6, 0.75, "60 to 75 %", "171,217,233,140"),
        (0.75, 0.85, "75 to 85 %", "255,255,191,140"),
        (0.85, 0.95, "85 to 95 %", "253,174,97,140"),
        (0.95, 1, "over 95 % taken", "215,25,28,140"),
    ],
    "60,60,60,255",
    "0.3",
)
DENSITY_STYLE = graduated(
    "free_per_ha",
    [
        (0, 1, "below 1 free place per hectare", "237,248,233,140"),
        (1, 5, "1 to 5", "186,228,179,140"),
        (5, 10, "5 to 10", "116,196,118,140"),
        (10, 20, "10 to 20", "49,163,84,140"),
        (20, 10000, "20 and more", "0,109,44,140"),
    ],
    "60,60,60,255",
    "0.3",
)
BAYS_STYLE = f"""{_HEAD}<qgis version="3.22" styleCategories="Symbology"><renderer-v2 type="categorizedSymbol" \
attr="state" symbollevels="0" enableorderby="0" forceraster="0"><categories>\
<category symbol="0" value="free" label="free" render="true"/>\
<category symbol="1" value="occupied" label="occupied" render="true"/>\
<category symbol="2" value="unsure" label="unsure" render="true"/>\
<category symbol="3" value="not seen" label="not seen" render="true"/></categories><symbols>\
{_symbol(0, "46,232,134,180", "16,20,24,255", "0.1")}{_symbol(1, "215,48,39,180", "16,20,24,255", "0.1")}\
{_symbol(2, "254,224,139,180", "16,20,24,255", "0.1")}{_symbol(3, "255,255,255,80", "120,120,120,255", "0.1")}\
</symbols></renderer-v2></qgis>"""
CHANGES_STYLE = f"""{_HEAD}<qgis version="3.22" styleCategories="Symbology"><renderer-v2 type="categorizedSymbol" \
attr="change" symbollevels="0" enableorderby="0" forceraster="0"><categories>\
<category symbol="0" value="stayed" label="stayed" render="true"/>\
<category symbol="1" value="came" label="came" render="true"/>\
<category symbol="2" value="went" label="went" render="true"/>\
<category symbol="3" value="not seen" label="not seen by the other" render="true"/></categories><symbols>\
{_symbol(0, "150,150,150,120", "60,60,60,255", "0.1")}{_symbol(1, "46,232,134,180", "16,20,24,255", "0.1")}\
{_symbol(2, "215,48,39,180", "16,20,24,255", "0.1")}{_symbol(3, "255,255,255,80", "120,120,120,255", "0.1")}\
</symbols></renderer-v2></qgis>"""
