// What is asked for is said at once, not after a round trip, and nothing else can be asked for until
// `answered` changes. In a shadow root, out of React's way: before the page is live, too.
{
  const SLOW = 10000, LOST = 60000; // ms; by then every provider has answered or been given up
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
