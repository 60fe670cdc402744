// Import at the grid connection: measured against baseline and order, with the band that the market allows.
import uPlot from "uplot";
import type { Unit } from "../format";
import type { EventView, HistoryPoint } from "../model";
import { axes, commonUnit, drawMarks, padded, span } from "./base";
import { css } from "./palette";

const TOLERANCE = 0.1;

export interface ImportPicture {
  readonly points: readonly HistoryPoint[];
  readonly minutes: number;
  readonly events: readonly EventView[];
}

type Column = (number | null)[];

/** at, upper edge, lower edge, order, baseline, measured: the order in which they are drawn. */
function columns(points: readonly HistoryPoint[]): [number[], Column, Column, Column, Column, Column] {
  const ordered = (point: HistoryPoint, share: number): number | null =>
    point.target_regulation_w === null
      ? null
      : point.baseline_import_w - point.target_regulation_w + share * Math.abs(point.target_regulation_w);
  return [
    points.map((point) => point.at),
    points.map((point) => ordered(point, TOLERANCE)),
    points.map((point) => ordered(point, -TOLERANCE)),
    points.map((point) => ordered(point, 0)),
    points.map((point) => point.baseline_import_w),
    points.map((point) => point.import_w),
  ];
}

/** A chart inside `box` and the function that draws a new picture. */
export function importChart(box: HTMLElement): { plot: uPlot; draw: (picture: ImportPicture) => Unit } {
  let unit: Unit = { name: "MW", watts: 1e6 };
  let events: readonly EventView[] = [];
  const edge = { stroke: "transparent", width: 0, points: { show: false } };
  const plot = new uPlot(
    {
      width: box.clientWidth,
      height: box.clientHeight,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
      scales: { x: { time: true }, y: { range: (_, low, high) => padded(low ?? 0, high ?? 1) } },
      axes: axes(() => unit),
      series: [
        {},
        edge,
        edge,
        { stroke: () => css("--order"), width: 2.5, points: { show: false } },
        { stroke: () => css("--baseline"), width: 1.5, dash: [6, 5], points: { show: false } },
        { stroke: () => css("--measured"), width: 2.25, points: { show: false } },
      ],
      bands: [{ series: [1, 2], fill: () => css("--band") }],
      hooks: { draw: [(self) => drawMarks(self, events)] },
    },
    [[], [], [], [], [], []],
    box,
  );
  const draw = (picture: ImportPicture): Unit => {
    unit = commonUnit(picture.points.map((point) => point.baseline_import_w));
    events = picture.events;
    const [min, max] = span(picture.points, picture.minutes);
    plot.batch(() => {
      plot.setData(columns(picture.points), false);
      plot.setScale("x", { min, max });
    });
    return unit;
  };
  return { plot, draw };
}
