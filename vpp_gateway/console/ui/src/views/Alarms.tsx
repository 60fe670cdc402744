// Standing alarms, worst first, each with what to check.
import { either, t } from "../i18n";
import type { AlarmView } from "../model";
import { status } from "../store";
import { Card, Mark, Moment, type Mood } from "./parts";

const MOODS: Record<AlarmView["severity"], Mood> = { trip: "bad", alarm: "bad", warning: "warning", info: "idle" };

export function Alarms() {
  const alarms = status.value?.alarms ?? [];
  return (
    <Card
      name="alarms"
      title={t("alarms")}
      tools={alarms.length > 0 && <span class="badge badge-count num">{alarms.length}</span>}
    >
      {alarms.length === 0 ? (
        <p class="empty">
          <Mark mood="good" label={t("health.good")} /> {t("alarms.none")}
        </p>
      ) : (
        <ul class="alarms scroll" tabIndex={0} aria-label={t("alarms")}>
          {alarms.map((alarm) => (
            <li key={`${alarm.code}/${alarm.since}`} class={`alarm alarm-${MOODS[alarm.severity]}`}>
              <Mark mood={MOODS[alarm.severity]} label={t(`severity.${alarm.severity}`)} />
              <div>
                <p class="alarm-head">
                  <strong>{t(`severity.${alarm.severity}`)}</strong> <code>{alarm.code}</code>{" "}
                  <span class="muted num">
                    <Moment at={alarm.since} precision="minute" />
                  </span>
                </p>
                <p>{either(alarm.text, alarm.text_ja)}</p>
              </div>
            </li>
          ))}
        </ul>
      )}
    </Card>
  );
}
