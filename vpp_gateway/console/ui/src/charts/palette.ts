// Colours of the charts, taken from the style sheet so that both schemes are said there once. Every colour has a
// pattern beside it: nothing is told by hue alone.

/** Value of a CSS custom property, for instance `--measured`. */
export function css(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

export type Pattern = "solid" | "diagonal" | "dots" | "cross" | "counter" | "lines";

const PATTERNS: readonly Pattern[] = ["solid", "diagonal", "dots", "counter", "lines", "cross"];

export interface Ink {
  readonly colour: string;
  readonly pattern: Pattern;
  /** Class that paints the same in HTML. */
  readonly className: string;
}

/** Ink of the n-th tier or site. */
export function ink(kind: "tier" | "site", index: number): Ink {
  const slot = index % PATTERNS.length;
  return {
    colour: css(`--${kind}-${slot}`),
    pattern: PATTERNS[slot] ?? "solid",
    className: `ink ink-${kind}-${slot} pattern-${PATTERNS[slot] ?? "solid"}`,
  };
}

const TILE = 8;

/** A canvas fill that paints `look`. */
export function fill(context: CanvasRenderingContext2D, look: Ink): CanvasPattern | string {
  if (look.pattern === "solid") return look.colour;
  const size = TILE * Math.max(1, Math.round(devicePixelRatio));
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const brush = tile.getContext("2d");
  if (brush === null) return look.colour;
  brush.fillStyle = look.colour;
  brush.fillRect(0, 0, size, size);
  brush.strokeStyle = brush.fillStyle = css("--hatch");
  brush.lineWidth = size / 5;
  draw(brush, look.pattern, size);
  return context.createPattern(tile, "repeat") ?? look.colour;
}

function draw(brush: CanvasRenderingContext2D, pattern: Pattern, size: number): void {
  const stroke = (...ends: readonly (readonly [number, number, number, number])[]): void => {
    brush.beginPath();
    for (const [x0, y0, x1, y1] of ends) {
      brush.moveTo(x0 * size, y0 * size);
      brush.lineTo(x1 * size, y1 * size);
    }
    brush.stroke();
  };
  if (pattern === "diagonal" || pattern === "cross") {
    stroke([-0.25, 0.25, 0.25, -0.25], [-0.25, 1.25, 1.25, -0.25], [0.75, 1.25, 1.25, 0.75]);
  }
  if (pattern === "counter" || pattern === "cross") {
    stroke([-0.25, 0.75, 0.25, 1.25], [-0.25, -0.25, 1.25, 1.25], [0.75, -0.25, 1.25, 0.25]);
  }
  if (pattern === "lines") stroke([0, 0.5, 1, 0.5]);
  if (pattern === "dots") {
    brush.beginPath();
    brush.arc(size / 2, size / 2, size / 5, 0, 2 * Math.PI);
    brush.fill();
  }
}
