// Selects the country that the browser's languages name, or make likely by CLDR, before the page is
// shown. In the HTML the operator's country is selected, since all browsers with one language get it.
{
  const region = (tag) => {
    try { return new Intl.Locale(tag).maximize().region; } catch {} // not a language tag
  };
  globalThis.likelyCountry = (served) => navigator.languages.map(region).find((code) => served.includes(code));
  customElements.define("otp-country", class extends HTMLElement {
    connectedCallback() {
      const select = this.previousElementSibling, options = [...select.options];
      const first = options.find(({ defaultSelected }) => defaultSelected) ?? options[0];
      if (select.value !== first?.value) return; // the browser has restored an earlier choice
      select.value = globalThis.likelyCountry(options.map(({ value }) => value)) ?? select.value;
    }
  });
}
