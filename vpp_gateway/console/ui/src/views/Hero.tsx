// The one number: delivered of ordered, and whether that is good enough. Without an order: how far from the baseline.
import { digits, percent, power, unitOf } from "../format";
import { t, word } from "../i18n";
import type { EventView, PortfolioView, SiteView } from "../model";
import { ink } from "../charts/palette";
import { current, status, stream } from "../store";
import { Card, Mark } from "./parts";

const TOLERANCE = 0.1;
/** The gauge runs from 0 to this share of the order. */
const GAUGE_MAX = 1.25;
/** Without an order the gauge shows this share of the baseline to either side. */
const IDLE_MAX = 0.1;
const BAND = { left: `${((1 - TOLERANCE) / GAUGE_MAX) * 100}%`, width: `${((2 * TOLERANCE) / GAUGE_MAX) * 100}%` };

function Gauge(props: { readonly share: number }) {
  const at = `${(Math.min(Math.max(props.share, 0), GAUGE_MAX) / GAUGE_MAX) * 100}%`;
  return (
    <div
      class="gauge"
      role="meter"
      aria-label={t("achievement")}
      aria-valuenow={Math.round(props.share * 1000) / 10}
      aria-valuemin={0}
      aria-valuemax={GAUGE_MAX * 100}
    >
      <span class="gauge-band" style={BAND} />
      <span class="gauge-fill" style={{ width: at }} />
      <span class="gauge-edges" style={BAND} />
      <span class="gauge-goal" style={{ left: `${(1 / GAUGE_MAX) * 100}%` }} />
    </div>
  );
}

