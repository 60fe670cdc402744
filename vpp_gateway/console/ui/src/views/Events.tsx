// The events, newest first: what was asked, how fast each stage was passed, what was delivered, and why it was split so.
import { useState } from "preact/hooks";
import { monthDay, percent, power, utc } from "../format";
import { either, t } from "../i18n";
import type { EventView } from "../model";
import { current, status } from "../store";
import { Card, Mark, Moment, type Mood } from "./parts";
import { stagesOf } from "./stages";

const MOODS: Record<EventView["state"], Mood> = {
  pending: "idle",
  active: "good",
  completed: "good",
  cancelled: "idle",
  refused: "bad",
};

function Result(props: { readonly event: EventView }) {
  const { delivered_regulation_w: delivered, target_regulation_w: target, within_10pct: within } = props.event;
  if (delivered === null || within === null) return <span class="muted">–</span>;
  return (
    <span class="result" title={`${t("event.mean")} ${power(delivered)}`}>
      <Mark mood={within ? "good" : "bad"} label={within ? t("within") : t("outside")} />
      <strong class="num">{percent(target === 0 ? 0 : delivered / target)}</strong>
    </span>
  );
}

function Chips(props: { readonly event: EventView }) {
  return (
    <ul class="chips">
      {stagesOf(props.event)
        .filter((stage) => stage.at !== null)
        .map((stage) => (
          <li key={stage.key} title={stage.at === null ? "" : utc(stage.at)}>
            <span class="muted">{t(stage.key)}</span>{" "}
            <strong class="num">{stage.took ?? (stage.at !== null && <Moment at={stage.at} />)}</strong>
          </li>
        ))}
    </ul>
  );
}

function Why(props: { readonly event: EventView }) {
  const sentences = either(props.event.why, props.event.why_ja);
  if (sentences.length === 0) return null;
  return (
    <ul class="why" aria-label={t("event.why")}>
      {sentences.map((sentence) => (
        <li key={sentence}>{sentence}</li>
      ))}
    </ul>
  );
}

function About(props: { readonly event: EventView }) {
  const { event } = props;
  const scope = event.scope.length === 0 ? t("event.portfolio") : event.scope.join(", ");
  const reason = either(event.opt_reason, event.opt_reason_ja);
  const opt = event.opt === null ? "" : [t(`opt.${event.opt}`), reason].filter((text) => text !== "").join(": ");
  return (
    <div class="about">
      <p class="muted small">{[scope, opt, t("event.modification", { n: event.modification })].filter((text) => text !== "").join(" · ")}</p>
      <Chips event={event} />
      <Why event={event} />
    </div>
  );
}

function Row(props: { readonly event: EventView; readonly open: boolean; readonly toggle: () => void }) {
  const { event } = props;
  const arrow = event.direction === "down" ? "▼" : "▲";
  return (
    <li class={props.open ? "event event-open" : "event"}>
      <button type="button" class="event-head" aria-expanded={props.open} onClick={props.toggle}>
        <Mark mood={MOODS[event.state]} label={t(`state.${event.state}`)} />
        <span class="event-state">{t(`state.${event.state}`)}</span>
        <span class={`event-order badge-${event.direction}`} title={t(`direction.${event.direction}`)}>
          <span aria-hidden="true">{arrow}</span> <strong class="num">{power(Math.abs(event.target_regulation_w))}</strong>
        </span>
        <span class="event-time num">
          <span class="muted">{monthDay(event.start_at)}</span> <Moment at={event.start_at} precision="minute" />–
          {event.end_at === null ? t("event.until_cancelled") : <Moment at={event.end_at} precision="minute" />}
        </span>
        <span class="event-id muted">{event.event_id}</span>
        {event.test && <span class="badge badge-test">{t("event.test")}</span>}
        <span class="grow" />
        <Result event={event} />
        <span class="chevron" aria-hidden="true" />
      </button>
      {props.open && <About event={event} />}
    </li>
  );
}

export function Events() {
  const [chosen, choose] = useState<string | null>(null);
  const events = status.value?.events ?? [];
  const open = chosen ?? current.value?.id ?? "";
  return (
    <Card name="events" title={t("events")}>
      {events.length === 0 ? (
        <p class="empty">{t("events.none")}</p>
      ) : (
        <ul class="events scroll" tabIndex={0} aria-label={t("events")}>
          {events.map((event) => (
            <Row key={event.id} event={event} open={event.id === open} toggle={() => choose(event.id === open ? "" : event.id)} />
          ))}
        </ul>
      )}
    </Card>
  );
}
