// Small pieces that every view uses: a card, a state mark (shape and colour), a moment, a choice.
import type { ComponentChildren } from "preact";
import { timeOfDay, utc } from "../format";
import { word } from "../i18n";
import type { Health, LinkView } from "../model";

export type Mood = "good" | "warning" | "bad" | "idle";

export function Card(props: {
  readonly title: string;
  readonly name: string;
  readonly tools?: ComponentChildren;
  readonly children: ComponentChildren;
}) {
  const id = `title-${props.name}`;
  return (
    <section class={`card card-${props.name}`} aria-labelledby={id}>
      <header class="card-head">
        <h2 id={id}>{props.title}</h2>
        {props.tools}
      </header>
      {props.children}
    </section>
  );
}

/** A state as a shape: disc, triangle, square, ring; the colour only repeats it. */
export function Mark(props: { readonly mood: Mood; readonly label: string }) {
  return (
    <svg class={`mark mark-${props.mood}`} viewBox="0 0 12 12" role="img" aria-label={props.label}>
      <title>{props.label}</title>
      {props.mood === "good" && <circle cx="6" cy="6" r="4.5" />}
      {props.mood === "warning" && <path d="M6 0.8 11.6 11H0.4z" />}
      {props.mood === "bad" && <path d="M1.2 1.2h9.6v9.6H1.2z" />}
      {props.mood === "idle" && <circle cx="6" cy="6" r="3.8" class="ring" />}
    </svg>
  );
}

export function moodOf(health: Health | LinkView["health"]): Mood {
  if (health === "good") return "good";
  if (health === "warning" || health === "stale" || health === "refusing") return "warning";
  return "bad";
}

export function healthWord(health: string): string {
  return word(`health.${health}`, health);
}

/** A time of day whose tooltip says the same in UTC. */
export function Moment(props: { readonly at: number; readonly precision?: "minute" | "second" | "tenth" }) {
  return (
    <time dateTime={utc(props.at)} title={utc(props.at)}>
      {timeOfDay(props.at, props.precision ?? "second")}
    </time>
  );
}

/** One of a few. */
export function Choice<Value extends string | number>(props: {
  readonly label: string;
  readonly value: Value;
  readonly options: readonly (readonly [Value, string])[];
  readonly pick: (value: Value) => void;
}) {
  return (
    <div class="choice" role="group" aria-label={props.label}>
      {props.options.map(([value, text]) => (
        <button key={value} type="button" aria-pressed={value === props.value} onClick={() => props.pick(value)}>
          {text}
        </button>
      ))}
    </div>
  );
}
