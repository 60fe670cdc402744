// Regulation stacked by tier or by site, against the order.
//
// What gives and what takes are stacked apart (up from zero, down from zero): a site that draws more while another
// relieves must not hide behind it.
import uPlot from "uplot";
import type { Unit } from "../format";
import type { EventView, HistoryPoint } from "../model";
import { axes, commonUnit, drawMarks, padded, span } from "./base";
import { css, fill, type Ink } from "./palette";

export interface StackPicture {
  readonly points: readonly HistoryPoint[];
  readonly minutes: number;
  readonly events: readonly EventView[];
  readonly names: readonly string[];
  readonly inks: readonly Ink[];
  readonly by: "by_tier_w" | "by_site_w";
}

interface Layer {
  readonly low: readonly number[];
  readonly high: readonly number[];
}

/** For each name two layers: what it adds above zero, and below. */
function layers(picture: StackPicture): Layer[][] {
  let above = picture.points.map(() => 0);
  let below = picture.points.map(() => 0);
  return picture.names.map((name) => {
    const values = picture.points.map((point) => point[picture.by][name] ?? 0);
    const up = { low: above, high: above.map((edge, index) => edge + Math.max(0, values[index] ?? 0)) };
    const down = { low: below.map((edge, index) => edge + Math.min(0, values[index] ?? 0)), high: below };
    above = up.high;
    below = down.low;
    return [up, down];
  });
}

function paint(plot: uPlot, picture: StackPicture, stack: readonly (readonly Layer[])[]): void {
  const { ctx, bbox } = plot;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  const xs = picture.points.map((point) => plot.valToPos(point.at, "x", true));
  stack.forEach((pair, index) => {
    const look = picture.inks[index];
    if (look === undefined) return;
    ctx.fillStyle = fill(ctx, look);
    for (const layer of pair) outline(plot, xs, layer);
  });
  ctx.restore();
}

function outline(plot: uPlot, xs: readonly number[], layer: Layer): void {
  const { ctx } = plot;
  const y = (watts: number): number => plot.valToPos(watts, "y", true);
  ctx.beginPath();
  xs.forEach((x, index) => ctx.lineTo(x, y(layer.high[index] ?? 0)));
  for (let index = xs.length - 1; index >= 0; index--) ctx.lineTo(xs[index] ?? 0, y(layer.low[index] ?? 0));
  ctx.closePath();
  ctx.fill();
}

function extent(picture: StackPicture, stack: readonly (readonly Layer[])[]): [number, number] {
  const targets = picture.points.map((point) => point.target_regulation_w ?? 0);
  const highs = stack.at(-1)?.[0]?.high ?? [];
  const lows = stack.at(-1)?.[1]?.low ?? [];
  const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b), 0);
  const least = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b), 0);
  const low = Math.min(least(lows), least(targets));
  const high = Math.max(most(highs), most(targets));
  const [, top] = padded(low, high);
  const [bottom] = padded(low, high);
  return [low < 0 ? bottom : 0, high > 0 || low === 0 ? Math.max(top, 1000) : 0];
}

/** A chart inside `box` and the function that draws a new picture. */
export function stackChart(box: HTMLElement): { plot: uPlot; draw: (picture: StackPicture) => Unit } {
  let unit: Unit = { name: "MW", watts: 1e6 };
  let picture: StackPicture | null = null;
  let stack: Layer[][] = [];
  const plot = new uPlot(
    {
      width: box.clientWidth,
      height: box.clientHeight,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: true }, y: { range: () => (picture === null ? [0, 1] : extent(picture, stack)) } },
      axes: axes(() => unit),
      series: [{}, { stroke: () => css("--order"), width: 2.5, points: { show: false } }],
      hooks: {
        drawAxes: [(self) => picture !== null && paint(self, picture, stack)],
        draw: [(self) => drawMarks(self, picture?.events ?? [])],
      },
    },
    [[], []],
    box,
  );
  const draw = (next: StackPicture): Unit => {
    picture = next;
    stack = layers(next);
    unit = commonUnit(next.points.flatMap((point) => [point.target_regulation_w ?? 0, point.regulation_w]));
    const [min, max] = span(next.points, next.minutes);
    plot.batch(() => {
      plot.setData([next.points.map((point) => point.at), next.points.map((point) => point.target_regulation_w)], false);
      plot.setScale("x", { min, max });
    });
    return unit;
  };
  return { plot, draw };
}
