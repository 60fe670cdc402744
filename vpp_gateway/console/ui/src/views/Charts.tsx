// The two charts with their legends. uPlot owns the canvas; these components own the frame around it.
import { useEffect, useRef, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import type uPlot from "uplot";
import type { Unit } from "../format";
import { power, zone } from "../format";
import { either, lang, t, word } from "../i18n";
import { ink } from "../charts/palette";
import { importChart } from "../charts/import";
import { stackChart, type StackPicture } from "../charts/stack";
import { minutes, points, show, status } from "../store";
import { Card, Choice } from "./parts";

/** Counts changes of the colour scheme, so that canvases are painted anew. */
const scheme = signal(0);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (scheme.value += 1));

interface Chart<Picture> {
  readonly plot: uPlot;
  readonly draw: (picture: Picture) => Unit;
}

/** A canvas of uPlot that fills its place and draws `picture` whenever that changes. */
function Canvas<Picture>(props: {
  readonly make: (box: HTMLElement) => Chart<Picture>;
  readonly picture: Picture;
  readonly label: string;
  readonly unit: (unit: Unit) => void;
}) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<Chart<Picture> | null>(null);
  useEffect(() => {
    const place = box.current;
    if (place === null) return undefined;
    const made = props.make(place);
    chart.current = made;
    const watcher = new ResizeObserver(() => made.plot.setSize({ width: place.clientWidth, height: place.clientHeight }));
    watcher.observe(place);
    return () => {
      watcher.disconnect();
      made.plot.destroy();
      chart.current = null;
    };
  }, [scheme.value]);
  useEffect(() => {
    if (chart.current !== null) props.unit(chart.current.draw(props.picture));
  }, [props.picture, scheme.value, lang.value, zone.value]);
  return <div class="canvas" ref={box} role="img" aria-label={props.label} />;
}

function Window() {
  return (
    <Choice<number>
      label={t("chart.window")}
      value={minutes.value}
      options={[2, 10, 60].map((n) => [n, t("chart.minutes", { n })] as const)}
      pick={(n) => void show(n)}
    />
  );
}

export function ImportChart() {
  const [unit, setUnit] = useState("MW");
  const picture = { points: points.value, minutes: minutes.value, events: status.value?.events ?? [] };
  const last = points.value.at(-1);
  const order = last === undefined || last.target_regulation_w === null ? null : last.baseline_import_w - last.target_regulation_w;
  const tools = (
    <>
      <ul class="legend">
        <li>
          <span class="swatch line line-measured" />
          {t("chart.measured")} <strong class="num">{last && power(last.import_w)}</strong>
        </li>
        <li>
          <span class="swatch line line-order" />
          {t("chart.order")} <strong class="num">{order !== null && power(order)}</strong>
        </li>
        <li>
          <span class="swatch band" />
          {t("chart.band")}
        </li>
        <li>
          <span class="swatch line line-baseline" />
          {t("chart.baseline")} <strong class="num">{last && power(last.baseline_import_w)}</strong>
        </li>
      </ul>
      <Window />
    </>
  );
  return (
    <Card name="import" title={`${t("chart.import")} (${unit})`} tools={tools}>
      <Canvas make={importChart} picture={picture} label={t("chart.import.alt")} unit={(next) => setUnit(next.name)} />
    </Card>
  );
}

type By = "tier" | "site";

export function StackChart() {
  const [unit, setUnit] = useState("MW");
  const [by, setBy] = useState<By>("tier");
  const last = points.value.at(-1);
  const field = by === "tier" ? "by_tier_w" : "by_site_w";
  const names = Object.keys(last?.[field] ?? {});
  const inks = names.map((_, index) => ink(by, index));
  const picture: StackPicture = {
    points: points.value,
    minutes: minutes.value,
    events: status.value?.events ?? [],
    names,
    inks,
    by: field,
  };
  const sites = status.value?.sites ?? [];
  const called = (name: string): string => {
    if (by === "tier") return word(`tier.${name}`, name);
    const site = sites.find((one) => one.id === name);
    return site === undefined ? name : either(site.name, site.name_ja);
  };
  const tools = (
    <>
      <ul class="legend">
        {names.map((name, index) => (
          <li key={name} title={power(last?.[field][name] ?? 0)}>
            <span class={`swatch ${inks[index]?.className ?? ""}`} />
            {called(name)} {by === "tier" && <strong class="num">{power(last?.[field][name] ?? 0)}</strong>}
          </li>
        ))}
      </ul>
      <Choice<By>
        label={t("chart.by")}
        value={by}
        options={[["tier", t("chart.by.tier")], ["site", t("chart.by.site")]]}
        pick={setBy}
      />
    </>
  );
  return (
    <Card name="stack" title={`${t("chart.regulation")} (${unit})`} tools={tools}>
      <Canvas make={stackChart} picture={picture} label={t("chart.regulation.alt")} unit={(next) => setUnit(next.name)} />
    </Card>
  );
}