function Tiers(props: { readonly portfolio: PortfolioView }) {
  const tiers = Object.entries(props.portfolio.by_tier_w);
  const total = tiers.reduce((sum, [, watts]) => sum + Math.abs(watts), 0);
  return (
    <div class="tiers">
      <div class="bar" aria-hidden="true">
        {tiers.map(([name, watts], index) => (
          <span
            key={name}
            class={ink("tier", index).className}
            style={{ width: total > 0 ? `${(Math.abs(watts) / total) * 100}%` : "0" }}
          />
        ))}
      </div>
      <ul class="legend">
        {tiers.map(([name, watts], index) => (
          <li key={name}>
            <span class={`swatch ${ink("tier", index).className}`} />
            {word(`tier.${name}`, name)} <strong class="num">{power(watts)}</strong>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Delivering(props: { readonly portfolio: PortfolioView; readonly target: number }) {
  const { portfolio, target } = props;
  const unit = unitOf(target);
  const share = portfolio.regulation_w / target;
  const within = Math.abs(share - 1) <= TOLERANCE;
  const reached = current.value === null || current.value.stages.reached_at !== null;
  const verdict = within ? t("within") : reached ? t("outside") : t("reaching");
  return (
    <>
      <p class="big num">
        <span class="big-delivered" title={t("delivered")}>
          {digits(Math.abs(portfolio.regulation_w), unit)}
        </span>
        <span class="big-ordered" title={t("ordered")}>
          / {digits(Math.abs(target), unit)} {unit.name}
        </span>
        <span class="big-share" title={t("achievement")}>
          {percent(share)}
        </span>
      </p>
      <Gauge share={share} />
      <p class="verdict">
        <Mark mood={within ? "good" : reached ? "bad" : "warning"} label={verdict} />
        {verdict}
        {portfolio.shortfall_w > 0 && <strong> · {t("shortfall", { power: power(portfolio.shortfall_w) })}</strong>}
      </p>
      <Tiers portfolio={portfolio} />
    </>
  );
}

/** How far the import is from the baseline: zero in the middle, IDLE_MAX at the ends. */
function Deviation(props: { readonly share: number }) {
  const reach = Math.min(Math.abs(props.share) / IDLE_MAX, 1) * 50;
  return (
    <div
      class="gauge"
      role="meter"
      aria-label={t("idle.deviation")}
      aria-valuenow={Math.round(props.share * 1000) / 10}
      aria-valuemin={-IDLE_MAX * 100}
      aria-valuemax={IDLE_MAX * 100}
    >
      <span class="gauge-fill" style={{ left: `${props.share < 0 ? 50 - reach : 50}%`, width: `${reach}%` }} />
      <span class="gauge-goal" style={{ left: "50%" }} />
    </div>
  );
}

function Idle(props: { readonly portfolio: PortfolioView }) {
  const { portfolio } = props;
  const deviation = -portfolio.regulation_w;
  const share = portfolio.baseline_import_w === 0 ? 0 : deviation / Math.abs(portfolio.baseline_import_w);
  return (
    <>
      <p class="big num">
        <span class="big-idle">{power(deviation, true)}</span>
        <span class="big-share">{percent(share)}</span>
      </p>
      <Deviation share={share} />
      <p class="verdict">
        <Mark mood="idle" label={t("idle")} />
        {t("idle")}
        <span class="muted">· {t("idle.deviation")}</span>
      </p>
      <dl class="pairs">
        <div>
          <dt>{t("portfolio.import")}</dt>
          <dd class="num">{power(portfolio.import_w)}</dd>
        </div>
        <div>
          <dt>{t("portfolio.baseline")}</dt>
          <dd class="num">{power(portfolio.baseline_import_w)}</dd>
        </div>
      </dl>
    </>
  );
}

/** Several orders at once (one area down, another up): each on its own, since their sum says nothing. */
function Split(props: { readonly events: readonly EventView[]; readonly sites: readonly SiteView[] }) {
  return (
    <ul class="split">
      {props.events.map((event) => {
        const mine = props.sites.filter((site) => event.scope.includes(site.id));
        const delivered = mine.reduce((sum, site) => sum + (site.regulation_w ?? 0), 0);
        const unit = unitOf(event.target_regulation_w);
        const share = delivered / event.target_regulation_w;
        const within = Math.abs(share - 1) <= TOLERANCE;
        const mood = within ? "good" : event.stages.reached_at !== null ? "bad" : "warning";
        return (
          <li key={event.id}>
            <p class="split-line num">
              <span class={`badge badge-${event.direction}`} title={t(`direction.${event.direction}`)}>
                <span aria-hidden="true">{event.direction === "down" ? "▼" : "▲"}</span> {mine.map((site) => site.id).join(", ")}
              </span>
              <strong class="split-delivered">{digits(Math.abs(delivered), unit)}</strong>
              <span class="muted">
                / {digits(Math.abs(event.target_regulation_w), unit)} {unit.name}
              </span>
              <Mark mood={mood} label={within ? t("within") : t("outside")} />
              <strong>{percent(share)}</strong>
            </p>
            <Gauge share={share} />
          </li>
        );
      })}
    </ul>
  );
}

export function Hero() {
  const portfolio = status.value?.portfolio;
  const active = (status.value?.events ?? []).filter((event) => event.state === "active" && event.target_regulation_w !== 0);
  const target = portfolio?.target_regulation_w ?? null;
  const direction = target === null || active.length > 1 ? null : target >= 0 ? "down" : "up";
  const tools = direction !== null && (
    <span class={`badge badge-${direction}`}>
      <span aria-hidden="true">{direction === "down" ? "▼" : "▲"}</span> {t(`direction.${direction}`)}
    </span>
  );
  return (
    <Card name="hero" title={t("delivery")} tools={tools}>
      <div class={stream.value === "live" ? "hero" : "hero stale"}>
        {portfolio !== undefined && active.length > 1 && <Split events={active} sites={status.value?.sites ?? []} />}
        {portfolio !== undefined &&
          active.length <= 1 &&
          (target === null || target === 0 ? <Idle portfolio={portfolio} /> : <Delivering portfolio={portfolio} target={target} />)}
      </div>
    </Card>
  );
}
