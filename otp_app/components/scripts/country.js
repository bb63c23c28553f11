// The country that the browser's languages name, or make likely by CLDR, is selected before the page
// is shown. The page itself selects the operator's: it is the same for everybody who speaks a language.
{
  const region = (tag) => {
    try { return new Intl.Locale(tag).maximize().region; } catch {} // it is no tag
  };
  globalThis.likelyCountry = (served) => navigator.languages.map(region).find((code) => served.includes(code));
  customElements.define("otp-country", class extends HTMLElement {
    connectedCallback() {
      const select = this.previousElementSibling, options = [...select.options];
      const first = options.find(({ defaultSelected }) => defaultSelected) ?? options[0];
      if (select.value !== first?.value) return; // the browser has put back what was chosen
      select.value = globalThis.likelyCountry(options.map(({ value }) => value)) ?? select.value;
    }
  });
}
