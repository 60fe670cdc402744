// The strip of everything that delivery depends on, one group per kind, each member with the age of its last word.
import { age } from "../format";
import { either, t, word } from "../i18n";
import type { LinkView } from "../model";
import { ageNow, status } from "../store";
import { healthWord, Mark, moodOf } from "./parts";

const KINDS: readonly LinkView["kind"][] = ["openadr2", "site", "plugin", "solver", "planner", "journal"];
const BADNESS: readonly LinkView["health"][] = ["good", "warning", "bad"];

const stateOf = (link: LinkView): string => word(`linkstate.${link.state}`, link.state);

function tooltip(link: LinkView): string {
  const refused = link.refused_messages > 0 ? [t("link.refused", { n: link.refused_messages })] : [];
  return [`${stateOf(link)}: ${either(link.detail, link.detail_ja)}`, ...refused].join("\n");
}

function Link(props: { readonly link: LinkView }) {
  const { link } = props;
  const aged = ageNow(link.age_s);
  // Solver, planner and journal are alone in their kind: their state says more than their name.
  const organ = link.kind === "solver" || link.kind === "planner" || link.kind === "journal";
  return (
    <li class="link" title={tooltip(link)}>
      <Mark mood={moodOf(link.health)} label={healthWord(link.health)} />
      <strong>{organ ? stateOf(link) : link.name}</strong>
      {!organ && link.health !== "good" && <span>{stateOf(link)}</span>}
      {aged !== null && <span class="muted num">{age(aged)}</span>}
    </li>
  );
}

function Kind(props: { readonly kind: LinkView["kind"]; readonly links: readonly LinkView[] }) {
  const worst = BADNESS[Math.max(...props.links.map((link) => BADNESS.indexOf(link.health)))] ?? "bad";
  return (
    <li class={`kind kind-${worst}`}>
      <span class="muted">{t(`kind.${props.kind}`)}</span>
      <ul>
        {props.links.map((link) => (
          <Link key={link.name} link={link} />
        ))}
      </ul>
    </li>
  );
}

export function Links() {
  const links = status.value?.links ?? [];
  return (
    <section class="links" aria-label={t("links")}>
      <ul>
        {KINDS.map((kind) => ({ kind, members: links.filter((link) => link.kind === kind) }))
          .filter(({ members }) => members.length > 0)
          .map(({ kind, members }) => (
            <Kind key={kind} kind={kind} links={members} />
          ))}
      </ul>
    </section>
  );
}
