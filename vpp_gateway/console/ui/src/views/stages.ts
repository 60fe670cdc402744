// The stages of an event as the stopwatch tells them. Before the start time runs from the receipt; after it, from the
// start: "answered +87 ms", "reached 5.21 s".
import { stretch } from "../format";
import type { Key } from "../i18n";
import type { EventView, StagesView } from "../model";

export interface Stage {
  readonly key: Key;
  readonly at: number | null;
  /** What to show beside it: a stretch, or null where the time of day says it. */
  readonly took: string | null;
}

const after = (at: number | null, from: number | null): string | null =>
  at === null || from === null ? null : stretch(at - from);

export function stagesOf(event: EventView): Stage[] {
  const s: StagesView = event.stages;
  return [
    { key: "stage.received", at: s.received_at, took: null },
    { key: "stage.answered", at: s.answered_at, took: after(s.answered_at, s.received_at) },
    { key: "stage.started", at: s.started_at, took: null },
    { key: "stage.first_setpoint", at: s.first_setpoint_at, took: after(s.first_setpoint_at, s.started_at) },
    { key: "stage.all_setpoints", at: s.all_setpoints_at, took: after(s.all_setpoints_at, s.started_at) },
    { key: "stage.reached", at: s.reached_at, took: after(s.reached_at, s.started_at) },
    { key: "stage.ended", at: s.ended_at, took: null },
  ];
}
