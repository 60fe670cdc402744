// Numbers and times as people read them. W and Unix seconds end here; kW, MW, JST begin here.
import { signal } from "@preact/signals";

export type Zone = "jst" | "local";

export const zone = signal<Zone>(localStorage.getItem("zone") === "local" ? "local" : "jst");

export function keepZone(next: Zone): void {
  zone.value = next;
  localStorage.setItem("zone", next);
}

export interface Unit {
  readonly name: "W" | "kW" | "MW";
  readonly watts: number;
}

const UNITS: readonly Unit[] = [
  { name: "MW", watts: 1e6 },
  { name: "kW", watts: 1e3 },
  { name: "W", watts: 1 },
];

/** The unit in which a number of that size is read best. */
export function unitOf(watts: number): Unit {
  return UNITS.find((unit) => Math.abs(watts) >= unit.watts) ?? { name: "W", watts: 1 };
}

/** Digits of a power in a given unit: three significant ones, as far as they are honest. */
export function digits(watts: number, unit: Unit): string {
  const value = watts / unit.watts;
  const size = Math.abs(value);
  const decimals = unit.name === "W" ? 0 : size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2;
  return tidy(value, decimals);
}

/** A power with its unit, for instance `9.02 MW`. */
export function power(watts: number, sign = false): string {
  const unit = unitOf(watts);
  const text = `${digits(watts, unit)} ${unit.name}`;
  return sign && watts > 0 ? `+${text}` : text;
}

export function percent(share: number, decimals = 1): string {
  return `${tidy(share * 100, decimals)} %`;
}

/** A stretch on the stopwatch: `431 ms`, `5.21 s`, `2:30`, `1:02:30`. */
export function stretch(seconds: number): string {
  const size = Math.abs(seconds);
  const sign = seconds < 0 ? "−" : "";
  if (size < 1) return `${sign}${Math.round(size * 1000)} ms`;
  if (size < 60) return `${sign}${size.toFixed(size < 10 ? 2 : 1)} s`;
  return sign + clockFace(size);
}

/** `2:30` or `1:02:30`. */
export function clockFace(seconds: number): string {
  const whole = Math.floor(seconds);
  const s = String(whole % 60).padStart(2, "0");
  const m = Math.floor(whole / 60) % 60;
  const h = Math.floor(whole / 3600);
  return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
}

/** Age of a reading: `0.4 s`, `12 s`, `3 min`. */
export function age(seconds: number): string {
  if (seconds < 9.95) return `${Math.max(0, seconds).toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

/** Time of day in the chosen zone, 24 h. */
export function timeOfDay(at: number, precision: "minute" | "second" | "tenth" = "second"): string {
  const text = iso(at);
  return text.slice(11, precision === "minute" ? 16 : precision === "second" ? 19 : 21);
}

/** Month and day in the chosen zone, `01-17`. */
export function monthDay(at: number): string {
  return iso(at).slice(5, 10);
}

/** The same moment in UTC, for tooltips and exports. */
export function utc(at: number): string {
  return new Date(at * 1000).toISOString();
}

function iso(at: number): string {
  const offsetS = zone.value === "jst" ? 9 * 3600 : -new Date(at * 1000).getTimezoneOffset() * 60;
  return new Date((at + offsetS) * 1000).toISOString();
}

function tidy(value: number, decimals: number): string {
  const text = value.toFixed(decimals);
  if (Number(text) === 0) return text.replace("-", "");
  return text.replace("-", "−");
}
