// Shows the status of a request at once, without a round trip, and blocks further requests until
// `answered` changes. The text is in a shadow root, so that React does not overwrite it, and so that
// it can be shown before the page is live.
{
  const SLOW = 10000, LOST = 60000; // ms; after LOST every call to a provider is over
  customElements.define("otp-pending", class extends HTMLElement {
    static observedAttributes = ["answered"];
    connectedCallback() { this.text ??= this.attachShadow({ mode: "open" }); }
    disconnectedCallback() { this.end(); }
    attributeChangedCallback() { if (this.button) this.end(); }
    show(words) {
      this.text.textContent = words;
      this.slow ??= setTimeout(() => this.text.textContent = this.getAttribute("slowly"), SLOW);
    }
    begin(asked) {
      this.button = asked.querySelector("[type=submit]") ?? asked;
      this.button.setAttribute("aria-disabled", "true");
      this.show(asked.dataset.pending);
      this.lost = setTimeout(() => this.end(), LOST);
    }
    end() {
      clearTimeout(this.slow);
      clearTimeout(this.lost);
      this.button?.removeAttribute("aria-disabled");
      this.text.textContent = "";
      this.slow = this.button = null;
    }
  });
  const ask = (event, asked) => {
    const pending = document.querySelector("otp-pending");
    if (!asked?.dataset.pending || !pending) return;
    if (!pending.button) return pending.begin(asked);
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  addEventListener("submit", (event) => ask(event, event.target), true);
  addEventListener("click", (event) => ask(event, event.target.closest?.("button[data-pending]")), true);
}
