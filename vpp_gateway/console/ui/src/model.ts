// Written by `python -m vpp_gateway.console.typescript`. Do not edit: change vpp_gateway/console/status.py.

/** Something that somebody should look at. */
export interface AlarmView {
  /** Stable code, to be looked up in the runbook. */
  readonly code: string;
  /** info = know, warning = look today, alarm = act now, trip = the gateway has already acted. */
  readonly severity: "info" | "warning" | "alarm" | "trip";
  /** What happened, to whom, what to check, in English. */
  readonly text: string;
  /** The same in Japanese. */
  readonly text_ja: string;
  /** UTC (Unix s) since when it stands. */
  readonly since: number;
}

/** One battery as it answered last. */
export interface BatteryView {
  /** Device id, from settings. */
  readonly id: string;
  /** Judged by the site agent from age, plausibility and obedience. */
  readonly health: Health;
  /** Why it is not good, in words; empty when good. */
  readonly reason: string;
  /** The same in Japanese, as far as the words are our own. */
  readonly reason_ja: string;
  /** s since the last good reading, at `Status.at`; null = never seen. */
  readonly age_s: number | null;
  /** W leaving the battery on its AC side, by its own meter; < 0 = charging, null = not known. */
  readonly discharge_w: number | null;
  /** State of charge, 0..1, by the battery's own word; null = not known. */
  readonly soc: number | null;
  /** discharge_w last confirmed by read-back; null = local control. */
  readonly setpoint_w: number | null;
  /** True while the site agent holds the setpoint enabled with its reversion timer running. */
  readonly armed: boolean;
}

/** One event of a grid operator, newest modification. */
export interface EventView {
  /** `<room>/<event id>`, unique in this gateway. */
  readonly id: string;
  /** Northbound connection that it came by. */
  readonly room: string;
  /** The peer's identifier, text as received. */
  readonly event_id: string;
  /** The peer's modification number. */
  readonly modification: number;
  /** down = relieve the grid (下げDR), up = take more (上げDR). */
  readonly direction: "down" | "up";
  /** W ordered in the phase in force (before start: the first, after the end: the last); > 0 = down. */
  readonly target_regulation_w: number;
  /** Sites it speaks of; empty = the whole portfolio. */
  readonly scope: readonly string[];
  /** UTC (Unix s) of the first interval's start. */
  readonly start_at: number;
  /** UTC (Unix s) of the last interval's end; null = until cancelled. */
  readonly end_at: number | null;
  /** Where it stands. */
  readonly state: "pending" | "active" | "completed" | "cancelled" | "refused";
  /** Our answer; null = not answered yet. */
  readonly opt: "in" | "out" | null;
  /** Why so, in words, as told to the peer; may be empty. */
  readonly opt_reason: string;
  /** The same in Japanese; English for an event from before reasons were translated. */
  readonly opt_reason_ja: string;
  /** True when the peer marked it as a test. */
  readonly test: boolean;
  /** When each stage was passed. */
  readonly stages: StagesView;
  /** W of relief at the meters, mean since the 10th second of the event; null before it. */
  readonly delivered_regulation_w: number | null;
  /** True when that mean lies within 10 % of the order; null before the 10th second. */
  readonly within_10pct: boolean | null;
  /** W of the order that could not be placed, >= 0; null before the start. */
  readonly shortfall_w: number | null;
  /** W of relief per tier as allocated last; > 0 relieves the grid. */
  readonly by_tier_w: Readonly<Record<string, number>>;
  /** W of relief per site id as allocated last; > 0 relieves the grid. */
  readonly by_site_w: Readonly<Record<string, number>>;
  /** Sentences, English: why the order was split so; from the allocation itself. */
  readonly why: readonly string[];
  /** The same sentences in Japanese, one for one. */
  readonly why_ja: readonly string[];
}

/** Who speaks. */
export interface GatewayView {
  /** The operator's name for this gateway, from settings. */
  readonly name: string;
  /** Version of the package that runs. */
  readonly version: string;
  /** How often a centre has started on this journal; a higher one fences off a lower one. */
  readonly epoch: number;
  /** UTC (Unix s) when this process took over. */
  readonly started_at: number;
  /** True when sites, devices or the utility are simulated: nothing here is a real delivery. */
  readonly simulated: boolean;
}

/** State of a device, judged by the age and plausibility of what it says. */
export type Health = "good" | "stale" | "implausible" | "refusing" | "lost";

