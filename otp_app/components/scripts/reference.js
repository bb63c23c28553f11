// What the log calls the failure that led here. From the address, where anybody may write anything.
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
