/* The countries that the phone page lists. Its HTML has them, by otp_app/web/pages.py. Where another
   page leads to it they are asked for, so that no page carries them for nothing, or twice. */
const fromPage = () => {
  const options = [...document.querySelectorAll("#country option")];
  if (!options.length) return undefined;
  return {
    countries: options.map(({ value, textContent }) => [value, textContent]),
    country: options.find(({ defaultSelected }) => defaultSelected)?.value,
  };
};
// Without them a number that starts with + still goes.
const fromServer = () => fetch("/countries").then((answer) => answer.json(), () => ({}));
const find = async () => globalThis.WORDS ?? fromPage() ?? (await fromServer()); // the first by `reflex run`
const prerendered = { countries: [[`\u27e6${JSON.stringify("countries")}\u27e7`, ""]] };

const { countries = [], country = "" } = globalThis.document ? await find() : prerendered;
const likely = globalThis.likelyCountry?.(countries.map(([code]) => code)); // defined by the script in the head

// (code, name) pairs, in the order of the language, and the likely one, else the operator's.
export const COUNTRIES = countries;
export const COUNTRY = likely ?? country;
