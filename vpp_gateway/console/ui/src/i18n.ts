// The words of the page: two catalogues with the same keys (tsc holds them together), one chosen by the operator.
import { signal } from "@preact/signals";
import en from "./i18n/en.json";
import ja from "./i18n/ja.json";

export type Key = keyof typeof en;
export type Lang = "en" | "ja";

const CATALOGUES: Record<Lang, Record<Key, string>> = { en, ja };

export const lang = signal<Lang>(remembered());

/** The text of `key` in the chosen language, with `{name}` replaced. */
export function t(key: Key, values: Readonly<Record<string, string | number>> = {}): string {
  return CATALOGUES[lang.value][key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

/** The text of a key that is put together at run time; `plain` when the catalogue has no such key. */
export function word(key: string, plain: string): string {
  return key in CATALOGUES.en ? t(key as Key) : plain;
}

/** Of what came in both languages, the one that the operator reads. */
export function either<Said>(english: Said, japanese: Said): Said {
  return lang.value === "ja" ? japanese : english;
}

export function speak(next: Lang): void {
  lang.value = next;
  localStorage.setItem("lang", next);
}

function remembered(): Lang {
  const asked = new URLSearchParams(location.search).get("lang") ?? localStorage.getItem("lang");
  if (asked === "en" || asked === "ja") return asked;
  return navigator.language.startsWith("ja") ? "ja" : "en";
}
