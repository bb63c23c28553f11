// One visit of each page, measured: `bun measure.mjs ADDRESS BROWSER NUMBER`, for `python -m bench.lighthouse`.
// Writes a list of {page, mode, scores, failed, metrics} as JSON.

import { startFlow } from "lighthouse";
import puppeteer from "puppeteer-core";

const [address, browserPath, number] = process.argv.slice(2);

const METRICS = {
  fcp: "first-contentful-paint",
  lcp: "largest-contentful-paint",
  tbt: "total-blocking-time",
  cls: "cumulative-layout-shift",
};

const browser = await puppeteer.launch({
  executablePath: browserPath,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const page = await browser.newPage();
const flow = await startFlow(page, {
  flags: { onlyCategories: ["performance", "accessibility", "best-practices", "seo"] },
});

const live = () => page.waitForSelector("form[data-live=true]");
const press = () => page.click("main form [type=submit]");
const problem = () => page.waitForSelector("[role=alert]");
const open = async (path) => (await page.goto(address + path), await live());

// What a browser without scripts gets is the answer to a post, and so has no address to open. It is asked
// for twice: what leaving the first page costs is not the second one's.
async function post(name) {
  await Promise.all([page.waitForNavigation(), page.evaluate(() => document.querySelector("main form").submit())]);
  const browserOfPage = await page.createCDPSession();
  await browserOfPage.send("Network.clearBrowserCache");
  await flow.startNavigation({ name, ignoreStatusCode: true });
  await press();
  await flow.endNavigation();
}

await flow.navigate(address + "/", { name: "phone page" });
await open("/");
await press();
await problem();
await flow.snapshot({ name: "phone page, error" });
await open("/");
await post("phone page, error");

await open("/");
await page.type("[name=phone]", number);
await press();
await page.waitForFunction(() => location.pathname.startsWith("/code"));
await live();
await flow.navigate(address + "/code", { name: "code page" });
await open("/code");
await press();
await problem();
await flow.snapshot({ name: "code page, error" });
await open("/code");
await post("code page, error");

const { steps } = await flow.createFlowResult();
await browser.close();

const scored = (category) => Math.round(category.score * 100);
const value = ({ audits }, id) => audits[id]?.numericValue;

console.log(
  JSON.stringify(
    steps.map(({ name, lhr }) => ({
      page: name,
      mode: lhr.gatherMode,
      scores: Object.fromEntries(Object.values(lhr.categories).map((c) => [c.id, scored(c)])),
      failed: Object.values(lhr.audits).filter((audit) => audit.score !== null && audit.score < 0.9).map((audit) => audit.id),
      metrics: Object.fromEntries(Object.entries(METRICS).map(([key, id]) => [key, value(lhr, id)])),
    })),
  ),
);
