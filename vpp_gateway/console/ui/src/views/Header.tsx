// Who speaks, is it live, what time is it; and the two choices of the reader.
import { age, keepZone, monthDay, timeOfDay, utc, zone, type Zone } from "../format";
import { lang, speak, t, type Lang } from "../i18n";
import { now, silence, status, stream } from "../store";
import { Choice, Mark, type Mood } from "./parts";

const MOODS: Record<typeof stream.value, Mood> = { connecting: "idle", live: "good", lost: "bad", closed: "bad" };

function Live() {
  const text = t(`stream.${stream.value}`);
  const heard = t("stream.heard", { age: age(silence.value) });
  return (
    <p class={`pill pill-${MOODS[stream.value]}`} role="status">
      <Mark mood={MOODS[stream.value]} label={text} />
      {text}
      {stream.value === "lost" && status.value !== null && <span class="muted"> · {heard}</span>}
    </p>
  );
}

function Clock() {
  if (status.value === null) return null;
  return (
    <time class="clock" dateTime={utc(now.value)} title={utc(now.value)}>
      <span class="muted">{monthDay(now.value)}</span> {timeOfDay(now.value)}
    </time>
  );
}

export function Header() {
  const gateway = status.value?.gateway;
  return (
    <header class="top">
      <img src="icon.svg" alt="" width="28" height="28" />
      <h1>
        {gateway?.name ?? "vpp-gateway"} <span class="muted">{t("title")}</span>
      </h1>
      {gateway !== undefined && (
        <p class="muted small" title={`epoch ${gateway.epoch}, ${utc(gateway.started_at)}`}>
          vpp-gateway {gateway.version}
        </p>
      )}
      <span class="grow" />
      <Live />
      <Clock />
      <Choice<Zone>
        label={t("zone.label")}
        value={zone.value}
        options={[["jst", t("zone.jst")], ["local", t("zone.local")]]}
        pick={keepZone}
      />
      <Choice<Lang>
        label={t("lang.label")}
        value={lang.value}
        options={[["en", "EN"], ["ja", "日本語"]]}
        pick={speak}
      />
    </header>
  );
}

export function Simulated() {
  if (status.value?.gateway.simulated !== true) return null;
  return (
    <p class="simulated" role="note">
      <strong>{t("simulated")}</strong>
      <span>{t("simulated.text")}</span>
    </p>
  );
}
