#!/usr/bin/env python3
"""draw_types.py docs/types.md [docs/types.svg]: draws the table of types as SVG, to stdout by default.

One point per row: bits per weight to the right, SQNR upwards. The formats of 4 and of 8 bits have a panel each.
"""
import math
import sys
from xml.sax.saxutils import escape

COLORS = {"int4": "#1f6fb4", "mxfp4": "#b8430f", "nf4": "#1b7f4b", "fp4": "#8a3fa0", "int8": "#1f6fb4",
          "fp8": "#b8430f"}
WIDTH, HEIGHT, TOP, BOTTOM = 900, 420, 58, 362
CHAR, LINE = 6.3, 13  # average width and height of a 12 px sans-serif letter


def read_rows(page):
    inside, rows = False, []
    for line in page.splitlines():
        if line.startswith("<!-- types: "):
            inside = "begin" in line
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if inside and len(cells) == 7 and cells[0] in COLORS:
            rows.append({"type": cells[0], "scales": cells[1], "container": cells[2], "bits": float(cells[3]),
                         "sqnr": float(cells[4])})
    return rows


def label_of(row):
    text = row["scales"].split(" (")[0].replace(", double quantization", ", double")
    if "LLM.int8" in row["container"]:
        text += " (LLM.int8)"
    return f"{row['type']} {text}"


class Panel:
    def __init__(self, title, rows, left, right, step):
        self.title, self.rows, self.left, self.right, self.step = title, rows, left, right, step
        # Space for the labels on both sides.
        bits = [row["bits"] for row in rows]
        spread = max(bits) - min(bits)
        self.low_bits, self.high_bits = min(bits) - 0.25 * spread, max(bits) + 0.25 * spread
        self.low_db = math.floor(min(row["sqnr"] for row in rows))
        self.high_db = math.ceil(max(row["sqnr"] for row in rows) + 0.4)

    def x(self, bits):
        return self.left + (bits - self.low_bits) / (self.high_bits - self.low_bits) * (self.right - self.left)

    def y(self, db):
        return BOTTOM - (db - self.low_db) / (self.high_db - self.low_db) * (BOTTOM - TOP)

    # A position beside the point where the label overlaps neither a point nor another label.
    def label_position(self, row, taken):
        x, y, width = self.x(row["bits"]), self.y(row["sqnr"]), len(label_of(row)) * CHAR
        candidates = [(x + 9, y + 4), (x - 9 - width, y + 4), (x - width / 2, y - 10), (x - width / 2, y + 19)]
        for at_x, at_y in candidates:
            box = (at_x, at_y - LINE + 2, at_x + width, at_y + 2)
            inside = self.left <= box[0] and box[2] <= self.right
            if inside and all(box[2] < b[0] or b[2] < box[0] or box[3] < b[1] or b[3] < box[1] for b in taken):
                taken.append(box)
                return at_x, at_y
        raise ValueError(f"no space for the label of {label_of(row)}")

    def draw(self):
        lines = [f'<text x="{self.left}" y="{TOP - 12}" font-weight="bold">{escape(self.title)}</text>']
        db_step = 1 if self.high_db - self.low_db < 8 else 5
        for db in range(-(-self.low_db // db_step) * db_step, self.high_db + 1, db_step):
            y = self.y(db)
            lines.append(f'<path d="M{self.left} {y:.1f}H{self.right}" stroke="#e3e3e3"/>')
            lines.append(f'<text x="{self.left - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#555">{db}</text>')
        for tick in range(math.ceil(self.low_bits / self.step), math.floor(self.high_bits / self.step) + 1):
            x = self.x(tick * self.step)
            lines.append(f'<path d="M{x:.1f} {BOTTOM}v5" stroke="#888"/>')
            lines.append(f'<text x="{x:.1f}" y="{BOTTOM + 19}" text-anchor="middle" fill="#555">'
                         f'{tick * self.step:.2f}</text>')
        lines.append(f'<path d="M{self.left} {TOP}V{BOTTOM}H{self.right}" stroke="#888" fill="none"/>')
        middle = (self.left + self.right) / 2
        lines.append(f'<text x="{middle}" y="{BOTTOM + 40}" text-anchor="middle">bits per weight</text>')
        taken = [(self.x(r["bits"]) - 6, self.y(r["sqnr"]) - 6, self.x(r["bits"]) + 6, self.y(r["sqnr"]) + 6)
                 for r in self.rows]
        for row in self.rows:
            color = COLORS[row["type"]]
            center = f'cx="{self.x(row["bits"]):.1f}" cy="{self.y(row["sqnr"]):.1f}"'
            x, y = self.label_position(row, taken)
            lines.append(f'<circle {center} r="4.5" fill="{color}"/>')
            lines.append(f'<text x="{x:.1f}" y="{y:.1f}" fill="{color}" stroke="#fff" stroke-width="3" '
                         f'paint-order="stroke">{escape(label_of(row))}</text>')
        return lines


def draw(page):
    rows = read_rows(page)
    small, large = [r for r in rows if r["bits"] < 6], [r for r in rows if r["bits"] >= 6]
    if not small or not large:
        raise ValueError("the page has no table of types")
    panels = [Panel("4-bit types: SQNR in dB", small, 50, 560, 0.1),
              Panel("8-bit types: SQNR in dB", large, 615, 880, 0.05)]
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
             '<text x="50" y="20" font-size="14">Sample model by type and scales: '
             'higher loses less, further left is smaller</text>']
    for panel in panels:
        lines += panel.draw()
    return "\n".join(lines + ["</svg>", ""])


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        picture = draw(file.read())
    if len(sys.argv) == 2:
        sys.stdout.write(picture)
        return
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(picture)


if __name__ == "__main__":
    main()
