/* The words of the pages, in the person's language: the server puts them into every page as data.
   Where the pages are prerendered nobody knows whose they will be, so there it leaves marks, which
   the server replaces whenever it serves the page: see otp_app/web/pages.py. */
import { Children } from "react";

const read = () => {
  const data = globalThis.document?.getElementById("words");
  return data ? JSON.parse(data.textContent) : (globalThis.WORDS ?? {}); // the latter by `reflex run`
};
const { language = "en", words = {} } = read();
const isPrerendered = !globalThis.document && import.meta.env.PROD;
const mark = (what) => `\u27e6${JSON.stringify(what)}\u27e7`;
const placeholder = /\{(\w+)\}/;

// One of the forms of a sentence that counts its first placeholder.
const pick = (forms, english, values) =>
  forms[new Intl.PluralRules(language).select(Number(values[english.match(placeholder)[1]]))];

export const say = (english, values = {}) => {
  if (isPrerendered) return mark([english, values]);
  const said = words[english] ?? english;
  const sentence = typeof said === "string" ? said : pick(said, english, values);
  return sentence.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
};

// A sentence with elements in it: its children, in the places that `names` gives them.
export const Sentence = ({ english, names, children }) => {
  const elements = Children.toArray(children);
  return say(english)
    .split(placeholder)
    .map((part, index) => (index % 2 ? elements[names.indexOf(part)] : part));
};

// For the script in the head, which is no module.
globalThis.say = say;
