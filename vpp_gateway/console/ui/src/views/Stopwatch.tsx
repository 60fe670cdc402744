// The stopwatch of the event in force: how long it runs, when each stage was passed, and the first ten seconds.
import { clockFace, stretch, utc } from "../format";
import { t } from "../i18n";
import type { EventView } from "../model";
import { current, now } from "../store";
import { Card, Mark, Moment } from "./parts";
import { stagesOf, type Stage } from "./stages";

/** s: the fastest product asks for full delivery by then. */
const LIMIT_S = 10;
/** The track is a little longer than the limit, so that its end can be seen. */
const TRACK_S = 12;

function Face(props: { readonly event: EventView }) {
  const { event } = props;
  const started = event.stages.started_at;
  const ended = event.stages.ended_at;
  if (started === null && ended === null) {
    return <FaceText big={clockFace(Math.max(0, event.start_at - now.value))} small={t("stopwatch.until")} />;
  }
  if (ended !== null) {
    return <FaceText big={clockFace(Math.round(Math.max(0, ended - (started ?? ended))))} small={t("stopwatch.ran")} />;
  }
  const left = event.end_at === null ? t("stopwatch.open") : t("stopwatch.left", { time: clockFace(Math.max(0, event.end_at - now.value)) });
  return <FaceText big={clockFace(Math.max(0, now.value - (started ?? now.value)))} small={t("stopwatch.running")} extra={left} />;
}

function FaceText(props: { readonly big: string; readonly small: string; readonly extra?: string }) {
  return (
    <div class="face">
      <p class="face-big num">{props.big}</p>
      <p class="muted small">{props.small}</p>
      {props.extra !== undefined && <p class="small num">{props.extra}</p>}
    </div>
  );
}

function Step(props: { readonly stage: Stage }) {
  const { stage } = props;
  return (
    <li class={stage.at === null ? "step" : "step step-done"} title={stage.at === null ? "" : utc(stage.at)}>
      <span class="step-dot" aria-hidden="true" />
      <span class="step-name">{t(stage.key)}</span>
      <span class="step-took num">
        {stage.at === null ? "–" : (stage.took ?? <Moment at={stage.at} />)}
      </span>
    </li>
  );
}

function Track(props: { readonly event: EventView }) {
  const { started_at, first_setpoint_at, all_setpoints_at, reached_at } = props.event.stages;
  if (started_at === null) return null;
  const place = (at: number): string => `${Math.min(100, ((at - started_at) / TRACK_S) * 100)}%`;
  const run = Math.min(TRACK_S, (reached_at ?? now.value) - started_at);
  return (
    <div class="track-row">
      <span class="muted small">{t("stopwatch.first10")}</span>
      <div class="track" role="img" aria-label={`${t("stage.reached")}: ${reached_at === null ? "–" : stretch(reached_at - started_at)}`}>
        <span class={run > LIMIT_S ? "track-run track-late" : "track-run"} style={{ width: `${(run / TRACK_S) * 100}%` }} />
        {first_setpoint_at !== null && <span class="track-tick" style={{ left: place(first_setpoint_at) }} />}
        {all_setpoints_at !== null && <span class="track-tick" style={{ left: place(all_setpoints_at) }} />}
        {reached_at !== null && <span class="track-goal" style={{ left: place(reached_at) }} />}
        <span class="track-limit" style={{ left: `${(LIMIT_S / TRACK_S) * 100}%` }} title={t("stopwatch.limit")} />
      </div>
      <span class="small num track-limit-name">{t("stopwatch.limit")}</span>
    </div>
  );
}

export function Stopwatch() {
  const event = current.value;
  const tools = event !== null && (
    <span class="card-sub">
      <Mark mood={event.state === "active" ? "good" : "idle"} label={t(`state.${event.state}`)} />
      <strong>{event.event_id}</strong>
      <span class="muted">{t(`state.${event.state}`)}</span>
      {event.test && <span class="badge badge-test">{t("event.test")}</span>}
    </span>
  );
  return (
    <Card name="stopwatch" title={t("stopwatch")} tools={tools}>
      {event === null ? (
        <p class="empty">{t("stopwatch.none")}</p>
      ) : (
        <div class="stopwatch">
          <Face event={event} />
          <ol class="steps">
            {stagesOf(event)
              .filter((stage) => stage.key !== "stage.ended")
              .map((stage) => (
                <Step key={stage.key} stage={stage} />
              ))}
          </ol>
          <Track event={event} />
        </div>
      )}
    </Card>
  );
}
