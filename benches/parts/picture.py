"""docs/benchmarks.svg: latency and CPU per statement, bars by target, drawn by hand."""

from . import MODES, in_order

WIDTH, LABELS, BAR, GAP, TOP = 1216, 334, 15, 16, 96
COLOURS = {"simple": "#8fb3d9", "extended": "#4c86c0", "prepared": "#1d4f86"}
OURS = {"simple": "#f2b48a", "extended": "#e07b39", "prepared": "#a84a10"}


def picture(found, clients="16"):
    """The SVG of one number of clients."""
    names = in_order(key.split("/", 2)[2] for key in found if key.startswith(f"{clients}/"))
    modes = [mode for mode in MODES if f"{clients}/{mode}/direct" in found]
    group = len(modes) * BAR + GAP
    height = TOP + len(names) * group + 56
    panel = (WIDTH - LABELS - 40) / 2 - 30
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="Helvetica, Arial, sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="24" y="34" font-size="19" font-weight="bold" fill="#222">Reading one row, {clients} clients</text>',
    ]
    x = 24
    for mode in modes:
        out.append(f'<rect x="{x}" y="48" width="12" height="12" fill="{COLOURS[mode]}"/><rect x="{x + 14}" y="48" width="12" height="12" fill="{OURS[mode]}"/>')
        out.append(f'<text x="{x + 32}" y="58" font-size="12" fill="#444">{mode}</text>')
        x += 110
    panels = (("latency, ms (less is better)", "ms", 3), ("CPU per statement, µs: proxy + PostgreSQL (grey)", "proxy", 1))
    for number, (title, field, digits) in enumerate(panels):
        left = LABELS + number * (panel + 60)
        values = [one[field] + (one["server"] if field == "proxy" else 0) for key, one in found.items() if key.startswith(f"{clients}/")]
        scale = panel / (1.14 * max(values))
        out.append(f'<text x="{left}" y="{TOP - 16}" font-size="13" font-weight="bold" fill="#333">{title}</text>')
        out += grid(left, panel, scale, height)
        for row, name in enumerate(names):
            top = TOP + row * group
            if number == 0:
                weight = ' font-weight="bold"' if name.startswith("pgusher") else ""
                out.append(f'<text x="{LABELS - 12}" y="{top + len(modes) * BAR / 2 + 5}" font-size="13" text-anchor="end" fill="#222"{weight}>{name}</text>')
            for place, mode in enumerate(modes):
                out += bar(found.get(f"{clients}/{mode}/{name}"), field, digits, left, top + place * BAR, scale, (OURS if name.startswith("pgusher") else COLOURS)[mode])
    out.append("</svg>")
    return "\n".join(out) + "\n"


def bar(one, field, digits, left, y, scale, colour):
    if one is None:
        return [f'<text x="{left + 4}" y="{y + BAR - 4}" font-size="10" fill="#999">not supported</text>']
    value = one[field]
    out, end = [], left
    if value > 0:
        out.append(f'<rect x="{left}" y="{y + 1}" width="{value * scale:.1f}" height="{BAR - 2}" fill="{colour}"/>')
        end += value * scale
    text = f"{value:.{digits}f}"
    if field == "proxy":
        out.append(f'<rect x="{end:.1f}" y="{y + 1}" width="{one["server"] * scale:.1f}" height="{BAR - 2}" fill="#dcdcdc"/>')
        end += one["server"] * scale
        text = f"{value:.1f} + {one['server']:.0f}" if value > 0 else f"{one['server']:.0f}"
    out.append(f'<text x="{end + 5:.1f}" y="{y + BAR - 4}" font-size="10.5" fill="#333">{text}</text>')
    return out


def grid(left, panel, scale, height):
    """Lines at round values."""
    whole = panel / scale
    step = next(s for s in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if whole / s <= 7)
    out, number = [], 0
    while number * step <= whole:
        x = left + number * step * scale
        out.append(f'<line x1="{x:.1f}" y1="{TOP - 6}" x2="{x:.1f}" y2="{height - 44}" stroke="#e6e6e6"/>')
        out.append(f'<text x="{x:.1f}" y="{height - 28}" font-size="10.5" text-anchor="middle" fill="#777">{number * step:g}</text>')
        number += 1
    return out
