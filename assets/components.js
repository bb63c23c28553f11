/* The React components that pages share, and `t`, which translates their texts. They are in one
   module, because a second one would be one more request. */
import { Children, createElement, useEffect, useImperativeHandle, useRef } from "react";

// The server puts the translations into every page as data. When a page is prerendered, the language
// is not known yet, so `t` writes marks, which the server replaces when it serves the page: see
// otp_app/web/localized_pages.py.
const read = () => {
  const data = globalThis.document?.getElementById("words");
  return data ? JSON.parse(data.textContent) : (globalThis.WORDS ?? {}); // WORDS is set in development only
};
const { language = "en", words = {} } = read();
const isPrerendered = !globalThis.document && import.meta.env.PROD;
const mark = (what) => `\u27e6${JSON.stringify(what)}\u27e7`;
const placeholder = /\{(\w+)\}/;

// Picks the plural form of a sentence by the value of its first placeholder.
const pick = (forms, english, values) =>
  forms[new Intl.PluralRules(language).select(Number(values[english.match(placeholder)[1]]))];

export const t = (english, values = {}) => {
  if (isPrerendered) return mark([english, values]);
  const said = words[english] ?? english;
  const sentence = typeof said === "string" ? said : pick(said, english, values);
  return sentence.replace(/\{(\w+)\}/g, (place, name) => values[name] ?? place);
};

// For the browser's console and the tests, which import no module.
globalThis.t = t;

// Renders a sentence with elements in it: each child replaces the placeholder of the same index in
// `names`.
export const Rich = ({ english, names, children }) => {
  const elements = Children.toArray(children);
  return t(english)
    .split(placeholder)
    .map((part, index) => (index % 2 ? elements[names.indexOf(part)] : part));
};

// Renders a custom element whose event `request` goes to the server. React adds no listener for the
// event of a custom element that was prerendered, so this component adds one. The response, if there
// is one, comes by `rx.set_value`, which assigns to `value` of the component's handle.
export const Bridge = ({ element: tag, onRequest, ref, ...props }) => {
  const rendered = useRef(null);
  useEffect(() => {
    const { current } = rendered, request = ({ detail }) => onRequest(detail);
    current.addEventListener("request", request);
    return () => current.removeEventListener("request", request);
  });
  useImperativeHandle(ref, () => ({ set value(response) { rendered.current.show(response); } }));
  return createElement(tag, { ...props, ref: rendered });
};
