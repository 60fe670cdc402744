// What the page knows: the last picture, the last points, and how long ago it heard them.
//
//   EventSource --status--> status, clock offset        a lost stream leaves the last picture; its ages go on
//               --point---> points (at most an hour)    growing, so every number turns grey by itself
//               --history-> points (first, and after a gap)
import { computed, signal } from "@preact/signals";
import type { EventView, HistoryPoint, HistoryReply, Status } from "./model";

export type StreamState = "connecting" | "live" | "lost" | "closed";

/** s: a reading older than this is grey. */
export const FRESH_S = 3;
const POINTS_MAX = 1200;
const SILENCE_S = 4;
const RETRY_MS = 3000;

export const status = signal<Status | null>(null);
export const points = signal<readonly HistoryPoint[]>([]);
export const stream = signal<StreamState>("connecting");
/** Minutes that the charts show. */
export const minutes = signal<number>(10);
/** s since some start, by the browser's monotonic clock; moves ten times a second. */
export const ticking = signal<number>(performance.now() / 1000);

const heardAt = signal<number>(performance.now() / 1000);

/** s since the last picture came. */
export const silence = computed(() => Math.max(0, ticking.value - heardAt.value));

/** UTC (Unix s) by the gateway's clock. */
export const now = computed(() => (status.value === null ? 0 : status.value.at + silence.value));

/** The event that the stopwatch shows: the one in force, else the next, else the last. */
export const current = computed<EventView | null>(() => {
  const events = status.value?.events ?? [];
  const pending = events.filter((event) => event.state === "pending").sort((a, b) => a.start_at - b.start_at);
  return events.find((event) => event.state === "active") ?? pending[0] ?? events[0] ?? null;
});

/** Age of a reading now: what the gateway said, plus how long ago it said so. */
export function ageNow(ageS: number | null): number | null {
  return ageS === null ? null : ageS + silence.value;
}

export function isFresh(ageS: number | null): boolean {
  const aged = ageNow(ageS);
  return aged !== null && aged <= FRESH_S;
}

/** Show another stretch of time: ask anew, so that a short one is not drawn from thinned-out points. */
export async function show(next: number): Promise<void> {
  minutes.value = next;
  const answer = await fetch(`api/v1/history?since=-${next * 60}`);
  if (answer.ok && minutes.value === next) points.value = ((await answer.json()) as HistoryReply).points;
}

/** Listen for ever. */
export function listen(): void {
  connect();
  window.setInterval(() => {
    ticking.value = performance.now() / 1000;
    if (stream.value === "live" && silence.value > SILENCE_S) stream.value = "lost";
  }, 100);
}

function connect(): void {
  const source = new EventSource(`api/v1/stream?since=-${minutes.value * 60}`);
  source.addEventListener("status", (message) => {
    status.value = JSON.parse(message.data as string) as Status;
    heardAt.value = performance.now() / 1000;
    ticking.value = heardAt.value;
    stream.value = "live";
  });
  source.addEventListener("point", (message) => append([JSON.parse(message.data as string) as HistoryPoint]));
  source.addEventListener("history", (message) => append((JSON.parse(message.data as string) as HistoryReply).points));
  source.addEventListener("error", () => {
    stream.value = "lost";
    // Refused (not merely cut): the browser gives up, so it is ours to find out why and to dial again.
    if (source.readyState === EventSource.CLOSED) void redial();
  });
}

async function redial(): Promise<void> {
  try {
    const answer = await fetch("api/v1/status");
    if (answer.status === 401) {
      stream.value = "closed";
      return;
    }
  } catch {
    stream.value = "lost";
  }
  window.setTimeout(connect, RETRY_MS);
}

function append(more: readonly HistoryPoint[]): void {
  const last = points.value.at(-1)?.at ?? -Infinity;
  const since = (more.at(-1)?.at ?? last) - 60 * minutes.value - 60;
  const joined = [...points.value, ...more.filter((point) => point.at > last)];
  points.value = joined.filter((point) => point.at >= since);
  if (points.value.length > POINTS_MAX) void show(minutes.value);
}
