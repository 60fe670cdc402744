// The page "Now": one look, no scroll at 1440 x 900.
import { render } from "preact";
import { useEffect } from "preact/hooks";
import "uplot/dist/uPlot.min.css";
import "./app.css";
import { lang, t } from "./i18n";
import { listen, status } from "./store";
import { Alarms } from "./views/Alarms";
import { ImportChart, StackChart } from "./views/Charts";
import { Events } from "./views/Events";
import { Header, Simulated } from "./views/Header";
import { Hero } from "./views/Hero";
import { Links } from "./views/Links";
import { Sites } from "./views/Sites";
import { Stopwatch } from "./views/Stopwatch";

function Page() {
  useEffect(() => {
    document.documentElement.lang = lang.value;
    document.title = `${status.value?.gateway.name ?? "vpp-gateway"} · ${t("title")}`;
  }, [lang.value, status.value?.gateway.name]);
  useEffect(() => {
    if (status.value !== null) performance.mark("picture");
  }, [status.value === null]);
  return (
    <>
      <a class="skip" href="#picture">{t("skip")}</a>
      <Header />
      <Simulated />
      <Links />
      <main id="picture" class="grid">
        <Hero />
        <Stopwatch />
        <Alarms />
        <ImportChart />
        <StackChart />
        <Events />
        <Sites />
      </main>
    </>
  );
}

/** The one-time token has done its work: keep it out of the address bar, the history and screenshots. */
function forgetToken(): void {
  const address = new URL(location.href);
  if (!address.searchParams.has("token")) return;
  address.searchParams.delete("token");
  history.replaceState(null, "", address);
}

const place = document.getElementById("app");
if (place !== null) {
  forgetToken();
  place.replaceChildren();
  render(<Page />, place);
  listen();
}
