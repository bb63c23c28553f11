// Shows the log's reference of the failure that led to this page. The reference comes from the URL,
// so it is checked: anybody can write a URL.
{
  customElements.define("otp-reference", class extends HTMLElement {
    connectedCallback() {
      const reference = new URLSearchParams(location.search).get("reference");
      if (!/^[0-9a-f]{12}$/.test(reference)) return;
      this.text ??= this.attachShadow({ mode: "open" });
      this.text.textContent = this.getAttribute("words").replace("{reference}", reference);
    }
  });
}
