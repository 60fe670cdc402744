// What both charts share: axes that speak 24 h in the chosen zone, W as kW or MW, and the marks of the event.
import uPlot from "uplot";
import { timeOfDay, unitOf, type Unit } from "../format";
import { t } from "../i18n";
import type { EventView, HistoryPoint } from "../model";
import { css } from "./palette";

/** Least stretch of time that a chart shows, s: a young gateway's first points are not torn apart. */
const SPAN_MIN_S = 60;

export function axes(unit: () => Unit): uPlot.Axis[] {
  const common = {
    stroke: () => css("--muted"),
    font: "11px Inter, sans-serif",
    ticks: { show: false },
    grid: { stroke: () => css("--grid"), width: 1 },
  };
  return [
    {
      ...common,
      size: 20,
      gap: 4,
      space: 64,
      grid: { show: false },
      values: (_, splits, __, ___, step) => splits.map((at) => timeOfDay(at, step < 60 ? "second" : "minute")),
    },
    {
      ...common,
      size: 40,
      gap: 6,
      space: 34,
      values: (_, splits, __, ___, step) => splits.map((watts) => onAxis(watts, step, unit())),
    },
  ];
}

/** A number on the axis, with as many decimals as the distance to its neighbour asks for. */
function onAxis(watts: number, step: number, unit: Unit): string {
  const exact = (places: number): boolean => Math.abs(((step / unit.watts) * 10 ** places) % 1) < 1e-6;
  const decimals = [0, 1, 2].find(exact) ?? 3;
  return (watts / unit.watts).toFixed(decimals).replace("-", "−");
}

/** The stretch of time to draw: the chosen minutes up to the last point, less when there is less. */
export function span(points: readonly HistoryPoint[], minutes: number): [number, number] {
  const last = points.at(-1)?.at ?? 0;
  const first = points[0]?.at ?? last;
  return [Math.max(last - 60 * minutes, Math.min(first, last - SPAN_MIN_S)), last];
}

/** The unit of the largest of `watts`. */
export function commonUnit(watts: readonly number[]): Unit {
  return unitOf(watts.reduce((most, value) => Math.max(most, Math.abs(value)), 0));
}

interface Mark {
  readonly at: number;
  readonly text: string;
  /** Which side of the line the word stands on: start and reached lie close together. */
  readonly side: "left" | "right";
}

function marks(event: EventView): Mark[] {
  const { started_at, reached_at, ended_at } = event.stages;
  const found: Mark[] = [];
  if (started_at !== null) found.push({ at: started_at, text: t("chart.start"), side: "left" });
  if (reached_at !== null) found.push({ at: reached_at, text: t("chart.reached"), side: "right" });
  if (ended_at !== null && started_at !== null) found.push({ at: ended_at, text: t("chart.end"), side: "right" });
  return found;
}

/** Thin upright lines where the events began, were reached and ended; a word only where there is room. */
export function drawMarks(plot: uPlot, events: readonly EventView[]): void {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.font = `600 ${10.5 * ratio}px Inter, sans-serif`;
  ctx.fillStyle = ctx.strokeStyle = css("--mark");
  ctx.lineWidth = ratio;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  for (const mark of events.flatMap(marks)) {
    const x = Math.round(plot.valToPos(mark.at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.setLineDash([3 * ratio, 3 * ratio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const width = ctx.measureText(mark.text).width;
    const left = mark.side === "left" ? x - width - 4 * ratio : x + 4 * ratio;
    if (left >= bbox.left && left + width <= bbox.left + bbox.width) {
      ctx.fillText(mark.text, left, bbox.top + 10 * ratio);
    }
  }
  ctx.restore();
}

/** `low`..`high` with air around it; zero stays in sight when it is near. */
export function padded(low: number, high: number): [number, number] {
  if (!Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  const air = Math.max((high - low) * 0.12, Math.abs(high) * 0.01, 1);
  return [low - air, high + air];
}
