/* The countries of the phone page. otp_app/web/localized_pages.py writes them into the HTML of that page. If
   the person came to it from another page, they are fetched, so that no page has them in vain or
   twice. */
const fromPage = () => {
  const options = [...document.querySelectorAll("#country option")];
  if (!options.length) return undefined;
  return {
    countries: options.map(({ value, textContent }) => [value, textContent]),
    country: options.find(({ defaultSelected }) => defaultSelected)?.value,
  };
};
// If the request fails, a number that starts with + still works.
const fromServer = () => fetch("/countries").then((answer) => answer.json(), () => ({}));
const find = async () => globalThis.WORDS ?? fromPage() ?? (await fromServer()); // WORDS is set in development only
const prerendered = { countries: [[`\u27e6${JSON.stringify("countries")}\u27e7`, ""]] };

const { countries = [], country = "" } = globalThis.document ? await find() : prerendered;
const likely = globalThis.likelyCountry?.(countries.map(([code]) => code)); // defined by the script in the head

// (code, name) pairs sorted in the person's language, and the code of the likely country.
// DEFAULT_COUNTRY is used where the browser names no country.
export const COUNTRIES = countries;
export const COUNTRY = likely ?? country;
