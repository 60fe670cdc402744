// Sites and their devices: state, power, order, and the age of every reading. What is older than 3 s turns grey.
import { Fragment } from "preact";
import { age, percent, power } from "../format";
import { either, t, word } from "../i18n";
import type { BatteryView, MeterView, SiteView } from "../model";
import { ink } from "../charts/palette";
import { ageNow, isFresh, status } from "../store";
import { Card, healthWord, Mark, moodOf } from "./parts";

const fresh = (ageS: number | null): string => (isFresh(ageS) ? "" : "stale");

function Age(props: { readonly ageS: number | null }) {
  const aged = ageNow(props.ageS);
  return <td class={`num right ${fresh(props.ageS)}`}>{aged === null ? t("age.never") : age(aged)}</td>;
}

function State(props: { readonly health: SiteView["health"]; readonly reason: string }) {
  return (
    <td title={props.reason}>
      <span class="state">
        <Mark mood={moodOf(props.health)} label={healthWord(props.health)} />
        {healthWord(props.health)}
      </span>
    </td>
  );
}

function TierBar(props: { readonly site: SiteView }) {
  const tiers = Object.entries(props.site.by_tier_w);
  const scale = Math.max(
    Math.abs(props.site.target_regulation_w ?? 0),
    tiers.reduce((sum, [, watts]) => sum + Math.abs(watts), 0),
    1,
  );
  const text = tiers.map(([name, watts]) => `${word(`tier.${name}`, name)} ${power(watts)}`).join("\n");
  return (
    <div class="bar" role="img" aria-label={text} title={text}>
      {tiers.map(([name, watts], index) => (
        <span key={name} class={ink("tier", index).className} style={{ width: `${(Math.abs(watts) / scale) * 100}%` }} />
      ))}
    </div>
  );
}

function Soc(props: { readonly soc: number | null }) {
  if (props.soc === null) return <span class="muted">–</span>;
  return (
    <div class="soc" role="meter" aria-label={t("soc")} aria-valuenow={Math.round(props.soc * 100)} aria-valuemin={0} aria-valuemax={100}>
      <span class="soc-box">
        <span class={props.soc < 0.2 ? "soc-fill soc-low" : "soc-fill"} style={{ width: `${props.soc * 100}%` }} />
      </span>
      <span class="num">{percent(props.soc, 0)}</span>
    </div>
  );
}

function SiteRow(props: { readonly site: SiteView }) {
  const { site } = props;
  const followed = site.sight === "check" && site.check_meter !== null ? site.check_meter : site.meter;
  const stale = fresh(followed.age_s);
  const reason = either(site.reason, site.reason_ja);
  return (
    <tr class="site-row">
      <th scope="rowgroup">
        {either(site.name, site.name_ja)}
        <span class="muted small"> {site.meter.id}</span>
        {site.meter_modelled && <span class="badge badge-test" title={t("modelled")}>~</span>}
        {site.sight === "check" && <span class="badge badge-test" title={t("sight.check.why")}>{t("sight.check")}</span>}
        {site.alone && <span class="badge badge-test" title={t("site.alone.why")}>{t("site.alone")}</span>}
      </th>
      <State health={site.health} reason={site.linked ? reason : `${t("unlinked")}: ${reason}`} />
      <td class={`num right ${stale}`} title={t("site.import")}>
        {site.import_w === null ? "–" : power(site.import_w)}
      </td>
      <td class="num right" title={t("chart.regulation")}>
        {site.regulation_w === null || site.target_regulation_w === null ? (
          <span class="muted">–</span>
        ) : (
          <>
            <span class="arrow" aria-hidden="true">{site.target_regulation_w >= 0 ? "▼" : "▲"}</span>
            {power(Math.abs(site.target_regulation_w))}
          </>
        )}
      </td>
      <td>
        <TierBar site={site} />
      </td>
      <Age ageS={followed.age_s} />
    </tr>
  );
}

/** The second meter: what it says itself, whether or not it is followed, and the site whose agent reads it. */
function CheckMeterRow(props: { readonly meter: MeterView; readonly followed: boolean }) {
  const { meter } = props;
  return (
    <tr class="device-row">
      <th scope="row">
        <span class={props.followed ? "armed" : "armed armed-off"} title={t(props.followed ? "sight.check.why" : "check.idle")} />
        {meter.id}
        <span class="muted small"> {t("check.meter")}</span>
      </th>
      <State health={meter.health} reason={either(meter.reason, meter.reason_ja)} />
      <td class={`num right ${fresh(meter.age_s)}`} title={t("site.import")}>
        {meter.import_w === null ? "–" : power(meter.import_w)}
      </td>
      <td />
      <td class="muted small">{meter.read_by === "" ? "" : t("check.read_by", { site: meter.read_by })}</td>
      <Age ageS={meter.age_s} />
    </tr>
  );
}

function BatteryRow(props: { readonly battery: BatteryView }) {
  const { battery } = props;
  const stale = fresh(battery.age_s);
  return (
    <tr class="device-row">
      <th scope="row">
        <span class={battery.armed ? "armed" : "armed armed-off"} title={t(battery.armed ? "battery.armed" : "battery.idle")} />
        {battery.id}
      </th>
      <State health={battery.health} reason={either(battery.reason, battery.reason_ja)} />
      <td class={`num right ${stale}`} title={t("battery.discharge")}>
        {battery.discharge_w === null ? "–" : power(battery.discharge_w)}
      </td>
      <td class="num right">
        {battery.setpoint_w === null ? <span class="muted">{t("battery.local")}</span> : power(battery.setpoint_w)}
      </td>
      <td class={stale}>
        <Soc soc={battery.soc} />
      </td>
      <Age ageS={battery.age_s} />
    </tr>
  );
}

export function Sites() {
  const sites = status.value?.sites ?? [];
  return (
    <Card name="sites" title={t("sites")}>
      <div class="scroll" tabIndex={0} role="region" aria-label={t("sites")}>
        <table>
          <thead>
            <tr>
              <th scope="col">{t("column.device")}</th>
              <th scope="col">{t("column.state")}</th>
              <th scope="col" class="right">{t("column.power")}</th>
              <th scope="col" class="right">{t("column.order")}</th>
              <th scope="col">{t("column.share")}</th>
              <th scope="col" class="right">{t("column.age")}</th>
            </tr>
          </thead>
          {sites.map((site) => (
            <tbody key={site.id}>
              <Fragment>
                <SiteRow site={site} />
                {site.check_meter !== null && <CheckMeterRow meter={site.check_meter} followed={site.sight === "check"} />}
                {site.batteries.map((battery) => (
                  <BatteryRow key={battery.id} battery={battery} />
                ))}
              </Fragment>
            </tbody>
          ))}
        </table>
      </div>
    </Card>
  );
}
