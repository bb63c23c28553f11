// What the tests of every page ask of a page. Each answer lists what is wrong.
globalThis.ask = (() => {
  const CONTROLS = "a[href], button, input:not([type=hidden]), select, summary";
  const TEXTS = "h1, h2, p, label, legend, button, input, select, summary, otp-countdown";
  const isSeen = (element) =>
    element.checkVisibility({ visibilityProperty: true }) && !element.closest(".unseen, .skip, noscript");
  const all = (selector, root = document) => [...root.querySelectorAll(selector)].filter(isSeen);
  const name = (element) => `${element.localName}#${element.id}.${element.className} ${element.innerText ?? ""}`.trim();
  const named = (elements) => elements.map(name);
  const style = (element) => getComputedStyle(element);
  const overlap = (one, other) => {
    const [a, b] = [one.getBoundingClientRect(), other.getBoundingClientRect()];
    return a.left + 1 < b.right && b.left + 1 < a.right && a.top + 1 < b.bottom && b.top + 1 < a.bottom;
  };
  const isCut = (element) =>
    style(element).overflowX !== "visible" && !["auto", "scroll"].includes(style(element).overflowX) &&
    (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1);
  const luminance = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };

  return {
    contrast(one, other) {
      const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
      return (light + 0.05) / (dark + 0.05);
    },
    // Wider than the window, cut off, or over each other.
    crowded() {
      const wide = document.documentElement.scrollWidth > innerWidth ? ["the page is too wide"] : [];
      const cut = named(all("body *").filter(isCut).filter((element) => !element.matches("input, select")));
      const texts = all(`main :is(${TEXTS})`);
      const over = texts.flatMap((one, index) =>
        texts.slice(index + 1)
          .filter((other) => !one.contains(other) && !other.contains(one) && overlap(one, other))
          .map((other) => `${name(one)} over ${name(other)}`));
      return [...wide, ...cut, ...over];
    },
    // A link in a sentence is as high as its line (WCAG 2.5.8, "inline"); a label adds to its input.
    small() {
      const low = all("input:not([type=radio], [type=checkbox]), select, .primary")
        .filter((element) => element.offsetHeight < 44);
      const tiny = all(CONTROLS)
        .filter((element) => !element.matches("p a, .summary a"))
        .filter((element) => element.offsetHeight < 24 || element.offsetWidth < 24);
      return named([...low, ...tiny]);
    },
    // iOS zooms in on what is smaller.
    zoomed: () => named(all("input:not([type=radio]), select")
    .filter((element) => parseFloat(style(element).fontSize) < 16)),
    unlabelled: () => named(all("input, select")
      .filter((element) => element.placeholder || ![...element.labels].some(isSeen))),
    moving: () => named([...document.querySelectorAll("*")].filter((element) =>
      !["none", ""].includes(style(element).animationName) || parseFloat(style(element).transitionDuration) > 0)),
    // What has no line around it, or one that cannot be told from what is behind it.
    borderless: () => named(all("input:not([type=radio], [type=checkbox]), select, .primary, .summary")
      .filter((element) => parseFloat(style(element).borderTopWidth) < 1 ||
        style(element).borderTopStyle === "none" ||
        style(element).borderTopColor === style(document.documentElement).backgroundColor)),
    rightToLeft: () => named(all("#phone, #code").filter((element) => style(element).direction !== "ltr")),
    focused() {
      const element = document.activeElement;
      const { outlineStyle, outlineWidth } = style(element);
      return { name: name(element), isSeen: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 };
    },
    covered() {
      const banner = document.querySelector("otp-connection[said]");
      return banner && overlap(document.activeElement, banner) ? named([document.activeElement]) : [];
    },
  };
})();