/** One second of the portfolio. */
export interface HistoryPoint {
  /** UTC (Unix s) of the second. */
  readonly at: number;
  /** W taken from the grid, sum of the sites' meters; < 0 = export. */
  readonly import_w: number;
  /** W that the same sites would take without any instruction, from the baseline method. */
  readonly baseline_import_w: number;
  /** W of relief ordered; > 0 = down-DR, null = nothing ordered. */
  readonly target_regulation_w: number | null;
  /** W of relief: baseline minus measured import; > 0 relieves the grid. */
  readonly regulation_w: number;
  /** W of relief per tier; > 0 relieves the grid. */
  readonly by_tier_w: Readonly<Record<string, number>>;
  /** W of relief per site id; > 0 relieves the grid. */
  readonly by_site_w: Readonly<Record<string, number>>;
}

/** Answer of `/api/v1/history` and the `history` event of the stream. */
export interface HistoryReply {
  /** Version of the published shape. */
  readonly schema_version: 1;
  /** In time order, at most 600; the first minute after each change of the order is complete. */
  readonly points: readonly HistoryPoint[];
}

/** What one site feels of an offer at full step. */
export interface LegView {
  /** Site id. */
  readonly site: string;
  /** Change of the site's import, W, by the plug-in's word; < 0 = takes less from the grid. */
  readonly import_delta_w: number;
}

/** One connection or inner organ that delivery depends on. */
export interface LinkView {
  /** The operator's name for it: northbound room, site id, plug-in, `solver`, `planner`, `journal`. */
  readonly name: string;
  /** What it is. */
  readonly kind: "openadr2" | "site" | "plugin" | "solver" | "planner" | "journal";
  /** One word of its own state machine, for instance `registered`. */
  readonly state: string;
  /** good = in service; warning = works, but look; bad = not in service. */
  readonly health: "good" | "warning" | "bad";
  /** In words: why, and what comes next. */
  readonly detail: string;
  /** The same in Japanese, as far as the words are our own. */
  readonly detail_ja: string;
  /** s since the last good exchange (planner: since the last good plan), at `Status.at`; null = none yet. */
  readonly age_s: number | null;
  /** Messages of this peer refused since start (hostile, malformed, for somebody else). */
  readonly refused_messages: number;
}

/** The meter at the grid connection point, or the check meter beside it. */
export interface MeterView {
  /** Device id, from settings. */
  readonly id: string;
  /** Judged by the site agent from age and plausibility of the readings. */
  readonly health: Health;
  /** Why it is not good, in words; empty when good. */
  readonly reason: string;
  /** The same in Japanese, as far as the words are our own. */
  readonly reason_ja: string;
  /** s since the last good reading, at `Status.at`; null = never seen. */
  readonly age_s: number | null;
  /** W taken from the grid by its own word, believed or not; < 0 = export, null = says nothing now. */
  readonly import_w: number | null;
  /** Id of the site whose agent reads it; empty = none has read it yet. */
  readonly read_by: string;
}

/** A workload shift that a plug-in promises to be able to carry out. */
export interface OfferView {
  /** The plug-in's id for it. */
  readonly id: string;
  /** cap, pause, shed, move or absorb. */
  readonly kind: string;
  /** One leg, or two for a move. */
  readonly legs: readonly LegView[];
  /** Shares (0..1] of the legs that can be called, ascending. */
  readonly steps: readonly number[];
}

/** One workload plug-in. */
export interface PluginView {
  /** Its name, from settings. */
  readonly name: string;
  /** Site id of the agent that hosts it. */
  readonly site: string;
  /** One word: for instance `ready`, `ramping`, `active`, `failed`, `gone`. */
  readonly state: string;
  /** Why it offers nothing or failed, in words; empty otherwise. */
  readonly reason: string;
  /** The same in Japanese, as far as the words are our own. */
  readonly reason_ja: string;
  /** Its offers now. */
  readonly offers: readonly OfferView[];
}

/** Sums over all sites with a trusted reading. */
export interface PortfolioView {
  /** W taken from the grid, sum of the sites' meters; < 0 = export. */
  readonly import_w: number;
  /** W that the same sites would take without any instruction, from the baseline method. */
  readonly baseline_import_w: number;
  /** W of relief now: baseline minus measured import; > 0 relieves the grid. */
  readonly regulation_w: number;
  /** W of relief ordered now by all instructions together; > 0 = down-DR, null = nothing ordered. */
  readonly target_regulation_w: number | null;
  /** W of the order that the last allocation could not place, >= 0, in the direction of the order. */
  readonly shortfall_w: number;
  /** W of relief per tier (for instance `battery`, `workload`), from battery readings and active shifts. */
  readonly by_tier_w: Readonly<Record<string, number>>;
}

/** One data centre = one grid connection point (PCC). */
export interface SiteView {
  /** Site id, from settings. */
  readonly id: string;
  /** Name in English, from settings. */
  readonly name: string;
  /** Name in Japanese, from settings. */
  readonly name_ja: string;
  /** Grid area, from settings. */
  readonly area: string;
  /** True while the site's agent is connected and fresh. */
  readonly linked: boolean;
  /** Worst of the agent's link, the meter and the batteries; a meter that the other one stands in for is a warning. */
  readonly health: Health | "warning";
  /** Which child made it so, and why; empty when good. */
  readonly reason: string;
  /** The same in Japanese, as far as the words are our own. */
  readonly reason_ja: string;
  /** s since the last message of the site's agent, at `Status.at`; null = never. */
  readonly age_s: number | null;
  /** W taken from the grid at the PCC, by the meter that is followed; < 0 = export, null = not known. */
  readonly import_w: number | null;
  /** Which meter is followed: the meter, the check meter, or none that can be believed now. */
  readonly sight: "meter" | "check" | "";
  /** True while its link is silent and its agent is taken to live and to keep its import by itself. */
  readonly alone: boolean;
  /** True when no meter hardware stands behind `import_w`. */
  readonly meter_modelled: boolean;
  /** W that the site would take without any instruction, from the baseline method; null = not known. */
  readonly baseline_import_w: number | null;
  /** W of relief now: baseline minus measured import; > 0 relieves the grid, null = not known. */
  readonly regulation_w: number | null;
  /** W of relief allocated to this site; > 0 = down-DR, null = nothing ordered. */
  readonly target_regulation_w: number | null;
  /** Contracted import at the PCC, W, from settings. */
  readonly import_max_w: number;
  /** Allowed export at the PCC, W, from settings; 0 = no reverse flow. */
  readonly export_max_w: number;
  /** W of relief per tier at this site; > 0 relieves the grid. */
  readonly by_tier_w: Readonly<Record<string, number>>;
  /** The meter at the grid connection point. */
  readonly meter: MeterView;
  /** A second meter there, read on another way; null = none. */
  readonly check_meter: MeterView | null;
  /** The site's batteries in the order of the settings. */
  readonly batteries: readonly BatteryView[];
  /** W that the site's PV gives, by the PV meter; null = no such meter, or not known. */
  readonly pv_w: number | null;
  /** The meter behind `pv_w`; null = the settings name none. */
  readonly pv_meter: MeterView | null;
}

/** The stopwatch of one event: UTC (Unix s) at which each stage was passed; null = not yet. */
export interface StagesView {
  /** The message that carried this modification arrived. */
  readonly received_at: number;
  /** The answer (opt in or out) left for the peer. */
  readonly answered_at: number | null;
  /** The first interval came into force. */
  readonly started_at: number | null;
  /** The first device acknowledged its setpoint. */
  readonly first_setpoint_at: number | null;
  /** The last device of the first order confirmed its setpoint by read-back. */
  readonly all_setpoints_at: number | null;
  /** Delivered regulation first came within 10 % of the order, at the meters. */
  readonly reached_at: number | null;
  /** The event completed, was cancelled or refused. */
  readonly ended_at: number | null;
}

/** The gateway at one moment. */
export interface Status {
  /** Version of this document's shape. */
  readonly schema_version: 1;
  /** UTC (Unix s) of this picture, by the gateway's clock; all ages are counted from here. */
  readonly at: number;
  /** Which gateway this is, and whether its world is simulated. */
  readonly gateway: GatewayView;
  /** Sums over all sites. */
  readonly portfolio: PortfolioView;
  /** In the order of the settings. */
  readonly sites: readonly SiteView[];
  /** Connections and inner organs. */
  readonly links: readonly LinkView[];
  /** Newest first; bounded to what is pending, active or recent. */
  readonly events: readonly EventView[];
  /** Workload plug-ins. */
  readonly plugins: readonly PluginView[];
  /** Standing alarms, worst first. */
  readonly alarms: readonly AlarmView[];
}
